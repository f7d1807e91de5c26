//! One step of a migration: under the share's gates, one driver call, one transaction.

use super::carry;
use super::rules::{self, Cast};
use super::settle::{Draft, advance, refusal};
use crate::access::{self, state::GivenUp};
use crate::backend::Serving;
use crate::error::ManagerError;
use crate::failure::describe;
use crate::journal::{Attempt, cause_of, next_attempt, unfinished};
use crate::manager::{Inner, Proposal};
use crate::operation::Judgement;
use crate::records::{Change, Expect, Row};
use crate::runner::{Progress, Step, enter};
use crate::{begun, mountable, share};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareId;
use bulkhead_model::migration::{
    Compatibility, FirstPhase, Migration, MigrationOptions, MigrationPhase, MigrationWish,
};
use bulkhead_model::operation::{Operation, OperationFailure, OperationState};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareSupport;
use bulkhead_model::status::TaskState;
use bulkhead_model::target::CallTarget;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// Take the next step.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    let gate = inner.gates.of(operation.share);
    let _changing = gate.change.lock().await;
    let _accessing = gate.access.lock().await;
    let Some(migration) = current(inner, operation.share) else {
        return crate::settle::without_share(inner, operation).await;
    };
    if is_at_rest(&migration) {
        rest(inner, operation, migration.phase).await?;
        return Ok(Step::WaitForMigration);
    }
    let Some((serving, slot)) = enter(inner, &operation.backend).await? else { return Ok(Step::Again) };
    // A copy by the host takes long and calls no driver: others may.
    let _slot = (migration.phase != MigrationPhase::Copying).then_some(slot);
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = begin(inner, operation, &serving, migration.phase).await? else {
        return Ok(Step::Ended);
    };
    let at = At { inner, attempt: &attempt, migration: &migration };
    let step = at.take(progress).await?;
    if step != Step::Wait {
        // What one call began with a command that is never repeated must not stand in the way of the next call.
        begun::forget(inner, &attempt.operation).await;
    }
    Ok(step)
}

fn current(inner: &Inner, share: ShareId) -> Option<Migration> {
    inner.records.read().share(&Scope::Everything, share)?.migration.clone()
}

fn is_at_rest(migration: &Migration) -> bool {
    migration.phase.may_be_completed() && migration.wish.is_none()
}

/// Let the operation say what it waits for, also after a restart.
async fn rest(inner: &Inner, of: &Operation, phase: MigrationPhase) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let is_told = |one: &crate::records::Stored<Operation>| {
                one.state == OperationState::Waiting && one.step == phase.words()
            };
            let Some(stored) = unfinished(tables, of.id).filter(|one| !is_told(one)) else {
                return Ok(Proposal::Settled(()));
            };
            let mut operation = (*stored.value).clone();
            operation.state = OperationState::Waiting;
            phase.words().clone_into(&mut operation.step);
            if phase == MigrationPhase::Copying {
                // It takes as long as it takes.
                operation.deadline_at = None;
            }
            operation.updated_at = Timestamp::now();
            let mut change = Change::default();
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
            Ok(Proposal::Commit(stored.backend.clone(), change, ()))
        })
        .await
}

/// Journal that a call of this phase begins.
async fn begin(
    inner: &Inner,
    of: &Operation,
    serving: &Arc<Serving>,
    phase: MigrationPhase,
) -> Result<Option<Attempt>, ManagerError> {
    inner
        .transact(|tables| {
            let is_same = |one: &crate::records::Stored<Operation>| one.backend == of.backend;
            let Some(stored) = unfinished(tables, of.id).filter(is_same) else {
                return Ok(Proposal::Settled(None));
            };
            let mut operation = next_attempt(&stored, serving);
            phase.words().clone_into(&mut operation.step);
            if phase == MigrationPhase::Copying {
                // It takes as long as it takes.
                operation.deadline_at = None;
            }
            let attempt = Attempt { operation: operation.clone(), serving: Arc::clone(serving) };
            let mut change = Change::default();
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
            Ok(Proposal::Commit(stored.backend.clone(), change, Some(attempt)))
        })
        .await
}

/// One step, and what it needs.
pub(super) struct At<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) attempt: &'a Attempt,
    pub(super) migration: &'a Migration,
}

