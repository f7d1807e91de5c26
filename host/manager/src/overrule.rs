//! Operations as people see them, and the ways to overrule them.
//!
//! | verb | waiting | running | failed | succeeded, abandoned |
//! |---|---|---|---|---|
//! | retry | the call is repeated now | refused | begun anew, if the resource still carries the failure | refused |
//! | abandon | ends; the resource gets its error status | the same; what the driver still says is dropped | refused | refused |
//!
//! After an abandoned operation a call of it may still be out: it keeps its gate, so that the next call for the share waits for it.

use crate::access::{self, state::GivenUp};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::journal::{End, Freshness, Initiator, unfinished};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::{
    share_status_after_failure, share_status_during, snapshot_of, snapshot_status_after_failure,
    snapshot_status_during,
};
use crate::records::{Change, Expect, Row, Stored, Tables};
use crate::runner::launch;
use crate::settle;
use crate::share::{self, removal};
use crate::share_server;
use bulkhead_model::error::Blame;
use bulkhead_model::id::OperationId;
use bulkhead_model::operation::{Operation, OperationFailure, OperationState, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// The operations inside `scope`, newest first, at most `most`. Finished ones are kept up to a bound.
    #[must_use]
    pub fn list_operations(&self, scope: &Scope, most: usize) -> Vec<Arc<Operation>> {
        let tables = self.inner.records.read();
        tables.operations(scope).take(most).map(|operation| Arc::clone(&operation.value)).collect()
    }

    /// An operation inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_operation(&self, scope: &Scope, id: OperationId) -> Result<Arc<Operation>, ManagerError> {
        let tables = self.inner.records.read();
        tables
            .operation(scope, id)
            .map(|operation| Arc::clone(&operation.value))
            .ok_or_else(|| ManagerError::not_found("operation", id))
    }

    /// Try a waiting operation now, or begin a failed one anew. For operators.
    ///
    /// Fails with [`Denial::OperationState`] where that has no meaning. Failed updates of access rules are not begun anew: rules in
    /// error are denied and allowed again.
    pub async fn retry_operation(
        &self,
        context: &RequestContext,
        id: OperationId,
    ) -> Result<Arc<Operation>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| retry(&inner, &context, id).await).await
    }

    /// Give an unfinished operation up: its resources get the statuses of its failure. For operators.
    pub async fn abandon_operation(
        &self,
        context: &RequestContext,
        id: OperationId,
    ) -> Result<Arc<Operation>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| abandon(&inner, &context, id).await).await
    }
}

fn find(tables: &Tables, id: OperationId) -> Result<Stored<Operation>, ManagerError> {
    tables.operation(&Scope::Everything, id).cloned().ok_or_else(|| ManagerError::not_found("operation", id))
}

#[instrument(name = "operation.retry", skip_all, fields(request.id = %context.request, operation.id = %id))]
async fn retry(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: OperationId,
) -> Result<Arc<Operation>, ManagerError> {
    context.require_operator()?;
    let refuse = |state, advice| Err(Denial::OperationState { state, advice }.into());
    let stored = find(&inner.records.read(), id)?;
    match stored.state {
        OperationState::Waiting => launch(inner, id, Freshness::Repeat),
        OperationState::Running => {
            return refuse(stored.state, "it is at work; wait for its deadline, or abandon it");
        }
        OperationState::Succeeded => return refuse(stored.state, "there is nothing to repeat"),
        OperationState::Abandoned => {
            return refuse(stored.state, "it was given up; ask for the change anew");
        }
        OperationState::Failed if crate::replica::of(&stored.verb).is_some() => {
            return refuse(stored.state, "ask for the change of the replica anew");
        }
        OperationState::Failed if stored.verb.group().is_some() => {
            return refuse(stored.state, "ask for the change of the share group anew");
        }
        OperationState::Failed if stored.verb.server().is_some() => {
            return refuse(stored.state, "ask for the change of the share server anew");
        }
        OperationState::Failed if matches!(stored.verb, Verb::MigrateShare { .. }) => {
            return refuse(stored.state, "ask for migration_complete, migration_cancel or a new migration");
        }
        OperationState::Failed if stored.verb.updates_rules() => {
            return refuse(stored.state, "deny the rules in error and allow them anew");
        }
        OperationState::Failed => {
            inner.transact(|tables| reopen(inner, context, tables, id)).await?;
            launch(inner, id, Freshness::Repeat);
        }
    }
    Ok(Arc::clone(&find(&inner.records.read(), id)?.value))
}

