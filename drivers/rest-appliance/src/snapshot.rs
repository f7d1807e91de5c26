//! Taking and removing snapshots, and reverting to one.

use crate::array::{self, of_volume};
use crate::work;
use bulkhead_sdk::{Error, Result, Reversion, Slots, Snapshot, SnapshotOutcome};

/// The status of what is there already.
const CONFLICT: u16 = 409;

/// Take a snapshot, once: the content stays that of the first time.
pub(crate) fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    if is_there(snapshot)? {
        work::settle(&snapshot.share)?;
        return Ok(SnapshotOutcome::default());
    }
    let request = "create-snapshot";
    let answer = array::send(request, of_snapshot(snapshot).name_of("volume", &snapshot.share))?;
    // An attempt whose answer was lost may have come first.
    if answer.status == CONFLICT && is_there(snapshot)? {
        work::settle(&snapshot.share)?;
    } else {
        work::wait_for(request, &answer, &snapshot.share)?;
    }
    Ok(SnapshotOutcome::default())
}

/// Remove a snapshot; one that is not there is removed.
pub(crate) fn delete(snapshot: &Snapshot) -> Result<()> {
    let request = "delete-snapshot";
    let answer = array::send(request, of_snapshot(snapshot))?;
    match answer.status {
        404 => Ok(()),
        _ => work::wait_for(request, &answer, &snapshot.share),
    }
}

/// Put the share back to the content of a snapshot. Doing it twice in a row does it once.
pub(crate) fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    if !is_there(snapshot)? {
        return Err(Error::snapshot_not_found(format!("the array has no {}", snapshot.name)));
    }
    work::settle(&snapshot.share)?;
    let request = "revert-volume";
    let answer = array::send(request, of_volume(&snapshot.share).name_of("snapshot", snapshot))?;
    work::wait_for(request, &answer, &snapshot.share)?;
    Ok(Reversion::Done)
}

/// Whether the array has it, of the volume that it should be of.
fn is_there(snapshot: &Snapshot) -> Result<bool> {
    match array::snapshot(snapshot)? {
        None => Ok(false),
        Some(found) if found.volume == snapshot.share.name => Ok(true),
        Some(found) => {
            Err(Error::conflict(format!("{} is there, of the volume {}", snapshot.name, found.volume)))
        }
    }
}

fn of_snapshot(snapshot: &Snapshot) -> Slots {
    Slots::new().name_of("snapshot", snapshot)
}
