//! Replicas and their snapshots, and what drivers answer about them.

use super::access::{
    AccessKeys, access_rules_of_share, outcomes_from_wit, rules_to_wit, snapshot_rule_to_wit,
};
use super::location::{LocationRights, locations_from_wit};
use super::server::server_of;
use super::share::share_to_wit;
use super::snapshot::{mountable_locations, snapshot_to_wit};
use super::{Breach, TEXT_BYTES, check_count, check_text, shown};
use crate::bindings::v0_1::bulkhead::driver::replicated_revert as wit_revert;
use crate::bindings::v0_1::bulkhead::driver::replication as wit_replication;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::access::{AccessRule, AccessUpdate};
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::replica::{
    InstanceStatus, Promotion, Replica, ReplicaOutcome, ReplicaSnapshot, ReplicaView, ReplicatedReversion,
    ReplicatedSnapshot, SnapshotProgress, SnapshotUpdate,
};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ReplicationType};
use std::collections::{BTreeMap, BTreeSet};

/// A replica as a driver call carries it.
pub(crate) fn replica_to_wit(replica: &Replica) -> wit::Replica {
    wit::Replica {
        share: share_to_wit(&replica.share),
        host: replica.host.clone(),
        availability_zone: None,
        replication_type: match replica.replication_type {
            ReplicationType::Readable => wit::ReplicationType::Readable,
            ReplicationType::Writable => wit::ReplicationType::Writable,
            ReplicationType::Dr => wit::ReplicationType::Dr,
        },
        status: instance_status_to_wit(replica.status),
        access_rules_status: match replica.access_rules_status {
            AccessRulesStatus::Active => wit::AccessRulesStatus::Active,
            AccessRulesStatus::Syncing => wit::AccessRulesStatus::Syncing,
            AccessRulesStatus::Error => wit::AccessRulesStatus::Error,
        },
        share_server: server_of(replica.share.server.as_ref()),
    }
}

/// Replicas in their order.
pub(crate) fn replicas_to_wit(replicas: &[Replica]) -> Vec<wit::Replica> {
    replicas.iter().map(replica_to_wit).collect()
}

pub(crate) const fn replica_state_to_wit(state: ReplicaState) -> wit::ReplicaState {
    match state {
        ReplicaState::Active => wit::ReplicaState::Active,
        ReplicaState::InSync => wit::ReplicaState::InSync,
        ReplicaState::OutOfSync => wit::ReplicaState::OutOfSync,
        ReplicaState::Error => wit::ReplicaState::Error,
    }
}

const fn instance_status_to_wit(status: InstanceStatus) -> wit::InstanceStatus {
    match status {
        InstanceStatus::Creating => wit::InstanceStatus::Creating,
        InstanceStatus::Available => wit::InstanceStatus::Available,
        InstanceStatus::Changing => wit::InstanceStatus::Changing,
        InstanceStatus::Deleting => wit::InstanceStatus::Deleting,
        InstanceStatus::Error => wit::InstanceStatus::Error,
    }
}

/// What a call about one replica is told.
pub(crate) fn view_to_wit(view: &ReplicaView) -> wit_replication::ReplicaView {
    let pairs = view.snapshots.iter().map(|pair| wit::ReplicaSnapshotPair {
        active: snapshot_to_wit(&pair.active),
        replica: snapshot_to_wit(&pair.replica),
    });
    wit_replication::ReplicaView {
        replicas: replicas_to_wit(&view.replicas),
        replica: replica_to_wit(&view.replica),
        access_rules: access_rules_of_share(&view.access_rules),
        snapshots: pairs.collect(),
        server: server_of(view.replica.share.server.as_ref()),
    }
}

/// What `promote-replica` is told.
pub(crate) fn promotion_to_wit(promotion: &Promotion) -> wit_replication::Promotion {
    wit_replication::Promotion {
        replicas: replicas_to_wit(&promotion.replicas),
        replica: replica_to_wit(&promotion.replica),
        access_rules: access_rules_of_share(&promotion.access_rules),
        quiesce_wait_seconds: promotion.quiesce_wait_seconds,
        server: server_of(promotion.replica.share.server.as_ref()),
    }
}

