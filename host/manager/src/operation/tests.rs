//! The policy, tried over all statuses and verbs.

use super::*;
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode};
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId, ShareInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::share::Placement;
use bulkhead_model::target::ManagedName;
use bulkhead_model::text::GuestText;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn size(gib: u64) -> Gibibytes {
    Gibibytes::new(gib).expect("a size")
}

fn any_facts() -> impl Strategy<Value = ShareFacts> {
    let status = proptest::sample::select(ShareStatus::ALL);
    let rules = proptest::sample::select(AccessRulesStatus::ALL);
    let snapshots = proptest::collection::vec(proptest::sample::select(SnapshotStatus::ALL), 0..3);
    let in_flight = proptest::option::of(proptest::sample::select(vec!["extend-share", "create-snapshot"]));
    (status, rules, snapshots, in_flight, any::<bool>()).prop_map(
        |(status, rules_status, snapshots, in_flight, offered)| ShareFacts {
            status,
            rules_status,
            size: size(5),
            support: ShareSupport {
                snapshot: offered,
                create_share_from_snapshot: offered,
                revert_to_snapshot: offered,
                mount_snapshot: false,
            },
            replicas: 1,
            has_open_migration: false,
            is_in_group: false,
            group_snapshots: 0,
            snapshots: snapshots.into_iter().map(|status| (SnapshotId::random(), status)).collect(),
            in_flight,
        },
    )
}

fn managed() -> ManagedName {
    "old".parse().expect("a name")
}

fn every_verb() -> Vec<Verb> {
    let (snapshot, new_size) = (SnapshotId::random(), size(9));
    let replica = ShareInstanceId::random();
    let (group, group_snapshot) = (ShareGroupId::random(), ShareGroupSnapshotId::random());
    vec![
        Verb::CreateShare,
        Verb::CreateShareFromSnapshot { snapshot },
        Verb::DeleteShare { force: false },
        Verb::ExtendShare { new_size },
        Verb::ShrinkShare { new_size },
        Verb::UpdateAccess,
        Verb::UpdateShareMetadata { keys: BTreeSet::from(["tier".to_owned()]) },
        Verb::CreateSnapshot { snapshot },
        Verb::DeleteSnapshot { snapshot, force: false },
        Verb::RevertShare { snapshot },
        Verb::CreateReplica { replica },
        Verb::DeleteReplica { replica, force: false },
        Verb::PromoteReplica { replica, quiesce_wait_seconds: None },
        Verb::MigrateShare { to: Placement { backend: "nas".parse().expect("a name"), pool: None } },
        Verb::ManageShare { managed: managed(), driver_options: BTreeMap::new() },
        Verb::UnmanageShare { remove_access_rules: false },
        Verb::ManageSnapshot { snapshot, managed: managed(), driver_options: BTreeMap::new() },
        Verb::UnmanageSnapshot { snapshot, remove_access_rules: false },
        Verb::UpdateSnapshotAccess { snapshot },
        Verb::CreateShareGroup { group },
        Verb::CreateShareGroupFromSnapshot { group, group_snapshot },
        Verb::DeleteShareGroup { group, force: false },
        Verb::CreateShareGroupSnapshot { group, group_snapshot },
        Verb::DeleteShareGroupSnapshot { group, group_snapshot, force: false },
    ]
}

fn answered(code: DriverErrorCode) -> CallError {
    CallError::Answered(DriverError { code, message: GuestText::message(""), detail: None })
}

proptest! {
    #[test]
    fn nothing_begins_beside_a_running_operation_or_in_a_transient_status(facts in any_facts()) {
        let busy = facts.in_flight.is_some() || facts.status.is_transient();
        let newest = facts.snapshots.last().map_or_else(SnapshotId::random, |(id, _)| *id);
        if busy {
            prop_assert!(delete_share(&facts, Force::No).is_err());
            prop_assert!(extend_share(&facts, size(9)).is_err());
            prop_assert!(shrink_share(&facts, size(1)).is_err());
            prop_assert!(revert_share(&facts, newest).is_err());
        }
        if facts.in_flight == Some("extend-share") || facts.status.is_transient() {
            prop_assert!(create_snapshot(&facts).is_err());
        }
        if facts.in_flight.is_some() {
            prop_assert!(delete_share(&facts, Force::Yes).is_err());
        }
    }

    #[test]
    fn a_share_at_rest_without_snapshots_can_always_be_deleted(facts in any_facts()) {
        let at_rest = facts.in_flight.is_none() && !facts.status.is_transient();
        if at_rest && facts.snapshots.is_empty() {
            prop_assert_eq!(delete_share(&facts, Force::No), Ok(()));
        }
        if !facts.snapshots.is_empty() {
            prop_assert!(delete_share(&facts, Force::Yes).is_err());
        }
    }

    #[test]
    fn a_revert_needs_everything_in_order(facts in any_facts()) {
        let newest = facts.snapshots.last().copied();
        let in_order = facts.status == ShareStatus::Available
            && facts.in_flight.is_none()
            && facts.support.revert_to_snapshot
            && facts.rules_status == AccessRulesStatus::Active
            && newest.is_some_and(|(_, status)| status == SnapshotStatus::Available);
        let id = newest.map_or_else(SnapshotId::random, |(id, _)| id);
        prop_assert_eq!(revert_share(&facts, id).is_ok(), in_order);
    }
}

