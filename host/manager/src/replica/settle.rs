//! What a driver's answer about replicas and their snapshots does to the records.

use super::twin;
use crate::access::list::RuleList;
use crate::export;
use crate::operation::snapshot_status_after_failure;
use crate::records::{Cause, Change, Expect, Row, Tables};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{ShareInstanceId, SnapshotId};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::replica::{ReplicaOutcome, SnapshotProgress, SnapshotUpdate};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::{
    AccessRuleState, AccessRulesStatus, ReplicaState, ReplicationType, ShareStatus, SnapshotStatus,
};
use bulkhead_model::time::Timestamp;

/// Why a rule is in `error` that the driver reported so when it promoted a replica.
const REPORTED: &str = "the backend of the promoted replica could not apply this rule";

/// A replica that the driver says is exported nowhere has no locations; silence leaves them.
fn take_locations(instance: &mut ShareInstance, reported: Option<&Vec<ExportLocation>>) {
    match reported {
        None => {}
        Some(none) if none.is_empty() => instance.export_locations.clear(),
        Some(locations) => {
            instance.export_locations = export::replace(&instance.export_locations, locations.clone());
        }
    }
}

fn take_state(instance: &mut ShareInstance, state: ReplicaState) {
    instance.replica_state = Some(state);
    if state == ReplicaState::Error {
        instance.status = ShareStatus::Error;
    }
}

/// The new replica is there.
pub(super) fn created(
    tables: &Tables,
    operation: &Operation,
    outcome: &ReplicaOutcome,
    cause: &Cause,
    change: &mut Change,
) {
    let Some(replica) = super::of(&operation.verb) else { return };
    change.edit_replica(tables, replica, cause, |instance| {
        instance.status = ShareStatus::Available;
        instance.progress_percent = Some(100);
        instance.launched_at = Some(Timestamp::now());
        take_state(instance, outcome.state);
        take_locations(instance, outcome.export_locations.as_ref());
        instance.access_rules_status = rules_status(outcome);
    });
}

fn rules_status(outcome: &ReplicaOutcome) -> AccessRulesStatus {
    let is_broken = outcome.access_rules.iter().any(|rule| rule.state == AccessRuleState::Error);
    let otherwise = if is_broken { AccessRulesStatus::Error } else { AccessRulesStatus::Active };
    outcome.access_rules_status.unwrap_or(otherwise)
}

/// The roles are exchanged: every replica as the driver said, the promoted one active, and no other beside it unless all are written.
pub(super) fn promoted(
    tables: &Tables,
    (operation, promoted): (&Operation, ShareInstanceId),
    outcomes: &[ReplicaOutcome],
    cause: &Cause,
    change: &mut Change,
) {
    let share = tables.share(&Scope::Everything, operation.share);
    let is_writable = share.and_then(|share| share.replication_type) == Some(ReplicationType::Writable);
    let of = |id| outcomes.iter().find(|outcome| outcome.id == id);
    let rules = take_rules(tables, operation, of(promoted), cause, change);
    for replica in tables.instances_of(operation.share) {
        let outcome = of(replica.id);
        let was_active = replica.replica_state == Some(ReplicaState::Active);
        change.edit_replica(tables, replica.id, cause, |instance| {
            if replica.id == promoted {
                instance.status = ShareStatus::Available;
                take_state(instance, outcome.map_or(ReplicaState::Active, |outcome| outcome.state));
                instance.access_rules_status = rules;
            } else if let Some(outcome) = outcome {
                take_state(instance, outcome.state);
                instance.access_rules_status = rules_status(outcome);
            } else if was_active && (!is_writable || outcomes.is_empty()) {
                instance.replica_state = Some(ReplicaState::OutOfSync);
            }
            if let Some(outcome) = outcome {
                take_locations(instance, outcome.export_locations.as_ref());
            }
        });
    }
    break_off_snapshots(tables, operation, promoted, cause, change);
    carry_on(tables, operation, promoted, change);
}

/// Rules that the promoted replica's backend could not apply are in error. Returns how the rules are as a whole.
fn take_rules(
    tables: &Tables,
    operation: &Operation,
    outcome: Option<&ReplicaOutcome>,
    cause: &Cause,
    change: &mut Change,
) -> AccessRulesStatus {
    let Some(active) = tables.instance_of(operation.share) else { return AccessRulesStatus::Active };
    let mut rules = RuleList::read(tables, active.id);
    let reported = outcome.map(|outcome| &outcome.access_rules[..]).unwrap_or_default();
    let is_broken = |id| reported.iter().any(|rule| rule.rule == id && rule.state == AccessRuleState::Error);
    rules.edit(
        |rule| rule.state == AccessRuleState::Active && is_broken(rule.rule.id),
        |rule| {
            rule.state = AccessRuleState::Error;
            rule.failure = Some(REPORTED.to_owned());
        },
    );
    let status = rules.status();
    rules.write(cause, change);
    match (status, outcome.and_then(|outcome| outcome.access_rules_status)) {
        (AccessRulesStatus::Active, Some(reported)) => reported,
        (status, _) => status,
    }
}

/// Nobody follows what was on its way on the promoted replica any more.
fn break_off_snapshots(
    tables: &Tables,
    operation: &Operation,
    promoted: ShareInstanceId,
    cause: &Cause,
    change: &mut Change,
) {
    for snapshot in tables.snapshots_of(operation.share) {
        let on_it = tables.snapshot_instances_of(snapshot.id).find(|one| one.share_instance == promoted);
        if let Some(on_it) = on_it.filter(|one| one.status.is_transient()) {
            change.edit_one_snapshot_instance(on_it, cause, |instance| {
                instance.status = match instance.status {
                    SnapshotStatus::Deleting => SnapshotStatus::ErrorDeleting,
                    _ => SnapshotStatus::Error,
                };
            });
        }
    }
}

