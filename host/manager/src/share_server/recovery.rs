//! Servers that are transient without an operation, which cannot come from this program (see [`crate::recovery`]), and addresses that are
//! kept for servers that are not there.

use super::network_change;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::network::chain;
use crate::records::{Cause, Change, Tables};
use bulkhead_model::id::{ShareNetworkId, ShareServerId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::ShareServerStatus;

/// Give them a status that rests. One that was being set up or torn down is cleaned up once nothing is on it.
pub(crate) async fn repair(inner: &Inner) -> Result<(), ManagerError> {
    let left = without_owner(&inner.records.read());
    for id in left {
        tracing::error!(share_server.id = %id, "the share server was in a transient status without an operation; it is put in error");
        repair_server(inner, id).await?;
    }
    let networks = network_change::left_in_change(&inner.records.read());
    for id in networks {
        tracing::error!(share_network.id = %id, "the share network was in change without a server that is; it goes on");
        release_network(inner, id).await?;
    }
    Ok(())
}

async fn release_network(inner: &Inner, id: ShareNetworkId) -> Result<(), ManagerError> {
    let chain = chain()?;
    inner
        .transact(|tables| {
            let mut change = Change::default();
            network_change::release(tables, id, &mut change);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await
}

fn without_owner(tables: &Tables) -> Vec<ShareServerId> {
    let is_left = |id: ShareServerId| tables.unfinished_of_share(id.queue()).next().is_none();
    let transient = tables.all_servers(&Scope::Everything).filter(|server| server.status.is_transient());
    transient.map(|server| server.id).filter(|id| is_left(*id)).collect()
}

async fn repair_server(inner: &Inner, id: ShareServerId) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(server) = tables.server(&Scope::Everything, id) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            change.edit_server(tables, id, &Cause::host("recovery"), |server| {
                server.status = match server.status {
                    ShareServerStatus::ManageStarting => ShareServerStatus::ManageError,
                    ShareServerStatus::UnmanageStarting => ShareServerStatus::UnmanageError,
                    _ => ShareServerStatus::Error,
                };
            });
            Ok(Proposal::Commit(server.backend.clone(), change, ()))
        })
        .await
}
