//! Groups: a record, and a snapshot of each member.

use crate::flaw::{fail_if, has, once};
use crate::place::{self, NEW_SNAPSHOT, is_there, of, of_snapshot, path};
use crate::{share, snapshot};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    CreatedShare, Creation, Error, GroupShareSource, Result, ShareGroup, ShareGroupSnapshot,
    SnapshotProgress, SnapshotUpdate, files,
};

const GROUP: &str = "group";

/// Make a group.
pub(crate) fn create(group: &ShareGroup) -> Result<()> {
    fail_if("groups-fail")?;
    if has("groups-once")? {
        once(&of(group), "made")?;
    }
    private_data::set(&of(group), GROUP, "made", Expected::Anything)?;
    Ok(())
}

/// Remove a group.
pub(crate) fn delete(group: &ShareGroup) -> Result<()> {
    if has("group-delete-wants-one")? && private_data::get(&of(group), GROUP)?.is_none() {
        return Err(Error::invalid_share_group("there is no such group"));
    }
    if has("group-delete-leaves-a-record")? {
        return Ok(());
    }
    place::forget(&of(group))
}

/// Make a group and its shares from a snapshot of another.
pub(crate) fn create_from_snapshot(
    group: &ShareGroup,
    sources: &[GroupShareSource],
) -> Result<Vec<CreatedShare>> {
    private_data::set(&of(group), GROUP, "made", Expected::Anything)?;
    let mut made = Vec::new();
    for source in sources {
        share::copy_source(&source.share, &source.member.name)?;
        place::record_size(&source.share, source.share.size_gib)?;
        let creation = Creation::Available(place::locations(&source.share)?);
        made.push(CreatedShare { share_id: source.share.id.clone(), creation });
    }
    if has("groups-by-half")? {
        made.truncate(1);
    }
    Ok(made)
}

/// Take a snapshot of every member.
pub(crate) fn take(group: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
    fail_if("group-snapshots-fail")?;
    if has("group-snapshots-once")? {
        once(&of(&group.share_group), "taken")?;
    }
    let count = if has("group-snapshots-by-half")? { 1 } else { group.members.len() };
    for member in group.members.iter().take(count) {
        snapshot::take(member)?;
    }
    let updates =
        group.members.iter().map(|member| SnapshotUpdate::new(&member.id, SnapshotProgress::Available));
    Ok(updates.collect())
}

/// Remove the snapshots of all members.
pub(crate) fn remove(group: &ShareGroupSnapshot) -> Result<()> {
    for member in &group.members {
        if has("group-snapshot-delete-wants-one")? && !is_there(&of_snapshot(member))? {
            return Err(Error::internal("there is no such snapshot"));
        }
        if has("group-snapshot-delete-leaves-a-record")? {
            private_data::set(&of(member), "remembrance", "it was here", Expected::Anything)?;
        }
        files::remove(&path(NEW_SNAPSHOT, member))?;
        files::remove(&of_snapshot(member))?;
    }
    Ok(())
}
