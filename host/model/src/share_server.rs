//! Share servers: what a backend keeps for one tenant's network, with addresses of its own there (contract 2.6, 3.8, 4.4).
//!
//! ```text
//!   creating --set-up--> active --tear-down--> deleting --> gone
//!       |                                         |
//!       +--> error <------------------------------+
//!   active --update--> network_change --> active | error
//!   manage_starting --> active | manage_error        unmanage_starting --> gone | unmanage_error
//! ```

use crate::id::{BackendName, ProjectId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId, ShareTypeId};
use crate::network::{NetworkAllocation, SealedText, SecurityService};
use crate::share::ShareForDriver;
use crate::share_group::{ShareGroupForDriver, ShareGroupSnapshotForDriver};
use crate::snapshot::SnapshotForDriver;
use crate::status::words;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

words!(
    /// Status of a share server (contract 2.15). Words of features that no part serves yet come with their part.
    ShareServerStatus {
        /// Usable.
        Active = "active",
        /// Could not be set up or torn down; torn down again by itself once nothing is on it.
        Error = "error",
        /// Being torn down.
        Deleting = "deleting",
        /// Being set up.
        Creating = "creating",
        /// Being taken over.
        ManageStarting = "manage_starting",
        /// Being let go.
        UnmanageStarting = "unmanage_starting",
        /// Could not be let go.
        UnmanageError = "unmanage_error",
        /// Could not be taken over.
        ManageError = "manage_error",
        /// Taken out of use; operators may set it.
        Inactive = "inactive",
        /// Getting another security service, or more addresses.
        NetworkChange = "network_change",
    }
);

impl ShareServerStatus {
    /// Whether an operation is at work on it.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Deleting
                | Self::Creating
                | Self::ManageStarting
                | Self::UnmanageStarting
                | Self::NetworkChange
        )
    }

    /// Whether a share may be put on it: it serves, or soon will.
    #[must_use]
    pub const fn takes_shares(self) -> bool {
        matches!(self, Self::Active | Self::Creating)
    }
}

/// A share server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareServer {
    /// Its id.
    pub id: ShareServerId,
    /// Whose network it serves.
    pub project: ProjectId,
    /// The backend it is at.
    pub backend: BackendName,
    /// The network it serves.
    pub share_network: ShareNetworkId,
    /// The subnet of that network it is in.
    pub subnet: ShareNetworkSubnetId,
    /// Its other subnets: those that its network had when it was made, if its driver changes servers in service, then those that were added
    /// since. Its driver may have been told of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_subnets: Vec<ShareNetworkSubnetId>,
    /// Its status.
    pub status: ShareServerStatus,
    /// The driver's own name for it; none takes the id.
    pub identifier: Option<String>,
    /// Whether the host may tear it down by itself once nothing is on it: false once it was taken over, or a share on it was let go.
    pub is_auto_deletable: bool,
    /// What the driver returned about it; partial after a set-up that failed. Never a secret: the driver keeps those with the host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backend_details: BTreeMap<String, String>,
    /// The addresses it has, in every network; what is shown. The provider of addresses knows which they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_allocations: Vec<NetworkAllocation>,
    /// The security services it was set up with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_services: Vec<SecurityService>,
    /// Why it is made.
    pub request: ServerRequest,
    /// Whether its driver was told to make it or took it over: something of it may be at the backend, and its addresses stay with it until
    /// the driver has said that nothing is left.
    pub may_exist: bool,
    /// Why its set-up failed, for those who wait for it; none unless it is in `error` for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<crate::operation::OperationFailure>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed, or a share on it was deleted: it is unused since then if nothing is on it.
    pub updated_at: Timestamp,
}

impl ShareServer {
    /// The driver's name for it, whether it chose one or not.
    #[must_use]
    pub fn identifier(&self) -> String {
        self.identifier.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// All its subnets, the one that its shares are found by first.
    pub fn subnets(&self) -> impl Iterator<Item = ShareNetworkSubnetId> {
        std::iter::once(self.subnet).chain(self.further_subnets.iter().copied())
    }

    /// Whether it serves a subnet.
    #[must_use]
    pub fn serves(&self, subnet: ShareNetworkSubnetId) -> bool {
        self.subnets().any(|one| one == subnet)
    }

    /// As a driver call carries it.
    #[must_use]
    pub fn for_driver(&self) -> ServerForDriver {
        ServerForDriver {
            id: self.id,
            identifier: self.identifier(),
            share_network: self.share_network,
            backend_details: self.backend_details.clone(),
            addresses: self.network_allocations.iter().map(|one| one.ip_address).collect(),
            passwords: SecurityService::passwords_of(&self.security_services).collect(),
        }
    }
}

/// Why a server is made: the WIT record `server-request`. The host has no QoS types, no keys for whole servers, and moves no servers: these
/// fields of it are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerRequest {
    /// Host string of the share or group it is made for, `HOST@BACKEND#POOL`; none for one that an operator takes over.
    pub request_host: Option<String>,
    /// The share type of the first share; none for a group of several types.
    pub share_type: Option<ShareTypeId>,
    /// The extra specs of that type; empty if there is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_specs: BTreeMap<String, String>,
}

