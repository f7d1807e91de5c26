//! One change of generation, from what was asked to the moved pointer.
//!
//! ```text
//!   configure -> verify -> prepare -> compile -> link -> setup -> statistics -> commit -> (pointer moves)
//!       |           |         |          |        |        |          |           |
//!       +-----------+---------+----------+--------+--------+----------+-----------+--> failed: nothing has changed
//! ```
//!
//! Until `commit` nothing but the new generation's own row, its kept package and what its `setup` does at the storage is new; calls go
//! on on the generation that serves. After `commit` the new one is what a restart serves, so the pointer moves whatever happens to the
//! one who asked. Each step is in the ledger before it is taken, with who asked.
//!
//! Only one change of a backend runs at a time; its guard is the turn of the backend's name. The task is never cancelled: a daemon that
//! ends drops it between two steps, and the start after it finds the row prepared and marks it failed.
//!
//! Where more steps belong: a comparison of rights, which waits for approval, between `verify` and `prepare`; a canary, which lets the new
//! generation serve a part of the calls, between `statistics` and `commit`; quarantine looks at what `setup` and `statistics` failed with.

use super::change::{Asked, ChangeState, ChangeView, Step};
use super::generation::{self, NewGeneration};
use super::loader::{Candidate, DriverLoader, PackageSource, Wanted, Written};
use super::supervisor::{self, failure_of};
use super::{Backend, Serving};
use crate::error::ManagerError;
use crate::manager::Inner;
use crate::records::{Cause, Origin};
use crate::view::BackendFailure;
use bulkhead_model::error::Blame;
use bulkhead_model::id::GenerationNumber;
use bulkhead_model::statistics::Statistics;
use std::path::PathBuf;
use std::sync::Arc;

/// What the new generation is made of.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    /// What this file says.
    File(PathBuf),
    /// What the daemon's configuration says now, or the backend's own file.
    Reread,
    /// The current one's settings with this package.
    Package(PathBuf),
    /// What was read already.
    Offer(Written),
    /// This generation again.
    Back(GenerationNumber),
}

/// A change that has begun.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) inner: Arc<Inner>,
    pub(super) backend: Arc<Backend>,
    pub(super) loader: Arc<dyn DriverLoader>,
    pub(super) cause: Cause,
    pub(super) asked: Asked,
}

/// What a plan comes to.
#[derive(Debug)]
struct Goal {
    wanted: Wanted,
    origin: Option<Origin>,
    /// The generation that becomes current again.
    again: Option<GenerationNumber>,
}

/// How far a change came.
#[derive(Debug, Default)]
struct Progress {
    step: Option<Step>,
    number: Option<GenerationNumber>,
    /// The file content that the change has answered.
    file: Option<Origin>,
}

/// A generation that has proved itself.
struct Proved {
    serving: Arc<Serving>,
    statistics: Statistics,
}

impl Change {
    /// Take all steps, while nothing else changes the backend. A failure is in ledger, log and record by then.
    pub(super) async fn run(&self, plan: Plan) -> Result<ChangeState, BackendFailure> {
        let mut progress = Progress::default();
        let outcome = self.steps(plan, &mut progress).await;
        match &outcome {
            Ok(_) => self.backend.settle_offer(progress.file.as_ref()),
            Err(failure) => self.failed(&progress, failure).await,
        }
        outcome
    }

    /// Show how it ended, once the next change may begin: who sees it may ask for one.
    pub(super) fn end(&self, outcome: &Result<ChangeState, BackendFailure>) -> ChangeView {
        let mut ended = begun(self.asked, &self.cause, &self.backend);
        self.show(|change| {
            change.state = *outcome.as_ref().unwrap_or(&ChangeState::Failed);
            change.failure = outcome.as_ref().err().cloned();
            ended.clone_from(change);
        });
        ended
    }

    /// Change what people see of this change.
    fn show(&self, alter: impl FnOnce(&mut ChangeView)) {
        self.inner.backends.alter_change(&self.backend.name, &self.cause.request, alter);
    }

