//! What a driver says of replicas and of their snapshots.

use super::record::AccessRulesStatus;
use crate::access::{RuleOutcome, RuleState};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::bulkhead::host::types::SecretRef;
use crate::bindings::replication::exports::bulkhead::driver::replication as wit_replication;
use crate::share::{ExportLocation, ReplicaState};

/// What a driver says of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaOutcome {
    /// The share instance.
    pub share_id: String,
    /// Its state from now on.
    pub replica_state: ReplicaState,
    /// Where clients find it; none leaves its export locations.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// Whether its rules are in force; none counts as active.
    pub access_rules_status: Option<AccessRulesStatus>,
    /// What became of single rules; a rule missing here counts as active.
    pub access_rules: Vec<RuleOutcome>,
}

impl ReplicaOutcome {
    pub(super) fn into_wit(self) -> wit_replication::ReplicaOutcome {
        wit_replication::ReplicaOutcome {
            share_id: self.share_id,
            replica_state: self.replica_state.into_wit(),
            export_locations: self.export_locations.map(ExportLocation::list_into_wit),
            access_rules_status: self.access_rules_status.map(AccessRulesStatus::into_wit),
            access_rules: self.access_rules.into_iter().map(rule_into_wit).collect(),
        }
    }
}

fn rule_into_wit(outcome: RuleOutcome) -> wit::RuleOutcome {
    wit::RuleOutcome {
        rule_id: outcome.rule_id,
        state: match outcome.state {
            RuleState::Active => wit::RuleState::Active,
            RuleState::Error => wit::RuleState::Error,
        },
        access_key: outcome.access_key.map(|name| SecretRef { name }),
    }
}

/// How far a snapshot instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotProgress {
    /// Still being made; the host asks again.
    Creating,
    /// Ready.
    Available,
    /// Still being deleted; the host asks again.
    Deleting,
    /// Gone; the host forgets the instance.
    Deleted,
    /// Broken.
    Error,
}

/// What a driver says of a snapshot instance that a call touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotUpdate {
    /// The snapshot instance.
    pub snapshot_id: String,
    /// How far it is.
    pub progress: SnapshotProgress,
    /// The backend's own handle from now on; none leaves it. At most 255 bytes.
    pub provider_location: Option<String>,
    /// Where it can be mounted from now on; none leaves it. Kept only for shares whose snapshots are mountable.
    pub export_locations: Option<Vec<ExportLocation>>,
}

impl SnapshotUpdate {
    /// How far a snapshot instance is, and nothing else about it.
    #[must_use]
    pub fn new(snapshot_id: &str, progress: SnapshotProgress) -> Self {
        Self {
            snapshot_id: snapshot_id.to_owned(),
            progress,
            provider_location: None,
            export_locations: None,
        }
    }

    pub(crate) fn into_wit(self) -> wit::SnapshotUpdate {
        wit::SnapshotUpdate {
            snapshot_id: self.snapshot_id,
            progress: match self.progress {
                SnapshotProgress::Creating => wit::SnapshotProgress::Creating,
                SnapshotProgress::Available => wit::SnapshotProgress::Available,
                SnapshotProgress::Deleting => wit::SnapshotProgress::Deleting,
                SnapshotProgress::Deleted => wit::SnapshotProgress::Deleted,
                SnapshotProgress::Error => wit::SnapshotProgress::Error,
            },
            provider_location: self.provider_location,
            export_locations: self.export_locations.map(ExportLocation::list_into_wit),
        }
    }
}
