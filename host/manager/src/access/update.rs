//! Carrying queued rules to the driver, batch by batch (contract 4.3).

use super::list::RuleList;
use super::state::{self, Reach};
use crate::backend::Serving;
use crate::begun;
use crate::call;
use crate::error::ManagerError;
use crate::failure::describe;
use crate::journal::{Attempt, End, cause_of, next_attempt, unfinished};
use crate::manager::{Inner, Proposal};
use crate::operation::Judgement;
use crate::records::{Cause, Change, Expect, Row, Stored, Tables};
use crate::replica;
use crate::runner::{Progress, Step};
use bulkhead_model::access::{AccessOutcome, AccessUpdate};
use bulkhead_model::error::CallError;
use bulkhead_model::id::OperationId;
use bulkhead_model::operation::{Operation, OperationFailure, OperationState};
use bulkhead_model::scope::Scope;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// A batch on its way to the driver.
struct Batch {
    attempt: Attempt,
    reach: Reach,
    /// None if nothing of it can be asked of the driver.
    update: Option<AccessUpdate>,
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
    let answer = match &batch.update {
        Some(update) => ask(inner, &batch.attempt, update).await,
        None => Ok(Vec::new()),
    };
    match answer {
        Ok(outcomes) => settle(inner, &batch, &outcomes).await,
        Err(error) => fail(inner, &batch, progress, &error).await,
    }
}

async fn ask(
    inner: &Inner,
    attempt: &Attempt,
    update: &AccessUpdate,
) -> Result<Vec<AccessOutcome>, CallError> {
    let share = inner.read(|tables| {
        let mut share = call::share(tables, &attempt.operation)?;
        // Of all calls this one carries the tenant's metadata (contract 2.2).
        if let Some(stored) = tables.share(&Scope::Everything, attempt.operation.share) {
            share.metadata.clone_from(&stored.metadata);
        }
        Ok(share)
    })?;
    attempt.serving.driver.update_access(&attempt.reason(), &share, update).await
}

/// Make a batch and journal it. None if the operation has ended, by this or before.
async fn begin(
    inner: &Inner,
    id: OperationId,
    serving: &Arc<Serving>,
) -> Result<Option<Batch>, ManagerError> {
    let has_ipv6 = serving.ip_versions.contains(&IpVersion::V6);
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(None)) };
            let (Some(share), Some(instance)) =
                (tables.share(&Scope::Everything, stored.share), tables.instance_of(stored.share))
            else {
                return Ok(Proposal::Settled(None));
            };
            let cause = cause_of(&stored.value);
            let mut rules = RuleList::read(tables, instance.id);
            let mut change = Change::default();
            if !state::is_in_work(&rules) && !state::promote(&mut rules) {
                // The turnstile: a rule that joins the queue at this moment makes this look again.
                change.edit_instance(tables, stored.share, &cause, |_| {});
                let end = ending(&stored.value);
                inner.end(tables, &mut change, &stored.value, end);
                return Ok(Proposal::Commit(stored.backend.clone(), change, None));
            }
            let reach = Reach { protocol: share.protocol, has_ipv6 };
            let update = state::batch(&rules, reach);
            let operation = next_attempt(&stored, serving);
            write(tables, &stored.value, rules, &cause, &mut change);
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation.clone()));
            let attempt = Attempt { operation, serving: Arc::clone(serving) };
            Ok(Proposal::Commit(stored.backend.clone(), change, Some(Batch { attempt, reach, update })))
        })
        .await
}

fn write(tables: &Tables, operation: &Operation, rules: RuleList, cause: &Cause, change: &mut Change) {
    let status = rules.status();
    rules.write(cause, change);
    change.edit_instance(tables, operation.share, cause, |instance| instance.access_rules_status = status);
}

/// The operation ends as its worst batch did.
fn ending(operation: &Operation) -> End {
    match &operation.failure {
        Some(failure) if operation.state != OperationState::Waiting => End::badly(failure.clone()),
        _ => End::well(),
    }
}

