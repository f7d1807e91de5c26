//! Shares and share instances.

use crate::access::AccessRule;
use crate::export::StoredExportLocation;
use crate::id::{
    BackendName, ProjectId, ShareGroupId, ShareId, ShareInstanceId, ShareNetworkId, ShareServerId,
    ShareTypeId, SnapshotId, SnapshotInstanceId, UserId,
};
use crate::migration::Migration;
use crate::share_server::ServerForDriver;
use crate::size::Gibibytes;
use crate::status::{AccessRulesStatus, ReplicaState, ReplicationType, ShareStatus, TaskState};
use crate::target::TargetSnapshot;
use crate::text::GuestText;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A shared-file-system protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Network File System.
    Nfs,
    /// Common Internet File System (SMB).
    Cifs,
    /// GlusterFS native.
    Glusterfs,
    /// Hadoop Distributed File System.
    Hdfs,
    /// Ceph File System.
    Cephfs,
    /// MapR File System.
    Maprfs,
    /// Lustre.
    Lustre,
    /// WekaFS.
    Wekafs,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 8] = [
        Self::Nfs,
        Self::Cifs,
        Self::Glusterfs,
        Self::Hdfs,
        Self::Cephfs,
        Self::Maprfs,
        Self::Lustre,
        Self::Wekafs,
    ];

    /// As the API prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nfs => "NFS",
            Self::Cifs => "CIFS",
            Self::Glusterfs => "GLUSTERFS",
            Self::Hdfs => "HDFS",
            Self::Cephfs => "CEPHFS",
            Self::Maprfs => "MAPRFS",
            Self::Lustre => "LUSTRE",
            Self::Wekafs => "WEKAFS",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = crate::id::InvalidId;

    /// Letter case does not matter, as in Manila.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            crate::id::InvalidId::new(
                text,
                "protocol (NFS, CIFS, GLUSTERFS, HDFS, CEPHFS, MAPRFS, LUSTRE, WEKAFS)",
            )
        })
    }
}

/// A pool of a backend, where a share lives: Manila's host string `HOST@BACKEND#POOL` less the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placement {
    /// The backend.
    pub backend: BackendName,
    /// The pool; none on a backend that reports none.
    pub pool: Option<String>,
}

/// A share as tenants see it (contract 2.1). Its status is that of its instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its id.
    pub id: ShareId,
    /// Whose it is.
    pub project: ProjectId,
    /// Who asked for it.
    pub user: UserId,
    /// Its size; one for all instances.
    pub size: Gibibytes,
    /// The tenant's name for it; never reaches a backend.
    pub display_name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub display_description: Option<String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
    /// How it is exported.
    pub protocol: Protocol,
    /// The type it was made with.
    pub share_type: ShareTypeId,
    /// The snapshot it was made from.
    pub source_snapshot: Option<SnapshotId>,
    /// Whether other projects see it.
    pub is_public: bool,
    /// What the type promised at creation.
    pub support: ShareSupport,
    /// How its type said it may be replicated; none for a share that never has a second replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_type: Option<ReplicationType>,
    /// The extra specs of its type when it was made; empty for the built-in type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_specs: BTreeMap<String, String>,
    /// Under which instance's id its access rules stand: the first one's, also after that is gone. None while there was only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_home: Option<ShareInstanceId>,
    /// The group it belongs to, for as long as it is there; none outside groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<ShareGroupId>,
    /// The member of a group snapshot it was made from, with its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_member: Option<SnapshotInstanceId>,
    /// How far its latest migration is or how it ended; none if it never moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_state: Option<TaskState>,
    /// The migration it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a share's type promises, copied at creation (contract 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShareSupport {
    /// `snapshot_support`.
    pub snapshot: bool,
    /// `create_share_from_snapshot_support`.
    pub create_share_from_snapshot: bool,
    /// `revert_to_snapshot_support`.
    pub revert_to_snapshot: bool,
    /// `mount_snapshot_support`.
    pub mount_snapshot: bool,
}

/// A share instance: what one backend holds of a share (contract 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareInstance {
    /// Its id; names at the backend derive from it.
    pub id: ShareInstanceId,
    /// The share it belongs to.
    pub share: ShareId,
    /// Where it lives.
    pub placement: Placement,
    /// The share network it is reached through; none where the backend makes no share servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_network: Option<ShareNetworkId>,
    /// The share server it lives on; none before one was chosen, and where the backend makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_server: Option<ShareServerId>,
    /// Its status.
    pub status: ShareStatus,
    /// How far a polled creation is, in percent.
    pub progress_percent: Option<u8>,
    /// Whether its rules are in force.
    pub access_rules_status: AccessRulesStatus,
    /// Its state as a replica; none unless its share can be replicated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_state: Option<ReplicaState>,
    /// Where clients find it, in the driver's order.
    pub export_locations: Vec<StoredExportLocation>,
    /// When it became available.
    pub launched_at: Option<Timestamp>,
    /// Since when it is in `error` because its backend said that it is not sound: it is `available` again when the backend says that it
    /// is. None in every other status, and in an `error` that something else is the reason of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsound_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ShareInstance {
    /// `share-<id>`: its name for drivers (contract 2.2).
    #[must_use]
    pub fn name(&self) -> String {
        share_name(self.id)
    }
}

