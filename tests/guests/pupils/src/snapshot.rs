//! Taking and removing snapshots, and reverting to one.

use crate::flaw::{has, once};
use crate::place::{self, NEW_SHARE, NEW_SNAPSHOT, SHARE, is_there, of, of_snapshot, path};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{Error, Result, Reversion, Snapshot, SnapshotOutcome, clock, files};

/// Take a snapshot, once: the content stays that of the first time.
pub(crate) fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    let mut outcome = SnapshotOutcome::default();
    if has("snapshot-handle-changes")? {
        outcome.provider_location = Some(clock::new_id());
    }
    take(snapshot)?;
    Ok(outcome)
}

/// Copy the share of a snapshot, unless it was copied.
pub(crate) fn take(snapshot: &Snapshot) -> Result<()> {
    let at = of_snapshot(snapshot);
    if is_there(&at)? {
        if !has("snapshot-again-is-new")? {
            return Ok(());
        }
        files::remove(&at)?;
    }
    let from = path(SHARE, &snapshot.share);
    if !is_there(&from)? {
        if has("snapshots-of-nothing")? {
            return Ok(());
        }
        return Err(Error::share_not_found(format!("{} is not there", snapshot.share.name)));
    }
    if has("one-snapshot-a-share")? {
        let before = private_data::get(&of(&snapshot.share), "snapshot")?;
        if before.is_some_and(|entry| entry.value == "taken") {
            return Ok(files::create_directory(&at)?);
        }
        private_data::set(&of(&snapshot.share), "snapshot", "taken", Expected::Anything)?;
    }
    Ok(place::copy(&from, &path(NEW_SNAPSHOT, snapshot), &at)?)
}

/// Remove a snapshot, or what there is of it.
pub(crate) fn delete(snapshot: &Snapshot) -> Result<()> {
    let at = of_snapshot(snapshot);
    if has("snapshot-delete-wants-one")? && !is_there(&at)? {
        return Err(Error::internal("there is no such snapshot"));
    }
    if has("snapshot-delete-hides-failures")? {
        drop(files::remove(&path(NEW_SNAPSHOT, snapshot)));
        drop(files::remove(&at));
        return Ok(());
    }
    files::remove(&path(NEW_SNAPSHOT, snapshot))?;
    files::remove(&at)?;
    if has("snapshot-delete-leaves-a-record")? {
        private_data::set(&of(snapshot), "remembrance", "it was here", Expected::Anything)?;
    }
    Ok(())
}

/// Put the share back to the content of a snapshot.
pub(crate) fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    let at = of_snapshot(snapshot);
    if !is_there(&at)? {
        return Err(Error::snapshot_not_found(format!("{} is not there", snapshot.name)));
    }
    if has("reverts-once")? {
        once(&of(&snapshot.share), "reverted")?;
    }
    if has("reverts-nothing")? {
        return Ok(Reversion::Done);
    }
    let (share, making) = (path(SHARE, &snapshot.share), path(NEW_SHARE, &snapshot.share));
    let trusts_what_is_there = has("reverts-back-and-forth")? && is_there(&making)?;
    if !trusts_what_is_there {
        files::remove(&making)?;
        files::copy_tree(&at, &making)?;
    }
    files::exchange(&share, &making)?;
    files::remove(&making)?;
    if has("revert-eats-the-snapshot")? {
        files::remove(&at)?;
    }
    place::record_size(&snapshot.share, snapshot.size_gib)?;
    Ok(Reversion::Done)
}
