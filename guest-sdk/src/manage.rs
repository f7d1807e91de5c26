//! What a driver says of shares and snapshots that it took over.

use crate::bindings::manage::exports::bulkhead::driver::manage as wit_manage;
use crate::bindings::manage_snapshots::exports::bulkhead::driver::manage_snapshots as wit_snapshots;
use crate::share::ExportLocation;

/// What the driver found when it took a share over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedShare {
    /// Its size in GiB, rounded up; at least 1.
    pub size_gib: u64,
    /// Where clients find it, replacing what the operator typed, even by nothing; none leaves that.
    pub export_locations: Option<Vec<ExportLocation>>,
}

impl ManagedShare {
    pub(crate) fn into_wit(self) -> wit_manage::ManagedShare {
        wit_manage::ManagedShare {
            size_gib: self.size_gib,
            export_locations: self.export_locations.map(ExportLocation::list_into_wit),
        }
    }
}

/// What the driver found when it took a snapshot over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManagedSnapshot {
    /// Its size in GiB; none takes the share's.
    pub size_gib: Option<u64>,
    /// The backend's own handle from now on; none leaves what the operator typed. At most 255 bytes.
    pub provider_location: Option<String>,
    /// Where it can be mounted; kept only for shares whose snapshots are mountable.
    pub export_locations: Vec<ExportLocation>,
}

impl ManagedSnapshot {
    pub(crate) fn into_wit(self) -> wit_snapshots::ManagedSnapshot {
        wit_snapshots::ManagedSnapshot {
            size_gib: self.size_gib,
            provider_location: self.provider_location,
            export_locations: ExportLocation::list_into_wit(self.export_locations),
        }
    }
}
