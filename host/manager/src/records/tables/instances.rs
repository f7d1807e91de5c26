//! The instances of shares and snapshots: one, or one for each replica.

use super::{Stored, Tables};
use bulkhead_model::id::{ShareId, ShareInstanceId, SnapshotId, SnapshotInstanceId};
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
        let mut of_share = self.of_share(share);
        of_share.clone().find(serves).or_else(|| of_share.next())
    }

    /// All instances of a share, oldest first: one, or one for each replica.
    pub(crate) fn instances_of(&self, share: ShareId) -> Vec<&Stored<ShareInstance>> {
        let mut instances: Vec<_> = self.of_share(share).collect();
        instances.sort_by_key(|instance| (instance.created_at, instance.id));
        instances
    }

    /// Whether a share has more than one replica.
    pub(crate) fn has_replicas(&self, share: ShareId) -> bool {
        self.instances_of_share.get(&share).is_some_and(|instances| instances.len() > 1)
    }

    /// The shares with more than one replica.
    pub(crate) fn replicated_shares(&self) -> impl Iterator<Item = ShareId> {
        let is_replicated =
            |(share, instances): (&ShareId, &BTreeSet<_>)| (instances.len() > 1).then_some(*share);
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

    /// All instances of a snapshot, in no order: one, or one for each replica that has one.
    pub(crate) fn snapshot_instances_of(
        &self,
        snapshot: SnapshotId,
    ) -> impl Iterator<Item = &Stored<SnapshotInstance>> + Clone {
        let ids = self.instances_of_snapshot.get(&snapshot).into_iter().flatten();
        ids.filter_map(|id| self.snapshot_instances.get(id))
    }
}
