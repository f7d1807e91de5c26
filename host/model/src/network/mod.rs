//! Share networks, their subnets and security services, and the addresses that share servers get (contract 2.7 to 2.10).
//!
//! ```text
//!   share network 1 -- n subnet                     where a tenant wants shares to be reached
//!                 n -- m security service           which directories the share servers there join
//!   share server  1 -- n network allocation         one address, from the network bound for its label
//! ```
//!
//! Field names are those of `wit/types.wit` and `wit/deps/host/types.wit`.

mod declaration;
mod security_service;
mod segmentation;

pub use declaration::{AddressRange, InvalidNetwork, Mask, Network, NetworkDeclaration, NetworkGrants};
pub use security_service::{SealedText, SecurityService, SecurityServiceType};
pub use segmentation::{InvalidSegmentation, NetworkType, check_segmentation};

use crate::id::{
    AllocationId, ProjectId, SecurityServiceId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId, UserId,
};
use crate::statistics::IpVersion;
use crate::status::words;
use crate::time::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

words!(
    /// What an address is for.
    AllocationLabel {
        /// Tenants reach the share server through it.
        User = "user",
        /// Only administrators reach the share server through it.
        Admin = "admin",
    }
);

words!(
    /// Status of a share network (contract 2.7).
    ShareNetworkStatus {
        /// Usable.
        Active = "active",
        /// A change of it failed; no shares are made on it.
        Error = "error",
        /// Its subnets or security services are being changed under servers that exist.
        NetworkChange = "network_change",
    }
);

/// The hardware address of a port: six bytes, printed in lower case with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The address of the port of a machine that has this IP address, always the same: whoever still holds it in a neighbour table reaches
    /// a machine that was made anew. Locally administered; two IPv4 addresses never have the same, nor two IPv6 addresses that differ
    /// in their last five bytes alone, as those do that are given out one after the other.
    #[must_use]
    pub const fn derived_from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                Self([0x02, 0x62, a, b, c, d])
            }
            IpAddr::V6(address) => {
                let [.., a, b, c, d, e, f, g, h] = address.octets();
                // The second byte is never that of a version 4 address.
                Self([0x06, a ^ d, b ^ e, c ^ f, g, h])
            }
        }
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(formatter, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for MacAddress {
    type Err = crate::id::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid =
            || crate::id::InvalidId::new(text, "hardware address (six pairs of hexadecimal digits with ':')");
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or_else(invalid)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        if pairs.next().is_some() { Err(invalid()) } else { Ok(Self(bytes)) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = crate::id::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

/// An address that the host keeps for a share server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAllocation {
    /// Its id.
    pub id: AllocationId,
    /// What it is for.
    pub label: AllocationLabel,
    /// The address.
    pub ip_address: IpAddr,
    /// The network it is in; host bits are zero.
    pub cidr: IpNet,
    /// The gateway's address; none if the network has none.
    pub gateway: Option<IpAddr>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// How the network is kept apart; none as `flat`.
    pub network_type: Option<NetworkType>,
    /// The tag, identifier or key that `network_type` asks for; none for `flat`.
    pub segmentation_id: Option<u32>,
    /// The hardware address a port was made with; none lets the driver derive one from `ip_address`.
    pub mac_address: Option<MacAddress>,
    /// The share server it is kept for.
    pub share_server_id: ShareServerId,
    /// The subnet of the share network it was taken for; none for `admin`.
    pub subnet_id: Option<ShareNetworkSubnetId>,
}

impl NetworkAllocation {
    /// The version that its address is of.
    #[must_use]
    pub const fn ip_version(&self) -> IpVersion {
        IpVersion::of(self.ip_address)
    }
}

/// Where a network is at the backend's place: what share servers with a network of their own are plugged into.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetworkPlug {
    /// The name of a bridge, 1 to 15 bytes.
    pub bridge: String,
    /// The network namespace that the bridge is in, as `ip netns` names it; none: the one that the helper runs in.
    pub namespace: Option<String>,
}

impl fmt::Display for NetworkPlug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "bridge '{}'", self.bridge)?;
        match &self.namespace {
            Some(namespace) => write!(formatter, " of network namespace '{namespace}'"),
            None => Ok(()),
        }
    }
}

/// What is known of a network that addresses come from: what allocation writes on a subnet, Manila's `include_network_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkData {
    /// The network; host bits are zero.
    pub cidr: IpNet,
    /// The gateway's address; none if the network has none.
    pub gateway: Option<IpAddr>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// How the network is kept apart; none as `flat`.
    pub network_type: Option<NetworkType>,
    /// The tag, identifier or key that `network_type` asks for; none for `flat`.
    pub segmentation_id: Option<u32>,
}

