//! A command runner for tests: it starts nothing, remembers what it was asked, and answers what it was told to.

use super::{Abandoned, CommandRequest, CommandRunner, RunError};
use async_trait::async_trait;
use bulkhead_helper::protocol::{Ending, Finished};
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
    answers: Mutex<VecDeque<Result<Finished, RunError>>>,
    deed: Mutex<Option<Deed>>,
    hangs: Mutex<Hanging>,
    abandoned: Notify,
    released: Notify,
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

    /// Do this in place of every command.
    pub fn perform(&self, deed: impl Fn(&CommandRequest) + Send + Sync + 'static) {
        *locked(&self.deed) = Some(Box::new(deed));
    }

    /// Let every command run until nobody waits for it.
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

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}

const fn silent(ending: Ending) -> Finished {
    Finished { ending, stdout: Vec::new(), stderr: Vec::new(), truncated: false, duration_ms: 1 }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