impl At<'_> {
    /// The step that phase and wish ask for.
    async fn take(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        match (self.migration.phase, self.migration.wish) {
            (MigrationPhase::Copying | MigrationPhase::Copied, Some(MigrationWish::Cancel)) => {
                self.undo(TaskState::MigrationCancelled, None).await
            }
            (phase, Some(MigrationWish::Cancel)) if phase.may_be_cancelled() => self.cancel(progress).await,
            (MigrationPhase::Copied, Some(MigrationWish::Complete)) => {
                self.go_on(MigrationPhase::Exporting).await
            }
            (MigrationPhase::FirstPhaseDone | MigrationPhase::Broken, Some(MigrationWish::Complete)) => {
                self.go_on(MigrationPhase::Completing).await
            }
            (MigrationPhase::Checking, _) => self.check(progress).await,
            (MigrationPhase::Casting, _) => self.cast(progress, MigrationPhase::Starting).await,
            (MigrationPhase::Starting, _) => self.start(progress).await,
            (MigrationPhase::InProgress, _) => self.follow(progress).await,
            (MigrationPhase::Completing, _) => self.complete(progress).await,
            (MigrationPhase::ApplyingRules, _) => self.apply_rules(progress).await,
            (MigrationPhase::Ending, _) => self.end(progress).await,
            (MigrationPhase::CastingForCopy, _) => self.prepare_copy(progress).await,
            (MigrationPhase::Creating, _) => self.create(progress).await,
            (MigrationPhase::Copying, _) => self.copy().await,
            (MigrationPhase::Exporting, _) => self.export(progress).await,
            (MigrationPhase::RemovingSource, _) => self.remove_source(progress).await,
            (MigrationPhase::RemovingDestination, _) => self.remove_made(progress).await,
            (MigrationPhase::FirstPhaseDone | MigrationPhase::Copied | MigrationPhase::Broken, _)
            | (MigrationPhase::Abandoned, _) => Ok(Step::WaitForMigration),
        }
    }

    pub(super) fn share(&self) -> ShareId {
        self.attempt.operation.share
    }

    pub(super) async fn advance(&self, alter: impl Fn(&mut Draft<'_>)) -> Result<Step, ManagerError> {
        advance(self.inner, self.attempt, alter).await
    }

    async fn go_on(&self, phase: MigrationPhase) -> Result<Step, ManagerError> {
        self.advance(|draft| draft.to(phase)).await
    }

    /// Wait, if the call is to be repeated; else what the failure is called.
    pub(super) async fn judge(
        &self,
        progress: &mut Progress,
        error: &CallError,
    ) -> Result<Option<OperationFailure>, ManagerError> {
        let (operation, failure) = (&self.attempt.operation, describe(error));
        let judgement = progress.judge(self.inner, &operation.verb, error);
        tracing::warn!(
            share.id = %operation.share, backend.name = %operation.backend,
            operation.attempts = operation.attempts, migration.phase = ?self.migration.phase,
            error.code = %failure.code, error.blame = %failure.blame, ?judgement,
            "a step of a migration failed: {}", failure.message
        );
        if judgement == Judgement::Repeat {
            self.inner.wait(operation.id, "waiting to repeat the call", failure).await?;
            return Ok(None);
        }
        Ok(Some(failure))
    }

    /// Ask the driver what it can keep, and decide who moves the share.
    async fn check(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let options = self.migration.options;
        if options.force_host_assisted {
            return self.advance(|draft| draft.fall_back(refusal("the host is to copy".to_owned()))).await;
        }
        let driver = &self.attempt.serving.driver;
        let can_be_asked = driver.abilities().has(Ability::Migration);
        let asked = self.inner.read(|tables| carry::migration(tables, self.share()));
        let answer = match asked {
            Ok(migration) if can_be_asked => {
                driver.migration_check_compatibility(&self.attempt.reason(), &migration).await
            }
            Ok(_) => Ok(Compatibility::default()),
            Err(error) => Err(error),
        };
        let compatibility = match answer {
            Ok(compatibility) => compatibility,
            Err(error) => match self.judge(progress, &error).await? {
                None => return Ok(Step::Wait),
                Some(failure) => return self.advance(|draft| draft.fall_back(failure.clone())).await,
            },
        };
        self.advance(|draft| decide(draft, options, compatibility)).await
    }

    /// Make the source read only.
    pub(super) async fn cast(
        &self,
        progress: &mut Progress,
        next: MigrationPhase,
    ) -> Result<Step, ManagerError> {
        if !rules::has_writers(&self.inner.records.read(), self.share()) {
            return self.go_on(next).await;
        }
        if !self.migration.has_cast_rules {
            // Known before it is done, so that it is undone whatever happens in between.
            return self.advance(|draft| draft.migration.has_cast_rules = true).await;
        }
        let failure = match self.send_to_source(Cast::ReadOnly).await {
            Ok(refused) if refused.reported.is_empty() => return self.go_on(next).await,
            Ok(_) => refusal("the backend could not make all access rules read only".to_owned()),
            Err(error) => match self.judge(progress, &error).await? {
                None => return Ok(Step::Wait),
                Some(failure) => failure,
            },
        };
        self.advance(|draft| draft.put_back(TaskState::MigrationError, Some(failure.clone()))).await
    }

    async fn send_to_source(&self, cast: Cast) -> Result<rules::Refused, CallError> {
        let source = self.inner.read(|tables| carry::source(tables, self.share()))?;
        let (serving, reason) = (&self.attempt.serving, self.attempt.reason());
        rules::send(self.inner, serving, &reason, (self.share(), &source), cast).await
    }

    async fn start(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::migration(tables, self.share())) {
            Ok(migration) => {
                self.attempt.serving.driver.migration_start(&self.attempt.reason(), &migration).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => self.go_on(MigrationPhase::InProgress).await,
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => self.advance(|draft| draft.fall_back(failure.clone())).await,
            },
        }
    }

    /// See how far the first phase is.
    async fn follow(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let (driver, reason) = (&self.attempt.serving.driver, self.attempt.reason());
        let migration = self.inner.read(|tables| carry::migration(tables, self.share()));
        let answer = match &migration {
            Ok(migration) => driver.migration_continue(&reason, migration).await,
            Err(error) => Err(error.clone()),
        };
        match answer {
            Ok(FirstPhase::Done) => {
                self.go_on(MigrationPhase::FirstPhaseDone).await?;
                Ok(Step::Again)
            }
            Ok(FirstPhase::InProgress) => {
                let percent = match &migration {
                    // Only for display: that it is unknown is no reason for anything.
                    Ok(migration) => driver.migration_progress(&reason, migration).await.ok(),
                    Err(_) => None,
                };
                let step = self.advance(|draft| draft.migration.progress_percent = percent).await?;
                Ok(if step == Step::Again { Step::WaitForMigration } else { step })
            }
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => {
                    self.advance(|draft| {
                        draft.put_back(TaskState::MigrationError, Some(failure.clone()));
                    })
                    .await
                }
            },
        }
    }

    async fn complete(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::migration(tables, self.share())) {
            Ok(migration) => {
                self.attempt.serving.driver.migration_complete(&self.attempt.reason(), &migration).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(outcome) => {
                if let Err(error) = self.let_source_go().await {
                    return self.repeat(progress, &error).await;
                }
                let support = self.support_at_destination();
                self.advance(|draft| draft.cut_over(&outcome, support)).await
            }
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => {
                    self.advance(|draft| draft.break_off(MigrationPhase::Broken, &failure)).await
                }
            },
        }
    }

    /// Forget what the host keeps for the driver of the source and its snapshots, whose data are gone.
    async fn let_source_go(&self) -> Result<(), CallError> {
        let (driver, reason) = (&self.attempt.serving.driver, self.attempt.reason());
        let moved = self.inner.read(|tables| carry::migration(tables, self.share()))?;
        for mapping in &moved.snapshots {
            driver.let_go(&reason, CallTarget::snapshot(mapping.source.id, moved.source.id)).await?;
        }
        driver.let_go(&reason, CallTarget::share(moved.source.id)).await
    }

    /// What the driver of the destination can do; what the share was promised if that is not known.
    pub(super) fn support_at_destination(&self) -> ShareSupport {
        let tables = self.inner.records.read();
        let placement = tables.instance(self.migration.destination).map(|one| one.placement.clone());
        let support = placement.and_then(|placement| share::support_on(self.inner, &tables, &placement).ok());
        let promised = tables.share(&Scope::Everything, self.share()).map(|share| share.support);
        support.or(promised).unwrap_or_default()
    }

    /// The destination serves: forget what was kept for the source, and bring the rules in force.
    async fn apply_rules(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let destination = match self.inner.read(|tables| carry::destination(tables, self.share())) {
            Ok(destination) => destination,
            Err(error) => return self.repeat(progress, &error).await,
        };
        let (serving, reason) = (&self.attempt.serving, self.attempt.reason());
        let to = (self.share(), &destination);
        match rules::send(self.inner, serving, &reason, to, Cast::AsAsked).await {
            Ok(refused) => rules::take_in(self.inner, &self.attempt.operation, &refused).await?,
            Err(error) => match self.judge(progress, &error).await? {
                None => return Ok(Step::Wait),
                Some(failure) => self.give_rules_up(&failure).await?,
            },
        }
        let step = self.advance(|draft| draft.finish()).await?;
        mountable::reapply(self.inner, self.share()).await;
        Ok(step)
    }

    async fn repeat(&self, progress: &mut Progress, error: &CallError) -> Result<Step, ManagerError> {
        self.judge(progress, error).await?;
        Ok(Step::Wait)
    }

    /// The rules could not be sent: the share serves, and its rules are in error until somebody denies and allows them anew.
    async fn give_rules_up(&self, failure: &OperationFailure) -> Result<(), ManagerError> {
        tracing::warn!(share.id = %self.share(), "the access rules of a share that moved are in error: {}", failure.message);
        access::give_up(self.inner, self.share(), GivenUp::All, &cause_of(&self.attempt.operation)).await
    }

    /// Everything is as it was but the rules; give them back, and end.
    async fn end(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        if self.migration.has_cast_rules {
            match self.send_to_source(Cast::AsAsked).await {
                Ok(refused) => rules::take_in(self.inner, &self.attempt.operation, &refused).await?,
                Err(error) => match self.judge(progress, &error).await? {
                    None => return Ok(Step::Wait),
                    Some(failure) => self.give_rules_up(&failure).await?,
                },
            }
        }
        self.advance(|draft| draft.finish()).await
    }

    /// Let the driver stop. If it cannot, the migration goes on as it was, and the operation says why.
    async fn cancel(&self, progress: &mut Progress) -> Result<Step, ManagerError> {
        let answer = match self.inner.read(|tables| carry::migration(tables, self.share())) {
            Ok(migration) => {
                self.attempt.serving.driver.migration_cancel(&self.attempt.reason(), &migration).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => self.advance(|draft| draft.put_back(TaskState::MigrationCancelled, None)).await,
            Err(error) => match self.judge(progress, &error).await? {
                None => Ok(Step::Wait),
                Some(failure) => {
                    self.advance(|draft| match draft.migration.phase {
                        phase @ (MigrationPhase::Broken | MigrationPhase::Abandoned) => {
                            draft.break_off(phase, &failure);
                        }
                        _ => {
                            draft.migration.wish = None;
                            draft.migration.failure = Some(failure.clone());
                        }
                    })
                    .await
                }
            },
        }
    }
}

/// Who moves the share: its driver, if it can keep all that was asked for and the snapshots that there are.
fn decide(draft: &mut Draft<'_>, options: MigrationOptions, can: Compatibility) {
    let missing = [
        (options.writable && !can.writable, "writable"),
        (options.preserve_metadata && !can.preserve_metadata, "preserve_metadata"),
        (options.nondisruptive && !can.nondisruptive, "nondisruptive"),
        (options.preserve_snapshots && !can.preserve_snapshots, "preserve_snapshots"),
        (draft.has_snapshots() && !can.preserve_snapshots, "preserve_snapshots, which the share has"),
    ];
    if !can.compatible {
        return draft.fall_back(refusal("the driver cannot move the share there".to_owned()));
    }
    if let Some((_, what)) = missing.iter().find(|(is_missing, _)| *is_missing) {
        return draft.fall_back(refusal(format!("the driver cannot move the share with {what}")));
    }
    if let Err(failure) = draft.pair_snapshots() {
        return draft.fall_back(failure);
    }
    draft.to(if can.writable { MigrationPhase::Starting } else { MigrationPhase::Casting });
}
