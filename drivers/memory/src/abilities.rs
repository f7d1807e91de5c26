//! What the driver can do beyond the required: each ability in a line, the work in the module of its noun.

use crate::{Memory, access, group, manage, replica, share, size, snapshot};
use bulkhead_sdk::{
    AccessRule, Consistency, CreatedShare, Creation, Extend, GroupShareSource, GroupSnapshots, Manage,
    ManageSnapshots, ManagedShare, ManagedSnapshot, MountableSnapshots, Promotion, Replica, ReplicaOutcome,
    ReplicaSnapshot, ReplicaState, ReplicaView, ReplicatedReversion, ReplicatedRevert, ReplicatedSnapshots,
    Replication, Result, Reversion, Revert, Share, ShareFromSnapshot, ShareGroup, ShareGroupSnapshot,
    ShareGroups, ShareUsage, Shrink, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate, SnapshotOutcome,
    SnapshotUpdate, Snapshots, Usage,
};

impl Snapshots for Memory {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for Memory {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for Memory {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl MountableSnapshots for Memory {
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
        access::update_snapshot(snapshot, &update.rules)
    }
}

impl Extend for Memory {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for Memory {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}

impl Usage for Memory {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        size::usage(shares)
    }
}

impl Manage for Memory {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        manage::take_share(share)
    }

    fn unmanage(share: &Share) -> Result<()> {
        manage::let_share_go(share)
    }
}

impl ManageSnapshots for Memory {
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        _driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        manage::take_snapshot(snapshot)
    }

    fn unmanage_snapshot(snapshot: &Snapshot) -> Result<()> {
        manage::let_snapshot_go(snapshot)
    }
}

impl ShareGroups for Memory {
    fn create_share_group(group: &ShareGroup) -> Result<()> {
        group::create(group)
    }

    fn delete_share_group(group: &ShareGroup) -> Result<()> {
        group::delete(group)
    }

    fn create_share_group_from_snapshot(
        group: &ShareGroup,
        _snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>> {
        group::create_from_snapshot(group, sources)
    }
}

impl GroupSnapshots for Memory {
    fn consistency_unit() -> Result<Consistency> {
        Ok(Consistency::Host)
    }

    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
        group::create_snapshot(snapshot)
    }

    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
        group::delete_snapshot(snapshot)
    }
}

impl Replication for Memory {
    fn create_replica(view: &ReplicaView) -> Result<ReplicaOutcome> {
        replica::create(view)
    }

    fn delete_replica(_replicas: &[Replica], replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
        replica::delete(replica, snapshots)
    }

    fn promote_replica(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
        replica::promote(promotion)
    }

    fn update_replica_state(view: &ReplicaView) -> Result<Option<ReplicaState>> {
        replica::update_state(view).map(Some)
    }
}

impl ReplicatedSnapshots for Memory {
    fn create_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::create_snapshot(replicas, snapshots)
    }

    fn delete_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::delete_snapshot(replicas, snapshots)
    }

    fn update_replicated_snapshot(
        replicas: &[Replica],
        _replica: &Replica,
        snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>> {
        replica::update_snapshot(replicas, snapshots, snapshot)
    }
}

impl ReplicatedRevert for Memory {
    fn revert_to_replicated_snapshot(reversion: &ReplicatedReversion) -> Result<()> {
        // The others follow at their next update.
        snapshot::revert(&reversion.active_snapshot.snapshot).map(drop)
    }
}
