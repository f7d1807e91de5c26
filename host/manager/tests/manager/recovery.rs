//! The daemon dies at every step of every story, and the next one puts all of it right.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{
    House, description, gib, new_rule, new_share, new_snapshot, open, operator, ready, settled, tenant,
};
use crate::managing::{by_hand, client, taken_by_hand};
use bulkhead_manager::{Force, Manager, NewShare};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus, ShareStatus, SnapshotStatus};
use bulkhead_store::MemoryStore;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

type Story = fn(Manager) -> Pin<Box<dyn Future<Output = ()> + Send>>;

async fn make(manager: &Manager) -> ShareId {
    let share = manager.create_share(&tenant(), new_share(2)).await.expect("accepted").share.id;
    settled(manager).await;
    share
}

fn create_and_delete(manager: Manager) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = make(&manager).await;
        manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
        settled(&manager).await;
    })
}

fn let_in_and_shut_out(manager: Manager) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = make(&manager).await;
        let one = manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
        manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await.expect("accepted");
        settled(&manager).await;
        manager.deny_access(&tenant(), share, one.rule.id).await.expect("accepted");
        settled(&manager).await;
        manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
        settled(&manager).await;
    })
}

fn snapshot_revert_clone(manager: Manager) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = make(&manager).await;
        let snapshot = manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
        let id = snapshot.snapshot.id;
        settled(&manager).await;
        manager.revert_share(&tenant(), share, id).await.expect("accepted");
        settled(&manager).await;
        let clone = NewShare { source_snapshot: Some(id), ..new_share(3) };
        manager.create_share(&tenant(), clone).await.expect("accepted");
        settled(&manager).await;
        manager.delete_snapshot(&tenant(), id, Force::No).await.expect("accepted");
        settled(&manager).await;
    })
}

fn grow_and_shrink(manager: Manager) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = make(&manager).await;
        manager.extend_share(&tenant(), share, gib(5)).await.expect("accepted");
        settled(&manager).await;
        manager.shrink_share(&tenant(), share, gib(3)).await.expect("accepted");
        settled(&manager).await;
    })
}

fn take_over_and_let_go(manager: Manager) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = manager.manage_share(&operator(), by_hand("old")).await.expect("accepted").share.id;
        settled(&manager).await;
        let taken = manager.manage_snapshot(&operator(), taken_by_hand(share)).await.expect("accepted");
        let snapshot = taken.snapshot.id;
        settled(&manager).await;
        let to = client("10.0.0.1");
        manager.allow_snapshot_access(&operator(), snapshot, to).await.expect("accepted");
        settled(&manager).await;
        manager.unmanage_snapshot(&operator(), snapshot).await.expect("accepted");
        settled(&manager).await;
        manager.unmanage_share(&operator(), share).await.expect("accepted");
        settled(&manager).await;
    })
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, death: &Arc<Death>, story: Story) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) });
    let mut driver = FakeDriver::new(world);
    driver.death = Arc::clone(death);
    let told = async {
        let manager = open(mortal).await;
        manager.attach(description("nas", 1), Arc::new(driver));
        manager.recover().await.expect("recovered");
        ready(&manager, "nas").await;
        settled(&manager).await;
        story(manager).await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = told => {}
            () = death.happened() => {}
        }
    });
    runtime.shutdown_background();
}

/// The next life: after recovery everything rests, and records and backend agree.
fn put_right(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, told: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = open(Arc::clone(store) as Arc<_>).await;
        manager.attach(description("nas", 1), Arc::new(FakeDriver::new(world)));
        manager.recover().await.expect("recovered");
        settled(&manager).await;
        assert_agreement(&manager, &world.lock().expect("the world"), told);
        clear(&manager).await;
        let world = world.lock().expect("the world");
        assert!(
            world.shares.is_empty() && world.snapshots.is_empty(),
            "{told}: something is left: {world:#?}"
        );
    });
}

