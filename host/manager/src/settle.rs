//! What a driver's answer does to the records: the right half of the operation matrix (contract 4.10).

use crate::call::Answer;
use crate::error::ManagerError;
use crate::export;
use crate::group;
use crate::journal::{Attempt, Conclusion, End};
use crate::manage;
use crate::manager::{Inner, Proposal};
use crate::metadata;
use crate::migration;
use crate::mountable;
use crate::operation::{Judgement, share_status_after_failure, snapshot_of, snapshot_status_after_failure};
use crate::pending;
use crate::records::{Cause, Change, Tables};
use crate::replica;
use crate::runner::Step;
use crate::share_server;
use bulkhead_model::error::{Blame, CallError, DriverError, ErrorDetail};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::SnapshotOutcome;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// Take in an answer that is no failure.
pub(crate) async fn answered(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    answer: Answer,
) -> Result<Step, ManagerError> {
    if let Answer::Pending(percent) = answer {
        return pending::go_on(inner, attempt, percent).await;
    }
    let operation = &attempt.operation;
    let conclusion = inner
        .conclude(attempt, |tables, cause, change| {
            succeed(tables, operation, &answer, cause, change);
            End::well()
        })
        .await?;
    log_end(operation, conclusion, "succeeded");
    Ok(Step::Ended)
}

fn log_end(operation: &Operation, conclusion: Conclusion, how: &'static str) {
    match conclusion {
        Conclusion::Taken => tracing::info!(
            operation.verb = operation.verb.name(),
            operation.subject = operation.subject(),
            operation.attempts = operation.attempts,
            "operation {how}"
        ),
        Conclusion::TooLate => tracing::warn!(
            operation.verb = operation.verb.name(),
            operation.subject = operation.subject(),
            "the driver answered after the operation had been ended or taken over; its answer is dropped"
        ),
    }
}

fn succeed(tables: &Tables, operation: &Operation, answer: &Answer, cause: &Cause, change: &mut Change) {
    match answer {
        Answer::Created { locations, metadata } => {
            change.edit_instance(tables, operation.share, cause, |instance| {
                instance.export_locations = export::replace(&instance.export_locations, locations.clone());
                instance.status = ShareStatus::Available;
                instance.progress_percent = Some(100);
                instance.launched_at = Some(Timestamp::now());
            });
            if !metadata.is_empty() {
                let supplied = |share: &mut Share| metadata::merge(share, &operation.backend, metadata);
                change.edit_share(tables, operation.share, supplied);
            }
        }
        Answer::Resized(size) => {
            set_size(tables, operation, *size, cause, change);
            change.edit_instance(tables, operation.share, cause, put_back);
        }
        Answer::Reverted(finished) => {
            let snapshot = snapshot_of(&operation.verb);
            let of_snapshot =
                snapshot.and_then(|id| tables.snapshot(&Scope::Everything, id)).map(|snapshot| snapshot.size);
            if let Some(size) = finished.size.or(of_snapshot) {
                set_size(tables, operation, size, cause, change);
            }
            change.edit_instance(tables, operation.share, cause, |instance| {
                let locations = finished.export_locations.clone().unwrap_or_default();
                instance.export_locations = export::replace(&instance.export_locations, locations);
                instance.progress_percent = Some(100);
                put_back(instance);
            });
            if let Some(snapshot) = snapshot {
                change.edit_snapshot_instance(tables, snapshot, cause, |instance| {
                    instance.status = SnapshotStatus::Available;
                });
            }
        }
        Answer::Snapshot(outcome) => taken(tables, operation, outcome, cause, change),
        Answer::ManagedShare { found, pool } => {
            manage::settle::take_share(tables, operation, (found, pool.as_deref()), cause, change);
        }
        Answer::ManagedSnapshot(found) => {
            if let Some(snapshot) = snapshot_of(&operation.verb) {
                manage::settle::take_snapshot(tables, snapshot, found, cause, change);
            }
        }
        Answer::Pending(_) => {}
    }
}

fn put_back(instance: &mut ShareInstance) {
    instance.status = ShareStatus::Available;
}

fn set_size(tables: &Tables, operation: &Operation, size: Gibibytes, cause: &Cause, change: &mut Change) {
    if let Some(share) = tables.share(&Scope::Everything, operation.share)
        && share.size != size
    {
        let words = format_args!("size {} -> {size}", share.size);
        change.note(cause, format_args!("share/{}", operation.share), words);
    }
    change.edit_share(tables, operation.share, |share| share.size = size);
}

fn taken(
    tables: &Tables,
    operation: &Operation,
    outcome: &SnapshotOutcome,
    cause: &Cause,
    change: &mut Change,
) {
    let Some(id) = snapshot_of(&operation.verb) else { return };
    let can_be_mounted =
        tables.share(&Scope::Everything, operation.share).is_some_and(|share| share.support.mount_snapshot);
    change.edit_snapshot_instance(tables, id, cause, |instance| {
        instance.status = SnapshotStatus::Available;
        instance.provider_location.clone_from(&outcome.provider_location);
        if can_be_mounted {
            instance.export_locations =
                export::replace(&instance.export_locations, outcome.export_locations.clone());
        }
    });
}

