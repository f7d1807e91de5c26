//! Snapshots, and what drivers answer about them.

use super::location::{LocationRights, locations_from_wit};
use super::share::share_to_wit;
use super::{Breach, TEXT_BYTES, check_text};
use crate::bindings::v0_1::bulkhead::driver::snapshots::SnapshotOutcome as WitSnapshotOutcome;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::export::ExportLocation;
use bulkhead_model::snapshot::{SnapshotForDriver, SnapshotOutcome, snapshot_name};

/// A snapshot as a driver call carries it, with its share.
pub(crate) fn snapshot_to_wit(snapshot: &SnapshotForDriver) -> wit::Snapshot {
    wit::Snapshot {
        id: snapshot.id.to_string(),
        snapshot_id: snapshot.snapshot.to_string(),
        name: snapshot_name(snapshot.id),
        share_instance_id: snapshot.share.id.to_string(),
        size_gib: snapshot.size.get(),
        provider_location: snapshot.provider_location.clone(),
        share: Some(share_to_wit(&snapshot.share)),
    }
}

/// What a driver says of a snapshot it took. Locations are kept only where the share's snapshots can be mounted, and without metadata.
pub(crate) fn outcome_from_wit(
    rights: &LocationRights,
    snapshot: &SnapshotForDriver,
    outcome: WitSnapshotOutcome,
) -> Result<SnapshotOutcome, Breach> {
    if let Some(handle) = &outcome.provider_location {
        check_text("snapshot-outcome.provider-location", handle, TEXT_BYTES)?;
    }
    let export_locations = mountable_locations(rights, snapshot, outcome.export_locations)?;
    Ok(SnapshotOutcome { provider_location: outcome.provider_location, export_locations })
}

/// Where a snapshot can be mounted: nowhere unless its share's snapshots are mountable, and without metadata.
pub(super) fn mountable_locations(
    rights: &LocationRights,
    snapshot: &SnapshotForDriver,
    locations: Vec<wit::ExportLocation>,
) -> Result<Vec<ExportLocation>, Breach> {
    if !snapshot.share.mount_snapshot_support {
        return Ok(Vec::new());
    }
    let bare = locations.into_iter();
    let bare = bare.map(|location| wit::ExportLocation { metadata: Vec::new(), ..location });
    locations_from_wit(&rights.at(snapshot.share.server.as_ref()), bare.collect())
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    fn outcome(handle: &str) -> WitSnapshotOutcome {
        WitSnapshotOutcome {
            provider_location: Some(handle.to_owned()),
            export_locations: vec![location("10.9.9.9:/a")],
        }
    }

    #[test]
    fn a_handle_is_short_and_clean() {
        let check = |handle: &str| outcome_from_wit(&rights(), &fixture::snapshot(), outcome(handle));
        assert!(check("vol-1@2").is_ok());
        assert!(check(&"x".repeat(256)).is_err());
        assert!(check("a\0b").is_err());
    }

    /// Contract M-08.
    #[test]
    fn locations_count_only_where_snapshots_can_be_mounted() {
        let mut snapshot = fixture::snapshot();
        let dropped = outcome_from_wit(&rights(), &snapshot, outcome("x"));
        assert_eq!(dropped.map(|outcome| outcome.export_locations), Ok(Vec::new()));
        snapshot.share.mount_snapshot_support = true;
        assert!(outcome_from_wit(&rights(), &snapshot, outcome("x")).is_err());
    }
}
