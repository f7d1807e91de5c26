//! Shares that the backend goes on making or reverting by itself: visible, asked about until they are ready, in this daemon and the next.

use crate::crash::{Death, MortalStore};
use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{
    House, code, description, gib, new_rule, new_share, open, operator, ready, settled, tenant, until,
};
use bulkhead_manager::{Force, Manager, NewShare};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareId, SnapshotId};
use bulkhead_model::operation::{Operation, OperationState};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareProgress;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_store::{MemoryStore, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More questions than any test waits for.
const FOREVER: u32 = u32::MAX - 2;

fn clone_of(snapshot: SnapshotId) -> NewShare {
    NewShare { source_snapshot: Some(snapshot), ..new_share(2) }
}

/// A house whose backend is slow, with a share and a snapshot of it.
async fn slow(questions: u32) -> (House, ShareId, SnapshotId) {
    let house = House::with(|driver| driver.slow = questions).await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    (house, share, snapshot)
}

fn calls_of(house: &House, function: &str) -> usize {
    house.calls().iter().filter(|call| **call == function).count()
}

fn newest(manager: &Manager) -> Arc<Operation> {
    manager
        .list_operations(&Scope::Everything, 100)
        .into_iter()
        .max_by_key(|one| one.id)
        .expect("an operation")
}

#[tokio::test]
async fn a_creation_the_backend_finishes_by_itself_is_asked_about_until_it_has() {
    let (house, _, snapshot) = slow(3).await;
    let made = house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
    house.settled().await;
    let view = house.show(made);
    assert_eq!(view.instance.status, ShareStatus::Available);
    assert_eq!(view.instance.progress_percent, Some(100));
    assert!(!view.instance.export_locations.is_empty() && view.instance.launched_at.is_some());
    assert_eq!(calls_of(&house, "create-share-from-snapshot"), 1, "begun once");
    assert_eq!(calls_of(&house, "share-status"), 4);
    assert_eq!(newest(&house.manager).state, OperationState::Succeeded);
}

#[tokio::test]
async fn pending_work_is_an_open_operation_with_its_percentage_and_its_source_is_kept() {
    let (house, share, snapshot) = slow(FOREVER).await;
    house.driver.then("share-status", Act::Progress(ShareProgress::Pending(40)));
    let made = house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
    until("it is at it", async || calls_of(&house, "share-status") > 2).await;
    let view = house.show(made);
    assert_eq!(view.instance.status, ShareStatus::CreatingFromSnapshot);
    let operation = view.operation.expect("open");
    assert_ne!(operation.state, OperationState::Failed);
    assert!(view.instance.progress_percent.is_some_and(|percent| percent < 100));
    assert_eq!(code(house.manager.delete_share(&tenant(), made, Force::No).await), "operation-in-flight");
    assert_eq!(code(house.manager.delete_snapshot(&tenant(), snapshot, Force::No).await), "snapshot-in-use");
    assert_eq!(house.show(share).instance.status, ShareStatus::Available, "its source is left alone");
    house.manager.abandon_operation(&operator(), operation.id).await.expect("people can overrule");
    assert_eq!(house.show(made).instance.status, ShareStatus::Error);
}

#[tokio::test]
async fn the_percentage_that_the_driver_answers_is_shown() {
    let (house, _, snapshot) = slow(FOREVER).await;
    for _ in 0..1000 {
        house.driver.then("share-status", Act::Progress(ShareProgress::Pending(40)));
    }
    let made = house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
    until("it is shown", async || house.show(made).instance.progress_percent == Some(40)).await;
    until("people see it", async || newest(&house.manager).step.contains("40%")).await;
}

#[tokio::test]
async fn a_revert_the_backend_finishes_by_itself_has_the_snapshots_size_and_keeps_the_rules() {
    let (house, share, snapshot) = slow(2).await;
    let rule = house.rule(share, "10.0.0.1").await.rule.id;
    house.manager.extend_share(&tenant(), share, gib(5)).await.expect("accepted");
    house.settled().await;
    house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    house.settled().await;
    let view = house.show(share);
    assert_eq!((view.instance.status, view.share.size), (ShareStatus::Available, gib(2)));
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available);
    let rules = house.manager.list_access_rules(&House::scope(), share).expect("the rules");
    assert_eq!(rules.iter().map(|one| one.rule.id).collect::<Vec<_>>(), [rule]);
    assert_eq!(calls_of(&house, "revert-to-snapshot"), 1);
}

#[tokio::test]
async fn a_pending_revert_shows_both_statuses_and_lets_no_rules_change() {
    let (house, share, snapshot) = slow(FOREVER).await;
    house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    until("it is at it", async || calls_of(&house, "share-status") > 1).await;
    assert_eq!(house.show(share).instance.status, ShareStatus::RevertingToSnapshot);
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Restoring);
    let refused = house.manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await;
    assert_eq!(code(refused), "share-status");
}

