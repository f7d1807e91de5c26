//! Taking over, letting go, and snapshots that are mounted.

use crate::fake::{Act, answered};
use crate::house::{House, code, description, gib, open_with, operator, ready, settled, tenant, until};
use bulkhead_manager::{Force, ManageShare, ManageSnapshot, ShareView, SnapshotView};
use bulkhead_model::access::AccessTo;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareId, SnapshotId};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Protocol;
use bulkhead_model::status::{AccessRuleState, ShareStatus, SnapshotStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub fn by_hand(name: &str) -> ManageShare {
    ManageShare {
        backend: "nas".parse().expect("a name"),
        pool: None,
        protocol: Protocol::Nfs,
        export_path: format!("10.0.0.1:/exports/{name}"),
        display_name: Some(name.to_owned()),
        display_description: None,
        share_type: None,
        driver_options: BTreeMap::new(),
        share_server: None,
    }
}

pub fn taken_by_hand(share: ShareId) -> ManageSnapshot {
    ManageSnapshot {
        share,
        provider_location: "snapshots/nightly".to_owned(),
        display_name: None,
        display_description: None,
        driver_options: BTreeMap::new(),
    }
}

pub fn client(address: &str) -> AccessTo {
    AccessTo::parse("ip", address).expect("an address")
}

fn show(house: &House, id: ShareId) -> ShareView {
    house.manager.show_share(&Scope::Everything, id).expect("the share")
}

fn show_snapshot(house: &House, id: SnapshotId) -> SnapshotView {
    house.manager.show_snapshot(&Scope::Everything, id).expect("the snapshot")
}

async fn taken_over(house: &House, name: &str) -> ShareId {
    let share = house.manager.manage_share(&operator(), by_hand(name)).await.expect("accepted").share.id;
    house.settled().await;
    share
}

#[tokio::test]
async fn what_somebody_made_is_a_share_like_any_other_afterwards() {
    let house = House::new().await;
    let asked = house.manager.manage_share(&operator(), by_hand("old")).await.expect("accepted");
    assert_eq!(asked.instance.export_locations[0].location.path, "10.0.0.1:/exports/old");
    assert_eq!(asked.instance.placement.pool.as_deref(), Some("pool"), "the only one there is");
    house.settled().await;
    let share = show(&house, asked.share.id);
    assert_eq!(share.instance.status, ShareStatus::Available);
    assert_ne!(share.instance.export_locations[0].location.path, "10.0.0.1:/exports/old");
    house.manager.extend_share(&operator(), asked.share.id, gib(5)).await.expect("accepted");
    house.settled().await;
    house.manager.delete_share(&operator(), asked.share.id, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.calls(), ["manage-existing", "extend-share", "delete-share"]);
}

#[tokio::test]
async fn only_operators_take_over_and_let_go() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    assert_eq!(code(house.manager.manage_share(&tenant(), by_hand("old")).await), "forbidden");
    assert_eq!(code(house.manager.manage_snapshot(&tenant(), taken_by_hand(share)).await), "forbidden");
    assert_eq!(code(house.manager.unmanage_share(&tenant(), share).await), "forbidden");
    assert_eq!(code(house.manager.unmanage_snapshot(&tenant(), snapshot).await), "forbidden");
    assert_eq!(
        code(house.manager.ensure_backend(&tenant(), &"nas".parse().expect("a name")).await),
        "forbidden"
    );
}

#[tokio::test]
async fn what_names_no_object_no_pool_and_no_backend_is_refused_before_the_driver_is_asked() {
    let house = House::new().await;
    let manage = async |change: fn(&mut ManageShare)| {
        let mut asked = by_hand("old");
        change(&mut asked);
        code(house.manager.manage_share(&operator(), asked).await)
    };
    assert_eq!(manage(|asked| asked.export_path = "10.0.0.1:/exports/../etc/..".to_owned()).await, "invalid");
    assert_eq!(manage(|asked| asked.pool = Some("other".to_owned())).await, "invalid");
    assert_eq!(manage(|asked| asked.protocol = Protocol::Cifs).await, "invalid");
    assert_eq!(manage(|asked| asked.backend = "nobody".parse().expect("a name")).await, "not-found");
    assert!(house.calls().is_empty());
}

#[tokio::test]
async fn nothing_is_taken_over_twice_not_even_while_it_is_on_its_way() {
    let house = House::new().await;
    let held = Arc::new(Semaphore::new(0));
    house.driver.then("manage-existing", Act::Hold(Arc::clone(&held)));
    house.manager.manage_share(&operator(), by_hand("old")).await.expect("accepted");
    assert_eq!(code(house.manager.manage_share(&operator(), by_hand("old")).await), "already-managed");
    let elsewhere = ManageShare { export_path: "10.0.0.2:/other/old".to_owned(), ..by_hand("old") };
    assert_eq!(code(house.manager.manage_share(&operator(), elsewhere).await), "already-managed");
    held.add_permits(1);
    house.settled().await;
    let made = house.share().await;
    let again = ManageShare {
        export_path: made.instance.export_locations[0].location.path.clone(),
        ..by_hand("again")
    };
    assert_eq!(code(house.manager.manage_share(&operator(), again).await), "already-managed");
}

