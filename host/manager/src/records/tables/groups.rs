//! Share groups, their snapshots, and which shares belong to them.

use super::super::row::ShareGroupType;
use super::{Index, Stored, Tables, remove_from};
use bulkhead_model::id::{
    BackendName, ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareId, ShareTypeId,
};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Share;
use bulkhead_model::share_group::{ShareGroup, ShareGroupSnapshot};
use bulkhead_store::Revision;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Groups {
    all: BTreeMap<ShareGroupId, Stored<ShareGroup>>,
    snapshots: BTreeMap<ShareGroupSnapshotId, Stored<ShareGroupSnapshot>>,
    types: BTreeMap<ShareGroupTypeId, Stored<ShareGroupType>>,
    shares_of_group: Index<ShareGroupId, ShareId>,
    snapshots_of_group: Index<ShareGroupId, ShareGroupSnapshotId>,
}

impl Groups {
    pub(super) fn insert(&mut self, revision: Revision, group: ShareGroup) {
        self.all.insert(group.id, Stored::new(revision, group));
    }

    pub(super) fn insert_snapshot(&mut self, revision: Revision, snapshot: ShareGroupSnapshot) {
        self.snapshots_of_group.entry(snapshot.group).or_default().insert(snapshot.id);
        self.snapshots.insert(snapshot.id, Stored::new(revision, snapshot));
    }

    pub(super) fn insert_share(&mut self, share: &Share) {
        if let Some(group) = share.group {
            self.shares_of_group.entry(group).or_default().insert(share.id);
        }
    }

    pub(super) fn insert_type(&mut self, revision: Revision, group_type: ShareGroupType) {
        self.types.insert(group_type.id, Stored::new(revision, group_type));
    }

    pub(super) fn remove_type(&mut self, id: ShareGroupTypeId) {
        self.types.remove(&id);
    }

    pub(super) fn remove(&mut self, id: ShareGroupId) -> Option<Stored<ShareGroup>> {
        self.all.remove(&id)
    }

    pub(super) fn remove_snapshot(&mut self, id: ShareGroupSnapshotId) {
        if let Some(snapshot) = self.snapshots.remove(&id) {
            remove_from(&mut self.snapshots_of_group, &snapshot.group, &id);
        }
    }

    pub(super) fn remove_share(&mut self, share: &Share) {
        if let Some(group) = share.group {
            remove_from(&mut self.shares_of_group, &group, &share.id);
        }
    }
}

impl Tables {
    /// A group inside `scope`.
    pub(crate) fn group(&self, scope: &Scope, id: ShareGroupId) -> Option<&Stored<ShareGroup>> {
        self.groups.all.get(&id).filter(|group| scope.contains(&group.project))
    }

    /// All groups inside `scope`, in no order.
    pub(crate) fn groups(&self, scope: &Scope) -> impl Iterator<Item = &Stored<ShareGroup>> {
        self.groups.all.values().filter(move |group| scope.contains(&group.project))
    }

    /// How many groups live on a backend.
    pub(crate) fn count_groups_on(&self, backend: &BackendName) -> usize {
        self.groups.all.values().filter(|group| group.placement.backend == *backend).count()
    }

    /// How many groups take shares of a share type, and how many types of groups name it.
    pub(super) fn count_groups_of_type(&self, id: ShareTypeId) -> usize {
        let groups = self.groups.all.values().filter(|group| group.share_types.contains(&id)).count();
        groups + self.groups.types.values().filter(|one| one.share_types.contains(&id)).count()
    }

    /// A type of groups that an operator made.
    pub(crate) fn group_type(&self, id: ShareGroupTypeId) -> Option<&Stored<ShareGroupType>> {
        self.groups.types.get(&id)
    }

    /// All types of groups that operators made, in no order.
    pub(crate) fn group_types(&self) -> impl Iterator<Item = &Stored<ShareGroupType>> {
        self.groups.types.values()
    }

    /// How many groups were made with a type of groups.
    pub(crate) fn count_uses_of_group_type(&self, id: ShareGroupTypeId) -> usize {
        self.groups.all.values().filter(|group| group.group_type == id).count()
    }

    /// The shares of a group, oldest first.
    pub(crate) fn shares_of_group(&self, id: ShareGroupId) -> Vec<&Stored<Share>> {
        let ids = self.groups.shares_of_group.get(&id).into_iter().flatten();
        let mut shares: Vec<_> = ids.filter_map(|id| self.shares.get(id)).collect();
        shares.sort_by_key(|share| (share.created_at, share.id));
        shares
    }

    /// A group snapshot inside `scope`.
    pub(crate) fn group_snapshot(
        &self,
        scope: &Scope,
        id: ShareGroupSnapshotId,
    ) -> Option<&Stored<ShareGroupSnapshot>> {
        self.groups.snapshots.get(&id).filter(|snapshot| scope.contains(&snapshot.project))
    }

    /// All group snapshots inside `scope`, in no order.
    pub(crate) fn group_snapshots(&self, scope: &Scope) -> impl Iterator<Item = &Stored<ShareGroupSnapshot>> {
        self.groups.snapshots.values().filter(move |snapshot| scope.contains(&snapshot.project))
    }

    /// The snapshots of a group, in no order.
    pub(crate) fn group_snapshots_of(
        &self,
        id: ShareGroupId,
    ) -> impl Iterator<Item = &Stored<ShareGroupSnapshot>> {
        let ids = self.groups.snapshots_of_group.get(&id).into_iter().flatten();
        ids.filter_map(|id| self.groups.snapshots.get(id))
    }

    /// The group snapshots that have a member of `share`, in no order.
    pub(crate) fn group_snapshots_with(
        &self,
        share: &Share,
    ) -> impl Iterator<Item = &Stored<ShareGroupSnapshot>> {
        let id = share.id;
        let of_group = share.group.into_iter().flat_map(|group| self.group_snapshots_of(group));
        of_group.filter(move |snapshot| snapshot.members.iter().any(|member| member.share == id))
    }
}
