//! A place for tests: it starts nothing, remembers what it was asked, and answers what it was told to.

use super::{Abandoned, CommandRequest, CommandRunner, RunError};
use async_trait::async_trait;
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, Ending, Finished, JobAnswer, JobCall, PipeFinished, Refusal, ServiceAnswer,
    ServiceCall, ServiceState, ServiceStatus,
};
use bulkhead_model::error::CapabilityCode;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Done in place of a command, before its answer is given.
type Deed = Box<dyn Fn(&CommandRequest) + Send + Sync>;

/// Succeeds without output unless it is told otherwise.
#[derive(Default)]
pub struct FakeRunner {
    requests: Mutex<Vec<CommandRequest>>,
    pipelines: Mutex<Vec<Vec<CommandRequest>>>,
    services: Asked<ServiceCall, ServiceAnswer>,
    jobs: Asked<JobCall, JobAnswer>,
    dbus: Asked<DbusRequest, DbusReply>,
    answers: Mutex<VecDeque<Result<Finished, RunError>>>,
    deed: Mutex<Option<Deed>>,
    hangs: Mutex<Hanging>,
    abandoned: Notify,
    released: Notify,
}

/// What was asked, oldest first, and what is answered next.
#[derive(Debug)]
struct Asked<C, A> {
    calls: Mutex<Vec<C>>,
    answers: Mutex<VecDeque<Result<A, RunError>>>,
}

impl<C, A> Default for Asked<C, A> {
    fn default() -> Self {
        Self { calls: Mutex::default(), answers: Mutex::default() }
    }
}

impl<C, A> Asked<C, A> {
    fn ask(&self, call: C) -> Option<Result<A, RunError>> {
        locked(&self.calls).push(call);
        locked(&self.answers).pop_front()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Hanging {
    #[default]
    Never,
    UntilAbandoned,
    UntilReleased,
}

impl FakeRunner {
    /// Answer the next command with this; several calls queue up.
    pub fn answer(&self, answer: Result<Finished, RunError>) {
        locked(&self.answers).push_back(answer);
    }

    /// Answer the next command with an end that wrote nothing.
    pub fn end(&self, ending: Ending) {
        self.answer(Ok(silent(ending)));
    }

    /// Answer the next question about services with this; several calls queue up. Without, a service is ready.
    pub fn answer_service(&self, answer: Result<ServiceAnswer, RunError>) {
        locked(&self.services.answers).push_back(answer);
    }

    /// Answer the next question about jobs with this; several calls queue up. Without, there is none.
    pub fn answer_job(&self, answer: Result<JobAnswer, RunError>) {
        locked(&self.jobs.answers).push_back(answer);
    }

    /// Answer the next D-Bus call with this; several calls queue up. Without, it has no results.
    pub fn answer_dbus(&self, answer: Result<DbusReply, RunError>) {
        locked(&self.dbus.answers).push_back(answer);
    }

    /// The pipelines that were asked for, oldest first.
    #[must_use]
    pub fn pipelines(&self) -> Vec<Vec<CommandRequest>> {
        locked(&self.pipelines).clone()
    }

    /// What was asked about services, oldest first.
    #[must_use]
    pub fn service_calls(&self) -> Vec<ServiceCall> {
        locked(&self.services.calls).clone()
    }

    /// What was asked about jobs, oldest first.
    #[must_use]
    pub fn job_calls(&self) -> Vec<JobCall> {
        locked(&self.jobs.calls).clone()
    }

    /// The D-Bus calls that were asked for, oldest first.
    #[must_use]
    pub fn dbus_calls(&self) -> Vec<DbusRequest> {
        locked(&self.dbus.calls).clone()
    }

    /// Do this in place of every command.
    pub fn perform(&self, deed: impl Fn(&CommandRequest) + Send + Sync + 'static) {
        *locked(&self.deed) = Some(Box::new(deed));
    }

    /// Let every command run until nobody waits for it, and every D-Bus call until [`FakeRunner::release`].
    pub fn hang(&self) {
        *locked(&self.hangs) = Hanging::UntilAbandoned;
    }

    /// As [`FakeRunner::hang`], and let every command take until [`FakeRunner::release`] to end.
    pub fn hang_on(&self) {
        *locked(&self.hangs) = Hanging::UntilReleased;
    }

    /// Let one hanging command end, and no further one hang.
    pub fn release(&self) {
        *locked(&self.hangs) = Hanging::Never;
        self.released.notify_one();
    }

    /// What was asked, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<CommandRequest> {
        locked(&self.requests).clone()
    }

    /// Wait until a hanging command was abandoned.
    pub async fn wait_for_abandoned(&self) {
        self.abandoned.notified().await;
    }
}

impl fmt::Debug for FakeRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FakeRunner").field("requests", &self.requests).finish_non_exhaustive()
    }
}

#[async_trait]
impl CommandRunner for FakeRunner {
    async fn run(&self, request: CommandRequest, mut abandoned: Abandoned) -> Result<Finished, RunError> {
        if let Some(deed) = locked(&self.deed).as_ref() {
            deed(&request);
        }
        locked(&self.requests).push(request);
        let hangs = *locked(&self.hangs);
        if hangs != Hanging::Never {
            abandoned.wait().await;
            self.abandoned.notify_one();
            if hangs == Hanging::UntilReleased {
                self.released.notified().await;
            }
            return Ok(silent(Ending::Cancelled));
        }
        let answer = locked(&self.answers).pop_front();
        answer.unwrap_or_else(|| Ok(silent(Ending::Exited(0))))
    }

    /// Each stage as a command of its own, one after the other.
    async fn pipe(
        &self,
        stages: Vec<CommandRequest>,
        _abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        locked(&self.pipelines).push(stages.clone());
        let mut ended = Vec::new();
        for stage in stages {
            let (_waiting, abandoned) = Abandoned::pair();
            ended.push(self.run(stage, abandoned).await?);
        }
        Ok(PipeFinished { stages: ended })
    }

    async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        let tells = matches!(call, ServiceCall::Start(_) | ServiceCall::Status { .. });
        self.services
            .ask(call)
            .unwrap_or_else(|| Ok(if tells { ServiceAnswer::Status(READY) } else { ServiceAnswer::Done }))
    }

    async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        self.jobs.ask(call).unwrap_or_else(|| {
            Err(Refusal::new(CapabilityCode::NotFound, "there is no job under this key").into())
        })
    }

    async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        let answer = self.dbus.ask(call);
        let hangs = *locked(&self.hangs);
        if hangs != Hanging::Never {
            self.released.notified().await;
        }
        answer.unwrap_or_else(|| Ok(DbusReply::Results(Vec::new())))
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}

const READY: ServiceStatus =
    ServiceStatus { state: ServiceState::Ready, started_at_ms: Some(1), adopted: false, exit: None };

const fn silent(ending: Ending) -> Finished {
    Finished { ending, stdout: Vec::new(), stderr: Vec::new(), truncated: false, duration_ms: 1 }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
