//! Metadata of subnets that backends follow (contract 5.1).
//!
//! When a tenant sets or changes keys that a backend with servers in the subnet follows, one operation for each server is committed with the
//! change. It calls the driver with the values the subnet has by then, so that operations may overtake each other. What the backend did not
//! follow stays as the tenant wrote it; the failed operation is the tenant's message. Keys that are taken away are not told, as in Manila.
//! A server that is being made follows once it is there.

use super::carry;
use crate::error::ManagerError;
use crate::journal::{About, Attempt, End};
use crate::manager::Inner;
use crate::records::{Change, Row, Stored, Tables};
use crate::runner::{Progress, Step, failed};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{Blame, CallError};
use bulkhead_model::id::{OperationId, RequestId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{ShareNetwork, ShareNetworkSubnet, SubnetMetadataUpdate};
use bulkhead_model::operation::{OperationFailure, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Pairs = BTreeMap<String, String>;

/// Begin, with the change of a subnet's metadata to `wanted`, what lets its servers follow.
pub(crate) fn begin(
    inner: &Inner,
    tables: &Tables,
    (network, subnet): (&ShareNetwork, &ShareNetworkSubnet),
    wanted: &Pairs,
    (request, change): (&RequestId, &mut Change),
) -> Result<Vec<OperationId>, ManagerError> {
    let is_changed = |key: &String, value: &String| subnet.metadata.get(key) != Some(value);
    let changed: BTreeSet<String> =
        wanted.iter().filter(|(key, value)| is_changed(key, value)).map(|(key, _)| key.clone()).collect();
    let mut started = Vec::new();
    for server in tables.all_servers(&Scope::Everything).filter(|server| server.serves(subnet.id)) {
        let keys = followed(inner, server, &changed);
        if keys.is_empty() {
            continue;
        }
        inner.admit(tables, &server.backend)?;
        let about = About {
            share: server.id.queue(),
            project: network.project_id.clone(),
            backend: server.backend.clone(),
        };
        let verb = Verb::UpdateSubnetMetadata { server: server.id, subnet: subnet.id, keys };
        let operation = inner.new_operation(verb, about, request);
        started.push(operation.id);
        change.insert(Row::Operation(operation));
    }
    Ok(started)
}

/// The changed keys that a server's backend is told of. Before its driver was loaded for the first time nobody knows which it follows: then
/// all of them, and the call decides.
fn followed(inner: &Inner, server: &Stored<ShareServer>, changed: &BTreeSet<String>) -> BTreeSet<String> {
    if server.status != ShareServerStatus::Active && !soon_serves(server.status) {
        return BTreeSet::new();
    }
    let loaded = inner.backends.get(&server.backend).and_then(|backend| backend.loaded());
    let is_followed =
        |key: &&String| loaded.as_ref().is_none_or(|one| one.updatable_subnet_metadata.contains(key));
    changed.iter().filter(is_followed).cloned().collect()
}

/// Whether an operation is at work after which a server follows.
const fn soon_serves(status: ShareServerStatus) -> bool {
    matches!(status, ShareServerStatus::Creating | ShareServerStatus::NetworkChange)
}

/// One attempt at letting a server follow.
pub(super) async fn run(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    (server, subnet, keys): (ShareServerId, ShareNetworkSubnetId, &BTreeSet<String>),
) -> Result<Step, ManagerError> {
    let status = inner.records.read().server(&Scope::Everything, server).map(|server| server.status);
    if status.is_some_and(soon_serves) {
        let waits = OperationFailure {
            code: "busy".to_owned(),
            blame: Blame::Host,
            message: "the share server is being made or changed; it follows the metadata then".to_owned(),
        };
        inner.wait(attempt.operation.id, "waiting for the share server", waits).await?;
        return Ok(Step::Wait);
    }
    match follow(inner, attempt, (server, subnet, keys)).await {
        Ok(followed) => {
            inner
                .conclude(attempt, |_, cause, change| {
                    if !followed.is_empty() {
                        let keys = followed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                        let words = format_args!("followed the metadata {keys} of subnet {subnet}");
                        change.note(cause, format_args!("share-server/{server}"), words);
                    }
                    End::well()
                })
                .await?;
            Ok(Step::Ended)
        }
        Err(error) => failed(inner, attempt, progress, error).await,
    }
}

/// Call the driver with what is left to follow; the keys it was called with.
async fn follow(
    inner: &Inner,
    attempt: &Attempt,
    (server, subnet, keys): (ShareServerId, ShareNetworkSubnetId, &BTreeSet<String>),
) -> Result<BTreeSet<String>, CallError> {
    let driver = &attempt.serving.driver;
    let left = inner.read(|tables| Ok(left_to_follow(tables, server, subnet, keys)))?;
    let Some((server, mut update)) = left else { return Ok(BTreeSet::new()) };
    update.metadata.retain(|key, _| driver.updatable_subnet_metadata().contains(key));
    if update.metadata.is_empty() || !driver.abilities().has(Ability::MetadataUpdates) {
        return Ok(BTreeSet::new());
    }
    driver.update_subnet_from_metadata(&attempt.reason(), &server.for_driver(), &update).await?;
    Ok(update.metadata.into_keys().collect())
}

/// The server, with what of the subnet it shall follow; none once one of them is gone, or the server serves no more.
fn left_to_follow(
    tables: &Tables,
    server: ShareServerId,
    subnet: ShareNetworkSubnetId,
    keys: &BTreeSet<String>,
) -> Option<(ShareServer, SubnetMetadataUpdate)> {
    let server = tables.server(&Scope::Everything, server)?;
    if server.status != ShareServerStatus::Active {
        return None;
    }
    let network = tables.share_network(&Scope::Everything, server.share_network)?;
    let subnet = network.subnet(subnet)?.clone();
    let now = |key: &String| Some((key.clone(), subnet.metadata.get(key)?.clone()));
    let metadata = keys.iter().filter_map(now).collect();
    let security_services = carry::security_services(tables, server.share_network);
    let network = (*network.value).clone();
    let update = SubnetMetadataUpdate { network, security_services, subnet, metadata };
    Some(((*server.value).clone(), update))
}
