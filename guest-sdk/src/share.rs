//! Shares, and what a driver answers about them. Sizes are whole GiB.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::exports::bulkhead::driver::shares as wit_shares;
use crate::bindings::share_from_snapshot::exports::bulkhead::driver::share_from_snapshot as wit_creation;
use crate::pairs;
use crate::share_server::ShareServer;

/// How a share is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    fn from_wit(protocol: wit::Protocol) -> Self {
        match protocol {
            wit::Protocol::Nfs => Self::Nfs,
            wit::Protocol::Cifs => Self::Cifs,
            wit::Protocol::Glusterfs => Self::Glusterfs,
            wit::Protocol::Hdfs => Self::Hdfs,
            wit::Protocol::Cephfs => Self::Cephfs,
            wit::Protocol::Maprfs => Self::Maprfs,
            wit::Protocol::Lustre => Self::Lustre,
            wit::Protocol::Wekafs => Self::Wekafs,
        }
    }

    pub(crate) const fn into_wit(self) -> wit::Protocol {
        match self {
            Self::Nfs => wit::Protocol::Nfs,
            Self::Cifs => wit::Protocol::Cifs,
            Self::Glusterfs => wit::Protocol::Glusterfs,
            Self::Hdfs => wit::Protocol::Hdfs,
            Self::Cephfs => wit::Protocol::Cephfs,
            Self::Maprfs => wit::Protocol::Maprfs,
            Self::Lustre => wit::Protocol::Lustre,
            Self::Wekafs => wit::Protocol::Wekafs,
        }
    }
}

/// The state of a share as a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaState {
    /// Serves clients.
    Active,
    /// Holds what the active one holds.
    InSync,
    /// Lags behind.
    OutOfSync,
    /// Broken.
    Error,
}

impl ReplicaState {
    fn from_wit(state: wit::ReplicaState) -> Self {
        match state {
            wit::ReplicaState::Active => Self::Active,
            wit::ReplicaState::InSync => Self::InSync,
            wit::ReplicaState::OutOfSync => Self::OutOfSync,
            wit::ReplicaState::Error => Self::Error,
        }
    }

    pub(crate) const fn into_wit(self) -> wit::ReplicaState {
        match self {
            Self::Active => wit::ReplicaState::Active,
            Self::InSync => wit::ReplicaState::InSync,
            Self::OutOfSync => wit::ReplicaState::OutOfSync,
            Self::Error => wit::ReplicaState::Error,
        }
    }
}

/// Where clients find a share or a mountable snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportLocation {
    /// What a client mounts, for example `10.0.0.5:/shares/a`; at most 2,000 bytes.
    pub path: String,
    /// Whether only administrators see it.
    pub admin_only: bool,
    /// Whether clients should try it first.
    pub preferred: bool,
    /// Further metadata; keys that the manifest's `[metadata-keys]` does not list are refused.
    pub metadata: Vec<(String, String)>,
}

impl ExportLocation {
    /// A location that tenants see, with nothing special about it.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), admin_only: false, preferred: false, metadata: Vec::new() }
    }

    pub(crate) fn into_wit(self) -> wit::ExportLocation {
        wit::ExportLocation {
            path: self.path,
            admin_only: self.admin_only,
            preferred: self.preferred,
            metadata: pairs::into_wit(self.metadata),
        }
    }

    pub(crate) fn list_into_wit(locations: Vec<Self>) -> Vec<wit::ExportLocation> {
        locations.into_iter().map(Self::into_wit).collect()
    }

    fn from_wit(location: wit::ExportLocation) -> Self {
        Self {
            path: location.path,
            admin_only: location.admin_only,
            preferred: location.preferred,
            metadata: pairs::from_wit(location.metadata),
        }
    }
}

/// A share instance: what every function calls "the share".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The instance's id. Names at the backend derive from it.
    pub id: String,
    /// The id of the share that tenants see.
    pub share_id: String,
    /// `share-<id>`.
    pub name: String,
    /// The project that owns it.
    pub project_id: String,
    /// Its size in GiB; at least 1.
    pub size_gib: u64,
    /// How it is exported.
    pub protocol: Protocol,
    /// The pool to create it in; none on a backend without pools.
    pub pool: Option<String>,
    /// The snapshot it was made from; none if it was made empty.
    pub source_snapshot_id: Option<String>,
    /// The share group it belongs to; none outside groups.
    pub share_group_id: Option<String>,
    /// Its state as a replica; none unless it is replicated.
    pub replica_state: Option<ReplicaState>,
    /// Whether snapshots of it can be mounted.
    pub mount_snapshot_support: bool,
    /// Where clients find it now; empty before it is created.
    pub export_locations: Vec<ExportLocation>,
    /// The extra specs of its share type, as the administrator wrote them.
    pub extra_specs: Vec<(String, String)>,
    /// The user metadata of the share; only in `update_access` and in the functions of
    /// [`MetadataUpdates`](crate::MetadataUpdates), else empty.
    pub metadata: Vec<(String, String)>,
    /// The id of the share server it lives on; none where the backend makes none.
    pub share_server_id: Option<String>,
    /// That share server; none where the backend makes none, and in the functions that take many shares at once.
    pub server: Option<ShareServer>,
}

impl Share {
    pub(crate) fn from_wit(share: wit::Share, server: Option<wit::ShareServer>) -> Self {
        Self {
            id: share.id,
            share_id: share.share_id,
            name: share.name,
            project_id: share.project_id,
            size_gib: share.size_gib,
            protocol: Protocol::from_wit(share.protocol),
            pool: share.pool,
            source_snapshot_id: share.source_snapshot_id,
            share_group_id: share.share_group_id,
            replica_state: share.replica_state.map(ReplicaState::from_wit),
            mount_snapshot_support: share.mount_snapshot_support,
            export_locations: share.export_locations.into_iter().map(ExportLocation::from_wit).collect(),
            extra_specs: pairs::from_wit(share.extra_specs),
            metadata: pairs::from_wit(share.metadata),
            share_server_id: share.share_server_id,
            server: server.map(ShareServer::from_wit),
        }
    }
}

/// What a driver found out about one share while ensuring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredShare {
    /// The share instance.
    pub id: String,
    /// Its export locations, replacing the stored ones; none leaves them.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// Whether the host shall send all its access rules again.
    pub access_rules: AfterEnsuring,
    /// Whether it is there and sound.
    pub health: Health,
}

/// What the host does with the access rules of a share that was ensured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterEnsuring {
    /// They are in force: leave them.
    KeepRules,
    /// Send them all again.
    ReapplyRules,
}

/// Whether an ensured share is there and sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It serves its data.
    Sound,
    /// It does not: the host sets it to `error`.
    Broken,
}

impl EnsuredShare {
    pub(crate) fn into_wit(self) -> wit_shares::EnsuredShare {
        wit_shares::EnsuredShare {
            share_id: self.id,
            export_locations: self
                .export_locations
                .map(|locations| locations.into_iter().map(ExportLocation::into_wit).collect()),
            reapply_access_rules: self.access_rules == AfterEnsuring::ReapplyRules,
            healthy: self.health == Health::Sound,
        }
    }
}

/// How far a share made from a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It is ready, at these locations.
    Available(Vec<ExportLocation>),
    /// The backend goes on by itself; the host polls until it is done.
    Pending,
}

impl Creation {
    pub(crate) fn into_wit(self) -> wit_creation::Creation {
        match self {
            Self::Available(locations) => wit_creation::Creation::Available(
                locations.into_iter().map(ExportLocation::into_wit).collect(),
            ),
            Self::Pending => wit_creation::Creation::Pending,
        }
    }
}
