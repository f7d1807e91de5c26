//! Replicas of shares as driver calls carry them (contract 2.12).
//!
//! A replica is a share instance with a [`ReplicaState`]. What is stored of one is its [`ShareInstance`](crate::share::ShareInstance).

use crate::access::{AccessOutcome, AccessRule};
use crate::export::ExportLocation;
use crate::id::{ShareInstanceId, SnapshotInstanceId};
use crate::share::ShareForDriver;
use crate::snapshot::SnapshotForDriver;
use crate::status::{AccessRulesStatus, ReplicaState, ReplicationType, ShareStatus, SnapshotStatus};

/// How far a share or snapshot instance beside a call's subject is: what of the status words matters to a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceStatus {
    /// Being made.
    Creating,
    /// Ready.
    Available,
    /// An operation on it is running.
    Changing,
    /// Being deleted.
    Deleting,
    /// Broken; also when deleting it failed.
    Error,
}

impl From<ShareStatus> for InstanceStatus {
    fn from(status: ShareStatus) -> Self {
        match status {
            ShareStatus::Available => Self::Available,
            ShareStatus::Creating | ShareStatus::CreatingFromSnapshot => Self::Creating,
            ShareStatus::Deleting => Self::Deleting,
            status if status.is_transient() => Self::Changing,
            _ => Self::Error,
        }
    }
}

impl From<SnapshotStatus> for InstanceStatus {
    fn from(status: SnapshotStatus) -> Self {
        match status {
            SnapshotStatus::Available => Self::Available,
            SnapshotStatus::Creating => Self::Creating,
            SnapshotStatus::Deleting => Self::Deleting,
            status if status.is_transient() => Self::Changing,
            _ => Self::Error,
        }
    }
}

/// A replica: the WIT record `replica`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The share instance; its `replica_state` is never none.
    pub share: ShareForDriver,
    /// Where it lives, `HOST@BACKEND#POOL`.
    pub host: String,
    /// How the share is replicated.
    pub replication_type: ReplicationType,
    /// How far it is.
    pub status: InstanceStatus,
    /// Whether its rules are in force.
    pub access_rules_status: AccessRulesStatus,
}

/// A snapshot on the active replica and its twin on the call's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshotPair {
    /// The instance on the active replica.
    pub active: SnapshotForDriver,
    /// The instance on the replica the call is about.
    pub replica: SnapshotForDriver,
}

/// All that is known of a share's replicas when a call is about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// All replicas of the share, the subject included.
    pub replicas: Vec<Replica>,
    /// The subject.
    pub replica: Replica,
    /// The share's rules.
    pub access_rules: Vec<AccessRule>,
    /// Each usable snapshot of the share.
    pub snapshots: Vec<ReplicaSnapshotPair>,
}

/// What is asked of `promote-replica`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// All replicas of the share, the subject included.
    pub replicas: Vec<Replica>,
    /// The one to promote.
    pub replica: Replica,
    /// The share's rules.
    pub access_rules: Vec<AccessRule>,
    /// How long writes may be held back before the roles change, in seconds; none lets the driver decide.
    pub quiesce_wait_seconds: Option<u32>,
    /// The snapshots of all replicas, whatever their status: what the call may touch.
    pub snapshots: Vec<ReplicaSnapshot>,
}

/// What is asked of `delete-replica`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRemoval {
    /// All replicas of the share, the subject included.
    pub replicas: Vec<Replica>,
    /// The one to remove.
    pub replica: Replica,
    /// Its snapshots, some of which may still be in the making.
    pub snapshots: Vec<SnapshotForDriver>,
}

/// What a driver says of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaOutcome {
    /// Which.
    pub id: ShareInstanceId,
    /// Its state from now on.
    pub state: ReplicaState,
    /// Where clients find it; none leaves its locations.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// Whether its rules are in force; none counts as active.
    pub access_rules_status: Option<AccessRulesStatus>,
    /// What became of single rules; a rule missing here counts as active.
    pub access_rules: Vec<AccessOutcome>,
}

/// A snapshot instance with how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// The instance.
    pub snapshot: SnapshotForDriver,
    /// How far it is.
    pub status: InstanceStatus,
}

/// One snapshot of a replicated share: what the calls about it are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicatedSnapshot {
    /// All replicas of the share.
    pub replicas: Vec<Replica>,
    /// The snapshot's instances, one for each replica that has one.
    pub snapshots: Vec<ReplicaSnapshot>,
}

/// How far a driver says a snapshot instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotProgress {
    /// Still being made; it is asked about again.
    Creating,
    /// Ready.
    Available,
    /// Still being deleted; it is asked about again.
    Deleting,
    /// Gone.
    Deleted,
    /// Broken.
    Error,
}

/// What a driver says of a snapshot instance that a call touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotUpdate {
    /// Which.
    pub id: SnapshotInstanceId,
    /// How far it is.
    pub progress: SnapshotProgress,
    /// The backend's own handle from now on; none leaves it.
    pub provider_location: Option<String>,
    /// Where it can be mounted from now on; none leaves it, and where snapshots cannot be mounted.
    pub export_locations: Option<Vec<ExportLocation>>,
}

/// What is asked of `revert-to-replicated-snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicatedReversion {
    /// The active replica.
    pub active_replica: Replica,
    /// All replicas of the share.
    pub replicas: Vec<Replica>,
    /// The snapshot's instance on the active replica.
    pub active_snapshot: ReplicaSnapshot,
    /// The snapshot's instances on all replicas.
    pub snapshots: Vec<ReplicaSnapshot>,
    /// The rules in force on the active replica.
    pub share_rules: Vec<AccessRule>,
    /// The rules of the snapshot, in whatever state.
    pub snapshot_rules: Vec<AccessRule>,
}
