//! The functions of replication as the host calls them: about one replica, with all of them and their snapshots in the target.

use super::lab::Lab;
use super::place::Target;
use crate::access::AccessRule;
use crate::error::Result;
use crate::replication::{
    Promotion, Replica, ReplicaOutcome, ReplicaSnapshot, ReplicaView, ReplicatedReversion, ReplicatedRevert,
    ReplicatedSnapshots, Replication, ShareAccessRule, SnapshotUpdate,
};
use crate::resource::Resource;
use crate::share::ReplicaState;
use crate::snapshot::Snapshot;

impl Lab {
    /// [`Replication::create_replica`].
    pub fn create_replica<D: Replication>(&self, view: &ReplicaView) -> Result<ReplicaOutcome> {
        self.call(target_of(view), || D::create_replica(view))
    }

    /// [`Replication::delete_replica`].
    pub fn delete_replica<D: Replication>(
        &self,
        replicas: &[Replica],
        replica: &Replica,
        snapshots: &[Snapshot],
    ) -> Result<()> {
        let target = Target::replicas(Resource::from(&replica.share), replicas, snapshots);
        self.call(target, || D::delete_replica(replicas, replica, snapshots))
    }

    /// [`Replication::promote_replica`].
    pub fn promote_replica<D: Replication>(&self, promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
        let subject = Resource::from(&promotion.replica.share);
        let target =
            Target::replicas(subject, &promotion.replicas, []).with_rules(&rules_of(&promotion.access_rules));
        self.call(target, || D::promote_replica(promotion))
    }

    /// [`Replication::update_replica_state`].
    pub fn update_replica_state<D: Replication>(&self, view: &ReplicaView) -> Result<Option<ReplicaState>> {
        self.call(target_of(view), || D::update_replica_state(view))
    }

    /// [`ReplicatedSnapshots::create_replicated_snapshot`], about `active`.
    pub fn create_replicated_snapshot<D: ReplicatedSnapshots>(
        &self,
        active: &Replica,
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        let target = with_snapshots(active, replicas, snapshots);
        self.call(target, || D::create_replicated_snapshot(replicas, snapshots))
    }

    /// [`ReplicatedSnapshots::delete_replicated_snapshot`], about `active`.
    pub fn delete_replicated_snapshot<D: ReplicatedSnapshots>(
        &self,
        active: &Replica,
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        let target = with_snapshots(active, replicas, snapshots);
        self.call(target, || D::delete_replicated_snapshot(replicas, snapshots))
    }

    /// [`ReplicatedSnapshots::update_replicated_snapshot`].
    pub fn update_replicated_snapshot<D: ReplicatedSnapshots>(
        &self,
        replicas: &[Replica],
        replica: &Replica,
        snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>> {
        let target = with_snapshots(replica, replicas, snapshots);
        self.call(target, || D::update_replicated_snapshot(replicas, replica, snapshots, snapshot))
    }

    /// [`ReplicatedRevert::revert_to_replicated_snapshot`]: slots of type `access-rules` hold `reversion.share_rules`.
    pub fn revert_to_replicated_snapshot<D: ReplicatedRevert>(
        &self,
        reversion: &ReplicatedReversion,
    ) -> Result<()> {
        let target = with_snapshots(&reversion.active_replica, &reversion.replicas, &reversion.snapshots)
            .with_rules(&reversion.share_rules);
        self.call(target, || D::revert_to_replicated_snapshot(reversion))
    }
}

fn target_of(view: &ReplicaView) -> Target {
    let snapshots = view.snapshots.iter().flat_map(|pair| [&pair.active, &pair.replica]);
    Target::replicas(Resource::from(&view.replica.share), &view.replicas, snapshots)
        .with_rules(&rules_of(&view.access_rules))
}

fn with_snapshots(subject: &Replica, replicas: &[Replica], snapshots: &[ReplicaSnapshot]) -> Target {
    let snapshots = snapshots.iter().map(|one| &one.snapshot);
    Target::replicas(Resource::from(&subject.share), replicas, snapshots)
}

/// Rules of a share as slots of type `access-rules` print them.
fn rules_of(rules: &[ShareAccessRule]) -> Vec<AccessRule> {
    let rule = |rule: &ShareAccessRule| AccessRule {
        id: rule.id.clone(),
        mapping_id: rule.id.clone(),
        access_type: rule.access_type,
        access_to: rule.access_to.clone(),
        access_level: rule.access_level,
    };
    rules.iter().map(rule).collect()
}
