//! What the fake backend does with replicas: both backends of a pair see the same world, so a pull is a copy within it.

use crate::fake::{FakeDriver, HeldShare, World, answered, location};
use bulkhead_model::access::AccessRule;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::replica::{
    InstanceStatus, Promotion, Replica, ReplicaOutcome, ReplicaRemoval, ReplicaSnapshot, ReplicaView,
    ReplicatedReversion, ReplicatedSnapshot, SnapshotProgress, SnapshotUpdate,
};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::{ReplicaState, ReplicationType};

/// Calls about the replicas of one share must not overlap, wherever they go.
fn gate(share: ShareId) -> (Option<ShareInstanceId>, &'static str) {
    (Some(ShareInstanceId::from_uuid(share.uuid())), "replicas")
}

fn active(replicas: &[Replica]) -> Result<&ShareForDriver, CallError> {
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    let found = replicas.iter().find(is_active).map(|replica| &replica.share);
    found.ok_or_else(|| answered(DriverErrorCode::ReplicationFailed))
}

fn pull(world: &mut World, subject: &ShareForDriver, replicas: &[Replica]) -> Result<(), CallError> {
    let active = active(replicas)?.id;
    let from =
        world.shares.get(&active).cloned().ok_or_else(|| answered(DriverErrorCode::ReplicationFailed))?;
    if !world.shares.contains_key(&subject.id) {
        *world.made.entry(subject.id.to_string()).or_default() += 1;
    }
    let rules = world.shares.get(&subject.id).map(|held| held.rules.clone()).unwrap_or_default();
    world.shares.insert(subject.id, HeldShare { rules, ..from });
    Ok(())
}

fn outcome(share: &ShareForDriver, state: ReplicaState) -> ReplicaOutcome {
    let export_locations = match state {
        ReplicaState::Active => vec![location(share)],
        _ => Vec::new(),
    };
    ReplicaOutcome {
        id: share.id,
        state,
        export_locations: Some(export_locations),
        access_rules_status: None,
        access_rules: Vec::new(),
    }
}

fn update(snapshot: &ReplicaSnapshot, progress: SnapshotProgress) -> SnapshotUpdate {
    SnapshotUpdate {
        id: snapshot.snapshot.id,
        progress,
        provider_location: Some("there".to_owned()),
        export_locations: None,
    }
}

fn keep(world: &mut World, snapshot: &ReplicaSnapshot) -> Result<(), CallError> {
    let (id, share) = (snapshot.snapshot.id, snapshot.snapshot.share.id);
    let content = world.shares.get(&share).ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?.content;
    if !world.snapshots.contains_key(&id) {
        *world.made.entry(id.to_string()).or_default() += 1;
        world.snapshots.insert(id, (share, content));
    }
    Ok(())
}

impl FakeDriver {
    pub async fn made_replica(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        let share = &view.replica.share;
        self.perform(("create-replica", reason), gate(share.share), |world| {
            pull(world, share, &view.replicas)?;
            let is_writable = view.replica.replication_type == ReplicationType::Writable;
            Ok(outcome(share, if is_writable { ReplicaState::Active } else { ReplicaState::InSync }))
        })
        .await
    }

    pub async fn deleted_replica(
        &self,
        reason: &CallReason,
        removal: &ReplicaRemoval,
    ) -> Result<(), CallError> {
        let share = &removal.replica.share;
        self.perform(("delete-replica", reason), gate(share.share), |world| {
            world.shares.remove(&share.id);
            for snapshot in &removal.snapshots {
                world.snapshots.remove(&snapshot.id);
            }
            Ok(())
        })
        .await
    }

    pub async fn promoted_replica(
        &self,
        reason: &CallReason,
        promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        let share = &promotion.replica.share;
        self.perform(("promote-replica", reason), gate(share.share), |world| {
            let old = active(&promotion.replicas)?.clone();
            let in_force = |rule: &AccessRule| (rule.id, (rule.access_to.clone(), rule.level));
            if let Some(held) = world.shares.get_mut(&share.id) {
                held.rules = promotion.access_rules.iter().map(in_force).collect();
            }
            if let Some(held) = world.shares.get_mut(&old.id) {
                held.rules.clear();
            }
            let all = [outcome(share, ReplicaState::Active), outcome(&old, ReplicaState::OutOfSync)];
            Ok(all.into_iter().take(self.answers_about.unwrap_or(usize::MAX)).collect())
        })
        .await
    }

    pub async fn updated_replica(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        let share = &view.replica.share;
        self.perform(("update-replica-state", reason), gate(share.share), |world| {
            pull(world, share, &view.replicas)?;
            Ok(Some(ReplicaState::InSync))
        })
        .await
    }

    pub async fn took_replicated_snapshot(
        &self,
        reason: &CallReason,
        asked: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        let active = active(&asked.replicas)?;
        self.perform(("create-replicated-snapshot", reason), gate(active.share), |world| {
            let mut updates = Vec::new();
            for own in asked.snapshots.iter().filter(|one| one.snapshot.share.id == active.id) {
                keep(world, own)?;
                updates.push(update(own, SnapshotProgress::Available));
            }
            Ok(updates)
        })
        .await
    }

    pub async fn removed_replicated_snapshot(
        &self,
        reason: &CallReason,
        asked: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        let active = active(&asked.replicas)?;
        self.perform(("delete-replicated-snapshot", reason), gate(active.share), |world| {
            let own = asked.snapshots.iter().filter(|one| one.snapshot.share.id == active.id);
            let gone = own.map(|own| {
                world.snapshots.remove(&own.snapshot.id);
                update(own, SnapshotProgress::Deleted)
            });
            Ok(gone.collect())
        })
        .await
    }

    pub async fn updated_replicated_snapshot(
        &self,
        reason: &CallReason,
        replica: ShareInstanceId,
        asked: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        let share = active(&asked.replicas)?.share;
        self.perform(("update-replicated-snapshot", reason), gate(share), |world| {
            let own = asked.snapshots.iter().find(|one| one.snapshot.share.id == replica);
            let own = own.ok_or_else(|| answered(DriverErrorCode::SnapshotNotFound))?;
            if own.status == InstanceStatus::Deleting {
                // The contract's way of saying that it is gone.
                world.snapshots.remove(&own.snapshot.id);
                return Err(answered(DriverErrorCode::SnapshotNotFound));
            }
            keep(world, own)?;
            Ok(Some(update(own, SnapshotProgress::Available)))
        })
        .await
    }

    pub async fn reverted_replica(
        &self,
        reason: &CallReason,
        asked: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        let share = &asked.active_replica.share;
        self.perform(("revert-to-replicated-snapshot", reason), gate(share.share), |world| {
            let kept = world.snapshots.get(&asked.active_snapshot.snapshot.id).copied();
            let (_, content) = kept.ok_or_else(|| answered(DriverErrorCode::SnapshotNotFound))?;
            let held = world.shares.get_mut(&share.id);
            held.ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?.content = content;
            Ok(())
        })
        .await
    }
}
