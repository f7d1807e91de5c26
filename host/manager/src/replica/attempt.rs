//! One attempt of an operation on a replica, or on a snapshot of a share with replicas.

use super::{carry, follow, rules, settle};
use crate::call;
use crate::error::ManagerError;
use crate::journal::{Attempt, End};
use crate::manager::Inner;
use crate::operation::snapshot_of;
use crate::records::{Cause, Change, Tables};
use crate::runner::{Progress, Step, enter, failed};
use crate::share_server;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::replica::{ReplicaOutcome, SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share::FinishedShare;
use std::sync::Arc;

/// What a driver said.
enum Answer {
    /// The replica is there.
    Created(ReplicaOutcome),
    /// It is gone.
    Removed,
    /// The roles are exchanged.
    Promoted(Vec<ReplicaOutcome>),
    /// How far the instances of a new snapshot are.
    Taken(Vec<SnapshotUpdate>),
    /// How far the instances of a snapshot that goes are.
    Going(Vec<SnapshotUpdate>),
    /// The active replica is as the snapshot was.
    Reverted,
}

/// Make the operation's driver call under the share's gates, and take the answer in.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    let gate = inner.gates.of(operation.share);
    let _changing = gate.change.lock().await;
    // What only adds something leaves the rules alone, however long it takes.
    let _accessing = match operation.verb {
        Verb::CreateReplica { .. } | Verb::CreateSnapshot { .. } => None,
        _ => Some(gate.access.lock().await),
    };
    if let Some(step) = share_server::provide::provide(inner, operation, progress).await? {
        return Ok(step);
    }
    let Some((serving, _slot)) = enter(inner, &operation.backend).await? else { return Ok(Step::Again) };
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(operation.id, &serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    let step = match ask(inner, &attempt).await {
        Ok(Answer::Reverted) => {
            crate::settle::answered(inner, &attempt, call::Answer::Reverted(FinishedShare::default())).await?
        }
        Ok(answer) => {
            let take_in = |tables: &Tables, cause: &Cause, change: &mut Change| {
                take_in(tables, &attempt.operation, &answer, cause, change);
                End::well()
            };
            inner.conclude(&attempt, take_in).await?;
            Step::Ended
        }
        Err(error) => failed(inner, &attempt, progress, error).await?,
    };
    if step == Step::Ended {
        follow::follow(inner, operation.share);
    }
    Ok(step)
}

async fn ask(inner: &Arc<Inner>, attempt: &Attempt) -> Result<Answer, CallError> {
    let (operation, reason) = (&attempt.operation, attempt.reason());
    let driver = &attempt.serving.driver;
    match &operation.verb {
        Verb::CreateReplica { replica } => {
            let view = inner.read(|tables| carry::view(tables, operation.share, *replica))?;
            driver.create_replica(&reason, &view).await.map(Answer::Created)
        }
        Verb::PromoteReplica { replica, quiesce_wait_seconds } => {
            let promotion =
                inner.read(|tables| carry::promotion(tables, operation, *replica, *quiesce_wait_seconds))?;
            driver.promote_replica(&reason, &promotion).await.map(Answer::Promoted)
        }
        Verb::DeleteReplica { replica, force } => {
            let removal = inner.read(|tables| carry::removal(tables, operation, *replica))?;
            match rules::remove(inner, &attempt.serving, &reason, &removal.replica).await {
                Err(error) if *force && error.code().is_none_or(|code| !code.is_repeated()) => {
                    tracing::warn!(replica.id = %replica, "removing the access rules failed; forced on: {error}");
                }
                removed => removed?,
            }
            driver.delete_replica(&reason, &removal).await.map(|()| Answer::Removed)
        }
        Verb::CreateSnapshot { snapshot } => {
            let asked = inner.read(|tables| carry::replicated_snapshot(tables, *snapshot))?;
            driver.create_replicated_snapshot(&reason, &asked).await.map(Answer::Taken)
        }
        Verb::DeleteSnapshot { snapshot, .. } => {
            let asked = inner.read(|tables| carry::replicated_snapshot(tables, *snapshot))?;
            match driver.delete_replicated_snapshot(&reason, &asked).await {
                Err(error) if error.code() == Some(DriverErrorCode::SnapshotNotFound) => {
                    Ok(Answer::Going(inner.read(|tables| Ok(gone_from_active(tables, *snapshot)))?))
                }
                answer => answer.map(Answer::Going),
            }
        }
        Verb::RevertShare { snapshot } => {
            let reversion = inner.read(|tables| carry::reversion(tables, operation, *snapshot))?;
            driver.revert_to_replicated_snapshot(&reason, &reversion).await.map(|()| Answer::Reverted)
        }
        other => Err(CallError::Host { reason: format!("{} is not about replicas", other.name()) }),
    }
}

fn gone_from_active(tables: &Tables, snapshot: bulkhead_model::id::SnapshotId) -> Vec<SnapshotUpdate> {
    let gone = |id| SnapshotUpdate {
        id,
        progress: SnapshotProgress::Deleted,
        provider_location: None,
        export_locations: None,
    };
    tables.snapshot_instance_of(snapshot).map(|instance| gone(instance.id)).into_iter().collect()
}

fn take_in(tables: &Tables, operation: &Operation, answer: &Answer, cause: &Cause, change: &mut Change) {
    let snapshot = snapshot_of(&operation.verb);
    match (answer, snapshot, super::of(&operation.verb)) {
        (Answer::Created(outcome), ..) => settle::created(tables, operation, outcome, cause, change),
        (Answer::Promoted(outcomes), _, Some(replica)) => {
            settle::promoted(tables, (operation, replica), outcomes, cause, change);
        }
        (Answer::Removed, _, Some(replica)) => change.remove_replica(tables, replica, cause),
        (Answer::Taken(updates), Some(snapshot), _) => {
            settle::snapshot_taken(tables, snapshot, updates, cause, change);
        }
        (Answer::Going(updates), Some(snapshot), _) => {
            settle::snapshot_going(tables, snapshot, updates, cause, change);
        }
        _ => {}
    }
    // The turnstile: whatever begins on the share at this moment looks again.
    let touched = super::of(&operation.verb);
    if tables.instance_of(operation.share).is_some_and(|active| Some(active.id) != touched)
        && !matches!(answer, Answer::Promoted(_))
    {
        change.edit_instance(tables, operation.share, cause, |_| {});
    }
}
