//! What may be done with share networks and security services now. Pure.

use crate::denial::Denial;
use crate::records::Tables;
use bulkhead_model::id::SecurityServiceId;
use bulkhead_model::network::{SecurityService, ShareNetwork, ShareNetworkStatus};
use bulkhead_model::scope::Scope;

/// Whether what a network is made of may be changed: what was made with it as it was would not follow.
pub(super) fn change(tables: &Tables, network: &ShareNetwork, what: &'static str) -> Result<(), Denial> {
    match network.status {
        ShareNetworkStatus::Active => match tables.count_uses_of_network(network.id) {
            0 => Ok(()),
            count => Err(Denial::NetworkInUse { what, count }),
        },
        status @ (ShareNetworkStatus::Error | ShareNetworkStatus::NetworkChange) => {
            Err(Denial::NetworkStatus { what, status })
        }
    }
}

/// Whether a security service may be added to a network: one of each type, as share servers join one directory of each.
pub(super) fn add_service(
    tables: &Tables,
    network: &ShareNetwork,
    service: &SecurityService,
) -> Result<(), Denial> {
    change(tables, network, "adding a security service")?;
    one_of_each_type(tables, network, service, None)
}

/// Whether a network would still have one security service of each type with this one, without `replaced`.
pub(super) fn one_of_each_type(
    tables: &Tables,
    network: &ShareNetwork,
    service: &SecurityService,
    replaced: Option<SecurityServiceId>,
) -> Result<(), Denial> {
    let of_type = network
        .security_services
        .iter()
        .filter(|id| Some(**id) != replaced)
        .filter_map(|id| tables.security_service(&Scope::Everything, *id))
        .find(|other| other.service_type == service.service_type);
    match of_type {
        Some(other) => {
            Err(Denial::SecurityServiceOfType { service_type: other.service_type, service: other.id })
        }
        None => Ok(()),
    }
}

/// Whether settings of a service may change: servers were told of them, and are told of no change (Manila's `update` denies it too).
pub(super) fn change_settings(tables: &Tables, service: &SecurityService) -> Result<(), Denial> {
    let networks = tables.share_networks(&Scope::Everything).into_iter();
    let mut of_service = networks.filter(|network| network.security_services.contains(&service.id));
    match of_service.any(|network| tables.servers_of(network.id).next().is_some()) {
        true => Err(Denial::SecurityServiceServes),
        false => Ok(()),
    }
}

/// Whether a security service may be taken away.
pub(super) fn delete_service(tables: &Tables, service: &SecurityService) -> Result<(), Denial> {
    match tables.count_networks_with(service.id) {
        0 => Ok(()),
        count => Err(Denial::SecurityServiceInUse { count }),
    }
}
