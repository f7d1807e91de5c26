//! Taking over subvolumes that somebody made by hand. What the operator names is the last component of what he typed, below `shares`
//! or `snapshots` of the pool; it gets the name of the share or snapshot and is this backend's from then on.

use crate::export::Export;
use crate::place::{self, MANAGED_SHARE, MANAGED_SNAPSHOT, SHARE, SNAPSHOT};
use crate::subvolume::{self, Access, GIB};
use crate::{share, snapshot};
use bulkhead_sdk::{Error, ManagedShare, ManagedSnapshot, Resource, Result, Share, Snapshot, files};

/// Take over a share. Nobody may mount it until there are rules.
pub fn take_share(share: &Share) -> Result<ManagedShare> {
    share::check_protocol(share)?;
    let resource = Resource::from(share);
    let is_new = !subvolume::is_there(SHARE, &resource)?;
    if is_new {
        check_share(share)?;
    }
    let size_gib = size_gib(if is_new { MANAGED_SHARE } else { SHARE }, &resource)?;
    if is_new {
        files::rename(&place::pool(MANAGED_SHARE, &resource), &place::pool(SHARE, &resource))?;
    }
    subvolume::limit(SHARE, &resource, size_gib)?;
    let export = Export::of_share(share);
    let _held = export.hold()?;
    export.publish_first()?;
    Ok(ManagedShare { size_gib, export_locations: Some(export.locations()?) })
}

fn check_share(share: &Share) -> Result<()> {
    let unfit = |why: &str| {
        Err(Error::manage_invalid_share(format!(
            "{why}; name a writable subvolume that stands in the pool's directory shares"
        )))
    };
    match subvolume::look("show-subvolume", MANAGED_SHARE, &Resource::from(share))? {
        None => unfit("what was named is not there, or is no subvolume"),
        Some(facts) if facts.access == Access::ReadOnly => unfit("what was named is read-only"),
        Some(_) => Ok(()),
    }
}

/// Its limit, or else what it holds, in whole GiB.
fn size_gib(pattern: &str, resource: &Resource) -> Result<u64> {
    let bytes = match subvolume::limit_bytes(pattern, resource)? {
        Some(bytes) => bytes,
        None => subvolume::used_bytes(pattern, resource)?,
    };
    Ok(bytes.div_ceil(GIB).max(1))
}

/// Take over a snapshot of a share of this backend.
pub fn take_snapshot(snapshot: &Snapshot) -> Result<ManagedSnapshot> {
    let resource = Resource::from(snapshot);
    if !subvolume::is_there(SNAPSHOT, &resource)? {
        check_snapshot(snapshot)?;
        files::rename(&place::pool(MANAGED_SNAPSHOT, &resource), &place::pool(SNAPSHOT, &resource))?;
    }
    let export_locations = snapshot::settle(snapshot)?.export_locations;
    Ok(ManagedSnapshot { export_locations, ..ManagedSnapshot::default() })
}

fn check_snapshot(snapshot: &Snapshot) -> Result<()> {
    let unfit = |why: &str| {
        Err(Error::manage_invalid_snapshot(format!(
            "{why}; name a read-only snapshot of {} that stands in the pool's directory snapshots",
            snapshot.share.name
        )))
    };
    let Some(found) = subvolume::look("show-subvolume", MANAGED_SNAPSHOT, &Resource::from(snapshot))? else {
        return unfit("what was named is not there, or is no subvolume");
    };
    if found.access == Access::Writable {
        return unfit("what was named can be written to");
    }
    let share = subvolume::look("show-subvolume", SHARE, &Resource::from(&snapshot.share))?;
    match share {
        Some(share) if found.parent.as_ref() == Some(&share.uuid) => Ok(()),
        _ => unfit("what was named is no snapshot of the share as it is now"),
    }
}
