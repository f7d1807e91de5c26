//! Tenants' networks: the subnet a share server is in, the addresses it has there, and the directories it joins.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::bulkhead::host::types as wit_host;
use crate::pairs;
use crate::statistics::IpVersion;

/// How a tenant's network is kept apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkType {
    /// Not at all; no segmentation id.
    Flat,
    /// By VLAN tag: 1 to 4094.
    Vlan,
    /// By VXLAN network identifier: 1 to 16777215.
    Vxlan,
    /// By GRE key: 1 to 4294967295.
    Gre,
}

impl NetworkType {
    fn from_wit(network_type: wit_host::NetworkType) -> Self {
        match network_type {
            wit_host::NetworkType::Flat => Self::Flat,
            wit_host::NetworkType::Vlan => Self::Vlan,
            wit_host::NetworkType::Vxlan => Self::Vxlan,
            wit_host::NetworkType::Gre => Self::Gre,
        }
    }
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationLabel {
    /// Tenants reach the share server through it.
    User,
    /// Only administrators reach the share server through it.
    Admin,
}

/// An address that the host keeps for a share server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAllocation {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub label: AllocationLabel,
    /// The address in canonical form, without prefix.
    pub ip_address: String,
    /// Of this version.
    pub ip_version: IpVersion,
    /// The network it is in, canonical, for example `10.0.0.0/24`.
    pub cidr: String,
    /// The gateway's address in canonical form; none if the network has none.
    pub gateway: Option<String>,
    /// Largest packet in bytes, as a rule 1,500.
    pub mtu: u32,
    /// How the network is kept apart; none as `flat`.
    pub network_type: Option<NetworkType>,
    /// The tag, identifier or key that `network_type` asks for; none for `flat`.
    pub segmentation_id: Option<u32>,
    /// The hardware address a port was made with, lower case with colons; none lets the driver derive one from `ip_address`.
    pub mac_address: Option<String>,
    /// The share server it is kept for.
    pub share_server_id: String,
    /// The subnet of the share network it was taken for; none for `admin`.
    pub subnet_id: Option<String>,
}

impl NetworkAllocation {
    pub(crate) fn from_wit(allocation: wit_host::NetworkAllocation) -> Self {
        Self {
            id: allocation.id,
            label: match allocation.label {
                wit_host::AllocationLabel::User => AllocationLabel::User,
                wit_host::AllocationLabel::Admin => AllocationLabel::Admin,
            },
            ip_address: allocation.ip_address,
            ip_version: ip_version(allocation.ip_version),
            cidr: allocation.cidr,
            gateway: allocation.gateway,
            mtu: allocation.mtu,
            network_type: allocation.network_type.map(NetworkType::from_wit),
            segmentation_id: allocation.segmentation_id,
            mac_address: allocation.mac_address,
            share_server_id: allocation.share_server_id,
            subnet_id: allocation.subnet_id,
        }
    }

    pub(crate) fn list_from_wit(allocations: Vec<wit_host::NetworkAllocation>) -> Vec<Self> {
        allocations.into_iter().map(Self::from_wit).collect()
    }
}

fn ip_version(version: wit_host::IpVersion) -> IpVersion {
    match version {
        wit_host::IpVersion::V4 => IpVersion::V4,
        wit_host::IpVersion::V6 => IpVersion::V6,
    }
}

/// A tenant's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareNetwork {
    /// Its id.
    pub id: String,
    /// The project that owns it.
    pub project_id: String,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// Its subnets; at least one.
    pub subnets: Vec<ShareNetworkSubnet>,
    /// Its security services.
    pub security_services: Vec<SecurityService>,
}

impl ShareNetwork {
    pub(crate) fn from_wit(network: wit::ShareNetwork) -> Self {
        Self {
            id: network.id,
            project_id: network.project_id,
            name: network.name,
            subnets: network.subnets.into_iter().map(ShareNetworkSubnet::from_wit).collect(),
            security_services: network.security_services.into_iter().map(SecurityService::from_wit).collect(),
        }
    }
}

