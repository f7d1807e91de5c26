//! What is told to a driver about a migration, and what it answers.

use crate::access::AccessType;
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::migration::exports::bulkhead::driver::migration as wit_migration;
use crate::replication::SnapshotUpdate;
use crate::share::{ExportLocation, Protocol, Share};
use crate::snapshot::Snapshot;

/// A share on its way to another pool or backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareMigration {
    /// The share instance that moves.
    pub source_share: Share,
    /// The instance it becomes.
    pub destination_share: Share,
    /// Where it goes, `HOST@BACKEND#POOL`; names the peer for [`config::get_of_peer`](crate::config::get_of_peer).
    pub destination_host: String,
    /// All snapshots of the source with their twins; empty when snapshots are not preserved.
    pub snapshots: Vec<SnapshotMapping>,
}

/// A snapshot on the source and the instance it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMapping {
    /// The instance on the source.
    pub source: Snapshot,
    /// The instance on the destination.
    pub destination: Snapshot,
}

impl ShareMigration {
    pub(super) fn from_wit(given: wit::ShareMigration) -> Self {
        let source_share = Share::from_wit(given.source_share, given.source_server);
        let destination_share = Share::from_wit(given.destination_share, given.destination_server);
        let mapping = |mapping: wit::SnapshotMapping| SnapshotMapping {
            source: of_share(mapping.source, &source_share),
            destination: of_share(mapping.destination, &destination_share),
        };
        let snapshots = given.snapshots.into_iter().map(mapping).collect();
        Self { destination_host: given.destination_host, snapshots, source_share, destination_share }
    }
}

/// A snapshot of `share`: the host may leave the share out of a snapshot whose share it names beside it.
fn of_share(snapshot: wit::Snapshot, share: &Share) -> Snapshot {
    Snapshot {
        id: snapshot.id,
        snapshot_id: snapshot.snapshot_id,
        name: snapshot.name,
        size_gib: snapshot.size_gib,
        provider_location: snapshot.provider_location,
        share: share.clone(),
    }
}

/// What a migration can keep. The default, all false, lets the host copy instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MigrationCompatibility {
    /// Whether the driver can do it at all.
    pub compatible: bool,
    /// Whether clients can write during the first phase.
    pub writable: bool,
    /// Whether all file metadata survive.
    pub preserve_metadata: bool,
    /// Whether clients notice nothing.
    pub nondisruptive: bool,
    /// Whether snapshots move along.
    pub preserve_snapshots: bool,
}

impl MigrationCompatibility {
    pub(super) const fn into_wit(self) -> wit_migration::MigrationCompatibility {
        wit_migration::MigrationCompatibility {
            compatible: self.compatible,
            writable: self.writable,
            preserve_metadata: self.preserve_metadata,
            nondisruptive: self.nondisruptive,
            preserve_snapshots: self.preserve_snapshots,
        }
    }
}

/// How far the first phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FirstPhase {
    /// Still at it; the host asks again after 60 s.
    InProgress,
    /// Done; the operator may complete or cancel.
    Done,
}

impl FirstPhase {
    pub(super) const fn into_wit(self) -> wit_migration::FirstPhase {
        match self {
            Self::InProgress => wit_migration::FirstPhase::InProgress,
            Self::Done => wit_migration::FirstPhase::Done,
        }
    }
}

/// What changed when a migration was completed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationOutcome {
    /// Where clients find the destination share; none leaves its export locations.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// What changed about its snapshots, by the ids of the destination instances; one that is missing is available as it was.
    pub snapshots: Vec<SnapshotUpdate>,
}

impl MigrationOutcome {
    pub(super) fn into_wit(self) -> wit_migration::MigrationOutcome {
        wit_migration::MigrationOutcome {
            export_locations: self.export_locations.map(ExportLocation::list_into_wit),
            snapshots: self.snapshots.into_iter().map(SnapshotUpdate::into_wit).collect(),
        }
    }
}

/// For one way of naming clients, the protocols it works for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessMapping {
    /// The way of naming clients.
    pub access_type: AccessType,
    /// The protocols; not empty.
    pub protocols: Vec<Protocol>,
}

/// How the host itself can reach a share when it has to copy it. It builds the mount command from its own templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// What to mount, for example `10.0.0.5:/shares/a`; at most 2,000 bytes. Only addresses the grant names are mounted.
    pub mount_export: String,
    /// How access for the host can be asked for; empty if it cannot.
    pub access_mapping: Vec<AccessMapping>,
}

impl Connection {
    pub(super) fn into_wit(self) -> wit_migration::Connection {
        let mapping = |mapping: AccessMapping| wit_migration::AccessMapping {
            access_type: mapping.access_type.into_wit(),
            protocols: mapping.protocols.into_iter().map(Protocol::into_wit).collect(),
        };
        wit_migration::Connection {
            mount_export: self.mount_export,
            access_mapping: self.access_mapping.into_iter().map(mapping).collect(),
        }
    }
}