/// Contract M-11.
#[tokio::test]
async fn what_failed_at_the_backend_is_in_the_error_status_of_its_operation() {
    let failures = [
        Act::Progress(ShareProgress::Failed),
        Act::Fail(answered(DriverErrorCode::NoSpace)),
        Act::Fail(answered(DriverErrorCode::NotImplemented)),
        Act::Fail(answered(DriverErrorCode::ShareNotFound)),
    ];
    for failure in failures {
        let (house, share, snapshot) = slow(FOREVER).await;
        house.driver.then("share-status", failure.clone());
        let made =
            house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
        house.settled().await;
        let view = house.show(made);
        assert_eq!(view.instance.status, ShareStatus::Error, "{failure:?}");
        assert_eq!(view.instance.progress_percent, None, "{failure:?}");
        house.driver.then("share-status", failure.clone());
        house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
        house.settled().await;
        assert_eq!(house.show(share).instance.status, ShareStatus::RevertingError, "{failure:?}");
        assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available, "{failure:?}");
        assert_eq!(newest(&house.manager).state, OperationState::Failed);
    }
}

#[tokio::test]
async fn a_busy_or_unreachable_backend_changes_nothing_about_pending_work() {
    let (house, _, snapshot) = slow(1).await;
    for code in [DriverErrorCode::Busy, DriverErrorCode::BackendUnreachable, DriverErrorCode::OutcomeUnknown]
    {
        house.driver.then("share-status", Act::Fail(answered(code)));
    }
    let made = house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(house.show(made).instance.status, ShareStatus::Available);
    assert_eq!(calls_of(&house, "create-share-from-snapshot"), 1);
}

#[tokio::test]
async fn a_driver_that_cannot_be_asked_gets_the_first_call_again() {
    let (house, _, snapshot) = slow(FOREVER).await;
    let made = house.manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted").share.id;
    until("it is at it", async || calls_of(&house, "share-status") > 1).await;
    let mut mute = FakeDriver::new(&house.world);
    mute.abilities.0.remove(&Ability::ShareStatus);
    house.manager.attach(description("nas", 2), Arc::new(mute));
    house.settled().await;
    assert_eq!(house.show(made).instance.status, ShareStatus::Available);
    assert_eq!(calls_of(&house, "create-share-from-snapshot"), 2);
}

#[tokio::test]
async fn a_revert_that_claims_an_impossible_size_when_it_is_done_is_not_believed() {
    let house = House::with(|driver| {
        driver.slow = 1;
        driver.size_after_revert = Some(gib(5000));
    })
    .await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(share).instance.status, ShareStatus::RevertingError);
    assert_eq!(house.show(share).share.size, gib(2));
}

async fn opened(store: Arc<dyn Store>, world: &Arc<Mutex<World>>, death: &Arc<Death>) -> Manager {
    let manager = open(store).await;
    let mut driver = FakeDriver::new(world);
    driver.slow = 2;
    driver.death = Arc::clone(death);
    manager.attach(description("nas", 1), Arc::new(driver));
    manager.recover().await.expect("recovered");
    ready(&manager, "nas").await;
    settled(&manager).await;
    manager
}

async fn story(manager: &Manager) {
    let share = manager.create_share(&tenant(), new_share(2)).await.expect("accepted").share.id;
    settled(manager).await;
    let asked = crate::house::new_snapshot(share);
    let snapshot = manager.create_snapshot(&tenant(), asked).await.expect("accepted").snapshot.id;
    settled(manager).await;
    manager.create_share(&tenant(), clone_of(snapshot)).await.expect("accepted");
    settled(manager).await;
    manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    settled(manager).await;
}

fn run<T>(told: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let result = runtime.block_on(told);
    runtime.shutdown_background();
    result
}

#[test]
fn a_crash_at_any_step_of_pending_work_begins_nothing_twice_and_is_put_right() {
    for at_step in 0.. {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        let death = Death::at_step(at_step);
        let mortal = Arc::new(MortalStore { store: Arc::clone(&store), death: Arc::clone(&death) });
        let died = run(async {
            let told = async { story(&opened(mortal, &world, &death).await).await };
            tokio::select! {
                () = told => false,
                () = death.happened() => true,
            }
        });
        world.lock().expect("the world").end_of_life();
        run(async {
            let manager = opened(Arc::clone(&store) as Arc<_>, &world, &Death::never()).await;
            manager.drain(Duration::from_secs(5)).await;
            let world = world.lock().expect("the world");
            for view in manager.list_shares(&Scope::Everything) {
                assert_eq!(view.instance.status, ShareStatus::Available, "step {at_step}: {view:#?}");
                assert!(!view.instance.export_locations.is_empty(), "step {at_step}");
                assert!(world.shares.contains_key(&view.instance.id), "step {at_step}");
            }
            for view in manager.list_snapshots(&Scope::Everything, None) {
                assert_eq!(view.instance.status, SnapshotStatus::Available, "step {at_step}: {view:#?}");
            }
            assert!(world.pending.is_empty(), "step {at_step}: somebody is still at it");
            assert!(world.made.values().all(|times| *times == 1), "step {at_step}: {:?}", world.made);
            assert!(world.overlaps.is_empty(), "step {at_step}: {:?}", world.overlaps);
            for operation in manager.list_operations(&Scope::Everything, 100) {
                assert_eq!(operation.state, OperationState::Succeeded, "step {at_step}: {operation:#?}");
            }
        });
        if !died {
            assert!(at_step > 20, "the story has steps to die at");
            return;
        }
    }
}