/// Put the resources of a failed operation back to its transient statuses, if they still carry its failure.
fn reopen(
    inner: &Inner,
    context: &RequestContext,
    tables: &Tables,
    id: OperationId,
) -> Result<Proposal<()>, ManagerError> {
    let stored = find(tables, id)?;
    let moved_on = Denial::OperationState {
        state: stored.state,
        advice: "its resource has moved on since; ask for the change anew",
    };
    if stored.state != OperationState::Failed {
        return Err(moved_on.into());
    }
    let (share, instance) = share::find(tables, &Scope::Everything, stored.share)?;
    let facts = share::facts(tables, share, instance);
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running }.into());
    }
    let snapshot = snapshot_of(&stored.verb);
    let snapshot_status =
        snapshot.and_then(|snapshot| tables.snapshot_instance_of(snapshot)).map(|instance| instance.status);
    let carries_failure = share_status_after_failure(&stored.verb)
        .is_none_or(|status| status == facts.status)
        && snapshot_status_after_failure(&stored.verb) == snapshot_status;
    if !carries_failure {
        return Err(moved_on.into());
    }
    if let Verb::CreateShareFromSnapshot { snapshot } = stored.verb
        && tables.snapshot(&Scope::Everything, snapshot).is_none()
    {
        return Err(ManagerError::not_found("snapshot", snapshot));
    }
    inner.admit(tables, &stored.backend)?;
    let cause = Initiator::of(context).cause(id);
    let mut change = Change::default();
    change.edit_instance(tables, stored.share, &cause, |instance| {
        instance.status = share_status_during(&stored.verb).unwrap_or(instance.status);
    });
    if let (Some(snapshot), Some(status)) = (snapshot, snapshot_status_during(&stored.verb)) {
        change.edit_snapshot_instance(tables, snapshot, &cause, |instance| instance.status = status);
    }
    let mut operation = (*stored.value).clone();
    operation.state = OperationState::Running;
    "begun anew by an operator".clone_into(&mut operation.step);
    operation.failure = None;
    operation.fencing_token = operation.fencing_token.saturating_add(1);
    operation.updated_at = Timestamp::now();
    change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
    Ok(Proposal::Commit(stored.backend.clone(), change, ()))
}

#[instrument(name = "operation.abandon", skip_all, fields(request.id = %context.request, operation.id = %id))]
async fn abandon(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: OperationId,
) -> Result<Arc<Operation>, ManagerError> {
    context.require_operator()?;
    let cause = Initiator::of(context).cause(id);
    let stored = find(&inner.records.read(), id)?;
    if stored.state.is_final() {
        return Err(Denial::OperationState { state: stored.state, advice: "it has ended already" }.into());
    }
    if let Some(which) = given_up_with(&stored) {
        access::give_up(inner, stored.share, which, &cause).await?;
    }
    let failure = OperationFailure {
        code: "abandoned".to_owned(),
        blame: Blame::Caller,
        message: format!("{} gave it up", context.actor.user),
    };
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(())) };
            let mut change = Change::default();
            if stored.verb == Verb::UpdateAccess {
                // Those that joined the queue since: few, for all others have been given up.
                access::give_up_late(tables, stored.share, &cause, &mut change);
            }
            settle::fail(tables, &stored.value, (&[], None), &cause, &mut change);
            change.note(&cause, stored.subject(), format_args!("{} abandoned", stored.verb.name()));
            let end = End { state: OperationState::Abandoned, failure: Some(failure.clone()) };
            inner.end(tables, &mut change, &stored.value, end);
            Ok(Proposal::Commit(stored.backend.clone(), change, ()))
        })
        .await?;
    inner.runners.wake(id);
    if let Some(server) = stored.verb.server() {
        share_server::settle::wake_those_on(inner, server);
    }
    Ok(Arc::clone(&find(&inner.records.read(), id)?.value))
}

/// The rules of its share that are given up with an operation.
fn given_up_with(operation: &Operation) -> Option<GivenUp> {
    match &operation.verb {
        verb if removal::takes_rules_away(verb) && operation.attempts > 0 => Some(GivenUp::All),
        Verb::UpdateAccess | Verb::DeleteShare { .. } | Verb::UnmanageShare { .. } => Some(GivenUp::OnTheWay),
        _ => None,
    }
}
