//! Snapshots, and what a driver answers about them.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::revert::exports::bulkhead::driver::revert as wit_revert;
use crate::bindings::snapshots::exports::bulkhead::driver::snapshots as wit_snapshots;
use crate::error::Error;
use crate::share::{ExportLocation, Share};

/// A snapshot instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The instance's id. Names at the backend derive from it.
    pub id: String,
    /// The id of the snapshot that tenants see.
    pub snapshot_id: String,
    /// `share-snapshot-<id>`.
    pub name: String,
    /// Size of the share when the snapshot was taken, in GiB.
    pub size_gib: u64,
    /// What the driver returned as its handle; none if it returned nothing.
    pub provider_location: Option<String>,
    /// The share instance it was taken of.
    pub share: Share,
}

impl Snapshot {
    /// Fails with `internal` if the host left out the share, which the contract rules out for a call's own snapshot.
    pub(crate) fn from_wit(snapshot: wit::Snapshot, server: Option<wit::ShareServer>) -> Result<Self, Error> {
        let Some(share) = snapshot.share else {
            return Err(Error::internal(format!("{} came without its share", snapshot.name)));
        };
        Ok(Self {
            id: snapshot.id,
            snapshot_id: snapshot.snapshot_id,
            name: snapshot.name,
            size_gib: snapshot.size_gib,
            provider_location: snapshot.provider_location,
            share: Share::from_wit(share, server),
        })
    }
}

/// What a driver says of a snapshot it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotOutcome {
    /// The backend's own handle, handed back in [`Snapshot::provider_location`]; none if it needs none. At most 255 bytes.
    pub provider_location: Option<String>,
    /// Where it can be mounted; kept only for shares whose snapshots are mountable.
    pub export_locations: Vec<ExportLocation>,
}

impl SnapshotOutcome {
    pub(crate) fn into_wit(self) -> wit_snapshots::SnapshotOutcome {
        wit_snapshots::SnapshotOutcome {
            provider_location: self.provider_location,
            export_locations: self.export_locations.into_iter().map(ExportLocation::into_wit).collect(),
        }
    }
}

/// How far a revert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversion {
    /// Done; the share has the snapshot's size.
    Done,
    /// Done; the share has this many GiB.
    DoneWithSize(u64),
    /// The backend goes on by itself; the host polls until it is done.
    Pending,
}

impl Reversion {
    pub(crate) fn into_wit(self) -> wit_revert::Reversion {
        match self {
            Self::Done => wit_revert::Reversion::Done,
            Self::DoneWithSize(gib) => wit_revert::Reversion::DoneWithSize(gib),
            Self::Pending => wit_revert::Reversion::Pending,
        }
    }
}
