//! What drivers answer about what they take over.

use super::location::{LocationRights, locations_from_wit};
use super::snapshot::mountable_locations;
use super::{Breach, TEXT_BYTES, check_text};
use crate::bindings::v0_1::bulkhead::driver::manage::ManagedShare as WitManagedShare;
use crate::bindings::v0_1::bulkhead::driver::manage_snapshots::ManagedSnapshot as WitManagedSnapshot;
use bulkhead_model::share::ManagedShare;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotForDriver};

/// What a driver found when it took a share over: a share has a size.
pub(crate) fn managed_share_from_wit(
    rights: &LocationRights,
    managed: WitManagedShare,
) -> Result<ManagedShare, Breach> {
    let size = size_from_wit("managed-share.size-gib", managed.size_gib)?;
    let export_locations =
        managed.export_locations.map(|locations| locations_from_wit(rights, locations)).transpose()?;
    Ok(ManagedShare { size, export_locations })
}

/// What a driver found when it took a snapshot over. Locations are kept only where the share's snapshots can be mounted.
pub(crate) fn managed_snapshot_from_wit(
    rights: &LocationRights,
    snapshot: &SnapshotForDriver,
    managed: WitManagedSnapshot,
) -> Result<ManagedSnapshot, Breach> {
    if let Some(handle) = &managed.provider_location {
        check_text("managed-snapshot.provider-location", handle, TEXT_BYTES)?;
    }
    let size = managed.size_gib.map(|gib| size_from_wit("managed-snapshot.size-gib", gib)).transpose()?;
    let export_locations = mountable_locations(rights, snapshot, managed.export_locations)?;
    Ok(ManagedSnapshot { size, provider_location: managed.provider_location, export_locations })
}

fn size_from_wit(what: &str, gib: u64) -> Result<Gibibytes, Breach> {
    Gibibytes::new(gib).map_err(|error| Breach(format!("{what}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    #[test]
    fn a_share_that_is_taken_over_has_a_size_and_granted_locations() {
        let share = |size_gib, export_locations| {
            managed_share_from_wit(&rights(), WitManagedShare { size_gib, export_locations })
        };
        assert!(share(1, None).is_ok_and(|found| found.export_locations.is_none()));
        assert!(share(1, Some(Vec::new())).is_ok_and(|found| found.export_locations == Some(Vec::new())));
        assert!(share(0, None).is_err());
        assert!(share(u64::MAX, None).is_err());
        assert!(share(1, Some(vec![location("10.9.9.9:/a")])).is_err());
    }

    #[test]
    fn a_snapshot_that_is_taken_over_may_leave_its_size_and_its_handle() {
        let mut snapshot = fixture::snapshot();
        let found = |snapshot: &SnapshotForDriver, size_gib, handle: &str, path: &str| {
            let provider_location = Some(handle.to_owned());
            let export_locations = vec![location(path)];
            let answer = WitManagedSnapshot { size_gib, provider_location, export_locations };
            managed_snapshot_from_wit(&rights(), snapshot, answer)
        };
        assert!(found(&snapshot, None, "x", "10.9.9.9:/a").is_ok_and(|one| one.export_locations.is_empty()));
        assert!(found(&snapshot, Some(0), "x", "10.0.0.5:/a").is_err());
        assert!(found(&snapshot, None, &"x".repeat(256), "10.0.0.5:/a").is_err());
        snapshot.share.mount_snapshot_support = true;
        assert!(found(&snapshot, None, "x", "10.9.9.9:/a").is_err());
    }
}
