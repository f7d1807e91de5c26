//! What the host hands over about replicas.

use crate::access::{AccessLevel, AccessRule, AccessType, SnapshotAccessRule};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::error::Error;
use crate::share::Share;
use crate::snapshot::Snapshot;

/// How replicas of a share serve clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicationType {
    /// Every replica can be read.
    Readable,
    /// Every replica can be written.
    Writable,
    /// Only the active replica is exported.
    Dr,
}

/// How far a share or snapshot instance is.
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

impl InstanceStatus {
    const fn from_wit(status: wit::InstanceStatus) -> Self {
        match status {
            wit::InstanceStatus::Creating => Self::Creating,
            wit::InstanceStatus::Available => Self::Available,
            wit::InstanceStatus::Changing => Self::Changing,
            wit::InstanceStatus::Deleting => Self::Deleting,
            wit::InstanceStatus::Error => Self::Error,
        }
    }
}

/// Whether the access rules of a share instance are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessRulesStatus {
    /// All are.
    Active,
    /// Some are being applied.
    Syncing,
    /// At least one could not be applied.
    Error,
}

impl AccessRulesStatus {
    const fn from_wit(status: wit::AccessRulesStatus) -> Self {
        match status {
            wit::AccessRulesStatus::Active => Self::Active,
            wit::AccessRulesStatus::Syncing => Self::Syncing,
            wit::AccessRulesStatus::Error => Self::Error,
        }
    }

    pub(super) const fn into_wit(self) -> wit::AccessRulesStatus {
        match self {
            Self::Active => wit::AccessRulesStatus::Active,
            Self::Syncing => wit::AccessRulesStatus::Syncing,
            Self::Error => wit::AccessRulesStatus::Error,
        }
    }
}

/// A replica of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The share instance; its `replica_state` is never none.
    pub share: Share,
    /// Where it lives, `HOST@BACKEND#POOL`; names the peer for [`config::get_of_peer`](crate::config::get_of_peer).
    pub host: String,
    /// Its availability zone; none without zones.
    pub availability_zone: Option<String>,
    /// How the share is replicated.
    pub replication_type: ReplicationType,
    /// How far it is.
    pub status: InstanceStatus,
    /// Whether its rules are in force.
    pub access_rules_status: AccessRulesStatus,
}

impl Replica {
    pub(super) fn from_wit(replica: wit::Replica) -> Self {
        Self {
            share: Share::from_wit(replica.share, replica.share_server),
            host: replica.host,
            availability_zone: replica.availability_zone,
            replication_type: match replica.replication_type {
                wit::ReplicationType::Readable => ReplicationType::Readable,
                wit::ReplicationType::Writable => ReplicationType::Writable,
                wit::ReplicationType::Dr => ReplicationType::Dr,
            },
            status: InstanceStatus::from_wit(replica.status),
            access_rules_status: AccessRulesStatus::from_wit(replica.access_rules_status),
        }
    }

    pub(super) fn list_from_wit(replicas: Vec<wit::Replica>) -> Vec<Self> {
        replicas.into_iter().map(Self::from_wit).collect()
    }
}

/// An access rule of a replicated share: it belongs to the share, not to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareAccessRule {
    /// The rule's id.
    pub id: String,
    /// What `access_to` is.
    pub access_type: AccessType,
    /// Who.
    pub access_to: String,
    /// What it allows.
    pub access_level: AccessLevel,
}

impl ShareAccessRule {
    pub(super) fn list_from_wit(rules: Vec<wit::ShareAccessRule>) -> Vec<Self> {
        let from_wit = |rule: wit::ShareAccessRule| Self {
            id: rule.id,
            access_type: AccessType::from_wit(rule.access_type),
            access_to: rule.access_to,
            access_level: AccessLevel::from_wit(rule.access_level),
        };
        rules.into_iter().map(from_wit).collect()
    }
}

/// A snapshot on the active replica and its twin on the call's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshotPair {
    /// The instance on the active replica.
    pub active: Snapshot,
    /// The instance on the replica this call is about.
    pub replica: Snapshot,
}

/// A snapshot instance of a replicated share, with how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// The snapshot instance; `snapshot.snapshot_id` is the same for all replicas' instances.
    pub snapshot: Snapshot,
    /// How far it is.
    pub status: InstanceStatus,
}

impl ReplicaSnapshot {
    pub(super) fn from_wit(given: wit::ReplicaSnapshot, replicas: &[Replica]) -> Result<Self, Error> {
        Ok(Self {
            snapshot: snapshot(given.snapshot, replicas)?,
            status: InstanceStatus::from_wit(given.status),
        })
    }

    pub(super) fn list_from_wit(
        given: Vec<wit::ReplicaSnapshot>,
        replicas: &[Replica],
    ) -> Result<Vec<Self>, Error> {
        given.into_iter().map(|one| Self::from_wit(one, replicas)).collect()
    }
}

/// A snapshot instance; in lists of siblings the host leaves its share out, which is one of the replicas.
pub(super) fn snapshot(mut given: wit::Snapshot, replicas: &[Replica]) -> Result<Snapshot, Error> {
    let share = match given.share.take() {
        Some(share) => Share::from_wit(share, None),
        None => replicas
            .iter()
            .map(|replica| &replica.share)
            .find(|share| share.id == given.share_instance_id)
            .cloned()
            .ok_or_else(|| {
                Error::internal(format!("{} is a snapshot of none of the replicas", given.name))
            })?,
    };
    Ok(Snapshot {
        id: given.id,
        snapshot_id: given.snapshot_id,
        name: given.name,
        size_gib: given.size_gib,
        provider_location: given.provider_location,
        share,
    })
}

/// All that is known of a share's replicas when a call is about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// All replicas of the share, the subject included.
    pub replicas: Vec<Replica>,
    /// The replica this call is about.
    pub replica: Replica,
    /// The share's access rules; slots of type `access-rules` hold them.
    pub access_rules: Vec<ShareAccessRule>,
    /// Each available snapshot of the share: on the active replica and on this one.
    pub snapshots: Vec<ReplicaSnapshotPair>,
}

/// What is asked of `promote_replica`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// All replicas of the share.
    pub replicas: Vec<Replica>,
    /// The one to promote.
    pub replica: Replica,
    /// The share's access rules; slots of type `access-rules` hold them.
    pub access_rules: Vec<ShareAccessRule>,
    /// How long writes may be held back before the roles change; none lets the driver decide.
    pub quiesce_wait_seconds: Option<u32>,
}

/// What is asked of `revert_to_replicated_snapshot`.
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
    /// The rules in force on the active replica; slots of type `access-rules` hold them.
    pub share_rules: Vec<AccessRule>,
    /// The rules of the snapshot, in whatever state; empty unless it is mountable.
    pub snapshot_rules: Vec<SnapshotAccessRule>,
}
