//! Addresses and what is known of the networks they are in.

use crate::bindings::v0_1::bulkhead::host::types as wit;
use bulkhead_model::network::{AllocationLabel, NetworkAllocation, NetworkType};
use bulkhead_model::statistics::IpVersion;

/// Addresses, in their order.
pub(crate) fn allocations_to_wit(allocations: &[NetworkAllocation]) -> Vec<wit::NetworkAllocation> {
    allocations.iter().map(allocation_to_wit).collect()
}

fn allocation_to_wit(allocation: &NetworkAllocation) -> wit::NetworkAllocation {
    wit::NetworkAllocation {
        id: allocation.id.to_string(),
        label: label_to_wit(allocation.label),
        ip_address: allocation.ip_address.to_string(),
        ip_version: version_to_wit(allocation.ip_version()),
        cidr: allocation.cidr.to_string(),
        gateway: allocation.gateway.map(|address| address.to_string()),
        mtu: allocation.mtu,
        network_type: allocation.network_type.map(network_type_to_wit),
        segmentation_id: allocation.segmentation_id,
        mac_address: allocation.mac_address.map(|address| address.to_string()),
        share_server_id: allocation.share_server_id.to_string(),
        subnet_id: allocation.subnet_id.map(|id| id.to_string()),
    }
}

const fn label_to_wit(label: AllocationLabel) -> wit::AllocationLabel {
    match label {
        AllocationLabel::User => wit::AllocationLabel::User,
        AllocationLabel::Admin => wit::AllocationLabel::Admin,
    }
}

/// What an address is for.
pub(crate) const fn label_from_wit(label: wit::AllocationLabel) -> AllocationLabel {
    match label {
        wit::AllocationLabel::User => AllocationLabel::User,
        wit::AllocationLabel::Admin => AllocationLabel::Admin,
    }
}

/// A version of the Internet Protocol.
pub(crate) const fn version_to_wit(version: IpVersion) -> wit::IpVersion {
    match version {
        IpVersion::V4 => wit::IpVersion::V4,
        IpVersion::V6 => wit::IpVersion::V6,
    }
}

/// A version of the Internet Protocol.
pub(crate) const fn version_from_wit(version: wit::IpVersion) -> IpVersion {
    match version {
        wit::IpVersion::V4 => IpVersion::V4,
        wit::IpVersion::V6 => IpVersion::V6,
    }
}

/// How a network is kept apart.
pub(crate) const fn network_type_to_wit(network_type: NetworkType) -> wit::NetworkType {
    match network_type {
        NetworkType::Flat => wit::NetworkType::Flat,
        NetworkType::Vlan => wit::NetworkType::Vlan,
        NetworkType::Vxlan => wit::NetworkType::Vxlan,
        NetworkType::Gre => wit::NetworkType::Gre,
    }
}
