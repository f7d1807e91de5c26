//! What happens to the share servers of a network when that gets another security service or a subnet (contract 5.1).
//!
//! ```text
//!   network active, servers active --begin--> network_change, servers network_change, one operation for each server
//!       each operation: active, or error --> the last one: the network is active again
//! ```
//!
//! The change of the network, the statuses and all operations are one transaction. It begins only when nothing is at work on the network,
//! and while it goes on nothing else is begun there: what lives on a server in change counts as being worked on.
//!
//! Where we differ from Manila on purpose: a server whose driver was never told of a new subnet goes back to `active`, for nothing about
//! it changed; and a subnet that no server came to serve is taken from the network again.

use super::carry;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::journal::{About, Attempt, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::network::new_subnet;
use crate::records::{Cause, Change, Row, Stored, Tables};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{
    OperationId, RequestId, ShareId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId,
};
use bulkhead_model::network::{ShareNetwork, ShareNetworkStatus};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::server_update::SubnetAddition;
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::status::{AccessRulesStatus, ShareStatus, SnapshotStatus};
use bulkhead_store::limits::WRITES;
use std::collections::BTreeMap;

pub(crate) use super::service_update::change_of as service_change_of;

/// The most share instances and snapshots on a network whose servers change: all of them are in the transactions that begin and fail, each
/// with a record of the ledger, and the store takes [`WRITES`] of these at once.
const MOST_TOUCHED: usize = 40;
/// What is written at the beginning for each server: itself, its operation, a record of the ledger.
const WRITES_OF_SERVER: usize = 3;
/// What is written at the beginning whatever there is: the network, the request's key, records of the ledger, what waits for a commit.
const OTHER_WRITES: usize = 10;

/// The servers of a network in use, each at rest with everything on it, so that they may be changed; none if there are none.
///
/// Fails with [`ManagerError::Conflict`] for what is not at rest, [`ManagerError::Unsupported`] for a backend whose driver changes no
/// servers, and [`ManagerError::BackendUnreachable`] for one that has not loaded yet.
pub(crate) fn servers_to_change<'a>(
    inner: &Inner,
    tables: &'a Tables,
    network: &ShareNetwork,
    what: &'static str,
) -> Result<Vec<&'a Stored<ShareServer>>, ManagerError> {
    if network.status != ShareNetworkStatus::Active {
        return Err(Denial::NetworkStatus { what, status: network.status }.into());
    }
    let servers: Vec<_> = tables.servers_of(network.id).collect();
    for server in &servers {
        if !inner.loaded(tables, &server.backend)?.abilities.has(Ability::ServerUpdates) {
            let backend = server.backend.clone();
            return Err(ManagerError::Unsupported { backend, what: "changing share servers in service" });
        }
        if server.status != ShareServerStatus::Active {
            return Err(Denial::ServerStatus { what, status: server.status }.into());
        }
        require_rest(tables, server.id.queue())?;
    }
    let mut touched = 0_usize;
    for instance in tables.instances_in_network(network.id) {
        require_rest(tables, instance.share)?;
        if instance.status != ShareStatus::Available {
            return Err(Denial::ShareStatus { what, status: instance.status }.into());
        }
        touched = touched.saturating_add(1).saturating_add(tables.snapshots_of(instance.share).count());
    }
    let mut writes = servers.len().saturating_mul(WRITES_OF_SERVER).saturating_add(OTHER_WRITES);
    writes = writes.saturating_add(tables.instances_in_network(network.id).count());
    for group in tables.groups_in_network(network.id) {
        require_rest(tables, group.queue())?;
        writes = writes.saturating_add(1);
    }
    if touched > MOST_TOUCHED {
        let what = "shares and snapshots on a share network whose servers change";
        return Err(ManagerError::LimitExceeded { what, limit: MOST_TOUCHED });
    }
    if writes > WRITES {
        let what = "writes for a share network whose servers change (three for each server, one for each share and group)";
        return Err(ManagerError::LimitExceeded { what, limit: WRITES.saturating_sub(OTHER_WRITES) });
    }
    Ok(servers)
}

