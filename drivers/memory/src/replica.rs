//! Replicas, on another backend of this driver or in another pool of the same one.
//!
//! Private data belong to one backend. So a replica beside the active one follows it in every respect, and one on another backend knows
//! what the host hands over: sizes, and the handles of snapshots. Nothing else would show, for there is nothing to mount.

use crate::access::{self, Client};
use crate::options;
use crate::snapshot::Handle;
use crate::volume::{self, Kind, Volume};
use crate::{own_address, place, snapshot};
use bulkhead_sdk::{
    AccessRulesStatus, Error, ExportLocation, InstanceStatus, Promotion, Replica, ReplicaOutcome,
    ReplicaSnapshot, ReplicaState, ReplicaView, ReplicationType, Resource, Result, RuleState, Share,
    Snapshot, SnapshotProgress, SnapshotUpdate, clock,
};

/// Make a replica that follows the active one.
pub(crate) fn create(view: &ReplicaView) -> Result<ReplicaOutcome> {
    let replica_state = follow(view)?;
    let rules =
        access::apply(&Resource::from(&view.replica.share), view.access_rules.iter().map(Client::from))?;
    let failed = rules.iter().any(|outcome| outcome.state == RuleState::Error);
    Ok(ReplicaOutcome {
        share_id: view.replica.share.id.clone(),
        replica_state,
        export_locations: Some(locations_of(&view.replica, replica_state)?),
        access_rules_status: failed.then_some(AccessRulesStatus::Error),
        access_rules: rules,
    })
}

/// Follow the active one; a replica that is gone is made again.
pub(crate) fn update_state(view: &ReplicaView) -> Result<ReplicaState> {
    follow(view)
}

fn follow(view: &ReplicaView) -> Result<ReplicaState> {
    let share = &view.replica.share;
    let resource = Resource::from(share);
    let active = active_of(&view.replicas)?;
    let found = volume::find(&resource)?;
    let mut volume = match &found {
        Some(found) => found.volume.clone(),
        None => {
            let pool = options::pool_for_new(share.pool.as_deref())?;
            Volume {
                used_mib: options::first_use_mib(share.size_gib)?,
                ..Volume::new(Kind::Share, &pool.name, share.size_gib, &share.share_id)
            }
        }
    };
    match volume::find(&Resource::from(active))? {
        Some(origin) => take_over(&mut volume, &origin.volume),
        None => volume.size_gib = share.size_gib,
    }
    // A replica that was active until now has nothing to say when it became like the others.
    let in_sync_at_ms = match volume.in_sync_at_ms {
        Some(at) => at,
        None => clock::now_ms().saturating_add(options::sync_ms()?),
    };
    volume.in_sync_at_ms = Some(in_sync_at_ms);
    volume::put(&resource, found.as_ref(), &volume)?;
    let mut all_snapshots = true;
    for pair in &view.snapshots {
        all_snapshots &= follow_snapshot(&pair.active, &pair.replica)?.is_some();
    }
    let is_in_sync = all_snapshots && clock::now_ms() >= in_sync_at_ms;
    Ok(if is_in_sync { ReplicaState::InSync } else { ReplicaState::OutOfSync })
}

fn take_over(volume: &mut Volume, origin: &Volume) {
    volume.size_gib = origin.size_gib;
    volume.used_mib = origin.used_mib;
    volume.content.clone_from(&origin.content);
}

/// Make the replica's snapshot like the active one's; none while that has no handle yet.
fn follow_snapshot(active: &Snapshot, own: &Snapshot) -> Result<Option<Handle>> {
    let resource = Resource::from(own);
    if let Some(found) = volume::find(&resource)? {
        volume::put(&resource, Some(&found), &found.volume)?;
        return Ok(Some(Handle::new(&found.volume)));
    }
    let Some(handle) = Handle::find(active) else { return Ok(None) };
    let pool = options::pool_for_new(own.share.pool.as_deref())?;
    let volume = Volume {
        used_mib: handle.used_mib,
        ..Volume::new(Kind::Snapshot, &pool.name, handle.size_gib, &handle.content)
    };
    volume::put(&resource, None, &volume)?;
    Ok(Some(handle))
}

