//! Snapshots and snapshot instances. A snapshot has one instance, or one on each replica of its share.

use crate::access::AccessRule;
use crate::export::{ExportLocation, StoredExportLocation};
use crate::id::{ProjectId, ShareId, ShareInstanceId, SnapshotId, SnapshotInstanceId, UserId};
use crate::share::{Protocol, ShareForDriver};
use crate::size::Gibibytes;
use crate::status::{AccessRuleState, SnapshotStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A snapshot as tenants see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose it is.
    pub project: ProjectId,
    /// Who asked for it.
    pub user: UserId,
    /// The share it was taken of.
    pub share: ShareId,
    /// The size of that share then.
    pub size: Gibibytes,
    /// How that share is exported.
    pub protocol: Protocol,
    /// The tenant's name for it; never reaches a backend.
    pub display_name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub display_description: Option<String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for. The newest snapshot of a share is the one with the greatest `sequence`.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts the snapshots of a share; a wall clock may go back, this does not.
    pub sequence: u64,
}

/// What one backend holds of a snapshot (contract 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInstance {
    /// Its id; names at the backend derive from it.
    pub id: SnapshotInstanceId,
    /// The snapshot it belongs to.
    pub snapshot: SnapshotId,
    /// The share instance it was taken of.
    pub share_instance: ShareInstanceId,
    /// Its status.
    pub status: SnapshotStatus,
    /// The driver's own handle.
    pub provider_location: Option<String>,
    /// Where it can be mounted; empty unless its share's snapshots are mountable.
    pub export_locations: Vec<StoredExportLocation>,
    /// Who may mount it, in the order they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_rules: Vec<StoredSnapshotRule>,
}

/// A rule of a mountable snapshot as the store keeps it: always read only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSnapshotRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: AccessRule,
    /// How far it is; never [`AccessRuleState::QueuedToUpdate`] or [`AccessRuleState::Updating`], for there are no levels.
    pub state: AccessRuleState,
    /// Why it is in `error`, in the host's words.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What `snapshot-update-access` is asked (contract 3.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotAccessUpdate {
    /// Everything that must be in force afterwards.
    pub rules: Vec<AccessRule>,
    /// New ones among them.
    pub add: Vec<AccessRule>,
    /// To be taken away; not in `rules`.
    pub remove: Vec<AccessRule>,
}

/// What a driver found when it took a snapshot over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManagedSnapshot {
    /// Its size; none takes the share's.
    pub size: Option<Gibibytes>,
    /// The driver's own handle from now on, at most 255 bytes; none leaves what the operator typed.
    pub provider_location: Option<String>,
    /// Where it can be mounted.
    pub export_locations: Vec<ExportLocation>,
}

/// The name of a snapshot instance at the backend.
#[must_use]
pub fn snapshot_name(id: SnapshotInstanceId) -> String {
    format!("share-snapshot-{id}")
}

/// A snapshot instance as a driver call carries it: the WIT record `snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotForDriver {
    /// The instance.
    pub id: SnapshotInstanceId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The size of the share when it was taken.
    pub size: Gibibytes,
    /// The driver's own handle.
    pub provider_location: Option<String>,
    /// The share instance it was taken of.
    pub share: ShareForDriver,
}

/// What a driver says of a snapshot it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotOutcome {
    /// The driver's own handle; at most 255 bytes.
    pub provider_location: Option<String>,
    /// Where it can be mounted.
    pub export_locations: Vec<ExportLocation>,
}