/// Nothing at all is at work on a share, a group or a server, rules and metadata included.
fn require_rest(tables: &Tables, queue: ShareId) -> Result<(), Denial> {
    match tables.unfinished_of_share(queue).next() {
        Some(operation) => Err(Denial::InFlight { running: operation.verb.name() }),
        None => Ok(()),
    }
}

/// Begin, with a change of `network`, what lets its `servers` follow: the operations that `verb` makes for each.
pub(crate) fn begin(
    inner: &Inner,
    tables: &Tables,
    (network, servers): (&ShareNetwork, &[&Stored<ShareServer>]),
    verb: impl Fn(ShareServerId) -> Verb,
    (request, cause, change): (&RequestId, &Cause, &mut Change),
) -> Result<Vec<OperationId>, ManagerError> {
    let mut started = Vec::with_capacity(servers.len());
    for server in servers {
        inner.admit(tables, &server.backend)?;
        let about = About {
            share: server.id.queue(),
            project: network.project_id.clone(),
            backend: server.backend.clone(),
        };
        let operation = inner.new_operation(verb(server.id), about, request);
        started.push(operation.id);
        let cause = Cause { operation: Some(operation.id), ..cause.clone() };
        change.edit_server(tables, server.id, &cause, |server| {
            server.status = ShareServerStatus::NetworkChange;
        });
        change.insert(Row::Operation(operation));
    }
    // The turnstiles: whatever begins on one of them between this look and the commit makes this look again.
    for instance in tables.instances_in_network(network.id) {
        change.touch_instance(tables, instance.id);
    }
    for group in tables.groups_in_network(network.id) {
        change.edit_group(tables, group, cause, |_| {});
    }
    Ok(started)
}

/// What the driver of a server is asked about a subnet that there is not yet, with these ids in Neutron.
pub(crate) fn addition_of(
    tables: &Tables,
    server: ShareServerId,
    neutron: (Option<String>, Option<String>),
) -> Result<SubnetAddition, CallError> {
    let found = carry::server(tables, server)?;
    let new_subnet = new_subnet(found.share_network, neutron, BTreeMap::new());
    Ok(SubnetAddition {
        network: carry::network_of(tables, &found)?,
        new_subnet,
        shares: carry::shares_on(tables, server),
        rules: carry::rules_on(tables, server),
        server: found.for_driver(),
    })
}

/// The verb of what is at work on a server that a share or a replica of it lives on, if it changes that server's network.
pub(crate) fn in_flight_under(tables: &Tables, share: ShareId) -> Option<&'static str> {
    let instances = tables.instances_of(share).into_iter();
    let servers = instances.filter_map(|instance| instance.share_server);
    let mut at_work = servers.flat_map(|server| tables.unfinished_of_share(server.queue()));
    at_work.find(|one| one.verb.changes_servers_network()).map(|one| one.verb.name())
}

/// Whether access of something on a server may be changed: not while the network of that server changes.
pub(crate) fn require_no_change(tables: &Tables, share: ShareId) -> Result<(), Denial> {
    match in_flight_under(tables, share) {
        Some(running) => Err(Denial::InFlight { running }),
        None => Ok(()),
    }
}

/// Change records on the way of an operation. None if that is not this attempt's any more: then nothing is changed.
pub(super) async fn write<T>(
    inner: &Inner,
    attempt: &Attempt,
    alter: impl Fn(&Tables, &Cause, &mut Change) -> T,
) -> Result<Option<T>, ManagerError> {
    let of = &attempt.operation;
    inner
        .transact(|tables| {
            let is_ours = |one: &Stored<Operation>| one.fencing_token == of.fencing_token;
            let Some(stored) = unfinished(tables, of.id).filter(is_ours) else {
                return Ok(Proposal::Settled(None));
            };
            let mut change = Change::default();
            let altered = alter(tables, &cause_of(&stored.value), &mut change);
            Ok(Proposal::Commit(stored.backend.clone(), change, Some(altered)))
        })
        .await
}