/// Snapshot instances with how far they are.
pub(crate) fn snapshots_to_wit(snapshots: &[ReplicaSnapshot]) -> Vec<wit::ReplicaSnapshot> {
    snapshots.iter().map(replica_snapshot_to_wit).collect()
}

/// The same beside the one that a call is about: the replicas of the call tell of their shares.
pub(crate) fn siblings_to_wit(snapshots: &[ReplicaSnapshot]) -> Vec<wit::ReplicaSnapshot> {
    let mut siblings = snapshots_to_wit(snapshots);
    siblings.iter_mut().for_each(|one| one.snapshot.share = None);
    siblings
}

/// A snapshot instance with how far it is.
pub(crate) fn replica_snapshot_to_wit(snapshot: &ReplicaSnapshot) -> wit::ReplicaSnapshot {
    wit::ReplicaSnapshot {
        snapshot: snapshot_to_wit(&snapshot.snapshot),
        status: instance_status_to_wit(snapshot.status),
    }
}

/// What a revert is told.
pub(crate) fn reversion_to_wit(reversion: &ReplicatedReversion) -> wit_revert::ReplicatedReversion {
    wit_revert::ReplicatedReversion {
        active_replica: replica_to_wit(&reversion.active_replica),
        replicas: replicas_to_wit(&reversion.replicas),
        active_snapshot: replica_snapshot_to_wit(&reversion.active_snapshot),
        snapshots: snapshots_to_wit(&reversion.snapshots),
        share_rules: rules_to_wit(&reversion.share_rules),
        snapshot_rules: reversion.snapshot_rules.iter().map(snapshot_rule_to_wit).collect(),
        server: server_of(reversion.active_replica.share.server.as_ref()),
    }
}

pub(crate) const fn replica_state_from_wit(state: wit::ReplicaState) -> ReplicaState {
    match state {
        wit::ReplicaState::Active => ReplicaState::Active,
        wit::ReplicaState::InSync => ReplicaState::InSync,
        wit::ReplicaState::OutOfSync => ReplicaState::OutOfSync,
        wit::ReplicaState::Error => ReplicaState::Error,
    }
}

