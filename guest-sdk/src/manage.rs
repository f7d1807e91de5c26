//! Taking over shares and snapshots that were made outside, and letting them go.

use crate::bindings::manage::exports::bulkhead::driver::manage as wit_manage;
use crate::bindings::manage_snapshots::exports::bulkhead::driver::manage_snapshots as wit_snapshots;
use crate::driver::Driver;
use crate::error::Result;
use crate::share::{ExportLocation, Share};
use crate::snapshot::Snapshot;

/// Taking over shares that were made outside, and letting shares go without deleting them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `manage` but does not implement `Manage`",
    note = "implement `bulkhead_sdk::Manage` for it, or leave `manage` out of `export_driver!`"
)]
pub trait Manage: Driver {
    /// Take over what `share.export_locations` (one entry: the path the operator typed) names, as `share`; the backend's object gets
    /// the name of the share. Its last component fills `{managed}` in patterns.
    ///
    /// Idempotent: an object that has the share's name already is a success with the same answer. Fail with
    /// [`Error::manage_invalid_share`](crate::Error::manage_invalid_share) if it is not there or cannot be a share, having changed
    /// nothing. Never two calls at once for one share or one object.
    fn manage_existing(share: &Share, driver_options: &[(String, String)]) -> Result<ManagedShare>;

    /// Forget `share`; its data and exports stay. Idempotent. Without a function of the driver's own there is nothing to do.
    fn unmanage(_share: &Share) -> Result<()> {
        Ok(())
    }
}

/// Taking over snapshots that were made outside, and letting snapshots go without deleting them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `manage_snapshots` but does not implement `ManageSnapshots`",
    note = "implement `bulkhead_sdk::ManageSnapshots` for it, or leave `manage_snapshots` out of `export_driver!`"
)]
pub trait ManageSnapshots: Driver {
    /// Take over what `snapshot.provider_location` (as the operator typed it) names, as `snapshot`. Its last component fills
    /// `{managed}` in patterns.
    ///
    /// Idempotent: an object that has the snapshot's name already is a success with the same answer. Fail with
    /// [`Error::manage_invalid_snapshot`](crate::Error::manage_invalid_snapshot) if it is not there or not of this share, having
    /// changed nothing. Never two calls at once for one snapshot.
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot>;

    /// Forget `snapshot`; it stays at the backend. Idempotent. Without a function of the driver's own there is nothing to do.
    fn unmanage_snapshot(_snapshot: &Snapshot) -> Result<()> {
        Ok(())
    }
}

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
