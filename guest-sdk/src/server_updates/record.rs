//! What servers in service are changed to, and what came of it.

use crate::access::{AccessRule, RuleOutcome};
use crate::bindings::server_updates::exports::bulkhead::driver::server_updates as wit_updates;
use crate::error::Result;
use crate::network::{SecurityService, ShareNetworkSubnet};
use crate::pairs;
use crate::replication::SnapshotUpdate;
use crate::share::{ExportLocation, Share};
use crate::share_server::{ServerNetwork, ShareServer};
use crate::snapshot::Snapshot;

/// The rules in force on a share instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRules {
    /// The share instance.
    pub share_id: String,
    /// All its rules that are in force.
    pub rules: Vec<AccessRule>,
}

impl ShareRules {
    fn list_from_wit(rules: Vec<wit_updates::ShareRules>) -> Vec<Self> {
        let of_share = |of: wit_updates::ShareRules| Self {
            share_id: of.share_id,
            rules: AccessRule::list_from_wit(of.rules),
        };
        rules.into_iter().map(of_share).collect()
    }
}

/// A change of a server's security service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityServiceUpdate {
    /// The server.
    pub server: ShareServer,
    /// What it serves now.
    pub network: ServerNetwork,
    /// All its share instances.
    pub shares: Vec<Share>,
    /// The rules in force of those shares.
    pub rules: Vec<ShareRules>,
    /// The service it shall use.
    pub new_service: SecurityService,
    /// The service of the same type that is replaced; none when one is added.
    pub current_service: Option<SecurityService>,
}

impl SecurityServiceUpdate {
    pub(super) fn from_wit(update: wit_updates::SecurityServiceUpdate) -> Self {
        Self {
            shares: shares_on(&update.server, update.shares),
            server: ShareServer::from_wit(update.server),
            network: ServerNetwork::from_wit(update.network),
            rules: ShareRules::list_from_wit(update.rules),
            new_service: SecurityService::from_wit(update.new_service),
            current_service: update.current_service.map(SecurityService::from_wit),
        }
    }
}

/// Shares with the server they live on.
fn shares_on(
    server: &crate::bindings::base::bulkhead::driver::types::ShareServer,
    shares: Vec<crate::bindings::base::bulkhead::driver::types::Share>,
) -> Vec<Share> {
    shares.into_iter().map(|share| Share::from_wit(share, Some(server.clone()))).collect()
}

/// What became of a share instance's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRuleOutcomes {
    /// The share instance, one of those in the update.
    pub share_id: String,
    /// What became of its rules; one that is left out is in force.
    pub rules: Vec<RuleOutcome>,
}

impl ShareRuleOutcomes {
    pub(super) fn list_into_wit(outcomes: Vec<Self>) -> Vec<wit_updates::ShareRuleOutcomes> {
        let of_share = |of: Self| wit_updates::ShareRuleOutcomes {
            share_id: of.share_id,
            rules: of.rules.into_iter().map(RuleOutcome::into_wit).collect(),
        };
        outcomes.into_iter().map(of_share).collect()
    }
}

/// A subnet that a server shall serve too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetAddition {
    /// The server.
    pub server: ShareServer,
    /// What it serves now.
    pub network: ServerNetwork,
    /// The subnet, without addresses.
    pub new_subnet: ShareNetworkSubnet,
    /// All its share instances.
    pub shares: Vec<Share>,
    /// The rules in force of those shares.
    pub rules: Vec<ShareRules>,
}

impl SubnetAddition {
    pub(super) fn from_wit(addition: wit_updates::SubnetAddition) -> Self {
        Self {
            shares: shares_on(&addition.server, addition.shares),
            server: ShareServer::from_wit(addition.server),
            network: ServerNetwork::from_wit(addition.network),
            new_subnet: ShareNetworkSubnet::from_wit(addition.new_subnet),
            rules: ShareRules::list_from_wit(addition.rules),
        }
    }
}

/// A change of a server's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationUpdate {
    /// The server.
    pub server: ShareServer,
    /// What it serves now.
    pub current_network: ServerNetwork,
    /// What it shall serve: the present subnets and the new one, with addresses.
    pub new_network: ServerNetwork,
    /// All its share instances.
    pub shares: Vec<Share>,
    /// All their snapshot instances.
    pub snapshots: Vec<Snapshot>,
}

impl AllocationUpdate {
    pub(super) fn from_wit(update: wit_updates::AllocationUpdate) -> Result<Self> {
        let snapshot = |snapshot| Snapshot::from_wit(snapshot, Some(update.server.clone()));
        Ok(Self {
            snapshots: update.snapshots.into_iter().map(snapshot).collect::<Result<_>>()?,
            shares: shares_on(&update.server, update.shares),
            server: ShareServer::from_wit(update.server),
            current_network: ServerNetwork::from_wit(update.current_network),
            new_network: ServerNetwork::from_wit(update.new_network),
        })
    }
}

/// Where a share is after its server got more addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReexportedShare {
    /// The share instance, one of those in the update.
    pub share_id: String,
    /// Where clients find it now, replacing the stored locations; at addresses of the server.
    pub export_locations: Vec<ExportLocation>,
}

/// What changed when a server got more addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllocationOutcome {
    /// Shares with other export locations; those left out keep theirs.
    pub shares: Vec<ReexportedShare>,
    /// What changed about snapshots.
    pub snapshots: Vec<SnapshotUpdate>,
    /// Details of the server, replacing the stored ones; none leaves them. Never a secret.
    pub backend_details: Option<Vec<(String, String)>>,
}

impl AllocationOutcome {
    pub(super) fn into_wit(self) -> wit_updates::AllocationOutcome {
        let share = |share: ReexportedShare| wit_updates::ReexportedShare {
            share_id: share.share_id,
            export_locations: ExportLocation::list_into_wit(share.export_locations),
        };
        wit_updates::AllocationOutcome {
            shares: self.shares.into_iter().map(share).collect(),
            snapshots: self.snapshots.into_iter().map(SnapshotUpdate::into_wit).collect(),
            backend_details: self.backend_details.map(pairs::into_wit),
        }
    }
}
