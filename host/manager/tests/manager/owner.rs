//! Whatever is on its way has an operation that a runner drives, however requests, people and failures meet.

use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{
    House, description, new_rule, new_share, open, open_with, operator, ready, settled, tenant, until,
};
use bulkhead_manager::{Force, Manager};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{OperationId, ShareId};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::EnsuredShare;
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus};
use bulkhead_store::StoreError;
use bulkhead_store::testing::{Commit, UnevenStore};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Long enough for a request that nothing holds up.
const A_WHILE: Duration = Duration::from_millis(100);

fn too_large() -> StoreError {
    StoreError::TooLarge { what: "bytes", found: 2, limit: 1 }
}

struct Uneven {
    store: Arc<UnevenStore>,
    world: Arc<Mutex<World>>,
    driver: Arc<FakeDriver>,
    manager: Manager,
    share: ShareId,
}

/// A manager on an uneven store, with a share.
async fn uneven() -> Uneven {
    uneven_with(Duration::from_millis(1)).await
}

/// The same; a failed call is repeated after `repeat`.
async fn uneven_with(repeat: Duration) -> Uneven {
    let (store, world): (Arc<UnevenStore>, _) = (Arc::default(), Arc::default());
    let driver = Arc::new(FakeDriver::new(&world));
    let manager = open_with(Arc::clone(&store) as Arc<_>, |settings| {
        (settings.first_repeat, settings.longest_repeat) = (repeat, repeat);
    })
    .await;
    manager.attach(description("nas", 1), driver.clone());
    ready(&manager, "nas").await;
    let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&manager).await;
    Uneven { store, world, driver, manager, share }
}

fn calls_of(world: &Mutex<World>, function: &str) -> usize {
    world.lock().expect("the world").calls.iter().filter(|(called, _)| *called == function).count()
}

fn newest(manager: &Manager) -> OperationId {
    manager.list_operations(&Scope::Everything, 1).first().expect("an operation").id
}

async fn assert_rules_rest(manager: &Manager, share: ShareId) {
    settled(manager).await;
    let rules = manager.list_access_rules(&Scope::Everything, share).expect("the rules");
    assert!(rules.iter().all(|rule| !rule.state.is_transient()), "nobody carries it: {rules:#?}");
}

#[tokio::test]
async fn a_rule_that_is_asked_for_while_its_update_is_given_up_is_not_left_behind() {
    let Uneven { store, driver, manager, share, world } = uneven().await;
    let batch = Arc::new(Semaphore::new(0));
    driver.then("update-access", Act::Hold(Arc::clone(&batch)));
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    until("the batch is out", async || calls_of(&world, "update-access") == 1).await;
    let end = Arc::new(Semaphore::new(0));
    store.then([Commit::Pass, Commit::Hold(Arc::clone(&end))]);
    let (id, abandoning) = (newest(&manager), manager.clone());
    let abandoned = tokio::spawn(async move { abandoning.abandon_operation(&operator(), id).await });
    until("the end is being committed", async || store.has_done_all()).await;
    let asking = manager.clone();
    let asked =
        tokio::spawn(async move { asking.allow_access(&tenant(), share, new_rule("10.0.0.2")).await });
    tokio::time::sleep(A_WHILE).await;
    end.add_permits(1);
    abandoned.await.expect("no panic").expect("abandoned");
    asked.await.expect("no panic").expect("accepted");
    batch.add_permits(1);
    assert_rules_rest(&manager, share).await;
}

#[tokio::test]
async fn a_rule_that_is_asked_for_while_an_update_finds_nothing_to_do_is_not_left_behind() {
    let an_hour = Duration::from_secs(3600);
    let Uneven { store, driver, manager, share, .. } = uneven_with(an_hour).await;
    driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    let id = newest(&manager);
    until("it waits to repeat the call", async || {
        let operation = manager.show_operation(&Scope::Everything, id).expect("the operation");
        operation.state == OperationState::Waiting
    })
    .await;
    // Given up in part: the rules rest, the operation does not.
    store.then([Commit::Pass, Commit::Fail(too_large())]);
    manager.abandon_operation(&operator(), id).await.expect_err("the end was not committed");
    let end = Arc::new(Semaphore::new(0));
    store.then([Commit::Hold(Arc::clone(&end))]);
    manager.retry_operation(&operator(), id).await.expect("accepted");
    until("the end is being committed", async || store.has_done_all()).await;
    let asking = manager.clone();
    let asked =
        tokio::spawn(async move { asking.allow_access(&tenant(), share, new_rule("10.0.0.2")).await });
    tokio::time::sleep(A_WHILE).await;
    end.add_permits(1);
    asked.await.expect("no panic").expect("accepted");
    assert_rules_rest(&manager, share).await;
}

