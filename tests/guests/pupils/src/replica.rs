//! Replicas: directories that are said to hold what the active one holds.

use crate::flaw::{has, once};
use crate::place::{self, SHARE, is_there, of, of_snapshot, path};
use crate::snapshot;
use bulkhead_sdk::private_data::{self, Owner};
use bulkhead_sdk::{
    Error, InstanceStatus, Promotion, Replica, ReplicaOutcome, ReplicaSnapshot, ReplicaState, ReplicaView,
    ReplicatedReversion, Result, Snapshot, SnapshotProgress, SnapshotUpdate, files,
};

fn outcome(replica: &Replica, state: ReplicaState) -> ReplicaOutcome {
    ReplicaOutcome {
        share_id: replica.share.id.clone(),
        replica_state: state,
        export_locations: None,
        access_rules_status: None,
        access_rules: Vec::new(),
    }
}

/// Make a replica.
pub(crate) fn create(view: &ReplicaView) -> Result<ReplicaOutcome> {
    let replica = &view.replica;
    if has("replicates-once")? {
        once(&of(&replica.share), "replicated")?;
    }
    files::create_directory(&path(SHARE, &replica.share))?;
    place::record_size(&replica.share, replica.share.size_gib)?;
    let state = if has("two-active-replicas")? { ReplicaState::Active } else { ReplicaState::InSync };
    Ok(outcome(replica, state))
}

/// Remove a replica with its snapshots.
pub(crate) fn delete(replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
    snapshots.iter().try_for_each(snapshot::delete)?;
    let owner = of(&replica.share);
    if has("replica-delete-wants-one")? && private_data::get(&owner, "size-gib")?.is_none() {
        return Err(Error::replication_failed("there is no such replica"));
    }
    files::remove(&path(SHARE, &replica.share))?;
    if has("replica-delete-leaves-a-record")? {
        return Ok(());
    }
    place::forget(&owner)
}

/// Look at a replica: it is said to follow.
pub(crate) fn update_state() -> Result<ReplicaState> {
    if has("replicas-always-broken")? {
        return Ok(ReplicaState::Error);
    }
    Ok(ReplicaState::InSync)
}

/// The snapshot's instance on the replica that serves clients.
fn of_active<'all>(
    replicas: &[Replica],
    snapshots: &'all [ReplicaSnapshot],
) -> impl Iterator<Item = &'all Snapshot> {
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    let active = replicas.iter().find(is_active).map(|replica| replica.share.id.clone());
    let all = snapshots.iter().map(|one| &one.snapshot);
    all.filter(move |snapshot| Some(&snapshot.share.id) == active.as_ref())
}

/// The first of all instances of a snapshot, the active one's; the backend if there is none.
pub(crate) fn owner_of_all(snapshots: &[ReplicaSnapshot]) -> Owner {
    snapshots.first().map_or(Owner::Backend, |one| of(&one.snapshot))
}

/// Take a snapshot of the active replica. Each other one makes its own when it is looked at.
pub(crate) fn take_snapshot(
    replicas: &[Replica],
    snapshots: &[ReplicaSnapshot],
) -> Result<Vec<SnapshotUpdate>> {
    let mut taken = Vec::new();
    for snapshot in of_active(replicas, snapshots) {
        if has("replicated-snapshots-once")? {
            once(&of(snapshot), "taken")?;
        }
        snapshot::take(snapshot)?;
        let is_broken = has("replicated-snapshots-broken")?;
        let progress = if is_broken { SnapshotProgress::Error } else { SnapshotProgress::Available };
        taken.push(SnapshotUpdate::new(&snapshot.id, progress));
    }
    Ok(taken)
}

/// Remove a snapshot from the active replica. Each other one removes its own when it is looked at.
pub(crate) fn delete_snapshot(
    replicas: &[Replica],
    snapshots: &[ReplicaSnapshot],
) -> Result<Vec<SnapshotUpdate>> {
    let mut removed = Vec::new();
    for snapshot in of_active(replicas, snapshots) {
        if has("replicated-delete-wants-one")? && !is_there(&of_snapshot(snapshot))? {
            return Err(Error::internal("there is no such snapshot"));
        }
        snapshot::delete(snapshot)?;
        removed.push(SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Deleted));
    }
    Ok(removed)
}

/// Go on with the instance of a replica that does not serve clients.
pub(crate) fn update_snapshot(own: &ReplicaSnapshot) -> Result<SnapshotUpdate> {
    if has("replicated-update-fails")? {
        return Err(Error::replication_failed("nobody knows of such a snapshot"));
    }
    let snapshot = &own.snapshot;
    if own.status == InstanceStatus::Deleting {
        snapshot::delete(snapshot)?;
        return Ok(SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Deleted));
    }
    snapshot::take(snapshot)?;
    Ok(SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Available))
}

/// Put the active replica back to a snapshot.
pub(crate) fn revert(reversion: &ReplicatedReversion) -> Result<()> {
    let snapshot = &reversion.active_snapshot.snapshot;
    if has("replicated-reverts-once")? {
        once(&of(&snapshot.share), "reverted")?;
    }
    if has("replicated-reverts-nothing")? {
        return Ok(());
    }
    snapshot::revert_now(snapshot)
}

/// Make a replica the active one.
pub(crate) fn promote(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
    if has("promotes-once")? {
        once(&of(&promotion.replica.share), "promoted")?;
    }
    let leaves_the_old_one = has("promotes-beside")?;
    let state = |replica: &Replica| {
        let is_promoted = replica.share.id == promotion.replica.share.id;
        if is_promoted || leaves_the_old_one { ReplicaState::Active } else { ReplicaState::OutOfSync }
    };
    Ok(promotion.replicas.iter().map(|replica| outcome(replica, state(replica))).collect())
}