/// The name of a share instance at the backend.
#[must_use]
pub fn share_name(id: ShareInstanceId) -> String {
    format!("share-{id}")
}

/// A share instance as a driver call carries it: the WIT record `share`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareForDriver {
    /// The instance.
    pub id: ShareInstanceId,
    /// The share.
    pub share: ShareId,
    /// Whose it is.
    pub project: ProjectId,
    /// Its size.
    pub size: Gibibytes,
    /// How it is exported.
    pub protocol: Protocol,
    /// The pool.
    pub pool: Option<String>,
    /// The snapshot it was made from.
    pub source_snapshot: Option<SnapshotId>,
    /// The share server it lives on; none where the backend makes none.
    pub server: Option<ServerForDriver>,
    /// The group it belongs to; none outside groups.
    pub group: Option<ShareGroupId>,
    /// Its state as a replica; none unless it is replicated.
    pub replica_state: Option<ReplicaState>,
    /// Whether its snapshots can be mounted.
    pub mount_snapshot_support: bool,
    /// Where clients find it now.
    pub export_locations: Vec<crate::export::ExportLocation>,
    /// The extra specs of its type.
    pub extra_specs: BTreeMap<String, String>,
    /// The tenant's metadata; only where the contract says so.
    pub metadata: BTreeMap<String, String>,
}

/// What a driver found out about one share while ensuring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredShare {
    /// Which.
    pub id: ShareInstanceId,
    /// Its locations; none leaves the stored ones.
    pub export_locations: Option<Vec<crate::export::ExportLocation>>,
    /// Whether all rules shall be sent again.
    pub reapply_access_rules: bool,
    /// Whether it is there and sound.
    pub healthy: bool,
}

/// What a driver found when it took a share over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedShare {
    /// Its size.
    pub size: Gibibytes,
    /// Its locations, replacing what the operator typed, even by nothing; none leaves that.
    pub export_locations: Option<Vec<crate::export::ExportLocation>>,
}

/// What a share uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShareUsage {
    /// The share instance.
    pub id: ShareInstanceId,
    /// What it uses in GiB; finite and not negative.
    pub used_gib: f64,
    /// When it was measured.
    pub gathered_at: Timestamp,
}

/// How far a share made from a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// Ready, at these locations.
    Available(Vec<crate::export::ExportLocation>),
    /// The backend goes on; polled.
    Pending,
}

/// How far a revert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversion {
    /// Done; the share has the snapshot's size.
    Done,
    /// Done; the share has this size.
    DoneWithSize(Gibibytes),
    /// The backend goes on; polled.
    Pending,
}

/// What a driver left pending: its backend goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingWork {
    /// A share that is made from this snapshot.
    Creation(TargetSnapshot),
    /// A share that is put back to this snapshot of its own.
    Revert(TargetSnapshot),
}

/// How far a share is that its backend makes or reverts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareProgress {
    /// The backend is still at it; percent, 0 to 100.
    Pending(u8),
    /// Done.
    Available(FinishedShare),
    /// It failed at the backend.
    Failed,
}

/// A share that its backend has finished.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedShare {
    /// Where clients find it; none leaves its export locations.
    pub export_locations: Option<Vec<crate::export::ExportLocation>>,
    /// Its size after a revert; none takes the snapshot's.
    pub size: Option<Gibibytes>,
}

/// What a driver tells the operator's hooks about one share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookData {
    /// The share instance.
    pub id: ShareInstanceId,
    /// The driver's own keys and values.
    pub data: BTreeMap<String, String>,
}

/// What a driver tells the operator's hooks about the shares it was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookAnswer {
    /// What it told, each share at most once.
    pub shares: Vec<HookData>,
    /// How much of its answer was about shares that it was not asked about, or about one a second time.
    pub dropped: usize,
}

/// Metadata that a driver supplies for a share it has made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SuppliedMetadata {
    /// Pairs whose keys its manifest lists as supplied.
    pub pairs: BTreeMap<String, String>,
    /// Keys that it does not list.
    pub dropped: Vec<GuestText>,
}

/// The rules a revert is told of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevertRules {
    /// Active rules of the share instance.
    pub share: Vec<AccessRule>,
    /// Rules of the snapshot, whatever their state.
    pub snapshot: Vec<AccessRule>,
}