/// Take the driver's answer in. An answer about rules that were not asked is a failure of the whole batch.
async fn settle(inner: &Arc<Inner>, batch: &Batch, outcomes: &[AccessOutcome]) -> Result<Step, ManagerError> {
    let unasked = {
        let tables = inner.records.read();
        let Some(instance) = tables.instance_of(batch.attempt.operation.share) else {
            return Ok(Step::Ended);
        };
        let mut rules = RuleList::read(&tables, instance.id);
        state::settle(&mut rules, batch.update.as_ref(), batch.reach, outcomes).err()
    };
    let failure = unasked.map(|unasked| {
        describe(&CallError::InvalidAnswer { function: "access.update-access", reason: unasked.to_string() })
    });
    conclude(inner, batch, failure, |rules| {
        // It fits: that was just tried, and what was asked does not change.
        drop(state::settle(rules, batch.update.as_ref(), batch.reach, outcomes));
    })
    .await
}

async fn fail(
    inner: &Arc<Inner>,
    batch: &Batch,
    progress: &mut Progress,
    error: &CallError,
) -> Result<Step, ManagerError> {
    let operation = &batch.attempt.operation;
    let failure = describe(error);
    tracing::warn!(
        share.id = %operation.share, backend.name = %operation.backend, operation.attempts = operation.attempts,
        error.code = %failure.code, error.blame = %failure.blame, "updating access rules failed: {}", failure.message
    );
    if progress.judge(inner, &operation.verb, error) == Judgement::Repeat {
        inner.wait(operation.id, "waiting to repeat the call", failure).await?;
        return Ok(Step::Wait);
    }
    conclude(inner, batch, Some(failure), |_| {}).await
}

/// End the batch: its rules as `take_in` says, or in error with `failure`. The operation ends with it unless more is queued.
async fn conclude(
    inner: &Arc<Inner>,
    batch: &Batch,
    failure: Option<OperationFailure>,
    take_in: impl Fn(&mut RuleList),
) -> Result<Step, ManagerError> {
    let id = batch.attempt.operation.id;
    let step = inner
        .transact(|tables| {
            let Some(stored) = current(tables, &batch.attempt) else {
                return Ok(Proposal::Settled(Step::Ended));
            };
            let Some(instance) = tables.instance_of(stored.share) else {
                return Ok(Proposal::Settled(Step::Ended));
            };
            let cause = cause_of(&stored.value);
            let mut rules = RuleList::read(tables, instance.id);
            if failure.is_some() {
                state::fail(&mut rules);
            } else {
                take_in(&mut rules);
            }
            let goes_on = state::has_queued(&rules) || state::is_in_work(&rules);
            let mut change = Change::default();
            write(tables, &stored.value, rules, &cause, &mut change);
            replica::rules::changed(tables, stored.share, &cause, &mut change);
            // A failure of an earlier batch stays on record; what an earlier attempt of this one met does not.
            let failure = failure.clone().or_else(|| ending(&batch.attempt.operation).failure);
            if goes_on {
                let mut operation = (*stored.value).clone();
                operation.failure = failure;
                "going on with the rules that were queued meanwhile".clone_into(&mut operation.step);
                operation.updated_at = Timestamp::now();
                change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
                return Ok(Proposal::Commit(stored.backend.clone(), change, Step::Again));
            }
            let end = failure.map_or_else(End::well, End::badly);
            inner.end(tables, &mut change, &stored.value, end);
            Ok(Proposal::Commit(stored.backend.clone(), change, Step::Ended))
        })
        .await?;
    tracing::debug!(operation.id = %id, ?step, "a batch of access rules has ended");
    replica::follow::follow(inner, batch.attempt.operation.share);
    if step == Step::Again {
        begun::forget(inner, &batch.attempt.operation).await;
    }
    Ok(step)
}

/// The operation, if it is still this attempt's to end.
fn current(tables: &Tables, attempt: &Attempt) -> Option<Stored<Operation>> {
    unfinished(tables, attempt.operation.id)
        .filter(|stored| stored.fencing_token == attempt.operation.fencing_token)
}
