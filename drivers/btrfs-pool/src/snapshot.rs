//! Taking and removing snapshots, and reverting to one.

use crate::export::Export;
use crate::place::{self, NEW_SHARE, SHARE, SNAPSHOT};
use crate::subvolume;
use bulkhead_sdk::{
    CapabilityCode, Error, ExportLocation, Resource, Result, Reversion, Slots, Snapshot, SnapshotOutcome,
    execute, files,
};

/// Take a snapshot, once: the content stays that of the first time.
pub fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    let resource = Resource::from(snapshot);
    if !subvolume::is_there(SNAPSHOT, &resource)? {
        let slots =
            Slots::new().path_of("from", SHARE, resource.clone()).path_of("to", SNAPSHOT, resource.clone());
        execute::run("take-snapshot", slots).map_err(|error| match error.code() {
            CapabilityCode::NotFound => {
                Error::share_not_found(format!("{} has no subvolume", snapshot.share.name))
            }
            _ => subvolume::name_failure(error),
        })?;
    }
    settle(snapshot)
}

/// What a snapshot needs beyond its content: no limit, and an export if it can be mounted.
pub fn settle(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    let resource = Resource::from(snapshot);
    subvolume::run("lift-limit", Slots::new().path_of("at", SNAPSHOT, resource.clone()))?;
    subvolume::sync(SNAPSHOT, &resource)?;
    let export_locations = if snapshot.share.mount_snapshot_support { serve(snapshot)? } else { Vec::new() };
    Ok(SnapshotOutcome { export_locations, ..SnapshotOutcome::default() })
}

fn serve(snapshot: &Snapshot) -> Result<Vec<ExportLocation>> {
    let export = Export::of_snapshot(snapshot);
    let _held = export.hold()?;
    export.publish_first()?;
    export.locations()
}

/// Remove a snapshot, or what there is of it.
pub fn delete(snapshot: &Snapshot) -> Result<()> {
    let export = Export::of_snapshot(snapshot);
    let _held = export.hold()?;
    export.withdraw()?;
    subvolume::delete(SNAPSHOT, &Resource::from(snapshot))
}

/// Put the share back to the content of a snapshot.
///
/// The new content is made beside the share and then exchanged with it in one step: until then the old content is there, from then on
/// the new. An attempt that was cut short after the exchange is repeated from the start, with the same end. Clients open what they had
/// open again: it is another filesystem to them.
pub fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    let share = Resource::from(&snapshot.share);
    if !subvolume::is_there(SNAPSHOT, &Resource::from(snapshot))? {
        return Err(Error::snapshot_not_found(format!("{} has no subvolume", snapshot.name)));
    }
    if !subvolume::is_there(SHARE, &share)? {
        return Err(Error::share_not_found(format!("{} has no subvolume", snapshot.share.name)));
    }
    subvolume::delete(NEW_SHARE, &share)?;
    let slots = Slots::new().path_of("from", SNAPSHOT, Resource::from(snapshot)).path_of(
        "to",
        NEW_SHARE,
        share.clone(),
    );
    subvolume::run("clone", slots)?;
    subvolume::limit(NEW_SHARE, &share, snapshot.size_gib)?;
    let export = Export::of_share(&snapshot.share);
    let _held = export.hold()?;
    export.suspend()?;
    files::exchange(&place::pool(SHARE, &share), &place::pool(NEW_SHARE, &share))?;
    subvolume::sync(SHARE, &share)?;
    export.resume()?;
    // What was the share until now.
    subvolume::delete(NEW_SHARE, &share)?;
    Ok(Reversion::Done)
}
