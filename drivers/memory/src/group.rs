//! Share groups, and snapshots of all shares of a group at one moment.

use crate::{share, snapshot, volume};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    CreatedShare, GroupShareSource, Resource, Result, ShareGroup, ShareGroupSnapshot, SnapshotUpdate,
};

const KEY: &str = "group";

/// Make an empty group.
pub(crate) fn create(group: &ShareGroup) -> Result<()> {
    private_data::set(&volume::owner(&Resource::from(group)), KEY, "there", Expected::Anything)?;
    Ok(())
}

/// Remove an empty group.
pub(crate) fn delete(group: &ShareGroup) -> Result<()> {
    Ok(private_data::remove(&volume::owner(&Resource::from(group)), KEY)?)
}

/// Make a group and its shares, each from its member.
pub(crate) fn create_from_snapshot(
    group: &ShareGroup,
    sources: &[GroupShareSource],
) -> Result<Vec<CreatedShare>> {
    create(group)?;
    let made = sources.iter().map(|source| {
        let creation = share::create_from_snapshot(&source.share, &source.member)?;
        Ok(CreatedShare { share_id: source.share.id.clone(), creation })
    });
    made.collect()
}

/// Take a snapshot of each share. Nobody writes to a share of this array, so that all of them are of one moment.
pub(crate) fn create_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
    snapshot.members.iter().map(snapshot::create_for_update).collect()
}

/// Remove the snapshots of all shares.
pub(crate) fn delete_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
    snapshot.members.iter().try_for_each(snapshot::delete)
}