#[tokio::test]
async fn rules_that_a_driver_wants_again_get_their_operation_though_the_queue_is_full() {
    let house = House::new().await;
    let (ensured, other) = (house.share().await, house.share().await);
    house.rule(ensured.share.id, "10.0.0.1").await;
    house.manager.drain(Duration::from_secs(5)).await;
    let manager =
        open_with(Arc::clone(&house.store) as Arc<_>, |settings| settings.unfinished_operations = 1).await;
    manager.delete_share(&tenant(), other.share.id, Force::No).await.expect("the queue is full with it");
    let driver = FakeDriver::new(&house.world);
    let hold = Arc::new(Semaphore::new(0));
    driver.then("delete-share", Act::Hold(Arc::clone(&hold)));
    let id = ensured.instance.id;
    let again = EnsuredShare { id, export_locations: None, reapply_access_rules: true, healthy: true };
    driver.ensured.lock().expect("the answers").insert(id, again);
    manager.attach(description("nas", 1), Arc::new(driver));
    ready(&manager, "nas").await;
    until("the rules are in force again", async || {
        let view = manager.show_share(&Scope::Everything, ensured.share.id).expect("the share");
        view.instance.access_rules_status == AccessRulesStatus::Active
            && calls_of(&house.world, "update-access") == 2
    })
    .await;
    hold.add_permits(1);
    settled(&manager).await;
}

#[tokio::test]
async fn nothing_goes_on_at_a_share_of_an_earlier_daemons_operation_before_recovery() {
    let house = House::new().await;
    let (rules, removal) = (house.share().await.share.id, house.share().await.share.id);
    for _ in 0..1000 {
        house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    for share in [rules, removal] {
        house.manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    }
    house.manager.drain(Duration::from_secs(5)).await;
    let before = house.calls().len();
    let next = open(Arc::clone(&house.store) as Arc<_>).await;
    next.attach(description("nas", 1), Arc::new(FakeDriver::new(&house.world)));
    ready(&next, "nas").await;
    next.allow_access(&tenant(), rules, new_rule("10.0.0.2")).await.expect("accepted");
    next.delete_share(&tenant(), removal, Force::No).await.expect("accepted");
    let waiting = next.list_operations(&Scope::Everything, 100);
    let waiting = waiting.iter().find(|one| one.state == OperationState::Waiting).expect("one waits").id;
    next.retry_operation(&operator(), waiting).await.expect("accepted");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(house.calls().len(), before, "commands of the earlier daemon may still be at work");
    next.create_share(&tenant(), new_share(1)).await.expect("accepted");
    until("another share is made meanwhile", async || house.calls().len() == before + 1).await;
    next.recover().await.expect("recovered");
    assert_rules_rest(&next, rules).await;
    let states: Vec<_> = next
        .list_access_rules(&Scope::Everything, rules)
        .expect("the rules")
        .iter()
        .map(|rule| rule.state)
        .collect();
    assert_eq!(states, [AccessRuleState::Active; 2]);
    assert!(next.show_share(&Scope::Everything, removal).is_err());
}

#[tokio::test]
async fn an_operation_that_cannot_be_taken_over_stops_no_other_and_is_taken_over_the_next_time() {
    let Uneven { store, driver, manager, share, world } = uneven().await;
    for _ in 0..1000 {
        driver.then("create-share", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
        driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    manager.drain(Duration::from_secs(5)).await;
    let next = open(Arc::clone(&store) as Arc<_>).await;
    store.then([Commit::Fail(too_large())]);
    next.recover().await.expect_err("one was not taken over");
    let tokens = |manager: &Manager| -> Vec<u64> {
        let unfinished = manager.list_operations(&Scope::Everything, 2);
        unfinished.iter().map(|operation| operation.fencing_token).collect()
    };
    assert_eq!(tokens(&next), [2, 1]);
    next.attach(description("nas", 1), Arc::new(FakeDriver::new(&world)));
    until("the other one has ended", async || {
        next.list_operations(&Scope::Everything, 1)[0].state == OperationState::Succeeded
    })
    .await;
    next.recover().await.expect("recovered");
    settled(&next).await;
    assert_eq!(tokens(&next), [2, 2]);
}

#[tokio::test]
async fn a_panic_in_a_call_costs_an_attempt_and_not_the_operation_its_runner() {
    let house = House::new().await;
    house.driver.then("create-share", Act::Panic);
    let share = house.share().await;
    assert_eq!(share.instance.status, bulkhead_model::status::ShareStatus::Available);
    assert_eq!(house.calls(), ["create-share", "create-share"]);
}