/// Take in a failure that ends the operation.
pub(crate) async fn failed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    judgement: Judgement,
    error: &CallError,
    failure: OperationFailure,
) -> Result<Step, ManagerError> {
    let operation = &attempt.operation;
    let conclusion = inner
        .conclude(attempt, |tables, cause, change| {
            match judgement {
                Judgement::PutBack => {
                    change.edit_instance(tables, operation.share, cause, put_back);
                    return End::badly(failure.clone());
                }
                Judgement::Reached => return remove(tables, operation, cause, change, None),
                Judgement::Repeat | Judgement::Failed => {}
            }
            if is_forced(&operation.verb) {
                return remove(tables, operation, cause, change, Some(failure.clone()));
            }
            let left = locations_left(operation, error);
            fail(tables, operation, (&left, Some(&failure)), cause, change);
            End::badly(failure.clone())
        })
        .await?;
    log_end(
        operation,
        conclusion,
        if judgement == Judgement::Reached { "succeeded" } else { "ended with a failure" },
    );
    Ok(Step::Ended)
}

const fn is_forced(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::DeleteShare { force: true }
            | Verb::DeleteSnapshot { force: true, .. }
            | Verb::DeleteReplica { force: true, .. }
            | Verb::DeleteShareGroup { force: true, .. }
            | Verb::DeleteShareGroupSnapshot { force: true, .. }
    )
}

/// What was to be removed is gone, or is forgotten with the failure on record.
fn remove(
    tables: &Tables,
    operation: &Operation,
    cause: &Cause,
    change: &mut Change,
    failure: Option<OperationFailure>,
) -> End {
    if operation.verb.group().is_some() {
        group::settle::remove(tables, operation, cause, change);
        return End { failure, ..End::well() };
    }
    match (snapshot_of(&operation.verb), replica::of(&operation.verb)) {
        (Some(snapshot), _) => change.remove_snapshot(tables, snapshot, cause),
        (None, Some(replica)) => change.remove_replica(tables, replica, cause),
        (None, None) => change.remove_share(tables, operation.share, cause),
    }
    End { failure, ..End::well() }
}

/// Give the resources of an operation the statuses of its failure. A share that was made in part keeps the locations the driver
/// reported, so that people and `delete-share` find them; a server that could not be set up keeps the failure for those who wait for it.
pub(crate) fn fail(
    tables: &Tables,
    operation: &Operation,
    (locations, failure): (&[ExportLocation], Option<&OperationFailure>),
    cause: &Cause,
    change: &mut Change,
) {
    if let Verb::MigrateShare { .. } = operation.verb {
        return migration::settle::abandon(tables, operation, cause, change);
    }
    replica::settle::fail(tables, operation, cause, change);
    group::settle::fail(tables, operation, cause, change);
    share_server::settle::fail(tables, operation, failure, cause, change);
    if let Some(status) = share_status_after_failure(&operation.verb) {
        change.edit_instance(tables, operation.share, cause, |instance| {
            if pending::is_pending(instance.status) {
                instance.progress_percent = None;
            }
            instance.status = status;
            instance.export_locations = export::replace(&instance.export_locations, locations.to_vec());
        });
    }
    if let (Some(status), Some(snapshot)) =
        (snapshot_status_after_failure(&operation.verb), snapshot_of(&operation.verb))
    {
        change.edit_snapshot_instance(tables, snapshot, cause, |instance| {
            instance.status = status;
            // Those whose update gave way to the removal: nothing carries them to the driver any more.
            mountable::state::give_up(&mut instance.access_rules);
        });
    }
    if let Verb::UpdateSnapshotAccess { snapshot } = operation.verb {
        change.edit_snapshot_instance(tables, snapshot, cause, |instance| {
            mountable::state::give_up(&mut instance.access_rules);
        });
    }
}

fn locations_left(operation: &Operation, error: &CallError) -> Vec<ExportLocation> {
    let is_creation = matches!(operation.verb, Verb::CreateShare | Verb::CreateShareFromSnapshot { .. });
    match error {
        CallError::Answered(DriverError {
            detail: Some(ErrorDetail::ExportLocations(locations)), ..
        }) if is_creation => locations.clone(),
        _ => Vec::new(),
    }
}

/// An operation whose share has no record any more: an operator made the host forget it.
pub(crate) async fn without_share(inner: &Arc<Inner>, operation: &Operation) -> Result<Step, ManagerError> {
    let failure = OperationFailure {
        code: "host".to_owned(),
        blame: Blame::Host,
        message: "the share has no record any more".to_owned(),
    };
    inner
        .transact(|tables| {
            let Some(stored) = crate::journal::unfinished(tables, operation.id) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            inner.end(tables, &mut change, &stored.value, End::badly(failure.clone()));
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await?;
    Ok(Step::Ended)
}
