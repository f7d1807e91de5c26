//! What a driver found when it took something over, in the records.

use crate::export;
use crate::records::{Cause, Change, Tables};
use bulkhead_model::export::{ExportLocation, StoredExportLocation};
use bulkhead_model::id::SnapshotId;
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ManagedShare;
use bulkhead_model::snapshot::ManagedSnapshot;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_model::time::Timestamp;

/// The share is here now: with the size the driver found, at the locations it named, even if those are none, and in the pool it is in if
/// nobody had said so.
pub(crate) fn take_share(
    tables: &Tables,
    operation: &Operation,
    (found, pool): (&ManagedShare, Option<&str>),
    cause: &Cause,
    change: &mut Change,
) {
    let words = format_args!("taken over, {}", found.size);
    change.note(cause, format_args!("share/{}", operation.share), words);
    change.edit_share(tables, operation.share, |share| share.size = found.size);
    change.edit_instance(tables, operation.share, cause, |instance| {
        if let Some(locations) = &found.export_locations {
            instance.export_locations = replace_even_by_nothing(&instance.export_locations, locations);
        }
        if instance.placement.pool.is_none() {
            instance.placement.pool = pool.map(str::to_owned);
        }
        instance.status = ShareStatus::Available;
        instance.progress_percent = Some(100);
        instance.launched_at = Some(Timestamp::now());
    });
}

/// The snapshot is here now: with the size the driver found, or that of its share.
pub(crate) fn take_snapshot(
    tables: &Tables,
    id: SnapshotId,
    found: &ManagedSnapshot,
    cause: &Cause,
    change: &mut Change,
) {
    change.edit_snapshot(tables, id, |snapshot| snapshot.size = found.size.unwrap_or(snapshot.size));
    let is_mountable = tables
        .snapshot(&Scope::Everything, id)
        .and_then(|snapshot| tables.share(&Scope::Everything, snapshot.share))
        .is_some_and(|share| share.support.mount_snapshot);
    change.edit_snapshot_instance(tables, id, cause, |instance| {
        if let Some(handle) = &found.provider_location {
            instance.provider_location = Some(handle.clone());
        }
        if is_mountable {
            instance.export_locations =
                replace_even_by_nothing(&instance.export_locations, &found.export_locations);
        }
        instance.status = SnapshotStatus::Available;
    });
}

fn replace_even_by_nothing(
    stored: &[StoredExportLocation],
    reported: &[ExportLocation],
) -> Vec<StoredExportLocation> {
    if reported.is_empty() { Vec::new() } else { export::replace(stored, reported.to_vec()) }
}
