//! The functions of share groups as the host calls them: about the group, with its shares or the members of its snapshot beside it.

use super::lab::Lab;
use super::place::Target;
use crate::error::Result;
use crate::group::{
    Consistency, CreatedShare, GroupShareSource, GroupSnapshots, ShareGroup, ShareGroupSnapshot, ShareGroups,
};
use crate::replication::SnapshotUpdate;

impl Lab {
    /// [`ShareGroups::create_share_group`].
    pub fn create_share_group<D: ShareGroups>(&self, group: &ShareGroup) -> Result<()> {
        self.call(Target::group(group), || D::create_share_group(group))
    }

    /// [`ShareGroups::delete_share_group`].
    pub fn delete_share_group<D: ShareGroups>(&self, group: &ShareGroup) -> Result<()> {
        self.call(Target::group(group), || D::delete_share_group(group))
    }

    /// [`ShareGroups::create_share_group_from_snapshot`]: the members of `sources` may be read, never changed.
    pub fn create_share_group_from_snapshot<D: ShareGroups>(
        &self,
        group: &ShareGroup,
        snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>> {
        self.call(Target::group_from_snapshot(group, sources), || {
            D::create_share_group_from_snapshot(group, snapshot, sources)
        })
    }

    /// [`GroupSnapshots::consistency_unit`].
    pub fn consistency_unit<D: GroupSnapshots>(&self) -> Result<Consistency> {
        self.call(Target::default(), D::consistency_unit)
    }

    /// [`GroupSnapshots::create_share_group_snapshot`].
    pub fn create_share_group_snapshot<D: GroupSnapshots>(
        &self,
        snapshot: &ShareGroupSnapshot,
    ) -> Result<Vec<SnapshotUpdate>> {
        self.call(Target::group_snapshot(snapshot), || D::create_share_group_snapshot(snapshot))
    }

    /// [`GroupSnapshots::delete_share_group_snapshot`].
    pub fn delete_share_group_snapshot<D: GroupSnapshots>(
        &self,
        snapshot: &ShareGroupSnapshot,
    ) -> Result<()> {
        self.call(Target::group_snapshot(snapshot), || D::delete_share_group_snapshot(snapshot))
    }
}