/// A part of a share network in one availability zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareNetworkSubnet {
    /// Its id.
    pub id: ShareNetworkSubnetId,
    /// The share network it is part of.
    pub share_network_id: ShareNetworkId,
    /// The network in Neutron; none without Neutron.
    pub neutron_net_id: Option<String>,
    /// The subnet in Neutron; none without Neutron.
    pub neutron_subnet_id: Option<String>,
    /// How it is kept apart; none as `flat`.
    pub network_type: Option<NetworkType>,
    /// The tag, identifier or key that `network_type` asks for; none for `flat`.
    pub segmentation_id: Option<u32>,
    /// The network; host bits are zero. None before addresses were allocated.
    pub cidr: Option<IpNet>,
    /// The gateway's address; none if the network has none, or before addresses were allocated.
    pub gateway: Option<IpAddr>,
    /// Largest packet in bytes; none before addresses were allocated.
    pub mtu: Option<u32>,
    /// The availability zone; none for the default subnet.
    pub availability_zone: Option<String>,
    /// The tenant's metadata on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ShareNetworkSubnet {
    /// The IP version; none before addresses were allocated.
    #[must_use]
    pub const fn ip_version(&self) -> Option<IpVersion> {
        match self.cidr {
            Some(IpNet::V4(_)) => Some(IpVersion::V4),
            Some(IpNet::V6(_)) => Some(IpVersion::V6),
            None => None,
        }
    }

    /// A subnet that is made now, of which nothing is known but whose it is.
    #[must_use]
    pub fn new(id: ShareNetworkSubnetId, share_network_id: ShareNetworkId) -> Self {
        let now = Timestamp::now();
        Self {
            id,
            share_network_id,
            neutron_net_id: None,
            neutron_subnet_id: None,
            network_type: None,
            segmentation_id: None,
            cidr: None,
            gateway: None,
            mtu: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Take over what is known of the network that addresses of this subnet come from.
    pub fn describe(&mut self, network: &NetworkData) {
        let before = self.clone();
        self.cidr = Some(network.cidr);
        self.gateway = network.gateway;
        self.mtu = Some(network.mtu);
        self.network_type = network.network_type;
        self.segmentation_id = network.segmentation_id;
        if *self != before {
            self.updated_at = Timestamp::now();
        }
    }
}

/// A tenant's network, with its subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareNetwork {
    /// Its id.
    pub id: ShareNetworkId,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Who asked for it.
    pub user_id: UserId,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub description: Option<String>,
    /// Its status.
    pub status: ShareNetworkStatus,
    /// Its subnets, in the order they were made; no two in one availability zone.
    pub subnets: Vec<ShareNetworkSubnet>,
    /// The subnet that its share servers come to serve just now, one of `subnets`; none at other times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_subnet: Option<ShareNetworkSubnetId>,
    /// Its security services, in the order they were added; no two of one type.
    pub security_services: Vec<SecurityServiceId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or a subnet last changed.
    pub updated_at: Timestamp,
}

impl ShareNetwork {
    /// The subnet with this id.
    #[must_use]
    pub fn subnet(&self, id: ShareNetworkSubnetId) -> Option<&ShareNetworkSubnet> {
        self.subnets.iter().find(|subnet| subnet.id == id)
    }

    /// The subnet that serves `availability_zone`: its own, else the default one.
    #[must_use]
    pub fn subnet_for(&self, availability_zone: Option<&str>) -> Option<&ShareNetworkSubnet> {
        let own = availability_zone.and_then(|zone| {
            self.subnets.iter().find(|subnet| subnet.availability_zone.as_deref() == Some(zone))
        });
        own.or_else(|| self.subnets.iter().find(|subnet| subnet.availability_zone.is_none()))
    }
}

/// What a tenant set or changed in the metadata of a subnet, for one of the share servers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetMetadataUpdate {
    /// The network, with all its subnets as they are now.
    pub network: ShareNetwork,
    /// Its security services, in its order.
    pub security_services: Vec<SecurityService>,
    /// The subnet it is about.
    pub subnet: ShareNetworkSubnet,
    /// The keys that were set or changed and that the driver acts on, with the values they have now.
    pub metadata: BTreeMap<String, String>,
}

/// One subnet of a share server with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// The subnet.
    pub subnet: ShareNetworkSubnet,
    /// Addresses of label `user` in this subnet.
    pub network_allocations: Vec<NetworkAllocation>,
}

/// All that is known of a share server's network: Manila's `network_info` (contract 2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNetwork {
    /// The share server.
    pub server_id: ShareServerId,
    /// One item a subnet, at least one.
    pub networks: Vec<NetworkInfo>,
    /// Addresses of label `admin`.
    pub admin_network_allocations: Vec<NetworkAllocation>,
    /// The security services of the share network.
    pub security_services: Vec<SecurityService>,
    /// What the driver returned about this server so far.
    pub backend_details: BTreeMap<String, String>,
}