/// A share server as a driver call carries it: the WIT record `share-server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerForDriver {
    /// Its id.
    pub id: ShareServerId,
    /// The driver's own name for it.
    pub identifier: String,
    /// The network it serves.
    pub share_network: ShareNetworkId,
    /// What the driver returned about it.
    pub backend_details: BTreeMap<String, String>,
    /// Its addresses: those that export locations of its shares may name beside granted ones. Not handed to the driver with each call.
    pub addresses: BTreeSet<IpAddr>,
    /// The passwords of the security services it was set up with, sealed, by the names that drivers refer to them by. Not handed to the
    /// driver: what its services say is cleaned of them.
    pub passwords: BTreeMap<String, SealedText>,
}

/// What a driver says of a server it made or took over: the WIT record `server-outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerOutcome {
    /// Its own name for it; none takes the id.
    pub identifier: Option<String>,
    /// What the host keeps and hands back.
    pub backend_details: BTreeMap<String, String>,
}

/// What a server for a share is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoiceForShare {
    /// Servers of the share's subnet on its backend that take shares.
    pub candidates: Vec<ServerForDriver>,
    /// The share that needs one.
    pub share: ShareForDriver,
    /// The snapshot it is made from.
    pub source: Option<SnapshotForDriver>,
    /// The group it is part of.
    pub group: Option<ShareGroupForDriver>,
}

/// What a server for a share group is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoiceForGroup {
    /// Servers of the group's subnet on its backend that take shares.
    pub candidates: Vec<ServerForDriver>,
    /// The group that needs one.
    pub group: ShareGroupForDriver,
    /// The group snapshot it is made from.
    pub source: Option<ShareGroupSnapshotForDriver>,
}

/// Whom a driver chose among candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerChoice {
    /// One of them.
    Existing(ShareServerId),
    /// None of them fits: a new one is made.
    New,
}

/// What the base driver of Manila chooses for a share, where the driver says nothing: the server of its group, else the first candidate;
/// a new one if the group's is no candidate, or there is none.
#[must_use]
pub fn choice_for_share(
    candidates: &[ServerForDriver],
    group: Option<Option<ShareServerId>>,
) -> ServerChoice {
    let found = match group {
        Some(of_group) => candidates.iter().find(|one| Some(one.id) == of_group),
        None => candidates.first(),
    };
    found.map_or(ServerChoice::New, |one| ServerChoice::Existing(one.id))
}

/// What the base driver of Manila chooses for a group: the first candidate, else a new one.
#[must_use]
pub fn choice_for_group(candidates: &[ServerForDriver]) -> ServerChoice {
    choice_for_share(candidates, None)
}

/// What an operator typed to take a server over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedServer {
    /// What it is called at the backend, in the operator's words: 1 to 255 bytes without control characters.
    pub identifier: String,
    /// The operator's words for the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerForDriver {
        let id = ShareServerId::random();
        ServerForDriver {
            id,
            identifier: id.to_string(),
            share_network: ShareNetworkId::random(),
            backend_details: BTreeMap::new(),
            addresses: BTreeSet::new(),
            passwords: BTreeMap::new(),
        }
    }

    /// Contract D-51.
    #[test]
    fn a_share_goes_to_its_groups_server_else_to_the_first_and_else_to_a_new_one() {
        let candidates = [server(), server()];
        let [first, second] = [0, 1].map(|index: usize| candidates[index].id);
        let chosen = |group| choice_for_share(&candidates, group);
        assert_eq!(chosen(Some(Some(second))), ServerChoice::Existing(second));
        assert_eq!(chosen(Some(Some(ShareServerId::random()))), ServerChoice::New);
        assert_eq!(chosen(Some(None)), ServerChoice::New);
        assert_eq!(chosen(None), ServerChoice::Existing(first));
        assert_eq!(choice_for_share(&[], None), ServerChoice::New);
        assert_eq!(choice_for_group(&candidates), ServerChoice::Existing(first));
        assert_eq!(choice_for_group(&[]), ServerChoice::New);
    }

    #[test]
    fn shares_go_to_servers_that_serve_or_soon_will() {
        for status in ShareServerStatus::ALL {
            let expected = matches!(status, ShareServerStatus::Active | ShareServerStatus::Creating);
            assert_eq!(status.takes_shares(), expected, "{status}");
        }
    }
}
