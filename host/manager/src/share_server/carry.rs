//! What driver calls about share servers are told, put together from the records.

use crate::access::list::RuleList;
use crate::group;
use crate::records::Tables;
use crate::share::for_driver;
use bulkhead_model::access::AccessRule;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareInstanceId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkInfo, SecurityService, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::AccessRuleState;
use std::collections::BTreeMap;

fn missing(what: &str, id: impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("{what} {id} has no record") }
}

/// A server as it stands in the records.
pub(super) fn server(tables: &Tables, id: ShareServerId) -> Result<ShareServer, CallError> {
    let server = tables.server(&Scope::Everything, id).ok_or_else(|| missing("share server", id))?;
    Ok((*server.value).clone())
}

/// The subnet a server was made in.
pub(super) fn subnet(tables: &Tables, server: &ShareServer) -> Result<ShareNetworkSubnet, CallError> {
    subnet_of(tables, server, server.subnet)
}

/// All subnets of a server, in its order.
pub(super) fn subnets(tables: &Tables, server: &ShareServer) -> Result<Vec<ShareNetworkSubnet>, CallError> {
    server.subnets().map(|id| subnet_of(tables, server, id)).collect()
}

/// A subnet of a server's network.
pub(super) fn subnet_of(
    tables: &Tables,
    server: &ShareServer,
    id: ShareNetworkSubnetId,
) -> Result<ShareNetworkSubnet, CallError> {
    let network = tables.share_network(&Scope::Everything, server.share_network);
    let subnet = network.and_then(|network| network.subnet(id).cloned());
    subnet.ok_or_else(|| {
        let gone = format!("share network subnet {id} is not there any more");
        super::setup::refused(DriverErrorCode::BadNetworkConfiguration, &gone)
    })
}

/// The security services of a share network, in the order they were added.
pub(super) fn security_services(tables: &Tables, network: ShareNetworkId) -> Vec<SecurityService> {
    let network = tables.share_network(&Scope::Everything, network);
    let ids = network.map(|network| network.security_services.clone()).unwrap_or_default().into_iter();
    ids.filter_map(|id| tables.security_service(&Scope::Everything, id))
        .map(|service| (*service.value).clone())
        .collect()
}

/// The network of a server with these addresses, each in its subnet. Those of no known subnet are in the first.
pub(super) fn network(
    server: &ShareServer,
    subnets: Vec<ShareNetworkSubnet>,
    allocations: &[NetworkAllocation],
) -> ServerNetwork {
    let (admin, mut user): (Vec<_>, Vec<_>) =
        allocations.iter().cloned().partition(|one| one.label == AllocationLabel::Admin);
    let mut networks = Vec::with_capacity(subnets.len());
    for subnet in subnets.into_iter().rev() {
        let is_first = subnet.id == server.subnet;
        let (here, elsewhere) =
            user.into_iter().partition(|one| is_first || one.subnet_id == Some(subnet.id));
        user = elsewhere;
        networks.push(NetworkInfo { subnet, network_allocations: here });
    }
    networks.reverse();
    ServerNetwork {
        server_id: server.id,
        networks,
        admin_network_allocations: admin,
        security_services: server.security_services.clone(),
        backend_details: server.backend_details.clone(),
    }
}

/// The network of a server in service, as its record has it.
pub(super) fn network_of(tables: &Tables, server: &ShareServer) -> Result<ServerNetwork, CallError> {
    Ok(network(server, subnets(tables, server)?, &server.network_allocations))
}

/// All share instances on a server.
pub(super) fn shares_on(tables: &Tables, server: ShareServerId) -> Vec<ShareForDriver> {
    let of = |instance: &crate::records::Stored<_>| {
        let instance: &bulkhead_model::share::ShareInstance = &instance.value;
        let share = tables.share(&Scope::Everything, instance.share)?;
        Some(for_driver(tables, share, instance))
    };
    tables.instances_on_server(server).filter_map(of).collect()
}

/// The rules in force of all share instances on a server. Those in error are not: nothing at the backend follows from them.
pub(super) fn rules_on(tables: &Tables, server: ShareServerId) -> BTreeMap<ShareInstanceId, Vec<AccessRule>> {
    let rules = |instance| {
        let all = RuleList::read(tables, instance);
        let active = all.iter().filter(|rule| rule.state == AccessRuleState::Active);
        active.map(|rule| rule.rule.clone()).collect()
    };
    tables.instances_on_server(server).map(|instance| (instance.id, rules(instance.id))).collect()
}

/// All snapshot instances of share instances on a server.
pub(super) fn snapshots_on(tables: &Tables, server: ShareServerId) -> Vec<SnapshotForDriver> {
    let mut found = Vec::new();
    for instance in tables.instances_on_server(server) {
        let Some(share) = tables.share(&Scope::Everything, instance.share) else { continue };
        for snapshot in tables.snapshots_of(instance.share) {
            let on_it =
                tables.snapshot_instances_of(snapshot.id).find(|one| one.share_instance == instance.id);
            found.extend(on_it.map(|on_it| SnapshotForDriver {
                id: on_it.id,
                snapshot: snapshot.id,
                size: snapshot.size,
                provider_location: on_it.provider_location.clone(),
                share: for_driver(tables, share, instance),
            }));
        }
    }
    found
}

/// A share that needs a server, with what it is made from and its group.
pub(super) type NeedyShare = (ShareForDriver, Option<SnapshotForDriver>, Option<ShareGroupForDriver>);

/// The share, or the replica, of an operation that makes one.
pub(super) fn share(tables: &Tables, operation: &Operation) -> Result<NeedyShare, CallError> {
    let id = operation.share;
    let instance = match operation.verb {
        Verb::CreateReplica { replica } => tables.instance(replica),
        _ => tables.instance_of(id),
    };
    let found = tables.share(&Scope::Everything, id).zip(instance);
    let (share, instance) = found.ok_or_else(|| missing("share", id))?;
    let source = match operation.verb {
        Verb::CreateShareFromSnapshot { snapshot } => Some(crate::call::snapshot(tables, snapshot)?),
        _ => None,
    };
    let group = share.group.map(|group| group::for_driver(tables, group)).transpose()?;
    Ok((for_driver(tables, share, instance), source, group))
}

/// A group that needs a server, with what it is made from.
pub(super) type NeedyGroup = (ShareGroupForDriver, Option<ShareGroupSnapshotForDriver>);

/// The group of an operation that makes one.
pub(super) fn group(tables: &Tables, operation: &Operation) -> Result<NeedyGroup, CallError> {
    let id = operation.verb.group().ok_or_else(|| missing("the group of operation", operation.id))?;
    Ok((group::for_driver(tables, id)?, None))
}
