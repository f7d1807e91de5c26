//! Shares that the backend goes on making or reverting by itself (contract 5.1): asked about through `share-status` until they are ready.
//!
//! ```text
//!   creating  --pending--> creating_from_snapshot --asked every 60 s--> available | error
//!   reverting --pending--> reverting_to_snapshot  --asked every 60 s--> available | reverting_error
//! ```
//!
//! The status is the record of it: an operation whose share has the status of pending work asks how far that is, in this daemon and the
//! next, instead of beginning the work again. If the driver was replaced by one that cannot be asked, the first call is repeated, which by
//! contract finds the first attempt.

use crate::backend::Serving;
use crate::call::{self, Answer};
use crate::error::ManagerError;
use crate::journal::{Attempt, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Expect, Row, Tables};
use crate::runner::Step;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallKind;
use bulkhead_model::error::{Blame, CallError, DriverError, DriverErrorCode};
use bulkhead_model::operation::{Operation, OperationFailure, OperationState, Verb};
use bulkhead_model::share::{PendingWork, ShareForDriver, ShareProgress};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::ShareStatus;
use bulkhead_model::target::TargetSnapshot;
use bulkhead_model::text::GuestText;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// What an attempt does that asks.
pub(crate) const STEP: &str = "calling share-status.share-status";

/// The status of a share whose `verb` the backend goes on with by itself.
const fn status_of(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateShareFromSnapshot { .. } => Some(ShareStatus::CreatingFromSnapshot),
        Verb::RevertShare { .. } => Some(ShareStatus::RevertingToSnapshot),
        _ => None,
    }
}

/// Whether a share in this status is one that the backend goes on with by itself.
pub(crate) const fn is_pending(status: ShareStatus) -> bool {
    matches!(status, ShareStatus::CreatingFromSnapshot | ShareStatus::RevertingToSnapshot)
}

/// Whether the next call of `operation` asks how far its share is.
pub(crate) fn is_asked(tables: &Tables, operation: &Operation, serving: &Serving) -> bool {
    let left = status_of(&operation.verb);
    left.is_some()
        && tables.instance_of(operation.share).map(|instance| instance.status) == left
        && serving.driver.abilities().has(Ability::ShareStatus)
}

/// The generation that is asked without a slot of those for long calls; none if the next call of `operation` is a long one.
pub(crate) fn asked(inner: &Inner, operation: &Operation) -> Option<Arc<Serving>> {
    let serving = inner.serving(&operation.backend)?;
    is_asked(&inner.records.read(), operation, &serving).then_some(serving)
}

/// Say of an attempt that asks that it does.
pub(crate) fn show(tables: &Tables, operation: &mut Operation, serving: &Serving) {
    if is_asked(tables, operation, serving) {
        STEP.clone_into(&mut operation.step);
        operation.deadline_at = Some(serving.deadline_at(CallKind::Statistics));
    }
}

/// Make the call that `attempt` journalled, or ask what became of an earlier one.
pub(crate) async fn call(inner: &Inner, attempt: &Attempt) -> Result<Answer, CallError> {
    if !is_asked(&inner.records.read(), &attempt.operation, &attempt.serving) {
        return call::driver(inner, attempt).await;
    }
    let operation = &attempt.operation;
    let (Verb::CreateShareFromSnapshot { snapshot } | Verb::RevertShare { snapshot }) = operation.verb else {
        return Err(CallError::Host { reason: format!("{} is never pending", operation.verb.name()) });
    };
    let share = inner.read(|tables| call::share(tables, operation))?;
    let snapshot = inner.read(|tables| call::snapshot(tables, snapshot))?;
    let is_revert = matches!(operation.verb, Verb::RevertShare { .. });
    let work =
        if is_revert { PendingWork::Revert(of(&snapshot)) } else { PendingWork::Creation(of(&snapshot)) };
    match ask(attempt, &share, &work).await? {
        ShareProgress::Pending(percent) => Ok(Answer::Pending(percent)),
        ShareProgress::Available(finished) if is_revert => call::reverted(&snapshot, finished),
        ShareProgress::Available(finished) => {
            Ok(call::created(finished.export_locations.unwrap_or_default()))
        }
        ShareProgress::Failed => Err(failed_at_the_backend()),
    }
}

/// A snapshot as pending work names it.
pub(crate) fn of(snapshot: &SnapshotForDriver) -> TargetSnapshot {
    TargetSnapshot { snapshot: snapshot.id, share: snapshot.share.id }
}

/// Ask how far a share is.
pub(crate) async fn ask(
    attempt: &Attempt,
    share: &ShareForDriver,
    work: &PendingWork,
) -> Result<ShareProgress, CallError> {
    attempt.serving.driver.share_status(&attempt.reason(), share, work).await
}

/// What it means that the driver calls pending work failed.
pub(crate) fn failed_at_the_backend() -> CallError {
    CallError::Answered(DriverError {
        code: DriverErrorCode::BackendFailed,
        message: GuestText::message("share-status says that it failed at the backend"),
        detail: None,
    })
}

/// Why the operation waits, for people who look at it.
pub(crate) fn waits() -> OperationFailure {
    OperationFailure {
        code: "pending".to_owned(),
        blame: Blame::Backend,
        message: "the backend goes on by itself; it is asked again".to_owned(),
    }
}

/// The operation as it waits for its backend.
pub(crate) fn waiting(stored: &Operation, percent: u8) -> Operation {
    Operation {
        state: OperationState::Waiting,
        step: format!("waiting for the backend to finish, {percent}% done"),
        failure: Some(waits()),
        deadline_at: None,
        updated_at: Timestamp::now(),
        ..stored.clone()
    }
}

/// Take in that the backend is still at it, `percent` of the way: one transaction with the operation that waits.
pub(crate) async fn go_on(inner: &Arc<Inner>, attempt: &Attempt, percent: u8) -> Result<Step, ManagerError> {
    let operation = &attempt.operation;
    let Some(status) = status_of(&operation.verb) else { return Ok(Step::Wait) };
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, operation.id) else { return Ok(Proposal::Settled(())) };
            if stored.fencing_token != operation.fencing_token {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            change.edit_instance(tables, operation.share, &cause_of(operation), |instance| {
                instance.status = status;
                instance.progress_percent = Some(percent);
            });
            change.put(Expect::Unchanged(stored.revision), Row::Operation(waiting(&stored, percent)));
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await?;
    Ok(Step::Ask)
}
