//! Removing a snapshot, or letting it go: first its access rules, all at once, then the snapshot itself (contract 3.6, 3.7).
//!
//! Before a deletion a failure to take the rules away is only logged: the snapshot goes, and with it what they let anybody read. Before
//! letting go it ends the operation, because the snapshot stays. Both calls may be repeated.

use crate::backend::Serving;
use crate::call;
use crate::error::ManagerError;
use crate::journal::{Attempt, End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::mountable::{state, write};
use crate::operation::{Judgement, judge, snapshot_of};
use crate::records::Change;
use crate::runner::{Progress, Step, failed};
use crate::share_server;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::OperationId;
use bulkhead_model::operation::Verb;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;

/// One attempt at removing a snapshot or letting it go.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    id: OperationId,
    serving: &Arc<Serving>,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(id, serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    let verb = &attempt.operation.verb;
    let found = inner.read(|tables| match snapshot_of(verb) {
        Some(snapshot) => call::snapshot(tables, snapshot),
        None => Err(CallError::Host { reason: "this operation is about no snapshot".to_owned() }),
    });
    let snapshot = match found {
        Ok(snapshot) => snapshot,
        Err(error) => return failed(inner, &attempt, progress, error).await,
    };
    if let Some(step) = remove_rules(inner, &attempt, &snapshot, progress).await? {
        return Ok(step);
    }
    let answer = match verb {
        Verb::UnmanageSnapshot { .. } => let_go(&attempt, &snapshot).await,
        _ => serving.driver.delete_snapshot(&attempt.reason(), &snapshot).await,
    };
    if let Err(error) = answer {
        return failed(inner, &attempt, progress, error).await;
    }
    let server = snapshot.share.server.as_ref().map(|server| server.id);
    inner
        .conclude(&attempt, |tables, cause, change| {
            change.remove_snapshot(tables, snapshot.snapshot, cause);
            if matches!(attempt.operation.verb, Verb::UnmanageSnapshot { .. }) {
                let words = "let go; its data stay at the backend";
                change.note(cause, format_args!("snapshot/{}", snapshot.snapshot), words);
                share_server::holds_unknown(tables, change, server, cause);
            }
            End::well()
        })
        .await?;
    Ok(Step::Ended)
}

async fn let_go(attempt: &Attempt, snapshot: &SnapshotForDriver) -> Result<(), CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    match driver.unmanage_snapshot(&reason, snapshot).await {
        Err(error) if judge(&attempt.operation.verb, &error, 0, 1) == Judgement::Reached => {}
        answer => answer?,
    }
    driver.let_go(&reason, CallTarget::snapshot(snapshot.id, snapshot.share.id)).await
}

/// Take all rules away. Returns a step if the attempt ends with it.
async fn remove_rules(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    snapshot: &SnapshotForDriver,
    progress: &mut Progress,
) -> Result<Option<Step>, ManagerError> {
    let operation = &attempt.operation;
    let rules = {
        let tables = inner.records.read();
        tables.snapshot_instance_of(snapshot.snapshot).map(|instance| instance.access_rules.clone())
    };
    let rules = rules.unwrap_or_default();
    let stay = matches!(operation.verb, Verb::UnmanageSnapshot { remove_access_rules: false, .. });
    if rules.is_empty() || stay {
        return Ok(None);
    }
    let update = state::removal_of_all(&rules);
    let answer = attempt.serving.driver.snapshot_update_access(&attempt.reason(), snapshot, &update).await;
    match answer {
        Ok(()) => {}
        Err(error) if error.code() == Some(DriverErrorCode::SnapshotNotFound) => {}
        Err(error) => {
            let is_deletion = matches!(operation.verb, Verb::DeleteSnapshot { .. });
            if !is_deletion || progress.judge(inner, &operation.verb, &error) == Judgement::Repeat {
                return failed(inner, attempt, progress, error).await.map(Some);
            }
            tracing::warn!(
                snapshot.id = %snapshot.snapshot,
                "removing the access rules of a snapshot failed; it is deleted all the same: {error}"
            );
            return Ok(None);
        }
    }
    inner
        .transact(|tables| {
            if unfinished(tables, operation.id).is_none() {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            write(tables, snapshot.snapshot, Vec::new(), &cause_of(operation), &mut change);
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await?;
    Ok(None)
}
