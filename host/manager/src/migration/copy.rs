//! The host's own way to move a share: a destination made by its driver, a copy by the host, rules, and the removal of the source.
//!
//! Every step may be repeated: drivers find what they have made by ids, the copy leaves alone what is as it should be.

use super::attempt::At;
use super::carry;
use super::rules::{self, Cast};
use crate::access::list::RuleList;
use crate::access::state;
use crate::backend::Serving;
use crate::error::ManagerError;
use crate::export;
use crate::journal::End;
use crate::records::Tables;
use crate::runner::{Progress, Step};
use bulkhead_model::error::{Blame, CallError, CapabilityCode, CapabilityError, DriverErrorCode};
use bulkhead_model::id::BackendName;
use bulkhead_model::migration::{MigrationPhase, MigrationWish};
use bulkhead_model::operation::OperationFailure;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::TaskState;
use bulkhead_sandbox::{CopyProgress, ShareDirectory};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at a copy that runs: how far it is, and whether it is still wanted.
const LOOK: Duration = Duration::from_millis(500);

fn failure_of(error: &CapabilityError, doing: &str) -> OperationFailure {
    let code = match error.code {
        CapabilityCode::Denied => "copy-refused",
        CapabilityCode::NoSpace => "no-space",
        _ => "copy-failed",
    };
    let blame = match error.code {
        CapabilityCode::Denied => Blame::Caller,
        _ => Blame::Host,
    };
    OperationFailure { code: code.to_owned(), blame, message: format!("{doing}: {}", error.message) }
}