    async fn steps(&self, plan: Plan, progress: &mut Progress) -> Result<ChangeState, BackendFailure> {
        self.enter(Step::Configure, progress).await?;
        let mut goal = self.configure(plan).await?;
        self.enter(Step::Verify, progress).await?;
        let candidate = self.loader.verify(&self.backend.name, &goal.wanted).await?;
        if let Some(current) = self.current_if(&*candidate, &goal) {
            if self.backend.serving().is_some() {
                progress.file = self.file(&goal);
                generation::remember_file(&self.inner, &self.backend.name, progress.file.as_ref())
                    .await
                    .map_err(|error| host_failure(&error))?;
                return Ok(ChangeState::Unchanged);
            }
            // It should serve and does not, perhaps because its kept package was lost: bring it up.
            goal.again = Some(current);
        }
        let proved = self.prove(candidate, &goal, progress).await?;
        self.enter(Step::Commit, progress).await?;
        progress.file = self.file(&goal);
        self.commit(proved, progress.file.as_ref()).await?;
        Ok(ChangeState::Done)
    }

    /// Everything that the new generation has to pass before it may serve.
    async fn prove(
        &self,
        mut candidate: Box<dyn Candidate>,
        goal: &Goal,
        progress: &mut Progress,
    ) -> Result<Proved, BackendFailure> {
        self.enter(Step::Prepare, progress).await?;
        candidate.keep().await?;
        let number = self.number(&*candidate, goal).await?;
        progress.number = Some(number);
        self.show(|change| change.generation = Some(number));
        self.enter(Step::Compile, progress).await?;
        candidate.compile().await?;
        self.enter(Step::Link, progress).await?;
        let (description, driver) = candidate.link(number).await?;
        if self.backend.serving().is_none() && goal.again.is_none() {
            self.backend.show_first(&description, &*driver, &self.inner);
        }
        self.enter(Step::Setup, progress).await?;
        let serving = supervisor::set_up(&description, &driver).await.map_err(|error| failure_of(&error))?;
        self.enter(Step::Statistics, progress).await?;
        let statistics =
            supervisor::statistics(&self.backend, &*driver).await.map_err(|error| failure_of(&error))?;
        Ok(Proved { serving, statistics })
    }

    async fn commit(&self, proved: Proved, file: Option<&Origin>) -> Result<(), BackendFailure> {
        let name = &self.backend.name;
        let number = proved.serving.description.generation;
        generation::promote(&self.inner, name, number, file, &self.cause)
            .await
            .map_err(|error| host_failure(&error))?;
        supervisor::move_pointer(&self.inner, &self.backend, proved.serving, proved.statistics);
        tracing::info!(
            backend.name = %name, generation = %number, asked = %self.asked, by = %self.cause.actor,
            "generation {number} of backend {name} is current"
        );
        self.inner.forget_packages(&*self.loader).await;
        Ok(())
    }

    /// A step begins: shown, and in the ledger. None begins in a daemon that is ending.
    async fn enter(&self, step: Step, progress: &mut Progress) -> Result<(), BackendFailure> {
        progress.step = Some(step);
        self.show(|change| change.step = step);
        if self.inner.runners.is_draining() {
            return Err(host_failure(&ManagerError::ShuttingDown));
        }
        let words = match progress.number {
            Some(number) => format!("{}: generation {number}: {step}", self.asked),
            None => format!("{}: {step}", self.asked),
        };
        generation::note(&self.inner, &self.backend.name, &words, &self.cause)
            .await
            .map_err(|error| host_failure(&error))
    }

    async fn configure(&self, plan: Plan) -> Result<Goal, BackendFailure> {
        let name = &self.backend.name;
        let written = match plan {
            Plan::File(file) => self.loader.read_file(name, &file).await?,
            Plan::Reread => {
                let recorded = self.recorded_file();
                self.loader.read(name, recorded.as_ref().map(|origin| origin.file.as_path())).await?
            }
            Plan::Offer(written) => written,
            Plan::Package(package) => return self.with_package(package),
            Plan::Back(number) => return self.back_to(number),
        };
        let wanted = Wanted { package: PackageSource::File(written.driver), settings: written.settings };
        Ok(Goal { wanted, origin: Some(written.origin), again: None })
    }

