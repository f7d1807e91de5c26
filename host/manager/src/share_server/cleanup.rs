//! Servers that nothing is on are torn down by the host (contract 4.2, 4.4): every period those that have been unused for long enough, and
//! at once where that is no time at all. A tear-down that failed is tried again the same way. Addresses of servers that are not there go back.

use super::{facts, policy};
use crate::error::ManagerError;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Row, Tables};
use crate::runner::launch;
use crate::wait::Waits;
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{OperationId, RequestId, ShareServerId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::time::Timestamp;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What the host's own requests here are called.
const TASK: &str = "share-server-cleanup";

/// Look for unused servers now and every period, as long as there is a manager.
pub(crate) fn start(inner: &Arc<Inner>) {
    let period = inner.settings.server_cleanup_period;
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut jitter = Waits::new(period, period);
        while let Some(manager) = Weak::upgrade(&inner).filter(|manager| !manager.runners.is_draining()) {
            let unused = unused(&manager);
            for id in unused {
                tear_down(&manager, id).await;
            }
            release_forgotten(&manager).await;
            drop(manager);
            tokio::time::sleep(jitter.next()).await;
        }
    });
}

/// Give back the addresses of servers that are not there. There are none unless a record went another way than by its tear-down.
async fn release_forgotten(inner: &Inner) {
    let exists = |id: &ShareServerId| inner.records.read().server(&Scope::Everything, *id).is_some();
    let request = RequestId::internal(TASK);
    let reason = CallReason { request, operation: None, earlier_attempts: 0 };
    for serving in inner.backends.list().iter().filter_map(|backend| backend.serving()) {
        let Some(networks) = serving.driver.networks() else { continue };
        for id in networks.servers().await.unwrap_or_default().into_iter().filter(|id| !exists(id)) {
            // Its addresses stay while something answers there.
            if let Err(error) = serving.driver.end_server(&reason, id).await {
                tracing::warn!(share_server.id = %id, "what runs of a share server that is not there could not be ended: {error}");
            }
        }
        match networks.reconcile(&exists, &reason).await {
            Ok(released) => {
                for id in released {
                    tracing::warn!(share_server.id = %id, "addresses of a share server that is not there were given back");
                }
            }
            Err(error) => {
                let backend = &serving.description.name;
                tracing::warn!(backend.name = %backend, "addresses were not compared with share servers: {error}");
            }
        }
    }
}

fn unused(inner: &Inner) -> Vec<ShareServerId> {
    let tables = inner.records.read();
    let is_due = |server: &ShareServer| {
        is_unused(&tables, server) && age(server) >= inner.settings.unused_server_after
    };
    tables.all_servers(&Scope::Everything).filter(|server| is_due(server)).map(|server| server.id).collect()
}

fn is_unused(tables: &Tables, server: &ShareServer) -> bool {
    server.is_auto_deletable && policy::is_left_alone(&facts(tables, server))
}

/// For how long nothing has happened to a server.
fn age(server: &ShareServer) -> Duration {
    let now = Timestamp::now().milliseconds();
    Duration::from_millis(now.saturating_sub(server.updated_at.milliseconds()))
}

/// From now on a server holds what the host knows nothing of any more: it is not torn down before an operator asks for it.
pub(crate) fn holds_unknown(
    tables: &Tables,
    change: &mut Change,
    server: Option<ShareServerId>,
    cause: &Cause,
) {
    if let Some(server) = server {
        change.edit_server(tables, server, cause, |server| server.is_auto_deletable = false);
    }
}

/// Something that lived on a server is gone. If unused servers do not wait, it goes now; else the next look finds it.
pub(crate) async fn left_alone(inner: &Arc<Inner>, server: Option<ShareServerId>) {
    if let Some(id) = server
        && inner.settings.unused_server_after.is_zero()
    {
        tear_down(inner, id).await;
    }
}

/// Begin the tear-down of a server, if still nothing is on it. What cannot be begun now is found again.
async fn tear_down(inner: &Arc<Inner>, id: ShareServerId) {
    match inner.transact(|tables| propose(inner, tables, id)).await {
        Ok(Some(operation)) => launch(inner, operation, Freshness::Journalled),
        Ok(None) => {}
        Err(error) => tracing::warn!(share_server.id = %id, "an unused share server stays for now: {error}"),
    }
}

fn propose(
    inner: &Inner,
    tables: &Tables,
    id: ShareServerId,
) -> Result<Proposal<Option<OperationId>>, ManagerError> {
    let unused = tables.server(&Scope::Everything, id).filter(|server| is_unused(tables, server));
    let Some(server) = unused else { return Ok(Proposal::Settled(None)) };
    inner.admit(tables, &server.backend)?;
    let initiator = Initiator::host(TASK);
    let (change, operation) = begin(inner, tables, server, &initiator);
    Ok(Proposal::Commit(server.backend.clone(), change, Some(operation)))
}

/// A change that begins the tear-down of a server.
pub(super) fn begin(
    inner: &Inner,
    tables: &Tables,
    server: &ShareServer,
    initiator: &Initiator,
) -> (Change, OperationId) {
    let about =
        About { share: server.id.queue(), project: server.project.clone(), backend: server.backend.clone() };
    let verb = Verb::TearDownShareServer { server: server.id };
    let operation = inner.new_operation(verb, about, &initiator.request);
    let id = operation.id;
    let mut change = Change::default();
    change.edit_server(tables, server.id, &initiator.cause(id), |server| {
        server.status = ShareServerStatus::Deleting;
    });
    change.insert(Row::Operation(operation));
    (change, id)
}
