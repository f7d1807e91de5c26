//! Operations as operators see and overrule them, statuses set by hand, and the end of a daemon.

use crate::fake::{Act, answered};
use crate::house::{House, code, gib, new_share, operator, tenant, until};
use bulkhead_manager::Force;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::OperationId;
use bulkhead_model::operation::{Operation, OperationState};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

fn newest(house: &House) -> Arc<Operation> {
    house.manager.list_operations(&Scope::Everything, 1).remove(0)
}

#[tokio::test]
async fn an_unreachable_backend_keeps_the_operation_waiting_with_its_reason_until_it_is_back() {
    let house = House::new().await;
    for _ in 0..5 {
        house.driver.then("create-share", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    let share = house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    until("it waits", async || {
        let seen = newest(&house);
        seen.state == OperationState::Waiting || seen.attempts > 1
    })
    .await;
    assert_eq!(house.show(share).instance.status, ShareStatus::Creating);
    house.settled().await;
    assert_eq!(newest(&house).attempts, 6);
    assert_eq!(house.show(share).instance.status, ShareStatus::Available);
}

#[tokio::test]
async fn a_failed_operation_is_begun_anew_while_its_resource_still_carries_the_failure() {
    let house = House::new().await;
    house.driver.then("create-share", Act::Fail(answered(DriverErrorCode::NoSpace)));
    let share = house.share().await.share.id;
    let id = newest(&house).id;
    assert_eq!(code(house.manager.retry_operation(&tenant(), id).await), "forbidden");
    house.manager.retry_operation(&operator(), id).await.expect("begun anew");
    house.settled().await;
    assert_eq!(house.show(share).instance.status, ShareStatus::Available);
    assert_eq!(code(house.manager.retry_operation(&operator(), id).await), "operation-state");
}

#[tokio::test]
async fn a_failed_operation_is_left_alone_once_its_resource_has_moved_on() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("shrink-share", Act::Fail(answered(DriverErrorCode::PossibleDataLoss)));
    house.manager.shrink_share(&tenant(), share, gib(1)).await.expect("accepted");
    house.settled().await;
    assert_eq!(code(house.manager.retry_operation(&operator(), newest(&house).id).await), "operation-state");
}

#[tokio::test]
async fn an_abandoned_operation_gives_its_resource_the_error_status_and_its_late_answer_is_dropped() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(hold.clone()));
    let share = house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    until("the driver has it", async || house.calls() == ["create-share"]).await;
    let id = newest(&house).id;
    assert_eq!(code(house.manager.retry_operation(&operator(), id).await), "operation-state");
    let ended = house.manager.abandon_operation(&operator(), id).await.expect("given up");
    assert_eq!(ended.state, OperationState::Abandoned);
    assert_eq!(house.show(share).instance.status, ShareStatus::Error);
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    hold.add_permits(1);
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
    let world = house.world.lock().expect("the world");
    assert!(world.shares.is_empty(), "the deletion came after the abandoned call had ended");
    assert!(world.overlaps.is_empty());
}

#[tokio::test]
async fn an_unknown_operation_is_not_found() {
    let house = House::new().await;
    assert_eq!(code(house.manager.show_operation(&Scope::Everything, OperationId::next())), "not-found");
    assert_eq!(code(house.manager.abandon_operation(&operator(), OperationId::next()).await), "not-found");
}

#[tokio::test]
async fn statuses_are_set_by_hand_only_where_nothing_is_at_work_and_only_to_rest() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let by_tenant = house.manager.reset_share_status(&tenant(), share, ShareStatus::Error).await;
    assert_eq!(code(by_tenant), "forbidden");
    let transient = house.manager.reset_share_status(&operator(), share, ShareStatus::Creating).await;
    assert_eq!(code(transient), "invalid");
    house.manager.reset_share_status(&operator(), share, ShareStatus::Error).await.expect("set");
    assert_eq!(house.show(share).instance.status, ShareStatus::Error);
    house.manager.reset_snapshot_status(&operator(), snapshot, SnapshotStatus::Error).await.expect("set");
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Error);
    house.manager.reset_share_status(&operator(), share, ShareStatus::Available).await.expect("set");
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("extend-share", Act::Hold(hold.clone()));
    house.manager.extend_share(&tenant(), share, gib(3)).await.expect("accepted");
    let at_work = house.manager.reset_share_status(&operator(), share, ShareStatus::Available).await;
    assert_eq!(code(at_work), "operation-in-flight");
    hold.add_permits(1);
    house.settled().await;
}

#[tokio::test]
async fn forgetting_asks_no_driver() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    assert_eq!(code(house.manager.forget_share(&operator(), share).await), "has-snapshots");
    assert_eq!(code(house.manager.forget_snapshot(&tenant(), snapshot).await), "forbidden");
    house.manager.forget_snapshot(&operator(), snapshot).await.expect("forgotten");
    house.manager.forget_share(&operator(), share).await.expect("forgotten");
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
    assert_eq!(house.calls(), ["create-share", "create-snapshot"]);
}

#[tokio::test]
async fn a_draining_daemon_ends_what_runs_and_begins_nothing() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(hold.clone()));
    let share = house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    until("the driver has it", async || house.calls() == ["create-share"]).await;
    let draining = house.manager.clone();
    let drained = tokio::spawn(async move { draining.drain(Duration::from_secs(30)).await });
    until("it drains", async || {
        matches!(house.manager.create_share(&tenant(), new_share(1)).await, Err(error) if error.code() == "shutting-down")
    })
    .await;
    hold.add_permits(1);
    drained.await.expect("drained");
    assert_eq!(house.show(share).instance.status, ShareStatus::Available);
}