#[tokio::test]
async fn a_refused_take_over_is_in_manage_error_until_it_is_let_go() {
    let house = House::new().await;
    house.driver.then("manage-existing", Act::Fail(answered(DriverErrorCode::ManageInvalidShare)));
    let share = taken_over(&house, "old").await;
    let view = show(&house, share);
    assert_eq!(view.instance.status, ShareStatus::ManageError);
    assert_eq!(view.instance.export_locations[0].location.path, "10.0.0.1:/exports/old", "as it was typed");
    house.manager.unmanage_share(&operator(), share).await.expect("accepted");
    house.settled().await;
    taken_over(&house, "old").await;
}

#[tokio::test]
async fn a_share_that_is_let_go_leaves_nothing_here_and_everything_there() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.7").await;
    let updates = house.world.lock().expect("the world").updates.len();
    house.manager.unmanage_share(&operator(), share).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.show_share(&Scope::Everything, share).is_err());
    assert!(house.calls().ends_with(&["unmanage", "let-go"]), "{:?}", house.calls());
    let after = house.world.lock().expect("the world").updates.len();
    assert_eq!(after, updates, "its rules stay in force");
}

#[tokio::test]
async fn rules_are_taken_away_before_a_share_is_let_go_where_the_settings_say_so() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.7").await;
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let adjust = |settings: &mut bulkhead_manager::ManagerSettings| {
        settings.unmanage_removes_access_rules = true;
    };
    let manager = open_with(Arc::clone(&house.store) as Arc<_>, adjust).await;
    manager.attach(description("nas", 1), house.driver.clone());
    ready(&manager, "nas").await;
    manager.unmanage_share(&operator(), share).await.expect("accepted");
    settled(&manager).await;
    assert!(house.calls().ends_with(&["update-access", "unmanage", "let-go"]), "{:?}", house.calls());
}

#[tokio::test]
async fn every_failure_to_let_go_rests_in_unmanage_error_and_what_is_not_there_is_let_go() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("unmanage", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.unmanage_share(&operator(), share).await.expect("accepted");
    house.settled().await;
    assert_eq!(show(&house, share).instance.status, ShareStatus::UnmanageError);
    for code in [DriverErrorCode::NotImplemented, DriverErrorCode::ShareNotFound] {
        let share = house.share().await.share.id;
        house.driver.then("unmanage", Act::Fail(answered(code)));
        house.manager.unmanage_share(&operator(), share).await.expect("accepted");
        house.settled().await;
        assert!(house.manager.show_share(&Scope::Everything, share).is_err(), "{code:?}");
    }
}

#[tokio::test]
async fn a_share_with_snapshots_is_not_let_go_and_its_snapshots_may_be() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let taken = house.manager.manage_snapshot(&operator(), taken_by_hand(share)).await.expect("accepted");
    let id = taken.snapshot.id;
    house.settled().await;
    let view = show_snapshot(&house, id);
    assert_eq!(view.instance.status, SnapshotStatus::Available);
    assert_eq!(view.snapshot.size, gib(2), "the share's, where the driver says nothing");
    assert_eq!(view.instance.provider_location.as_deref(), Some("snapshots/nightly"), "as it was typed");
    assert_eq!(code(house.manager.unmanage_share(&operator(), share).await), "has-snapshots");
    house.manager.unmanage_snapshot(&operator(), id).await.expect("accepted");
    house.settled().await;
    house.manager.unmanage_share(&operator(), share).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty());
}

/// Contract S-03.
#[tokio::test]
async fn rules_of_a_snapshot_are_applied_denied_and_taken_away_before_it_is_deleted() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let manager = &house.manager;
    let one = manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted");
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.2")).await.expect("accepted");
    assert_eq!(
        code(manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await),
        "duplicate-rule"
    );
    house.settled().await;
    let states: Vec<_> =
        show_snapshot(&house, snapshot).instance.access_rules.iter().map(|rule| rule.state).collect();
    assert_eq!(states, [AccessRuleState::Active, AccessRuleState::Active]);
    manager.deny_snapshot_access(&tenant(), snapshot, one.rule.id).await.expect("accepted");
    house.settled().await;
    assert_eq!(show_snapshot(&house, snapshot).instance.access_rules.len(), 1);
    manager.delete_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    let updates = house.world.lock().expect("the world").snapshot_updates.clone();
    let last = updates.last().expect("an update");
    assert_eq!((last.rules.len(), last.add.len(), last.remove.len()), (0, 0, 1));
    assert!(house.calls().ends_with(&["snapshot-update-access", "delete-snapshot"]));
}

