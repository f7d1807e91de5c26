//! Carrying a snapshot's queued rules to the driver, batch by batch (contract 4.3).

use super::{state, write};
use crate::access::state::Reach;
use crate::backend::Serving;
use crate::begun;
use crate::call;
use crate::error::ManagerError;
use crate::failure::describe;
use crate::journal::{Attempt, End, cause_of, next_attempt, unfinished};
use crate::manager::{Inner, Proposal};
use crate::operation::Judgement;
use crate::records::{Change, Expect, Row, Tables};
use crate::runner::{Progress, Step};
use bulkhead_model::error::{Blame, CallError};
use bulkhead_model::id::{OperationId, SnapshotId};
use bulkhead_model::operation::{Operation, OperationFailure, OperationState, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::snapshot::SnapshotAccessUpdate;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// A batch on its way to the driver.
struct Batch {
    attempt: Attempt,
    /// None if nothing of it can be asked of the driver.
    update: Option<SnapshotAccessUpdate>,
}

const fn snapshot_of(operation: &Operation) -> Option<SnapshotId> {
    match operation.verb {
        Verb::UpdateSnapshotAccess { snapshot } => Some(snapshot),
        _ => None,
    }
}

/// One batch: promote what is queued, or take up again what was with the driver; ask; take the answer in.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    id: OperationId,
    serving: &Arc<Serving>,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(batch) = begin(inner, id, serving).await? else { return Ok(Step::Ended) };
    let operation = &batch.attempt.operation;
    let answer = match &batch.update {
        Some(update) => ask(inner, &batch.attempt, update).await,
        None => Ok(()),
    };
    let Err(error) = answer else { return conclude(inner, &batch, None).await };
    let failure = describe(&error);
    tracing::warn!(
        share.id = %operation.share, backend.name = %operation.backend, operation.attempts = operation.attempts,
        error.code = %failure.code, error.blame = %failure.blame,
        "updating a snapshot's access rules failed: {}", failure.message
    );
    if progress.judge(inner, &operation.verb, &error) == Judgement::Repeat {
        inner.wait(operation.id, "waiting to repeat the call", failure).await?;
        return Ok(Step::Wait);
    }
    conclude(inner, &batch, Some(failure)).await
}

async fn ask(inner: &Inner, attempt: &Attempt, update: &SnapshotAccessUpdate) -> Result<(), CallError> {
    let missing = || CallError::Host { reason: "this operation is about no snapshot".to_owned() };
    let id = snapshot_of(&attempt.operation).ok_or_else(missing)?;
    let snapshot = inner.read(|tables| call::snapshot(tables, id))?;
    attempt.serving.driver.snapshot_update_access(&attempt.reason(), &snapshot, update).await
}

/// Make a batch and journal it. None if the operation has ended, by this or before.
async fn begin(
    inner: &Inner,
    id: OperationId,
    serving: &Arc<Serving>,
) -> Result<Option<Batch>, ManagerError> {
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(None)) };
            let cause = cause_of(&stored.value);
            let mut change = Change::default();
            let Some((snapshot, mut rules, reach)) = rules_of(tables, &stored.value, serving) else {
                inner.end(tables, &mut change, &stored.value, End::badly(forgotten()));
                return Ok(Proposal::Commit(stored.backend.clone(), change, None));
            };
            if !state::is_in_work(&rules) && !state::promote(&mut rules, reach) {
                // The turnstile: a rule that joins the queue at this moment makes this look again.
                change.edit_snapshot_instance(tables, snapshot, &cause, |_| {});
                inner.end(tables, &mut change, &stored.value, ending(&stored.value));
                return Ok(Proposal::Commit(stored.backend.clone(), change, None));
            }
            let update = state::batch(&rules);
            write(tables, snapshot, rules, &cause, &mut change);
            let operation = next_attempt(&stored, serving);
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation.clone()));
            let attempt = Attempt { operation, serving: Arc::clone(serving) };
            Ok(Proposal::Commit(stored.backend.clone(), change, Some(Batch { attempt, update })))
        })
        .await
}

type Rules = Vec<bulkhead_model::snapshot::StoredSnapshotRule>;

fn rules_of(tables: &Tables, operation: &Operation, serving: &Serving) -> Option<(SnapshotId, Rules, Reach)> {
    let snapshot = snapshot_of(operation)?;
    let rules = tables.snapshot_instance_of(snapshot)?.access_rules.clone();
    let protocol = tables.share(&Scope::Everything, operation.share)?.protocol;
    let has_ipv6 = serving.ip_versions.contains(&IpVersion::V6);
    Some((snapshot, rules, Reach { protocol, has_ipv6 }))
}

fn forgotten() -> OperationFailure {
    OperationFailure {
        code: "host".to_owned(),
        blame: Blame::Host,
        message: "the snapshot has no record any more".to_owned(),
    }
}

/// The operation ends as its worst batch did.
fn ending(operation: &Operation) -> End {
    match &operation.failure {
        Some(failure) if operation.state != OperationState::Waiting => End::badly(failure.clone()),
        _ => End::well(),
    }
}

/// End the batch: its rules in force and gone, or in error with `failure`. The operation ends with it unless more is queued.
async fn conclude(
    inner: &Arc<Inner>,
    batch: &Batch,
    failure: Option<OperationFailure>,
) -> Result<Step, ManagerError> {
    let attempt = &batch.attempt;
    let step = inner
        .transact(|tables| {
            let stored = unfinished(tables, attempt.operation.id)
                .filter(|stored| stored.fencing_token == attempt.operation.fencing_token);
            let Some(stored) = stored else { return Ok(Proposal::Settled(Step::Ended)) };
            let cause = cause_of(&stored.value);
            let mut change = Change::default();
            let Some((snapshot, mut rules, _)) = rules_of(tables, &stored.value, &attempt.serving) else {
                inner.end(tables, &mut change, &stored.value, End::badly(forgotten()));
                return Ok(Proposal::Commit(stored.backend.clone(), change, Step::Ended));
            };
            match &failure {
                Some(_) => state::fail(&mut rules),
                None => state::settle(&mut rules),
            }
            let goes_on = state::has_queued(&rules);
            write(tables, snapshot, rules, &cause, &mut change);
            // A failure of an earlier batch stays on record; what an earlier attempt of this one met does not.
            let failure = failure.clone().or_else(|| ending(&attempt.operation).failure);
            if goes_on {
                let mut operation = (*stored.value).clone();
                operation.failure = failure;
                "going on with the rules that were queued meanwhile".clone_into(&mut operation.step);
                operation.updated_at = Timestamp::now();
                change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
                return Ok(Proposal::Commit(stored.backend.clone(), change, Step::Again));
            }
            inner.end(tables, &mut change, &stored.value, failure.map_or_else(End::well, End::badly));
            Ok(Proposal::Commit(stored.backend.clone(), change, Step::Ended))
        })
        .await?;
    if step == Step::Again {
        begun::forget(inner, &attempt.operation).await;
    }
    Ok(step)
}