fn assert_agreement(manager: &Manager, world: &World, told: &str) {
    let shares = manager.list_shares(&Scope::Everything);
    for view in &shares {
        assert_eq!(view.instance.status, ShareStatus::Available, "{told}: {view:#?}");
        let held = world.shares.get(&view.instance.id);
        assert_eq!(held.map(|held| held.size), Some(view.share.size), "{told}: size");
        assert!(!view.instance.export_locations.is_empty(), "{told}: no location");
        assert_eq!(view.instance.access_rules_status, AccessRulesStatus::Active, "{told}: {view:#?}");
        let rules = manager.list_access_rules(&Scope::Everything, view.share.id).expect("the rules");
        assert!(rules.iter().all(|rule| rule.state == AccessRuleState::Active), "{told}: {rules:#?}");
        let recorded: BTreeSet<_> = rules.iter().map(|rule| rule.rule.id).collect();
        let in_force = held.map(|held| held.rules.keys().copied().collect());
        assert_eq!(in_force, Some(recorded), "{told}: rules");
    }
    assert_eq!(shares.len(), world.shares.len(), "{told}: a share is orphaned: {world:#?}");
    let snapshots = manager.list_snapshots(&Scope::Everything, None);
    for view in &snapshots {
        assert_eq!(view.instance.status, SnapshotStatus::Available, "{told}: {view:#?}");
        assert!(world.snapshots.contains_key(&view.instance.id), "{told}: a snapshot is missing");
        let rules = &view.instance.access_rules;
        assert!(rules.iter().all(|rule| rule.state == AccessRuleState::Active), "{told}: {rules:#?}");
    }
    assert_eq!(snapshots.len(), world.snapshots.len(), "{told}: a snapshot is orphaned");
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
    for operation in manager.list_operations(&Scope::Everything, 1000) {
        assert_eq!(operation.state, OperationState::Succeeded, "{told}: {operation:#?}");
    }
}

async fn clear(manager: &Manager) {
    for view in manager.list_snapshots(&Scope::Everything, None) {
        manager.delete_snapshot(&operator(), view.snapshot.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
    for view in manager.list_shares(&Scope::Everything) {
        manager.delete_share(&operator(), view.share.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
}

fn tell(name: &str, story: Story) {
    at_every_point(name, 8, |death, told| {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        live(&store, &world, death, story);
        put_right(&store, &world, &told());
    });
}

#[test]
fn a_crash_at_any_step_of_creating_and_deleting_leaves_nothing_twice_and_nothing_orphaned() {
    tell("create and delete", create_and_delete);
}

#[test]
fn a_crash_at_any_step_of_changing_access_leaves_rules_as_recorded() {
    tell("access", let_in_and_shut_out);
}

#[test]
fn a_crash_at_any_step_of_snapshot_revert_and_clone_is_put_right() {
    tell("snapshot", snapshot_revert_clone);
}

#[test]
fn a_crash_at_any_step_of_resizing_is_put_right() {
    tell("resize", grow_and_shrink);
}

#[test]
fn a_crash_at_any_step_of_taking_over_and_letting_go_is_put_right() {
    tell("take over and let go", take_over_and_let_go);
}

#[test]
fn two_crashes_in_a_row_are_put_right_as_one_is() {
    for first in (0..40).step_by(3) {
        for second in 0..12 {
            let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
            live(&store, &world, &Death::at_step(first), let_in_and_shut_out);
            live(&store, &world, &Death::at_step(second), |_| Box::pin(async {}));
            put_right(&store, &world, &format!("died at step {first}, and again at step {second}"));
        }
    }
}

#[tokio::test]
async fn an_operation_taken_over_has_a_larger_fencing_token_and_says_so() {
    let house = House::new().await;
    house.driver.then("create-share", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    for _ in 0..1000 {
        house.driver.then("create-share", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let next = open(Arc::clone(&house.store) as Arc<_>).await;
    next.recover().await.expect("recovered");
    let operations = next.list_operations(&Scope::Everything, 10);
    assert_eq!(operations.iter().map(|one| one.fencing_token).collect::<Vec<_>>(), [2]);
    next.attach(description("nas", 2), Arc::new(FakeDriver::new(&house.world)));
    settled(&next).await;
    assert_eq!(next.list_shares(&Scope::Everything)[0].instance.status, ShareStatus::Available);
}