#[test]
fn a_share_of_a_group_is_not_let_go_nor_deleted_while_a_group_snapshot_has_it() {
    let alone = ShareFacts {
        status: ShareStatus::Available,
        rules_status: AccessRulesStatus::Active,
        size: size(1),
        support: ShareSupport::default(),
        replicas: 1,
        has_open_migration: false,
        snapshots: Vec::new(),
        is_in_group: false,
        group_snapshots: 0,
        in_flight: None,
    };
    assert_eq!(unmanage_share(&alone), Ok(()));
    let member = ShareFacts { is_in_group: true, ..alone };
    assert_eq!(unmanage_share(&member), Err(Denial::InGroup { what: "letting it go" }));
    assert_eq!(delete_share(&member, Force::No), Ok(()));
    let kept = ShareFacts { group_snapshots: 2, ..member };
    assert_eq!(delete_share(&kept, Force::Yes), Err(Denial::HasGroupSnapshots { count: 2 }));
}

#[test]
fn every_status_during_a_verb_is_transient_and_every_status_after_it_rests() {
    for verb in every_verb() {
        assert!(share_status_during(&verb).is_none_or(ShareStatus::is_transient), "{verb:?}");
        assert!(share_status_after_failure(&verb).is_none_or(|status| !status.is_transient()), "{verb:?}");
        assert!(snapshot_status_during(&verb).is_none_or(SnapshotStatus::is_transient), "{verb:?}");
        assert!(snapshot_status_after_failure(&verb).is_none_or(|status| !status.is_transient()), "{verb:?}");
        assert_eq!(share_status_during(&verb).is_some(), share_status_after_failure(&verb).is_some());
    }
}

#[test]
fn the_clock_and_the_host_never_end_an_operation_and_a_trap_does_at_once() {
    let trap = CallError::Trapped { function: "f", reason: String::new() };
    let host = CallError::Host { reason: String::new() };
    for verb in every_verb() {
        for code in
            [DriverErrorCode::Busy, DriverErrorCode::OutcomeUnknown, DriverErrorCode::BackendUnreachable]
        {
            assert_eq!(judge(&verb, &answered(code), u32::MAX, 3), Judgement::Repeat, "{verb:?}");
        }
        assert_eq!(judge(&verb, &host, u32::MAX, 3), Judgement::Repeat);
        assert_eq!(judge(&verb, &trap, 0, 3), Judgement::Failed);
    }
}

#[test]
fn a_deadline_repeats_until_it_was_hit_too_often_in_a_row() {
    let late = CallError::DeadlineExceeded { function: "f", limit_ms: 1 };
    assert_eq!(judge(&Verb::CreateShare, &late, 2, 3), Judgement::Repeat);
    assert_eq!(judge(&Verb::CreateShare, &late, 3, 3), Judgement::Failed);
}

#[test]
fn not_found_is_reached_only_where_something_was_to_go() {
    for verb in every_verb() {
        let share = judge(&verb, &answered(DriverErrorCode::ShareNotFound), 0, 3);
        let lets_go = matches!(
            verb,
            Verb::DeleteShare { .. } | Verb::DeleteReplica { .. } | Verb::UnmanageShare { .. }
        );
        assert_eq!(share == Judgement::Reached, lets_go, "{verb:?}");
        let snapshot = judge(&verb, &answered(DriverErrorCode::SnapshotNotFound), 0, 3);
        let lets_go = matches!(verb, Verb::DeleteSnapshot { .. } | Verb::UnmanageSnapshot { .. });
        assert_eq!(snapshot == Judgement::Reached, lets_go, "{verb:?}");
    }
}
