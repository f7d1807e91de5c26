//! Taking and removing snapshots, and reverting to one.

use crate::flaw::{fail_if, has, once};
use crate::pending;
use crate::place::{self, MANAGED, NEW_SHARE, NEW_SNAPSHOT, SHARE, is_there, of, of_snapshot, path};
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    Error, ManagedSnapshot, Result, Reversion, Share, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate,
    SnapshotOutcome, clock,
};

/// Take a snapshot, once: the content stays that of the first time.
pub(crate) fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    take(snapshot)?;
    fail_if("snapshots-fail")?;
    let mut outcome =
        SnapshotOutcome { provider_location: Some(handle(snapshot)), ..SnapshotOutcome::default() };
    if has("snapshot-handle-changes")? {
        outcome.provider_location = Some(clock::new_id());
    }
    if snapshot.share.mount_snapshot_support && !has("mountable-nowhere")? {
        outcome.export_locations = place::snapshot_locations(snapshot)?;
    }
    Ok(outcome)
}

/// What an operator calls it.
fn handle(snapshot: &Snapshot) -> String {
    format!("{}@{}", snapshot.share.name, snapshot.name)
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
    place::forget(&of(snapshot))?;
    if has("snapshot-delete-leaves-a-record")? {
        private_data::set(&of(snapshot), "remembrance", "it was here", Expected::Anything)?;
    }
    Ok(())
}

/// Put the share back to the content of a snapshot, or begin to.
pub(crate) fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    if pending::looks()? > 0 {
        require(snapshot)?;
        pending::begin_revert(snapshot)?;
        return Ok(Reversion::Pending);
    }
    revert_now(snapshot)?;
    Ok(Reversion::Done)
}

fn require(snapshot: &Snapshot) -> Result<()> {
    if is_there(&of_snapshot(snapshot))? {
        return Ok(());
    }
    Err(Error::snapshot_not_found(format!("{} is not there", snapshot.name)))
}

/// Put the share back at once.
pub(crate) fn revert_now(snapshot: &Snapshot) -> Result<()> {
    if has("reverts-to-anything")? && !is_there(&of_snapshot(snapshot))? {
        return Ok(());
    }
    require(snapshot)?;
    fail_if("revert-fails")?;
    if has("reverts-once")? {
        once(&of(&snapshot.share), "reverted")?;
    }
    if has("reverts-nothing")? {
        return Ok(());
    }
    put_back(&snapshot.share, &of_snapshot(snapshot))?;
    place::record_size(&snapshot.share, snapshot.size_gib)
}

/// Exchange the share for a copy of what stands at `at`.
pub(crate) fn put_back(share: &Share, at: &Path) -> Result<()> {
    if has("reverts-nothing-later")? {
        return Ok(());
    }
    let (share, making) = (path(SHARE, share), path(NEW_SHARE, share));
    let trusts_what_is_there = has("reverts-back-and-forth")? && is_there(&making)?;
    if !trusts_what_is_there {
        files::remove(&making)?;
        files::copy_tree(at, &making)?;
    }
    files::exchange(&share, &making)?;
    files::remove(&making)?;
    if has("revert-eats-the-snapshot")? {
        files::remove(at)?;
    }
    Ok(())
}

/// Make the rules of a snapshot what `update.rules` says: each is a key of its private data.
pub(crate) fn update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
    fail_if("mountable-by-nobody")?;
    let owner = of(snapshot);
    let key = |rule: &SnapshotAccessRule| format!("rule {}", rule.id);
    let is_there =
        |rule: &SnapshotAccessRule| Ok::<_, Error>(private_data::get(&owner, &key(rule))?.is_some());
    if has("mountable-adds-once")? {
        for rule in &update.add {
            if is_there(rule)? {
                return Err(Error::conflict("the rule is there already"));
            }
        }
    }
    if has("mountable-removes-only-what-is-there")? {
        for rule in &update.remove {
            if !is_there(rule)? {
                return Err(Error::internal("there is no such rule"));
            }
        }
    }
    let is_synchronisation = update.add.is_empty() && update.remove.is_empty();
    let keeps = is_synchronisation && has("mountable-sync-keeps")?;
    for entry in private_data::get_all(&owner)? {
        let is_wanted = update.rules.iter().any(|rule| key(rule) == entry.key);
        if entry.key.starts_with("rule ") && !is_wanted && !keeps {
            private_data::remove(&owner, &entry.key)?;
        }
    }
    for rule in &update.rules {
        private_data::set(&owner, &key(rule), &rule.access_to, Expected::Anything)?;
    }
    Ok(())
}

/// Take over the directory that the operator named, if it is a snapshot of this share.
pub(crate) fn manage(snapshot: &Snapshot) -> Result<ManagedSnapshot> {
    let (at, named) = (of_snapshot(snapshot), path(MANAGED, snapshot));
    if has("manages-snapshots-once")? {
        once(&of(snapshot), "managed")?;
    }
    if !is_there(&at)? {
        let typed = snapshot.provider_location.as_deref().unwrap_or_default();
        if is_there(&named)? && typed.starts_with(&snapshot.share.name) {
            fail_if("manages-no-snapshot")?;
            files::rename(&named, &at)?;
        } else if has("manages-any-snapshot")? {
            files::create_directory(&at)?;
        } else {
            return Err(Error::manage_invalid_snapshot("what was named is no snapshot of this share"));
        }
    }
    Ok(ManagedSnapshot { provider_location: Some(handle(snapshot)), ..ManagedSnapshot::default() })
}

/// Let a snapshot go.
pub(crate) fn unmanage(snapshot: &Snapshot) -> Result<()> {
    if has("unmanages-snapshots-once")? {
        once(&of(snapshot), "unmanaged")?;
    }
    if has("unmanage-snapshot-deletes")? {
        files::remove(&of_snapshot(snapshot))?;
    }
    Ok(())
}
