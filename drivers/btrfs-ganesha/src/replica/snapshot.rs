//! Snapshots of replicated shares: taken of the active replica, pulled by the other one.

use super::{active_of, base, pull};
use bulkhead_btrfs_pool::snapshot;
use bulkhead_sdk::{
    InstanceStatus, Replica, ReplicaSnapshot, Resource, Result, Snapshot, SnapshotProgress, SnapshotUpdate,
};

/// Take it of the active replica. The other one's instance is pulled by its own backend.
pub(crate) fn create(replicas: &[Replica], snapshots: &[ReplicaSnapshot]) -> Result<Vec<SnapshotUpdate>> {
    let of_active = of_active(replicas, snapshots)?.map(|snapshot| {
        let outcome = snapshot::create(snapshot)?;
        Ok(SnapshotUpdate {
            export_locations: Some(outcome.export_locations),
            ..SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Available)
        })
    });
    of_active.collect()
}

/// Remove it from the active replica. The other one's instance is removed by its own backend.
pub(crate) fn delete(replicas: &[Replica], snapshots: &[ReplicaSnapshot]) -> Result<Vec<SnapshotUpdate>> {
    let of_active = of_active(replicas, snapshots)?.map(|snapshot| {
        snapshot::delete(snapshot)?;
        Ok(SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Deleted))
    });
    of_active.collect()
}

/// Go on with the instance of a replica that is not active. One whose origin is not taken yet waits.
pub(crate) fn update(
    replicas: &[Replica],
    replica: &Replica,
    snapshots: &[ReplicaSnapshot],
    own: &ReplicaSnapshot,
) -> Result<Option<SnapshotUpdate>> {
    if own.status == InstanceStatus::Deleting {
        snapshot::delete(&own.snapshot)?;
        return Ok(Some(SnapshotUpdate::new(&own.snapshot.id, SnapshotProgress::Deleted)));
    }
    let active = active_of(replicas)?;
    let origin = snapshots.iter().find(|one| one.snapshot.share.id == active.id);
    let Some(origin) = origin.filter(|origin| origin.status == InstanceStatus::Available) else {
        return Ok(None);
    };
    let since = base::find(&Resource::from(&replica.share), &Resource::from(active))?;
    pull::snapshot(&Resource::from(&origin.snapshot), &Resource::from(&own.snapshot), since)?;
    Ok(Some(SnapshotUpdate::new(&own.snapshot.id, SnapshotProgress::Available)))
}

fn of_active<'all>(
    replicas: &[Replica],
    snapshots: &'all [ReplicaSnapshot],
) -> Result<impl Iterator<Item = &'all Snapshot>> {
    let active = active_of(replicas)?.id.clone();
    Ok(snapshots.iter().map(|one| &one.snapshot).filter(move |snapshot| snapshot.share.id == active))
}