/// A part of a share network in one availability zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareNetworkSubnet {
    /// Its id.
    pub id: String,
    /// The share network it is part of.
    pub share_network_id: String,
    /// The network in Neutron; none without Neutron.
    pub neutron_net_id: Option<String>,
    /// The subnet in Neutron; none without Neutron.
    pub neutron_subnet_id: Option<String>,
    /// How it is kept apart; none as `flat`.
    pub network_type: Option<NetworkType>,
    /// The tag, identifier or key that `network_type` asks for; none for `flat`.
    pub segmentation_id: Option<u32>,
    /// The network in canonical form; none before addresses were allocated.
    pub cidr: Option<String>,
    /// The gateway's address; none if the network has none.
    pub gateway: Option<String>,
    /// Largest packet in bytes; none before addresses were allocated.
    pub mtu: Option<u32>,
    /// The IP version; none before addresses were allocated.
    pub ip_version: Option<IpVersion>,
    /// The availability zone; none for the default subnet.
    pub availability_zone: Option<String>,
    /// The tenant's metadata on it.
    pub metadata: Vec<(String, String)>,
}

impl ShareNetworkSubnet {
    pub(crate) fn from_wit(subnet: wit::ShareNetworkSubnet) -> Self {
        Self {
            id: subnet.id,
            share_network_id: subnet.share_network_id,
            neutron_net_id: subnet.neutron_net_id,
            neutron_subnet_id: subnet.neutron_subnet_id,
            network_type: subnet.network_type.map(NetworkType::from_wit),
            segmentation_id: subnet.segmentation_id,
            cidr: subnet.cidr,
            gateway: subnet.gateway,
            mtu: subnet.mtu,
            ip_version: subnet.ip_version.map(ip_version),
            availability_zone: subnet.availability_zone,
            metadata: pairs::from_wit(subnet.metadata),
        }
    }
}

/// Which directory a security service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityServiceType {
    /// Microsoft Active Directory.
    ActiveDirectory,
    /// LDAP.
    Ldap,
    /// Kerberos.
    Kerberos,
}

/// A directory that a tenant's share servers join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityService {
    /// Its id.
    pub id: String,
    /// Which directory it speaks.
    pub service_type: SecurityServiceType,
    /// The project that owns it.
    pub project_id: String,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// Address of the name server for the domain; none if the network's own serves.
    pub dns_ip: Option<String>,
    /// Host name or address of the directory server; none lets the domain name it.
    pub server: Option<String>,
    /// The domain; none where the directory needs none.
    pub domain: Option<String>,
    /// The account that joins; none where the directory lets anybody.
    pub user: Option<String>,
    /// The name that account's password is known by, for slots of type `secret` with `of = ["security-service"]`, in the calls that bring
    /// the service; none if it has none.
    pub password: Option<String>,
    /// The organizational unit to join; none takes the directory's default.
    pub organizational_unit: Option<String>,
    /// The Active Directory site to prefer; none takes the nearest.
    pub default_ad_site: Option<String>,
}

impl SecurityService {
    pub(crate) fn from_wit(service: wit::SecurityService) -> Self {
        Self {
            id: service.id,
            service_type: match service.service_type {
                wit::SecurityServiceType::ActiveDirectory => SecurityServiceType::ActiveDirectory,
                wit::SecurityServiceType::Ldap => SecurityServiceType::Ldap,
                wit::SecurityServiceType::Kerberos => SecurityServiceType::Kerberos,
            },
            project_id: service.project_id,
            name: service.name,
            dns_ip: service.dns_ip,
            server: service.server,
            domain: service.domain,
            user: service.user,
            password: service.password.map(|secret| secret.name),
            organizational_unit: service.organizational_unit,
            default_ad_site: service.default_ad_site,
        }
    }

    pub(crate) fn list_from_wit(services: Vec<wit::SecurityService>) -> Vec<Self> {
        services.into_iter().map(Self::from_wit).collect()
    }
}
