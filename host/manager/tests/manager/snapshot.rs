//! Snapshots, shares made from them, and reverts.

use crate::fake::{Act, answered};
use crate::house::{House, code, gib, new_rule, new_share, operator, other_tenant, tenant};
use bulkhead_manager::{Force, NewShare};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Protocol;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_snapshot_is_taken_keeps_the_drivers_handle_and_goes_again() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await;
    assert_eq!(snapshot.instance.status, SnapshotStatus::Available);
    assert_eq!(snapshot.instance.provider_location.as_deref(), Some("here"));
    assert_eq!(snapshot.snapshot.size, gib(2));
    assert_eq!(code(house.manager.delete_share(&tenant(), share, Force::No).await), "has-snapshots");
    house.manager.delete_snapshot(&tenant(), snapshot.snapshot.id, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty());
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("no snapshot is left");
}

#[tokio::test]
async fn snapshot_failures_end_in_the_statuses_of_the_matrix() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("create-snapshot", Act::Fail(answered(DriverErrorCode::NoSpace)));
    let snapshot = house.snapshot(share).await;
    assert_eq!(snapshot.instance.status, SnapshotStatus::Error);
    assert_eq!(house.show(share).instance.status, ShareStatus::Available);
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotBusy)));
    house.manager.delete_snapshot(&tenant(), snapshot.snapshot.id, Force::No).await.expect("accepted");
    house.settled().await;
    let id = snapshot.snapshot.id;
    assert_eq!(house.show_snapshot(id).instance.status, SnapshotStatus::ErrorDeleting);
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotNotFound)));
    house.manager.delete_snapshot(&tenant(), id, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty(), "not found is gone");
}

#[tokio::test]
async fn a_forced_deletion_forgets_a_snapshot_the_driver_cannot_remove() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let id = house.snapshot(share).await.snapshot.id;
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.delete_snapshot(&operator(), id, Force::Yes).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty());
}

#[tokio::test]
async fn a_revert_brings_back_content_and_size_and_both_rest_afterwards() {
    let house = House::new().await;
    let share = house.share().await;
    let (id, instance) = (share.share.id, share.instance.id);
    let snapshot = house.snapshot(id).await.snapshot.id;
    house.manager.extend_share(&tenant(), id, gib(7)).await.expect("accepted");
    house.settled().await;
    house.world.lock().expect("the world").shares.get_mut(&instance).expect("held").content = 99;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("revert-to-snapshot", Act::Hold(hold.clone()));
    house.manager.revert_share(&tenant(), id, snapshot).await.expect("accepted");
    assert_eq!(house.show(id).instance.status, ShareStatus::Reverting);
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Restoring);
    hold.add_permits(1);
    house.settled().await;
    assert_eq!((house.show(id).instance.status, house.show(id).share.size), (ShareStatus::Available, gib(2)));
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available);
    assert_eq!(house.world.lock().expect("the world").shares[&instance].content, 1);
}

#[tokio::test]
async fn a_failed_revert_leaves_the_snapshot_available() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    house.driver.then("revert-to-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotBusy)));
    house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(share).instance.status, ShareStatus::RevertingError);
    assert_eq!(house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available);
}

#[tokio::test]
async fn only_the_newest_snapshot_of_the_share_itself_is_reverted_to() {
    let house = House::new().await;
    let (share, other) = (house.share().await.share.id, house.share().await.share.id);
    let (older, newer) = (house.snapshot(share).await.snapshot.id, house.snapshot(share).await.snapshot.id);
    assert_eq!(code(house.manager.revert_share(&tenant(), share, older).await), "not-newest-snapshot");
    assert_eq!(code(house.manager.revert_share(&tenant(), other, newer).await), "foreign-snapshot");
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::InvalidAccess)));
    house.rule(share, "10.0.0.1").await;
    assert_eq!(code(house.manager.revert_share(&tenant(), share, newer).await), "rules-not-active");
    assert!(!house.calls().contains(&"revert-to-snapshot"));
}

#[tokio::test]
async fn a_share_from_a_snapshot_lands_beside_it_and_may_be_larger() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let clone = NewShare { source_snapshot: Some(snapshot), ..new_share(3) };
    let made = house.manager.create_share(&tenant(), clone.clone()).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(made.share.id).instance.status, ShareStatus::Available);
    assert_eq!(house.show(made.share.id).share.source_snapshot, Some(snapshot));
    let small = NewShare { size: gib(1), ..clone.clone() };
    assert_eq!(code(house.manager.create_share(&tenant(), small).await), "smaller-than-snapshot");
    let foreign = house.manager.create_share(&other_tenant(), clone.clone()).await;
    assert_eq!(code(foreign), "not-found");
    let unlike = NewShare { protocol: Protocol::Cifs, ..clone };
    assert_eq!(code(house.manager.create_share(&tenant(), unlike).await), "unlike-snapshot");
}

#[tokio::test]
async fn a_snapshot_is_not_deleted_while_a_share_is_made_from_it() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share-from-snapshot", Act::Hold(hold.clone()));
    let clone = NewShare { source_snapshot: Some(snapshot), ..new_share(3) };
    house.manager.create_share(&tenant(), clone).await.expect("accepted");
    assert_eq!(code(house.manager.delete_snapshot(&tenant(), snapshot, Force::No).await), "snapshot-in-use");
    hold.add_permits(1);
    house.settled().await;
    house.manager.delete_snapshot(&tenant(), snapshot, Force::No).await.expect("free again");
}

#[tokio::test]
async fn rules_survive_a_revert() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let snapshot = house.snapshot(share).await.snapshot.id;
    let rule = house.rule(share, "10.0.0.1").await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("revert-to-snapshot", Act::Hold(hold.clone()));
    house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
    let refused = house.manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await;
    assert_eq!(code(refused), "share-status");
    hold.add_permits(1);
    house.settled().await;
    let rules = house.manager.list_access_rules(&House::scope(), share).expect("the rules");
    assert_eq!(rules.iter().map(|one| one.rule.id).collect::<Vec<_>>(), [rule.rule.id]);
}

#[tokio::test]
async fn a_revert_that_claims_a_size_of_neither_share_nor_snapshot_is_not_believed() {
    for (claimed, status) in [
        (1, ShareStatus::RevertingError),
        (2, ShareStatus::Available),
        (4, ShareStatus::Available),
        (5000, ShareStatus::RevertingError),
    ] {
        let house = House::with(|driver| driver.size_after_revert = Some(gib(claimed))).await;
        let share = house.share().await.share.id;
        let snapshot = house.snapshot(share).await.snapshot.id;
        house.manager.extend_share(&tenant(), share, gib(4)).await.expect("accepted");
        house.settled().await;
        house.manager.revert_share(&tenant(), share, snapshot).await.expect("accepted");
        house.settled().await;
        let view = house.show(share);
        assert_eq!(view.instance.status, status, "{claimed}");
        let size = if status == ShareStatus::Available { claimed } else { 4 };
        assert_eq!(view.share.size, gib(size), "{claimed}");
    }
}