/// Contract S-04.
#[tokio::test]
async fn a_failed_update_puts_its_rules_in_error_and_a_snapshot_is_deleted_all_the_same() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    for _ in 0..2 {
        house.driver.then("snapshot-update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    }
    house.manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted");
    house.settled().await;
    let rules = show_snapshot(&house, snapshot).instance.access_rules.clone();
    assert_eq!(rules.iter().map(|rule| rule.state).collect::<Vec<_>>(), [AccessRuleState::Error]);
    assert!(rules[0].failure.is_some());
    house.manager.delete_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty());
}

#[tokio::test]
async fn a_failed_update_is_not_begun_anew_but_its_rule_is_denied_and_allowed_again() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let manager = &house.manager;
    house.driver.then("snapshot-update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    let rule =
        manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted").rule;
    house.settled().await;
    let failed = Arc::clone(&manager.list_operations(&Scope::Everything, 1)[0]);
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(code(manager.retry_operation(&tenant(), failed.id).await), "forbidden");
    let refused = manager.retry_operation(&operator(), failed.id).await.expect_err("refused").to_string();
    assert!(refused.contains("deny the rules in error and allow them anew"), "{refused}");
    assert_eq!(code(manager.abandon_operation(&operator(), failed.id).await), "operation-state");
    manager.deny_snapshot_access(&tenant(), snapshot, rule.id).await.expect("accepted");
    house.settled().await;
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted");
    house.settled().await;
    let rules = show_snapshot(&house, snapshot).instance.access_rules.clone();
    assert_eq!(rules.iter().map(|rule| rule.state).collect::<Vec<_>>(), [AccessRuleState::Active]);
}

#[tokio::test]
async fn an_abandoned_update_leaves_its_rules_in_error_and_the_next_one_waits_for_its_call() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let manager = &house.manager;
    let held = Arc::new(Semaphore::new(0));
    house.driver.then("snapshot-update-access", Act::Hold(Arc::clone(&held)));
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted");
    until("the driver has it", async || house.calls().ends_with(&["snapshot-update-access"])).await;
    // It joins the queue of the operation that is given up next.
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.2")).await.expect("accepted");
    let id = manager.list_operations(&Scope::Everything, 1)[0].id;
    assert_eq!(code(manager.retry_operation(&operator(), id).await), "operation-state");
    let ended = manager.abandon_operation(&operator(), id).await.expect("given up");
    assert_eq!(ended.state, OperationState::Abandoned);
    let states = || {
        let rules = show_snapshot(&house, snapshot).instance.access_rules.clone();
        rules.iter().map(|rule| rule.state).collect::<Vec<_>>()
    };
    assert_eq!(states(), [AccessRuleState::Error, AccessRuleState::Error]);
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.3")).await.expect("accepted");
    held.add_permits(1);
    house.settled().await;
    assert_eq!(states(), [AccessRuleState::Error, AccessRuleState::Error, AccessRuleState::Active]);
    assert!(house.world.lock().expect("the world").overlaps.is_empty());
    manager.delete_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(manager.list_snapshots(&Scope::Everything, None).is_empty());
}

#[tokio::test]
async fn an_update_that_waits_gives_way_to_the_deletion_of_its_snapshot() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    house.driver.then("snapshot-update-access", Act::Fail(answered(DriverErrorCode::Busy)));
    let manager = &house.manager;
    manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await.expect("accepted");
    manager.delete_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(manager.list_snapshots(&Scope::Everything, None).is_empty());
    let operations = manager.list_operations(&Scope::Everything, 10);
    assert!(operations.iter().all(|one| one.state == OperationState::Succeeded), "{operations:#?}");
}

#[tokio::test]
async fn a_driver_whose_snapshots_cannot_be_mounted_is_never_asked_to() {
    use bulkhead_model::ability::Ability;
    let house = House::with(|driver| {
        driver.abilities.0.remove(&Ability::MountableSnapshots);
    })
    .await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    assert!(!show(&house, share).share.support.mount_snapshot);
    let refused = house.manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.1")).await;
    assert_eq!(code(refused), "not-offered");
}

#[tokio::test]
async fn what_shares_use_is_gathered_where_somebody_wants_it() {
    let house = House::new().await;
    let share = house.share().await;
    let name = "nas".parse().expect("a name");
    assert_eq!(house.manager.share_usage(&name).expect("the backend"), []);
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let often = Some(std::time::Duration::from_millis(1));
    let manager =
        open_with(Arc::clone(&house.store) as Arc<_>, |settings| settings.usage_period = often).await;
    manager.attach(description("nas", 1), house.driver.clone());
    ready(&manager, "nas").await;
    until("there is a figure", async || !manager.share_usage(&name).expect("the backend").is_empty()).await;
    let usage = manager.share_usage(&name).expect("the backend");
    assert_eq!((usage[0].share, usage[0].size, usage[0].used_gib), (share.share.id, gib(2), 0.5));
}
