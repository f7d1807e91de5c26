//! What a group's own network is made of: the addresses that the host keeps for its share server, on the bridges that the operator named.
//! The guest says nothing about it.

use super::policy::AllowedGroup;
use crate::call::Call;
use bulkhead_helper::protocol::GroupInterface;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::manifest::GroupNetwork;
use bulkhead_model::network::{AllocationLabel, MacAddress, NetworkAllocation, NetworkPlug};
use bulkhead_model::statistics::IpVersion;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// Addresses that one interface has: those of one label and subnet that are plugged into one bridge.
type Together = (AllocationLabel, Option<ShareNetworkSubnetId>, NetworkPlug);

/// The interfaces of a group with a network of its own; none of one that has the machine's.
///
/// The same for as long as the server has the same addresses. Fails with `invalid-argument` if it has none, `denied` where the operator named
/// no bridge.
pub(super) async fn interfaces(
    call: &Call,
    group: &AllowedGroup<'_>,
) -> Result<Vec<GroupInterface>, CapabilityError> {
    let (GroupNetwork::Own, Some(server)) = (group.template.network, group.server) else {
        return Ok(Vec::new());
    };
    let networks = call.backend().networks();
    let kept = networks.allocations(server).await.map_err(|error| error.for_guest())?;
    let mut together: BTreeMap<Together, Vec<NetworkAllocation>> = BTreeMap::new();
    for allocation in kept.into_iter().map(|kept| kept.allocation) {
        let plug = networks.plug(&allocation).ok_or_else(|| unplugged(&allocation))?;
        together.entry((allocation.label, allocation.subnet_id, plug)).or_default().push(allocation);
    }
    if together.is_empty() {
        return Err(no_address(server));
    }
    let mut routed = BTreeSet::new();
    let numbered = together.into_iter().enumerate();
    numbered.map(|(number, (of, allocations))| interface(number, of, &allocations, &mut routed)).collect()
}

/// `routed` are the versions that lead elsewhere through an interface before this one.
fn interface(
    number: usize,
    (label, _, plug): Together,
    allocations: &[NetworkAllocation],
    routed: &mut BTreeSet<IpVersion>,
) -> Result<GroupInterface, CapabilityError> {
    let port =
        |one: &NetworkAllocation| one.mac_address.unwrap_or_else(|| MacAddress::derived_from(one.ip_address));
    let address = |one: &NetworkAllocation| {
        IpNet::new(one.ip_address, one.cidr.prefix_len()).map_err(|_| {
            let message = format!("address {} lies in no network {}", one.ip_address, one.cidr);
            CapabilityError::new(CapabilityCode::Io, message)
        })
    };
    let mut gateways = Vec::new();
    // Administrators reach a server from their own network; the way to everybody else is the tenant's.
    for one in allocations.iter().filter(|_| label == AllocationLabel::User) {
        if let Some(gateway) = one.gateway.filter(|gateway| one.cidr.contains(gateway))
            && routed.insert(IpVersion::of(gateway))
        {
            gateways.push(gateway);
        }
    }
    Ok(GroupInterface {
        name: format!("eth{number}"),
        hardware: allocations.first().map_or(MacAddress::from_bytes([0x02, 0, 0, 0, 0, 0]), port),
        mtu: allocations.iter().map(|one| one.mtu).min().unwrap_or_default(),
        addresses: allocations.iter().map(address).collect::<Result<_, _>>()?,
        gateways,
        plug,
    })
}

/// As the ledger has it.
pub(super) fn described(interface: &GroupInterface) -> String {
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    format!("{} {} {} on {}", interface.name, addresses.join(" "), interface.hardware, interface.plug)
}

fn unplugged(allocation: &NetworkAllocation) -> CapabilityError {
    CapabilityError::denied(
        format!("an interface with address {} in network {}", allocation.ip_address, allocation.cidr),
        format!(
            "[[grant.networks.{}]] with this network and bridge = \"br0\" in the backend's file",
            allocation.label
        ),
    )
}

fn no_address(server: ShareServerId) -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!(
            "share server {server} has no address, and its group has a network of its own; \
             share-servers.network-allocations-number must answer 1 or more"
        ),
    )
}