/// The change of a server has ended, which has the status `status` from now on and `alter` made of it. The last one of its network lets
/// that go on.
pub(super) fn end(
    tables: &Tables,
    id: ShareServerId,
    (cause, change): (&Cause, &mut Change),
    alter: impl FnOnce(&mut ShareServer),
) {
    let Some(stored) = tables.server(&Scope::Everything, id) else { return };
    let mut ended = (*stored.value).clone();
    alter(&mut ended);
    change.edit_server(tables, id, cause, |server| server.clone_from(&ended));
    let is_in_change = |one: &&Stored<ShareServer>| one.status == ShareServerStatus::NetworkChange;
    let is_last =
        !tables.servers_of(ended.share_network).filter(|one| one.id != id).any(|one| is_in_change(&one));
    let is_served = |subnet: ShareNetworkSubnetId| {
        ended.serves(subnet) || tables.servers_of(ended.share_network).any(|one| one.serves(subnet))
    };
    // Also where others are still at work: the network's row makes two that end at once see each other.
    change.edit_share_network(tables, ended.share_network, |network| {
        if is_last {
            rest(network, is_served);
        }
    });
    if is_last {
        let words = format_args!("{} -> {}", ShareNetworkStatus::NetworkChange, ShareNetworkStatus::Active);
        change.note(cause, format_args!("share-network/{}", ended.share_network), words);
    }
}

/// A network whose servers have all followed, or not. A subnet that was added for them and that none serves goes again.
fn rest(network: &mut ShareNetwork, is_served: impl Fn(ShareNetworkSubnetId) -> bool) {
    // An operator may have said that it rests before it did: what was added for the servers is settled all the same.
    if network.status == ShareNetworkStatus::NetworkChange {
        network.status = ShareNetworkStatus::Active;
    }
    if let Some(added) = network.added_subnet.take()
        && !is_served(added)
    {
        network.subnets.retain(|one| one.id != added);
    }
}

/// The change of a server has failed. One that its driver was told of is in `error`; with it what a replaced service, or another address,
/// may have cut off.
pub(super) fn fail(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    let Some(id) = operation.verb.server() else { return };
    let was_told = match operation.verb {
        Verb::AddServerSubnet { subnet, .. } => {
            tables.server(&Scope::Everything, id).is_some_and(|server| server.serves(subnet))
        }
        _ => true,
    };
    let status = if was_told { ShareServerStatus::Error } else { ShareServerStatus::Active };
    end(tables, id, (cause, change), |server| server.status = status);
    match operation.verb {
        Verb::UpdateSecurityService { current: Some(_), .. } => cut_off(tables, id, cause, change),
        Verb::AddServerSubnet { .. } if was_told => {
            cut_off(tables, id, cause, change);
            break_snapshots(tables, id, cause, change);
        }
        _ => {}
    }
}

/// Nobody knows whether the shares on a server can be reached.
fn cut_off(tables: &Tables, server: ShareServerId, cause: &Cause, change: &mut Change) {
    for instance in tables.instances_on_server(server) {
        change.edit_replica(tables, instance.id, cause, |instance| {
            instance.status = ShareStatus::Error;
            instance.access_rules_status = AccessRulesStatus::Error;
        });
    }
}

fn break_snapshots(tables: &Tables, server: ShareServerId, cause: &Cause, change: &mut Change) {
    for instance in tables.instances_on_server(server) {
        for snapshot in tables.snapshots_of(instance.share) {
            let on_it =
                tables.snapshot_instances_of(snapshot.id).filter(|one| one.share_instance == instance.id);
            for one in on_it {
                change.edit_one_snapshot_instance(one, cause, |snapshot| {
                    snapshot.status = SnapshotStatus::Error
                });
            }
        }
    }
}

/// Networks in change whose servers all rest: cannot come from this program (see [`crate::recovery`]).
pub(super) fn left_in_change(tables: &Tables) -> Vec<ShareNetworkId> {
    let is_left = |network: &&Stored<ShareNetwork>| {
        network.status == ShareNetworkStatus::NetworkChange
            && tables.servers_of(network.id).all(|one| one.status != ShareServerStatus::NetworkChange)
    };
    tables.share_networks(&Scope::Everything).into_iter().filter(is_left).map(|network| network.id).collect()
}

/// Let a network go on that was left in change.
pub(super) fn release(tables: &Tables, id: ShareNetworkId, change: &mut Change) {
    let is_served = |subnet| tables.servers_of(id).any(|server| server.serves(subnet));
    change.edit_share_network(tables, id, |network| rest(network, is_served));
}
