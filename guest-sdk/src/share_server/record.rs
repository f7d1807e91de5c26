//! Share servers, their networks, and what they are chosen by.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::share_servers::exports::bulkhead::driver::share_servers as wit_servers;
use crate::error::Result;
use crate::group::{ShareGroup, ShareGroupSnapshot};
use crate::network::{NetworkAllocation, SecurityService, ShareNetworkSubnet};
use crate::pairs;
use crate::share::Share;
use crate::snapshot::Snapshot;

/// A share server; only drivers that handle share servers meet one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareServer {
    /// Its id.
    pub id: String,
    /// The driver's own name for it; the id unless the driver chose another.
    pub identifier: String,
    /// The share network it serves.
    pub share_network_id: String,
    /// What setting it up returned, without secrets; partial after a set-up that failed.
    pub backend_details: Vec<(String, String)>,
}

impl ShareServer {
    pub(crate) fn from_wit(server: wit::ShareServer) -> Self {
        Self {
            id: server.id,
            identifier: server.identifier,
            share_network_id: server.share_network_id,
            backend_details: pairs::from_wit(server.backend_details),
        }
    }

    /// What the driver told about it under `key`.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.backend_details.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// One subnet of a share server with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// The subnet.
    pub subnet: ShareNetworkSubnet,
    /// Addresses of label `user` in this subnet, as many as
    /// [`ShareServers::network_allocations_number`](crate::ShareServers::network_allocations_number) says.
    pub network_allocations: Vec<NetworkAllocation>,
}

/// All that is known of a share server's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNetwork {
    /// The share server.
    pub server_id: String,
    /// One item a subnet, at least one.
    pub networks: Vec<NetworkInfo>,
    /// Addresses of label `admin`.
    pub admin_network_allocations: Vec<NetworkAllocation>,
    /// The security services of the share network.
    pub security_services: Vec<SecurityService>,
    /// What the driver told about this server so far; empty before the first set-up, partial after one that failed.
    pub backend_details: Vec<(String, String)>,
}

impl ServerNetwork {
    pub(crate) fn from_wit(network: wit::ServerNetwork) -> Self {
        let info = |info: wit::NetworkInfo| NetworkInfo {
            subnet: ShareNetworkSubnet::from_wit(info.subnet),
            network_allocations: NetworkAllocation::list_from_wit(info.network_allocations),
        };
        Self {
            server_id: network.server_id,
            networks: network.networks.into_iter().map(info).collect(),
            admin_network_allocations: NetworkAllocation::list_from_wit(network.admin_network_allocations),
            security_services: SecurityService::list_from_wit(network.security_services),
            backend_details: pairs::from_wit(network.backend_details),
        }
    }
}

/// Why a server is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerRequest {
    /// Host string of the share or group it is made for, `HOST@BACKEND#POOL`; none for one made by an operator.
    pub request_host: Option<String>,
    /// The share type of the first share; none for a group of several types.
    pub share_type_id: Option<String>,
    /// The extra specs of that type; empty if there is none.
    pub extra_specs: Vec<(String, String)>,
}

impl ServerRequest {
    pub(super) fn from_wit(request: wit_servers::ServerRequest) -> Self {
        Self {
            request_host: request.request_host,
            share_type_id: request.share_type_id,
            extra_specs: pairs::from_wit(request.extra_specs),
        }
    }
}

/// What a driver says of a share server it made or took over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerOutcome {
    /// Its own name for it; none takes the id.
    pub identifier: Option<String>,
    /// What the host keeps and hands back in [`ShareServer::backend_details`]: at most 64 pairs, values at most 1,023 bytes. Never a secret.
    pub backend_details: Vec<(String, String)>,
}

impl ServerOutcome {
    pub(super) fn into_wit(self) -> wit::ServerOutcome {
        wit::ServerOutcome {
            identifier: self.identifier,
            backend_details: pairs::into_wit(self.backend_details),
        }
    }
}

/// What a server for a share is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoiceForShare {
    /// Servers of the share's network on this backend; may be empty.
    pub candidates: Vec<ShareServer>,
    /// The share that needs one.
    pub share: Share,
    /// The snapshot it is made from; none if it is made empty.
    pub source: Option<Snapshot>,
    /// The group it is part of; none outside groups.
    pub share_group: Option<ShareGroup>,
}

impl ServerChoiceForShare {
    pub(super) fn from_wit(choice: wit_servers::ServerChoiceForShare) -> Result<Self> {
        Ok(Self {
            candidates: choice.candidates.into_iter().map(ShareServer::from_wit).collect(),
            share: Share::from_wit(choice.share, None),
            source: choice.source.map(|source| Snapshot::from_wit(source, None)).transpose()?,
            share_group: choice.share_group.map(|group| ShareGroup::from_wit(group, None)),
        })
    }
}

/// What a server for a share group is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoiceForGroup {
    /// Servers of the group's network on this backend; may be empty.
    pub candidates: Vec<ShareServer>,
    /// The group that needs one.
    pub share_group: ShareGroup,
    /// The group snapshot it is made from; none if it is made empty.
    pub source: Option<ShareGroupSnapshot>,
}

impl ServerChoiceForGroup {
    pub(super) fn from_wit(choice: wit_servers::ServerChoiceForGroup) -> Self {
        Self {
            candidates: choice.candidates.into_iter().map(ShareServer::from_wit).collect(),
            share_group: ShareGroup::from_wit(choice.share_group, None),
            source: choice.source.map(|source| ShareGroupSnapshot::from_wit(source, None)),
        }
    }
}
