//! Replicas and their snapshots as driver calls carry them.

use crate::access::list::RuleList;
use crate::records::Tables;
use crate::share::for_driver;
use bulkhead_model::access::AccessRule;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareId, ShareInstanceId, SnapshotId};
use bulkhead_model::operation::Operation;
use bulkhead_model::replica::{
    Promotion, Replica, ReplicaRemoval, ReplicaSnapshot, ReplicaSnapshotPair, ReplicaView,
    ReplicatedReversion, ReplicatedSnapshot,
};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::snapshot::{SnapshotForDriver, SnapshotInstance};
use bulkhead_model::status::{AccessRuleState, ReplicaState, SnapshotStatus};

/// The host part of host strings.
const HOST: &str = "bulkhead";

fn missing(what: &str, id: impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("{what} {id} has no record") }
}

/// `HOST@BACKEND#POOL`.
pub(crate) fn host_string(placement: &Placement) -> String {
    match &placement.pool {
        Some(pool) => format!("{HOST}@{}#{pool}", placement.backend),
        None => format!("{HOST}@{}", placement.backend),
    }
}

fn replica(tables: &Tables, share: &Share, instance: &ShareInstance) -> Result<Replica, CallError> {
    Ok(Replica {
        share: for_driver(tables, share, instance),
        host: host_string(&instance.placement),
        replication_type: share.replication_type.ok_or_else(|| CallError::Host {
            reason: format!("share {} is of a type that is not replicated", share.id),
        })?,
        status: instance.status.into(),
        access_rules_status: instance.access_rules_status,
    })
}

/// All replicas of a share, oldest first.
pub(super) fn replicas(tables: &Tables, share: ShareId) -> Result<Vec<Replica>, CallError> {
    let record = tables.share(&Scope::Everything, share).ok_or_else(|| missing("share", share))?;
    tables.instances_of(share).into_iter().map(|instance| replica(tables, record, instance)).collect()
}

fn one_of(replicas: &[Replica], id: ShareInstanceId) -> Result<Replica, CallError> {
    replicas.iter().find(|replica| replica.share.id == id).cloned().ok_or_else(|| missing("replica", id))
}

/// The rules that are in force on the active replica, or were being brought in force there.
pub(super) fn rules(tables: &Tables, share: ShareId) -> Vec<AccessRule> {
    let Some(active) = tables.instance_of(share) else { return Vec::new() };
    let counts = [AccessRuleState::Active, AccessRuleState::Applying, AccessRuleState::Updating];
    let rules = RuleList::read(tables, active.id);
    rules.iter().filter(|rule| counts.contains(&rule.state)).map(|rule| rule.rule.clone()).collect()
}

/// A snapshot instance as drivers see it.
pub(super) fn snapshot(tables: &Tables, instance: &SnapshotInstance) -> Result<SnapshotForDriver, CallError> {
    let missing = || missing("snapshot", instance.snapshot);
    let snapshot = tables.snapshot(&Scope::Everything, instance.snapshot).ok_or_else(missing)?;
    let share = tables.share(&Scope::Everything, snapshot.share).ok_or_else(missing)?;
    let of = tables.instance(instance.share_instance).ok_or_else(missing)?;
    Ok(SnapshotForDriver {
        id: instance.id,
        snapshot: snapshot.id,
        size: snapshot.size,
        provider_location: instance.provider_location.clone(),
        share: for_driver(tables, share, of),
    })
}

fn with_status(tables: &Tables, instance: &SnapshotInstance) -> Result<ReplicaSnapshot, CallError> {
    Ok(ReplicaSnapshot { snapshot: snapshot(tables, instance)?, status: instance.status.into() })
}