/// What follows the share's rules or metadata and has not ended goes on at the backend of the promoted replica.
fn carry_on(tables: &Tables, operation: &Operation, promoted: ShareInstanceId, change: &mut Change) {
    let Some(instance) = tables.instance(promoted) else { return };
    let updates = tables.unfinished_of_share(operation.share).filter(|one| one.verb.runs_beside_others());
    for update in updates.filter(|one| one.backend != instance.placement.backend) {
        let mut moved = (*update.value).clone();
        moved.backend = instance.placement.backend.clone();
        moved.fencing_token = moved.fencing_token.saturating_add(1);
        "going on at the backend of the promoted replica".clone_into(&mut moved.step);
        moved.updated_at = Timestamp::now();
        change.put(Expect::Unchanged(update.revision), Row::Operation(moved));
    }
}

/// Give what an operation on a replica, or on a snapshot of a share with replicas, worked on the statuses of its failure.
pub(crate) fn fail(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    match &operation.verb {
        Verb::CreateReplica { replica } => change.edit_replica(tables, *replica, cause, |instance| {
            instance.status = ShareStatus::Error;
            instance.replica_state = Some(ReplicaState::Error);
            instance.access_rules_status = AccessRulesStatus::Error;
        }),
        Verb::DeleteReplica { replica, .. } => change.edit_replica(tables, *replica, cause, |instance| {
            instance.status = ShareStatus::ErrorDeleting;
            instance.replica_state = Some(ReplicaState::Error);
        }),
        Verb::PromoteReplica { .. } => {
            for replica in tables.instances_of(operation.share) {
                change
                    .edit_replica(tables, replica.id, cause, |instance| instance.status = ShareStatus::Error);
            }
        }
        verb @ (Verb::CreateSnapshot { snapshot } | Verb::DeleteSnapshot { snapshot, .. })
            if tables.has_replicas(operation.share) =>
        {
            if let Some(status) = snapshot_status_after_failure(verb) {
                twin::set_on_replicas(tables, *snapshot, status, cause, change);
            }
        }
        _ => {}
    }
}

fn take_handle(instance: &mut SnapshotInstance, update: &SnapshotUpdate) {
    if update.provider_location.is_some() {
        instance.provider_location.clone_from(&update.provider_location);
    }
    if let Some(locations) = &update.export_locations {
        instance.export_locations = export::replace(&instance.export_locations, locations.clone());
    }
}

/// How far the instances of a new snapshot are. Those the driver left out stay on their way, and are followed; the active replica's,
/// which nobody follows, is in error.
pub(super) fn snapshot_taken(
    tables: &Tables,
    snapshot: SnapshotId,
    updates: &[SnapshotUpdate],
    cause: &Cause,
    change: &mut Change,
) {
    let active = tables.snapshot_instance_of(snapshot).map(|one| one.id);
    for stored in tables.snapshot_instances_of(snapshot) {
        let update = updates.iter().find(|update| update.id == stored.id);
        let is_active = Some(stored.id) == active;
        change.edit_one_snapshot_instance(stored, cause, |instance| {
            instance.status = match update.map(|update| update.progress) {
                Some(SnapshotProgress::Available) => SnapshotStatus::Available,
                Some(SnapshotProgress::Creating) | None if !is_active => SnapshotStatus::Creating,
                _ => SnapshotStatus::Error,
            };
            if let Some(update) = update {
                take_handle(instance, update);
            }
        });
    }
}

/// How far the instances of a snapshot that goes are; as [`snapshot_taken`].
pub(super) fn snapshot_going(
    tables: &Tables,
    snapshot: SnapshotId,
    updates: &[SnapshotUpdate],
    cause: &Cause,
    change: &mut Change,
) {
    let active = tables.snapshot_instance_of(snapshot).map(|one| one.id);
    for stored in tables.snapshot_instances_of(snapshot) {
        let update = updates.iter().find(|update| update.id == stored.id);
        let is_active = Some(stored.id) == active;
        match update.map(|update| update.progress) {
            Some(SnapshotProgress::Deleted) => change.remove_snapshot_instance(tables, stored, cause),
            Some(SnapshotProgress::Deleting) | None if !is_active => {}
            _ => change.edit_one_snapshot_instance(stored, cause, |instance| {
                instance.status = SnapshotStatus::ErrorDeleting;
            }),
        }
    }
}

/// How far one instance is that was asked about; `reported` is none if the driver knows no such snapshot.
pub(super) fn snapshot_followed(
    tables: &Tables,
    stored: &crate::records::Stored<SnapshotInstance>,
    reported: Option<&SnapshotUpdate>,
    cause: &Cause,
    change: &mut Change,
) {
    let is_going = stored.status == SnapshotStatus::Deleting;
    match reported.map(|update| update.progress) {
        None | Some(SnapshotProgress::Deleted) if is_going => {
            change.remove_snapshot_instance(tables, stored, cause);
        }
        Some(SnapshotProgress::Creating) if !is_going => {}
        Some(SnapshotProgress::Deleting) if is_going => {}
        Some(SnapshotProgress::Available) if !is_going => {
            change.edit_one_snapshot_instance(stored, cause, |instance| {
                instance.status = SnapshotStatus::Available;
                if let Some(update) = reported {
                    take_handle(instance, update);
                }
            });
        }
        _ => change.edit_one_snapshot_instance(stored, cause, |instance| {
            instance.status = if is_going { SnapshotStatus::ErrorDeleting } else { SnapshotStatus::Error };
        }),
    }
}