fn outcome_from_wit(
    (rights, keys): (&LocationRights, &AccessKeys<'_>),
    rules: &[AccessRule],
    id: ShareInstanceId,
    outcome: wit_replication::ReplicaOutcome,
) -> Result<ReplicaOutcome, Breach> {
    let asked = AccessUpdate { rules: rules.to_vec(), ..AccessUpdate::default() };
    Ok(ReplicaOutcome {
        id,
        state: replica_state_from_wit(outcome.replica_state),
        export_locations: outcome
            .export_locations
            .map(|locations| locations_from_wit(rights, locations))
            .transpose()?,
        access_rules_status: outcome.access_rules_status.map(|status| match status {
            wit::AccessRulesStatus::Active => AccessRulesStatus::Active,
            wit::AccessRulesStatus::Syncing => AccessRulesStatus::Syncing,
            wit::AccessRulesStatus::Error => AccessRulesStatus::Error,
        }),
        access_rules: outcomes_from_wit(&asked, outcome.access_rules, keys)?,
    })
}

fn unasked(id: &str) -> Breach {
    Breach(format!("replica-outcome.share-id is one of those asked about, each once, unlike '{}'", shown(id)))
}

/// What a driver says of the replica it made. Only where all replicas are written it is active at once.
pub(crate) fn created_from_wit(
    rights: (&LocationRights, &AccessKeys<'_>),
    view: &ReplicaView,
    outcome: wit_replication::ReplicaOutcome,
) -> Result<ReplicaOutcome, Breach> {
    let id = view.replica.share.id;
    if outcome.share_id != id.to_string() {
        return Err(unasked(&outcome.share_id));
    }
    let outcome = outcome_from_wit(rights, &view.access_rules, id, outcome)?;
    if outcome.state == ReplicaState::Active && view.replica.replication_type != ReplicationType::Writable {
        return Err(Breach::new("a new replica is active only where all replicas can be written"));
    }
    Ok(outcome)
}

/// What a driver says of the replicas after it has promoted one: each at most once, the promoted one active if it is named and not
/// broken, and no second active one unless all can be written.
pub(crate) fn promoted_from_wit(
    (rights, keys): (&LocationRights, &AccessKeys<'_>),
    promotion: &Promotion,
    outcomes: Vec<wit_replication::ReplicaOutcome>,
) -> Result<Vec<ReplicaOutcome>, Breach> {
    check_count("the answer of promote-replica", &outcomes, promotion.replicas.len())?;
    let mut open: BTreeMap<_, _> =
        promotion.replicas.iter().map(|replica| (replica.share.id, &replica.share)).collect();
    let mut found = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let id = outcome.share_id.parse::<ShareInstanceId>().ok();
        let share = id.and_then(|id| open.remove(&id)).ok_or_else(|| unasked(&outcome.share_id))?;
        let rights = rights.at(share.server.as_ref());
        found.push(outcome_from_wit((&rights, keys), &promotion.access_rules, share.id, outcome)?);
    }
    let promoted = promotion.replica.share.id;
    for outcome in &found {
        let is_active = outcome.state == ReplicaState::Active;
        if outcome.id == promoted && !is_active && outcome.state != ReplicaState::Error {
            return Err(Breach(format!("a promoted replica is active, not '{}'", outcome.state)));
        }
        if outcome.id != promoted
            && is_active
            && promotion.replica.replication_type != ReplicationType::Writable
        {
            return Err(Breach::new("only the promoted replica is active unless all can be written"));
        }
    }
    Ok(found)
}

fn update_from_wit(
    rights: &LocationRights,
    snapshot: &SnapshotForDriver,
    update: wit::SnapshotUpdate,
) -> Result<SnapshotUpdate, Breach> {
    if let Some(handle) = &update.provider_location {
        check_text("snapshot-update.provider-location", handle, TEXT_BYTES)?;
    }
    let export_locations = match update.export_locations {
        Some(locations) if snapshot.share.mount_snapshot_support => {
            Some(mountable_locations(rights, snapshot, locations)?)
        }
        _ => None,
    };
    Ok(SnapshotUpdate {
        id: snapshot.id,
        progress: match update.progress {
            wit::SnapshotProgress::Creating => SnapshotProgress::Creating,
            wit::SnapshotProgress::Available => SnapshotProgress::Available,
            wit::SnapshotProgress::Deleting => SnapshotProgress::Deleting,
            wit::SnapshotProgress::Deleted => SnapshotProgress::Deleted,
            wit::SnapshotProgress::Error => SnapshotProgress::Error,
        },
        provider_location: update.provider_location,
        export_locations,
    })
}

/// What a driver says of the instances of one snapshot, each at most once.
pub(crate) fn updates_from_wit(
    rights: &LocationRights,
    asked: &ReplicatedSnapshot,
    updates: Vec<wit::SnapshotUpdate>,
) -> Result<Vec<SnapshotUpdate>, Breach> {
    let asked: Vec<_> = asked.snapshots.iter().map(|one| &one.snapshot).collect();
    updates_of_from_wit(rights, &asked, updates)
}

/// What a driver says of these snapshot instances, each at most once.
pub(super) fn updates_of_from_wit(
    rights: &LocationRights,
    asked: &[&SnapshotForDriver],
    updates: Vec<wit::SnapshotUpdate>,
) -> Result<Vec<SnapshotUpdate>, Breach> {
    check_count("the answer about snapshot instances", &updates, asked.len())?;
    let mut open: BTreeSet<SnapshotInstanceId> = asked.iter().map(|one| one.id).collect();
    let mut found = Vec::with_capacity(updates.len());
    for update in updates {
        let of = |one: &&&SnapshotForDriver| one.id.to_string() == update.snapshot_id;
        let snapshot = asked.iter().find(of).filter(|one| open.remove(&one.id));
        let snapshot = snapshot.ok_or_else(|| {
            Breach(format!(
                "snapshot-update.snapshot-id is one of those asked about, each once, unlike '{}'",
                shown(&update.snapshot_id)
            ))
        })?;
        found.push(update_from_wit(rights, snapshot, update)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    fn outcome(id: ShareInstanceId, state: wit::ReplicaState) -> wit_replication::ReplicaOutcome {
        wit_replication::ReplicaOutcome {
            share_id: id.to_string(),
            replica_state: state,
            export_locations: None,
            access_rules_status: None,
            access_rules: Vec::new(),
        }
    }

    fn promotion() -> Promotion {
        let view = fixture::replica_view();
        Promotion {
            replicas: view.replicas,
            replica: view.replica,
            access_rules: view.access_rules,
            quiesce_wait_seconds: Some(3),
            snapshots: Vec::new(),
        }
    }

    #[test]
    fn a_replica_crosses_with_its_state() {
        let view = fixture::replica_view();
        let crossed = view_to_wit(&view);
        assert_eq!(crossed.replica.share.replica_state, Some(wit::ReplicaState::OutOfSync));
        assert_eq!((crossed.replicas.len(), crossed.snapshots.len(), crossed.access_rules.len()), (2, 1, 1));
        assert_eq!(crossed.access_rules[0].id, view.access_rules[0].id.to_string());
    }

    #[test]
    fn an_answer_about_another_share_is_no_answer() {
        let view = fixture::replica_view();
        let check = |outcome| created_from_wit((&rights(), &AccessKeys::none()), &view, outcome);
        let (own, active) = (view.replica.share.id, view.replicas[0].share.id);
        assert!(check(outcome(own, wit::ReplicaState::InSync)).is_ok());
        assert!(check(outcome(active, wit::ReplicaState::InSync)).is_err());
        assert!(check(outcome(ShareInstanceId::random(), wit::ReplicaState::InSync)).is_err());
        assert!(check(outcome(own, wit::ReplicaState::Active)).is_err());
        let foreign = wit_replication::ReplicaOutcome {
            export_locations: Some(vec![location("10.9.9.9:/a")]),
            ..outcome(own, wit::ReplicaState::InSync)
        };
        assert!(check(foreign).is_err());
    }

    #[test]
    fn after_a_promotion_there_is_one_active_replica_and_each_is_named_once() {
        let promotion = promotion();
        let (old, new) = (promotion.replicas[0].share.id, promotion.replica.share.id);
        let check = |outcomes| promoted_from_wit((&rights(), &AccessKeys::none()), &promotion, outcomes);
        let active = |id| outcome(id, wit::ReplicaState::Active);
        assert!(check(vec![active(new), outcome(old, wit::ReplicaState::OutOfSync)]).is_ok());
        assert!(check(Vec::new()).is_ok());
        assert!(check(vec![active(new), active(old)]).is_err());
        assert!(check(vec![active(new), active(new)]).is_err());
        assert!(check(vec![outcome(new, wit::ReplicaState::InSync)]).is_err());
        assert!(check(vec![active(ShareInstanceId::random())]).is_err());
        let mut writable = promotion.clone();
        writable.replica.replication_type = ReplicationType::Writable;
        assert!(
            promoted_from_wit((&rights(), &AccessKeys::none()), &writable, vec![active(new), active(old)])
                .is_ok()
        );
    }

    #[test]
    fn only_instances_of_the_snapshot_are_updated() {
        let asked = fixture::replicated_snapshot();
        let update = |id: String| wit::SnapshotUpdate {
            snapshot_id: id,
            progress: wit::SnapshotProgress::Available,
            provider_location: None,
            export_locations: Some(vec![location("10.9.9.9:/a")]),
        };
        let known = asked.snapshots[1].snapshot.id.to_string();
        let check = |updates| updates_from_wit(&rights(), &asked, updates);
        // Locations do not count where snapshots cannot be mounted, so that they are foreign does not matter.
        let found = check(vec![update(known.clone())]).expect("asked about");
        assert_eq!((found[0].id, &found[0].export_locations), (asked.snapshots[1].snapshot.id, &None));
        assert!(check(vec![update(known.clone()), update(known)]).is_err());
        assert!(check(vec![update(SnapshotInstanceId::random().to_string())]).is_err());
        assert!(check(vec![update("../x".to_owned())]).is_err());
    }
}