/// One snapshot with its instances on all replicas.
pub(super) fn replicated_snapshot(tables: &Tables, id: SnapshotId) -> Result<ReplicatedSnapshot, CallError> {
    let share = tables.snapshot(&Scope::Everything, id).ok_or_else(|| missing("snapshot", id))?.share;
    let instances = tables.snapshot_instances_of(id).map(|one| with_status(tables, one));
    Ok(ReplicatedSnapshot {
        replicas: replicas(tables, share)?,
        snapshots: instances.collect::<Result<_, _>>()?,
    })
}

/// All that is known when a call is about one replica.
pub(super) fn view(tables: &Tables, share: ShareId, id: ShareInstanceId) -> Result<ReplicaView, CallError> {
    let replicas = replicas(tables, share)?;
    let active = tables.instance_of(share).ok_or_else(|| missing("share", share))?.id;
    let mut pairs = Vec::new();
    for of_share in tables.snapshots_of(share) {
        let on = |replica| {
            tables.snapshot_instances_of(of_share.id).find(move |one| one.share_instance == replica)
        };
        if let (SnapshotStatus::Available, Some(original), Some(twin)) =
            (super::twin::aggregate(tables, of_share.id), on(active), on(id))
        {
            pairs.push(ReplicaSnapshotPair {
                active: snapshot(tables, original)?,
                replica: snapshot(tables, twin)?,
            });
        }
    }
    Ok(ReplicaView {
        replica: one_of(&replicas, id)?,
        replicas,
        access_rules: rules(tables, share),
        snapshots: pairs,
    })
}

fn snapshots_on(
    tables: &Tables,
    share: ShareId,
    is_wanted: impl Fn(&SnapshotInstance) -> bool,
) -> Result<Vec<ReplicaSnapshot>, CallError> {
    let all = tables.snapshots_of(share).flat_map(|snapshot| tables.snapshot_instances_of(snapshot.id));
    all.filter(|one| is_wanted(one)).map(|one| with_status(tables, one)).collect()
}

/// What a promotion is told.
pub(super) fn promotion(
    tables: &Tables,
    operation: &Operation,
    id: ShareInstanceId,
    quiesce_wait_seconds: Option<u32>,
) -> Result<Promotion, CallError> {
    let replicas = replicas(tables, operation.share)?;
    Ok(Promotion {
        replica: one_of(&replicas, id)?,
        replicas,
        access_rules: rules(tables, operation.share),
        quiesce_wait_seconds,
        snapshots: snapshots_on(tables, operation.share, |_| true)?,
    })
}

/// What the removal of a replica is told.
pub(super) fn removal(
    tables: &Tables,
    operation: &Operation,
    id: ShareInstanceId,
) -> Result<ReplicaRemoval, CallError> {
    let replicas = replicas(tables, operation.share)?;
    let snapshots = snapshots_on(tables, operation.share, |one| one.share_instance == id)?;
    Ok(ReplicaRemoval {
        replica: one_of(&replicas, id)?,
        replicas,
        snapshots: snapshots.into_iter().map(|one| one.snapshot).collect(),
    })
}

/// What a revert is told.
pub(super) fn reversion(
    tables: &Tables,
    operation: &Operation,
    id: SnapshotId,
) -> Result<ReplicatedReversion, CallError> {
    let ReplicatedSnapshot { replicas, snapshots } = replicated_snapshot(tables, id)?;
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    let active_replica = replicas.iter().find(is_active).cloned();
    let active_replica = active_replica.ok_or_else(|| missing("the active replica of", operation.share))?;
    let on_active = |one: &&ReplicaSnapshot| one.snapshot.share.id == active_replica.share.id;
    let active_snapshot = snapshots.iter().find(on_active).cloned().ok_or_else(|| missing("snapshot", id))?;
    let snapshot_rules = tables.snapshot_instance_of(id).map(|found| found.access_rules.clone());
    Ok(ReplicatedReversion {
        active_replica,
        replicas,
        active_snapshot,
        snapshots,
        share_rules: rules(tables, operation.share),
        snapshot_rules: snapshot_rules.unwrap_or_default().into_iter().map(|stored| stored.rule).collect(),
    })
}
