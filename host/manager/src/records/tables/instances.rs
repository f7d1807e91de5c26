//! The instances of shares and snapshots: one, one for each replica, or two of a share that moves.

use super::{Stored, Tables};
use bulkhead_model::id::{ShareId, ShareInstanceId, SnapshotId, SnapshotInstanceId};
use bulkhead_model::migration::Migration;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::ReplicaState;
use std::collections::BTreeSet;

impl Tables {
    /// The instance of a share that serves its clients: the only one, or the active replica; the oldest one if none is active.
    pub(crate) fn instance_of(&self, share: ShareId) -> Option<&Stored<ShareInstance>> {
        let serves = |one: &&Stored<ShareInstance>| {
            one.replica_state.is_none_or(|state| state == ReplicaState::Active)
        };
        let hidden = self.hidden_of(share);
        let mut of_share = self.of_share(share).filter(|one| Some(one.id) != hidden);
        of_share.clone().find(serves).or_else(|| of_share.next())
    }

    /// The instance that no client sees while its share moves.
    fn hidden_of(&self, share: ShareId) -> Option<ShareInstanceId> {
        self.shares.get(&share).and_then(|share| share.migration.as_ref()).map(Migration::hidden)
    }

    /// How many replicas a share has; 1 for one that is not replicated.
    pub(crate) fn count_replicas(&self, share: ShareId) -> usize {
        let hidden = self.hidden_of(share);
        self.of_share(share).filter(|one| Some(one.id) != hidden).count()
    }

    /// All instances of a share, oldest first: one, one for each replica, or two of a share that moves.
    pub(crate) fn instances_of(&self, share: ShareId) -> Vec<&Stored<ShareInstance>> {
        let mut instances: Vec<_> = self.of_share(share).collect();
        instances.sort_by_key(|instance| (instance.created_at, instance.id));
        instances
    }

    /// Whether a share has more than one replica.
    pub(crate) fn has_replicas(&self, share: ShareId) -> bool {
        self.instances_of_share.get(&share).is_some_and(|instances| instances.len() > 1)
            && self.count_replicas(share) > 1
    }

    /// The shares with more than one replica.
    pub(crate) fn replicated_shares(&self) -> impl Iterator<Item = ShareId> {
        let is_replicated = |(share, instances): (&ShareId, &BTreeSet<_>)| {
            (instances.len() > 1 && self.count_replicas(*share) > 1).then_some(*share)
        };
        self.instances_of_share.iter().filter_map(is_replicated)
    }

    fn of_share(&self, share: ShareId) -> impl Iterator<Item = &Stored<ShareInstance>> + Clone {
        self.instances_of_share.get(&share).into_iter().flatten().filter_map(|id| self.instances.get(id))
    }

    /// Under which instance's id the rules of an instance's share stand.
    pub(crate) fn rules_home(&self, instance: ShareInstanceId) -> ShareInstanceId {
        let share = self.instances.get(&instance).and_then(|one| self.shares.get(&one.share));
        share.and_then(|share| share.rules_home).unwrap_or(instance)
    }

    /// The instance of a snapshot: the only one, or the one on its share's active replica.
    pub(crate) fn snapshot_instance_of(&self, snapshot: SnapshotId) -> Option<&Stored<SnapshotInstance>> {
        let share = self.snapshots.get(&snapshot).map(|snapshot| snapshot.share);
        let active = share.and_then(|share| self.instance_of(share)).map(|instance| instance.id);
        let mut instances = self.snapshot_instances_of(snapshot);
        let on_active = |one: &&Stored<SnapshotInstance>| Some(one.share_instance) == active;
        instances.clone().find(on_active).or_else(|| instances.next())
    }

    /// An instance of a snapshot by its own id.
    pub(crate) fn snapshot_instance(&self, id: SnapshotInstanceId) -> Option<&Stored<SnapshotInstance>> {
        self.snapshot_instances.get(&id)
    }

    /// The instances of a snapshot that count, in no order: all but those on an instance that no client sees.
    pub(crate) fn shown_snapshot_instances_of(
        &self,
        snapshot: SnapshotId,
    ) -> impl Iterator<Item = &Stored<SnapshotInstance>> + Clone {
        let share = self.snapshots.get(&snapshot).map(|snapshot| snapshot.share);
        let hidden = share.and_then(|share| self.hidden_of(share));
        self.snapshot_instances_of(snapshot).filter(move |one| Some(one.share_instance) != hidden)
    }

    /// All instances of a snapshot, in no order: one, one for each replica that has one, or two of one that moves.
    pub(crate) fn snapshot_instances_of(
        &self,
        snapshot: SnapshotId,
    ) -> impl Iterator<Item = &Stored<SnapshotInstance>> + Clone {
        let ids = self.instances_of_snapshot.get(&snapshot).into_iter().flatten();
        ids.filter_map(|id| self.snapshot_instances.get(id))
    }
}
