//! What the end of an operation on a server does to the records, and to those who wait for it.

use super::network_change;
use super::policy::status_after_failure;
use crate::error::ManagerError;
use crate::journal::{End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Tables};
use crate::settle;
use bulkhead_model::id::{OperationId, ShareServerId};
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use std::sync::Arc;

/// Give the server of a failed operation the status of the failure; nothing for an operation on anything else.
pub(crate) fn fail(
    tables: &Tables,
    operation: &Operation,
    failure: Option<&OperationFailure>,
    cause: &Cause,
    change: &mut Change,
) {
    let (Some(id), Some(status)) = (operation.verb.server(), status_after_failure(&operation.verb)) else {
        return;
    };
    if operation.verb.changes_servers_network() {
        return network_change::fail(tables, operation, cause, change);
    }
    let is_set_up = matches!(operation.verb, Verb::SetUpShareServer { .. });
    change.edit_server(tables, id, cause, |server| {
        server.status = status;
        if is_set_up {
            server.failure = failure.cloned();
        }
    });
}

/// Let those go on who wait for this server.
pub(crate) fn wake_those_on(inner: &Arc<Inner>, id: ShareServerId) {
    let waiting: Vec<OperationId> = {
        let tables = inner.records.read();
        let shares = tables.instances_on_server(id).map(|instance| instance.share);
        let groups = tables.groups_on_server(id).map(|group| group.queue());
        let queues: Vec<_> = shares.chain(groups).collect();
        queues.into_iter().flat_map(|queue| tables.unfinished_of_share(queue)).map(|one| one.id).collect()
    };
    for operation in waiting {
        inner.runners.wake(operation);
    }
}

/// End the operation of a share or group that cannot have a server.
pub(super) async fn refuse(
    inner: &Arc<Inner>,
    operation: &Operation,
    failure: OperationFailure,
) -> Result<(), ManagerError> {
    tracing::warn!(
        operation.verb = operation.verb.name(), operation.subject = operation.subject(),
        error.code = %failure.code, error.blame = %failure.blame, "no share server: {}", failure.message
    );
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, operation.id) else { return Ok(Proposal::Settled(())) };
            let mut change = Change::default();
            settle::fail(tables, &stored.value, (&[], None), &cause_of(&stored.value), &mut change);
            inner.end(tables, &mut change, &stored.value, End::badly(failure.clone()));
            Ok(Proposal::Commit(stored.backend.clone(), change, ()))
        })
        .await
}
