//! Taking and removing snapshots, and reverting to one.

use crate::place::{self, NEW_SHARE, NEW_SNAPSHOT, SHARE, SNAPSHOT};
use crate::{copy, size};
use bulkhead_sdk::files;
use bulkhead_sdk::lock::{self, Guard};
use bulkhead_sdk::{
    CapabilityCode, CapabilityError, Error, OrAbsent, Resource, Result, Reversion, Snapshot, SnapshotOutcome,
};
use std::time::Duration;

/// Take a snapshot, once: the content stays that of the first time.
pub(crate) fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    if is_there()? {
        return Ok(SnapshotOutcome::default());
    }
    let _share = hold_share(snapshot)?;
    copy::make(SHARE, NEW_SNAPSHOT).map_err(|error| share_error(error, snapshot))?;
    files::rename(&place::path(NEW_SNAPSHOT), &place::path(SNAPSHOT))?;
    Ok(SnapshotOutcome::default())
}

/// Remove a snapshot, or what there is of it.
pub(crate) fn delete() -> Result<()> {
    files::remove(&place::path(NEW_SNAPSHOT))?;
    files::remove(&place::path(SNAPSHOT))?;
    Ok(())
}

/// Put the share back to the content of a snapshot.
///
/// The new content is copied beside the share and then exchanged with it in one step: until then the old content is there, from then
/// on the new. An attempt that was cut short after the exchange is repeated from the start, with the same end.
pub(crate) fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    if !is_there()? {
        return Err(Error::snapshot_not_found(format!("{} has no directory", snapshot.name)));
    }
    let _share = hold_share(snapshot)?;
    let in_the_making = place::path(NEW_SHARE);
    let share = place::path(SHARE).of(Resource::from(&snapshot.share));
    copy::make(SNAPSHOT, NEW_SHARE)?;
    files::exchange(&share, &in_the_making).map_err(|error| share_error(error, snapshot))?;
    // What was the share until now.
    files::remove(&in_the_making)?;
    size::record(&snapshot.share, snapshot.size_gib)?;
    Ok(Reversion::Done)
}

fn is_there() -> Result<bool> {
    Ok(files::status(&place::path(SNAPSHOT)).or_absent()?.is_some())
}

/// Copying a share while it is exchanged could mix two states.
fn hold_share(snapshot: &Snapshot) -> Result<Guard> {
    lock::acquire(&snapshot.share.name, Duration::from_secs(30)).map_err(|error| match error.code() {
        CapabilityCode::TimedOut => {
            Error::busy(format!("{} is being copied or reverted by another call", snapshot.share.name))
        }
        _ => error.into(),
    })
}

fn share_error(error: CapabilityError, snapshot: &Snapshot) -> Error {
    match error.code() {
        CapabilityCode::NotFound => {
            Error::share_not_found(format!("{} has no directory", snapshot.share.name))
        }
        _ => error.into(),
    }
}