/// Make a replica the active one. The old one lags behind until it follows.
pub(crate) fn promote(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
    let subject = &promotion.replica;
    let resource = Resource::from(&subject.share);
    let Some(found) = volume::find(&resource)? else {
        return Err(Error::replication_failed(format!(
            "{} is not at the array; delete this replica and make another one",
            subject.share.name
        )));
    };
    let old = active_of(&promotion.replicas)?;
    let mut volume = Volume { in_sync_at_ms: None, ..found.volume.clone() };
    // The last changes of an active replica that can be reached.
    if let Some(origin) = volume::find(&Resource::from(old))? {
        take_over(&mut volume, &origin.volume);
    }
    volume::put(&resource, Some(&found), &volume)?;
    let rules = access::apply(&resource, promotion.access_rules.iter().map(Client::from))?;
    let failed = rules.iter().any(|outcome| outcome.state == RuleState::Error);
    let promoted = ReplicaOutcome {
        share_id: subject.share.id.clone(),
        replica_state: ReplicaState::Active,
        export_locations: Some(locations_of(subject, ReplicaState::Active)?),
        access_rules_status: failed.then_some(AccessRulesStatus::Error),
        access_rules: rules,
    };
    if old.id == subject.share.id {
        return Ok(vec![promoted]);
    }
    let is_hidden = subject.replication_type == ReplicationType::Dr;
    let demoted = ReplicaOutcome {
        share_id: old.id.clone(),
        replica_state: ReplicaState::OutOfSync,
        export_locations: is_hidden.then(Vec::new),
        access_rules_status: None,
        access_rules: Vec::new(),
    };
    Ok(vec![promoted, demoted])
}

/// Remove a replica with its snapshots.
pub(crate) fn delete(replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
    snapshots.iter().try_for_each(snapshot::delete)?;
    own_address::give_back(&replica.share)?;
    volume::remove(&Resource::from(&replica.share), replica.share.pool.as_deref())
}

/// Take a snapshot of the active replica. Each other one makes its own at its next update.
pub(crate) fn create_snapshot(
    replicas: &[Replica],
    snapshots: &[ReplicaSnapshot],
) -> Result<Vec<SnapshotUpdate>> {
    of_active(replicas, snapshots)?.map(snapshot::create_for_update).collect()
}

/// Remove a snapshot from the active replica. Each other one removes its own at its next update.
pub(crate) fn delete_snapshot(
    replicas: &[Replica],
    snapshots: &[ReplicaSnapshot],
) -> Result<Vec<SnapshotUpdate>> {
    let removed = of_active(replicas, snapshots)?.map(|snapshot| {
        snapshot::delete(snapshot)?;
        Ok(SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Deleted))
    });
    removed.collect()
}

/// Go on with the instance of a replica that is not active. One whose origin is not taken yet waits.
pub(crate) fn update_snapshot(
    replicas: &[Replica],
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
    let Some(handle) = follow_snapshot(&origin.snapshot, &own.snapshot)? else { return Ok(None) };
    Ok(Some(SnapshotUpdate {
        provider_location: Some(handle.text()),
        export_locations: Some(snapshot::export_locations(&own.snapshot)?),
        ..SnapshotUpdate::new(&own.snapshot.id, SnapshotProgress::Available)
    }))
}

/// Where clients find a share: a replica that follows is exported unless its type is `dr`, which nobody but the backend's option says here.
pub(crate) fn export_locations(share: &Share) -> Result<Vec<ExportLocation>> {
    let follows = share.replica_state.is_some_and(|state| state != ReplicaState::Active);
    if follows && share.export_locations.is_empty() {
        return Ok(Vec::new());
    }
    place::export_locations(share, &share.name)
}

fn locations_of(replica: &Replica, state: ReplicaState) -> Result<Vec<ExportLocation>> {
    if state != ReplicaState::Active && replica.replication_type == ReplicationType::Dr {
        return Ok(Vec::new());
    }
    place::export_locations(&replica.share, &replica.share.name)
}

/// The replica that serves clients.
fn active_of(replicas: &[Replica]) -> Result<&Share> {
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    let active = replicas.iter().find(is_active).map(|replica| &replica.share);
    active.ok_or_else(|| {
        Error::replication_failed("none of the replicas is active: there is nothing to follow")
    })
}

fn of_active<'all>(
    replicas: &[Replica],
    snapshots: &'all [ReplicaSnapshot],
) -> Result<impl Iterator<Item = &'all Snapshot>> {
    let active = active_of(replicas)?.id.clone();
    Ok(snapshots.iter().map(|one| &one.snapshot).filter(move |snapshot| snapshot.share.id == active))
}