impl At<'_> {
    /// Whether the host reaches both sides; then the source becomes read only.
    pub(super) async fn prepare_copy(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let Some(destination) = self.destination_serving() else { return self.wait_for_destination().await };
        let source = self.attempt.serving.driver.share_directory(self.migration.source).await;
        let refused = source.map(drop).and_then(|()| destination.driver.may_copy_shares()).err();
        match refused {
            None => self.cast(progress, MigrationPhase::Creating).await,
            Some(error) => {
                let failure = failure_of(&error, "the host cannot reach both sides to copy");
                self.advance(|draft| {
                    let why = draft.migration.failure.take().map(|why| format!("{}; ", why.message));
                    let message = format!("{}{}", why.unwrap_or_default(), failure.message);
                    let failure = OperationFailure { message, ..failure.clone() };
                    draft.put_back(TaskState::MigrationError, Some(failure));
                })
                .await
            }
        }
    }

    fn destination_backend(&self) -> Option<BackendName> {
        let tables = self.inner.records.read();
        tables.instance(self.migration.destination).map(|one| one.placement.backend.clone())
    }

    fn destination_serving(&self) -> Option<Arc<Serving>> {
        self.inner.serving(&self.destination_backend()?)
    }

    async fn wait_for_destination(&self) -> Result<Step, ManagerError> {
        let failure = OperationFailure {
            code: "backend-unreachable".to_owned(),
            blame: Blame::Backend,
            message:
                "the backend of the destination is not configured or not set up yet; `backend show` says why"
                    .to_owned(),
        };
        self.inner.wait(self.attempt.operation.id, "waiting for the destination's backend", failure).await?;
        Ok(Step::Wait)
    }

    /// Let the destination's driver make it, as any new share.
    pub(super) async fn create(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::destination(tables, self.share())) {
            Ok(share) => self.attempt.serving.driver.create_share(&self.attempt.reason(), &share).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(locations) => {
                self.advance(|draft| {
                    if let Some(destination) = &mut draft.destination {
                        destination.export_locations =
                            export::replace(&destination.export_locations, locations.clone());
                    }
                    draft.to(MigrationPhase::Copying);
                })
                .await
            }
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => self.undo(TaskState::MigrationError, Some(failure)).await,
            },
        }
    }

    /// Remove the destination and put everything back.
    pub(super) async fn undo(
        &self,
        word: TaskState,
        failure: Option<OperationFailure>,
    ) -> Result<Step, ManagerError> {
        self.advance(|draft| draft.remove_destination(word, failure.clone())).await
    }

    /// Copy, or go on with it, and compare.
    pub(super) async fn copy(&self) -> Result<Step, ManagerError> {
        let Some(destination) = self.destination_serving() else { return self.wait_for_destination().await };
        let answer = match self.directories(&destination).await {
            Ok((from, to)) => self.copy_between(&from, &to).await?,
            Err(error) => Err(error),
        };
        match answer {
            Ok(words) => {
                self.advance(|draft| {
                    draft.migration.failure = None;
                    draft.to(MigrationPhase::Copied);
                    draft.change.note(draft.cause, format_args!("share/{}", draft.share.id), &words);
                })
                .await
            }
            Err(error) if self.is_unwanted() => {
                tracing::info!(share.id = %self.share(), "the copy of a share was stopped: {error}");
                Ok(Step::Again)
            }
            Err(error) => {
                let failure = failure_of(&error, "copying failed");
                tracing::warn!(share.id = %self.share(), "{}", failure.message);
                let is_passing = matches!(
                    error.code,
                    CapabilityCode::Busy | CapabilityCode::TimedOut | CapabilityCode::Unavailable
                );
                if is_passing {
                    self.inner.wait(self.attempt.operation.id, "waiting to go on copying", failure).await?;
                    return Ok(Step::Wait);
                }
                self.undo(TaskState::MigrationError, Some(failure)).await
            }
        }
    }

    async fn directories(
        &self,
        destination: &Serving,
    ) -> Result<(ShareDirectory, ShareDirectory), CapabilityError> {
        let from = self.attempt.serving.driver.share_directory(self.migration.source).await?;
        let to = destination.driver.share_directory(self.migration.destination).await?;
        Ok((from, to))
    }

    async fn copy_between(
        &self,
        from: &ShareDirectory,
        to: &ShareDirectory,
    ) -> Result<Result<String, CapabilityError>, ManagerError> {
        let progress = Arc::new(CopyProgress::default());
        let mut copying = std::pin::pin!(from.copy_to(to, Arc::clone(&progress)));
        let mut shown = None;
        // Never dropped while it runs: what is told to stop is waited for, so that no two write to one destination.
        let copied = loop {
            tokio::select! {
                copied = &mut copying => break copied,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.is_unwanted() || self.inner.runners.is_draining() {
                progress.stop();
                continue;
            }
            let percent = Some(progress.percent());
            if percent != shown {
                shown = percent;
                if self.advance(|draft| draft.migration.progress_percent = percent).await? == Step::Ended {
                    progress.stop();
                }
            }
        };
        Ok(copied.map(|done| {
            let left_out = match done.left_out {
                0 => String::new(),
                count => format!(", {count} devices, pipes and sockets left out"),
            };
            format!("copied and compared: {} entries, {} bytes{left_out}", done.entries, done.bytes)
        }))
    }

    /// Whether an operator has asked to stop, or the operation has ended.
    fn is_unwanted(&self) -> bool {
        let tables = self.inner.records.read();
        let share = tables.share(&Scope::Everything, self.share());
        let migration = share.and_then(|share| share.migration.as_ref());
        migration.is_none_or(|migration| migration.wish == Some(MigrationWish::Cancel))
            || crate::journal::unfinished(&tables, self.attempt.operation.id).is_none()
    }

    /// Bring the rules in force at the destination, and let it serve.
    pub(super) async fn export(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::destination(tables, self.share())) {
            Ok(to) => {
                let (serving, reason) = (&self.attempt.serving, self.attempt.reason());
                rules::send(self.inner, serving, &reason, (self.share(), &to), Cast::AsAsked).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(refused) => {
                rules::take_in(self.inner, &self.attempt.operation, &refused).await?;
                let support = self.support_at_destination();
                self.advance(|draft| draft.cut_over_copy(support)).await
            }
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                // Nothing has changed for anybody: what is copied waits for another word.
                Some(failure) => {
                    self.advance(|draft| {
                        draft.migration.wish = None;
                        draft.migration.failure = Some(failure.clone());
                        draft.to(MigrationPhase::Copied);
                    })
                    .await
                }
            },
        }
    }

    /// The destination serves: remove the source, with its rules, as any share.
    pub(super) async fn remove_source(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::source(tables, self.share())) {
            Ok(source) => self.remove(&source).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(gone) => {
                let backend = self.inner.backends.get(&self.attempt.operation.backend);
                if let (Some(backend), Some(pool)) = (backend, &gone.pool) {
                    backend.count_deleted(pool, gone.size.get());
                }
                self.advance(|draft| draft.finish_without_source()).await
            }
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => {
                    self.advance(|draft| {
                        draft.share.task_state = Some(TaskState::MigrationError);
                        draft.migration.wish = None;
                        draft.end = Some(End::badly(failure.clone()));
                    })
                    .await
                }
            },
        }
    }

    /// Remove the destination that was made in vain. One that cannot be removed is left, and the operation says where.
    pub(super) async fn remove_made(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::destination(tables, self.share())) {
            Ok(made) => self.remove(&made).await.map(drop),
            Err(error) => Err(error),
        };
        let left = match answer {
            Ok(()) => None,
            Err(error) => match self.judge(progress, &error).await? {
                None => return Ok(Step::Wait),
                Some(failure) => Some(failure),
            },
        };
        let name = bulkhead_model::share::share_name(self.migration.destination);
        self.advance(|draft| {
            let word = draft.migration.ends_as.unwrap_or(TaskState::MigrationError);
            let failure = left.clone().map(|left| {
                let why = draft.migration.failure.take().map(|why| format!("{}; ", why.message));
                let message = format!(
                    "{}{name} could not be removed and is left at its backend: {}",
                    why.unwrap_or_default(),
                    left.message
                );
                OperationFailure { message, ..left }
            });
            draft.put_back(word, failure);
        })
        .await
    }

    /// Take all rules of one side away and delete it. Something that is not there is gone.
    async fn remove(&self, side: &ShareForDriver) -> Result<ShareForDriver, CallError> {
        let (driver, reason) = (&self.attempt.serving.driver, self.attempt.reason());
        let is_gone = |answer: Result<(), CallError>| match answer {
            Err(error) if error.code() == Some(DriverErrorCode::ShareNotFound) => Ok(()),
            answer => answer,
        };
        let update = self.inner.read(|tables| Ok(removal_of_all(tables, self)))?;
        if !update.remove.is_empty() {
            is_gone(driver.update_access(&reason, side, &update).await.map(drop))?;
        }
        is_gone(driver.delete_share(&reason, side).await)?;
        Ok(side.clone())
    }
}

fn removal_of_all(tables: &Tables, at: &At<'_>) -> bulkhead_model::access::AccessUpdate {
    let serving = tables.instance_of(at.share());
    serving.map(|instance| state::removal_of_all(&RuleList::read(tables, instance.id))).unwrap_or_default()
}