    fn recorded_file(&self) -> Option<Origin> {
        self.inner.records.read().backend(&self.backend.name).and_then(|record| record.file.clone())
    }

    fn with_package(&self, package: PathBuf) -> Result<Goal, BackendFailure> {
        let tables = self.inner.records.read();
        let current = tables.current_generation(&self.backend.name).ok_or_else(|| {
            caller_failure(
                "no-generation",
                format!(
                    "backend {} has no generation whose settings the new driver could take over; name it in the backend's file",
                    self.backend.name
                ),
            )
        })?;
        let wanted = Wanted { package: PackageSource::File(package), settings: current.settings.clone() };
        Ok(Goal { wanted, origin: None, again: None })
    }

    fn back_to(&self, number: GenerationNumber) -> Result<Goal, BackendFailure> {
        let tables = self.inner.records.read();
        let row = tables.generation(&self.backend.name, number).ok_or_else(|| {
            caller_failure("no-generation", format!("generation {number} is not kept any more"))
        })?;
        let package = PackageSource::Kept(row.identity.package);
        Ok(Goal {
            wanted: Wanted { package, settings: row.settings.clone() },
            origin: None,
            again: Some(number),
        })
    }

    /// The recorded generation, if it is what the candidate would become.
    fn current_if(&self, candidate: &dyn Candidate, goal: &Goal) -> Option<GenerationNumber> {
        let tables = self.inner.records.read();
        let current = tables.current_generation(&self.backend.name)?;
        let is_same = match goal.again {
            Some(number) => current.number == number,
            None => current.identity.digest == candidate.identity().digest,
        };
        is_same.then_some(current.number)
    }

    /// The file that this change answers: its own, or the one that was on offer and is overruled by it.
    fn file(&self, goal: &Goal) -> Option<Origin> {
        goal.origin.clone().or_else(|| self.backend.offered()).or_else(|| self.recorded_file())
    }

    async fn number(
        &self,
        candidate: &dyn Candidate,
        goal: &Goal,
    ) -> Result<GenerationNumber, BackendFailure> {
        if let Some(again) = goal.again {
            return Ok(again);
        }
        let new = NewGeneration { identity: candidate.identity(), settings: &goal.wanted.settings };
        generation::prepare(&self.inner, &self.backend.name, &new, &self.cause)
            .await
            .map_err(|error| host_failure(&error))
    }

    async fn failed(&self, progress: &Progress, failure: &BackendFailure) {
        let name = &self.backend.name;
        let step = progress.step.unwrap_or(Step::Configure);
        let consequence = match self.backend.serving() {
            Some(serving) => {
                serving.driver.lead();
                format!("was not changed, generation {} goes on serving", serving.description.generation)
            }
            None => "cannot be loaded, the others go on".to_owned(),
        };
        tracing::error!(
            backend.name = %name, asked = %self.asked, by = %self.cause.actor, step = %step, code = %failure.code,
            blame = %failure.blame, "backend {name} {consequence}: {step} failed: {}", failure.message
        );
        let recorded =
            generation::fail(&self.inner, name, progress.number, (step, failure), &self.cause).await;
        if let Err(error) = recorded {
            tracing::error!(backend.name = %name, "the failure could not be recorded: {error}");
        }
    }
}

/// A failure of this host, with its causes.
pub(super) fn host_failure(error: &ManagerError) -> BackendFailure {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    BackendFailure { code: error.code().to_owned(), blame: Blame::Host, message }
}

pub(super) fn caller_failure(code: &str, message: String) -> BackendFailure {
    BackendFailure { code: code.to_owned(), blame: Blame::Caller, message }
}

/// What is shown of a change that begins.
pub(super) fn begun(asked: Asked, cause: &Cause, backend: &Backend) -> ChangeView {
    ChangeView {
        request: cause.request.clone(),
        asked,
        asked_by: cause.actor.clone(),
        asked_at: bulkhead_model::time::Timestamp::now(),
        state: ChangeState::Running,
        step: Step::Configure,
        generation: None,
        before: backend.serving().map(|serving| serving.description.generation),
        failure: None,
    }
}