impl ServerNetwork {
    /// Whether every subnet's type and segmentation fit (contract 4.4 c): checked before a driver sees it.
    pub fn check_segmentation(&self) -> Result<(), InvalidSegmentation> {
        self.networks.iter().try_for_each(|NetworkInfo { subnet, network_allocations }| {
            check_segmentation(subnet.network_type, subnet.segmentation_id)?;
            network_allocations
                .iter()
                .try_for_each(|one| check_segmentation(one.network_type, one.segmentation_id))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(zone: Option<&str>) -> ShareNetworkSubnet {
        ShareNetworkSubnet {
            id: ShareNetworkSubnetId::random(),
            share_network_id: ShareNetworkId::random(),
            neutron_net_id: None,
            neutron_subnet_id: None,
            network_type: None,
            segmentation_id: None,
            cidr: None,
            gateway: None,
            mtu: None,
            availability_zone: zone.map(ToOwned::to_owned),
            metadata: BTreeMap::new(),
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        }
    }

    #[test]
    fn a_zone_is_served_by_its_own_subnet_else_by_the_default_one() {
        let mut network = ShareNetwork {
            id: ShareNetworkId::random(),
            project_id: "p".parse().expect("a project"),
            user_id: "u".parse().expect("a user"),
            name: None,
            description: None,
            status: ShareNetworkStatus::Active,
            subnets: vec![subnet(None), subnet(Some("east"))],
            added_subnet: None,
            security_services: Vec::new(),
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        };
        let zone = |network: &ShareNetwork, zone| {
            network.subnet_for(zone).map(|subnet| subnet.availability_zone.clone())
        };
        assert_eq!(zone(&network, Some("east")), Some(Some("east".to_owned())));
        assert_eq!(zone(&network, Some("west")), Some(None));
        assert_eq!(zone(&network, None), Some(None));
        network.subnets.remove(0);
        assert_eq!(zone(&network, Some("west")), None);
        assert_eq!(zone(&network, None), None);
    }

    #[test]
    fn a_subnet_learns_its_version_with_its_network() {
        let mut subnet = subnet(None);
        assert_eq!(subnet.ip_version(), None);
        subnet.describe(&NetworkData {
            cidr: "2001:db8::/64".parse().expect("a network"),
            gateway: None,
            mtu: 9000,
            network_type: Some(NetworkType::Vlan),
            segmentation_id: Some(7),
        });
        assert_eq!(subnet.ip_version(), Some(IpVersion::V6));
        assert_eq!((subnet.mtu, subnet.segmentation_id), (Some(9000), Some(7)));
    }

    #[test]
    fn segmentation_is_checked_in_every_subnet_of_a_server() {
        let tagged = |id| ShareNetworkSubnet {
            network_type: Some(NetworkType::Vlan),
            segmentation_id: id,
            ..subnet(None)
        };
        let info = |subnet| NetworkInfo { subnet, network_allocations: Vec::new() };
        let mut network = ServerNetwork {
            server_id: ShareServerId::random(),
            networks: vec![info(subnet(None)), info(tagged(Some(4094)))],
            admin_network_allocations: Vec::new(),
            security_services: Vec::new(),
            backend_details: BTreeMap::new(),
        };
        assert_eq!(network.check_segmentation(), Ok(()));
        network.networks.push(info(tagged(None)));
        assert!(network.check_segmentation().is_err());
    }

    #[test]
    fn a_port_keeps_its_hardware_address_for_as_long_as_it_has_its_address() {
        let derived = |text: &str| MacAddress::derived_from(text.parse().expect("an address")).to_string();
        assert_eq!(derived("10.254.77.11"), "02:62:0a:fe:4d:0b");
        assert_ne!(derived("10.254.77.11"), derived("10.254.77.12"));
        assert_eq!(derived("fd77::11"), "06:00:00:00:00:11");
        assert_ne!(derived("fd77::11"), derived("fd77::1:11"));
        for text in ["10.0.0.1", "fd77::11", "2001:db8::ff:1"] {
            let [first, ..] = MacAddress::derived_from(text.parse().expect("an address")).bytes();
            assert_eq!(first & 0b11, 0b10, "{text}: of one machine, and given by nobody");
        }
    }

    #[test]
    fn a_hardware_address_has_one_spelling_when_printed() {
        let address: MacAddress = "FA:16:3e:00:01:02".parse().expect("an address");
        assert_eq!(address.to_string(), "fa:16:3e:00:01:02");
        for text in ["", "fa:16:3e:00:01", "fa:16:3e:00:01:02:03", "fa:16:3e:00:01:+2", "fa163e000102"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
