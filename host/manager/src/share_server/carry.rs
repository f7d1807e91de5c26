//! What driver calls about share servers are told, put together from the records.

use crate::group;
use crate::records::Tables;
use crate::share::for_driver;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareNetworkId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkInfo, SecurityService, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::snapshot::SnapshotForDriver;

fn missing(what: &str, id: impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("{what} {id} has no record") }
}

/// A server as it stands in the records.
pub(super) fn server(tables: &Tables, id: ShareServerId) -> Result<ShareServer, CallError> {
    let server = tables.server(&Scope::Everything, id).ok_or_else(|| missing("share server", id))?;
    Ok((*server.value).clone())
}

/// The subnet a server is in.
pub(super) fn subnet(tables: &Tables, server: &ShareServer) -> Result<ShareNetworkSubnet, CallError> {
    let network = tables.share_network(&Scope::Everything, server.share_network);
    let subnet = network.and_then(|network| network.subnet(server.subnet).cloned());
    subnet.ok_or_else(|| {
        let gone = format!("share network subnet {} is not there any more", server.subnet);
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

/// The network of a server with these addresses.
pub(super) fn network(
    server: &ShareServer,
    subnet: ShareNetworkSubnet,
    allocations: &[NetworkAllocation],
) -> ServerNetwork {
    let of = |label| {
        let wanted = move |one: &&NetworkAllocation| one.label == label;
        allocations.iter().filter(wanted).cloned().collect::<Vec<_>>()
    };
    ServerNetwork {
        server_id: server.id,
        networks: vec![NetworkInfo { subnet, network_allocations: of(AllocationLabel::User) }],
        admin_network_allocations: of(AllocationLabel::Admin),
        security_services: server.security_services.clone(),
        backend_details: server.backend_details.clone(),
    }
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
