//! What the driver can do beyond the required: each ability in a line, the work in the module of its noun.

use crate::{BtrfsGanesha, replica};
use bulkhead_btrfs_pool::{access, manage, share, size, snapshot};
use bulkhead_sdk::{
    AccessRule, Creation, Extend, Manage, ManageSnapshots, ManagedShare, ManagedSnapshot, MountableSnapshots,
    Promotion, Replica, ReplicaOutcome, ReplicaSnapshot, ReplicaState, ReplicaView, ReplicatedReversion,
    ReplicatedRevert, ReplicatedSnapshots, Replication, Result, Reversion, Revert, Share, ShareFromSnapshot,
    ShareUsage, Shrink, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate, SnapshotOutcome, SnapshotUpdate,
    Snapshots, Usage,
};

impl Snapshots for BtrfsGanesha {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for BtrfsGanesha {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for BtrfsGanesha {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl Extend for BtrfsGanesha {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for BtrfsGanesha {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}

impl MountableSnapshots for BtrfsGanesha {
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
        access::update_snapshot(snapshot, &update.rules)
    }
}

impl Manage for BtrfsGanesha {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        manage::take_share(share)
    }
}

impl ManageSnapshots for BtrfsGanesha {
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        _driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        manage::take_snapshot(snapshot)
    }
}

impl Replication for BtrfsGanesha {
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
        replica::update_state(view)
    }
}

impl ReplicatedSnapshots for BtrfsGanesha {
    fn create_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::snapshot::create(replicas, snapshots)
    }

    fn delete_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::snapshot::delete(replicas, snapshots)
    }

    fn update_replicated_snapshot(
        replicas: &[Replica],
        replica: &Replica,
        snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>> {
        replica::snapshot::update(replicas, replica, snapshots, snapshot)
    }
}

impl ReplicatedRevert for BtrfsGanesha {
    fn revert_to_replicated_snapshot(reversion: &ReplicatedReversion) -> Result<()> {
        // The other replica pulls the old content as it pulls every change.
        snapshot::revert(&reversion.active_snapshot.snapshot).map(drop)
    }
}

impl Usage for BtrfsGanesha {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        Ok(size::usage(shares))
    }
}
