//! The instances of one snapshot on all replicas of its share.

use crate::records::{Cause, Change, Row, Tables};
use bulkhead_model::id::{ShareId, ShareInstanceId, SnapshotId, SnapshotInstanceId};
use bulkhead_model::share::ShareInstance;
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::{ReplicaState, SnapshotStatus};

/// The most snapshots of a share that gets another replica: their new instances are written in one transaction.
pub(crate) const MOST_SNAPSHOTS: usize = 64;

/// How far a snapshot is as a whole: the worst of its instances on replicas that are active or in step (contract 2.4).
pub(crate) fn aggregate(tables: &Tables, snapshot: SnapshotId) -> SnapshotStatus {
    let counts = |one: &SnapshotInstance| {
        let state = tables.instance(one.share_instance).and_then(|replica| replica.replica_state);
        matches!(state, None | Some(ReplicaState::Active | ReplicaState::InSync))
    };
    let all = || tables.shown_snapshot_instances_of(snapshot);
    let counted = all().filter(|one| counts(one)).map(|one| one.status).min_by_key(|status| rank(*status));
    // Where no replica in step has one any more it is on its way out.
    counted.or_else(|| all().map(|one| one.status).next()).unwrap_or(SnapshotStatus::Error)
}

const fn rank(status: SnapshotStatus) -> u8 {
    match status {
        SnapshotStatus::Deleting => 0,
        SnapshotStatus::Creating => 1,
        SnapshotStatus::Available => 4,
        status if status.is_transient() => 2,
        _ => 3,
    }
}

/// Whether a snapshot's way is followed beside the operations: its instance on the active replica rests or is gone.
pub(crate) fn is_followed(tables: &Tables, snapshot: SnapshotId) -> bool {
    let is_active = |one: &SnapshotInstance| {
        let state = tables.instance(one.share_instance).and_then(|replica| replica.replica_state);
        state.is_none_or(|state| state == ReplicaState::Active)
    };
    let mut on_active = tables.shown_snapshot_instances_of(snapshot).filter(|one| is_active(one));
    on_active.all(|one| !one.status.is_transient())
}

fn new_instance(snapshot: SnapshotId, replica: ShareInstanceId) -> SnapshotInstance {
    SnapshotInstance {
        id: SnapshotInstanceId::random(),
        snapshot,
        share_instance: replica,
        status: SnapshotStatus::Creating,
        provider_location: None,
        export_locations: Vec::new(),
        access_rules: Vec::new(),
    }
}

/// A new snapshot gets an instance on every replica beside the active one.
pub(crate) fn add_to_replicas(
    tables: &Tables,
    snapshot: SnapshotId,
    active: &ShareInstance,
    change: &mut Change,
) {
    for other in tables.instances_of(active.share).into_iter().filter(|other| other.id != active.id) {
        change.insert(Row::SnapshotInstance(new_instance(snapshot, other.id)));
    }
}

/// A new replica gets an instance of every snapshot of its share.
pub(crate) fn add_to_replica(tables: &Tables, share: ShareId, replica: ShareInstanceId, change: &mut Change) {
    for snapshot in tables.snapshots_of(share) {
        change.insert(Row::SnapshotInstance(new_instance(snapshot.id, replica)));
    }
}

/// A snapshot is going everywhere, or its operation failed everywhere: its instances beside the one on the active replica.
pub(crate) fn set_on_replicas(
    tables: &Tables,
    snapshot: SnapshotId,
    status: SnapshotStatus,
    cause: &Cause,
    change: &mut Change,
) {
    let active = tables.snapshot_instance_of(snapshot).map(|one| one.id);
    for other in tables.snapshot_instances_of(snapshot).filter(|one| Some(one.id) != active) {
        change.edit_one_snapshot_instance(other, cause, |instance| instance.status = status);
    }
}
