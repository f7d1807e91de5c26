//! Share servers in service that get another security service or serve another subnet (contract 5.1): the records of `server-updates`.

use crate::access::{AccessOutcome, AccessRule};
use crate::export::ExportLocation;
use crate::id::ShareInstanceId;
use crate::network::{SecurityService, ServerNetwork, ShareNetworkSubnet};
use crate::replica::SnapshotUpdate;
use crate::share::ShareForDriver;
use crate::share_server::ServerForDriver;
use crate::snapshot::SnapshotForDriver;
use std::collections::BTreeMap;

/// A change of a server's security service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChange {
    /// The server.
    pub server: ServerForDriver,
    /// What it serves now.
    pub network: ServerNetwork,
    /// All its share instances.
    pub shares: Vec<ShareForDriver>,
    /// The rules of each.
    pub rules: BTreeMap<ShareInstanceId, Vec<AccessRule>>,
    /// The service it shall use.
    pub new_service: SecurityService,
    /// The service of the same type that is replaced; none when one is added.
    pub current_service: Option<SecurityService>,
}

/// What became of the rules of a server's shares. A share or a rule that is missing is in force.
pub type RulesOfShares = BTreeMap<ShareInstanceId, Vec<AccessOutcome>>;

/// A subnet that a server shall serve too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetAddition {
    /// The server.
    pub server: ServerForDriver,
    /// What it serves now.
    pub network: ServerNetwork,
    /// The subnet, without addresses.
    pub new_subnet: ShareNetworkSubnet,
    /// All its share instances.
    pub shares: Vec<ShareForDriver>,
    /// The rules of each.
    pub rules: BTreeMap<ShareInstanceId, Vec<AccessRule>>,
}

/// A change of a server's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationChange {
    /// The server, which has the new addresses already.
    pub server: ServerForDriver,
    /// What it serves now.
    pub current_network: ServerNetwork,
    /// What it shall serve: the present subnets and the new one, with addresses.
    pub new_network: ServerNetwork,
    /// All its share instances.
    pub shares: Vec<ShareForDriver>,
    /// All their snapshot instances.
    pub snapshots: Vec<SnapshotForDriver>,
}

/// What changed when a server got more addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllocationOutcome {
    /// Where shares are now; those missing stay where they were.
    pub export_locations: BTreeMap<ShareInstanceId, Vec<ExportLocation>>,
    /// What changed about snapshots.
    pub snapshots: Vec<SnapshotUpdate>,
    /// Details of the server, replacing the stored ones; none leaves them.
    pub backend_details: Option<BTreeMap<String, String>>,
}
