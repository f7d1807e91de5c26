//! Metadata that the backend supplies for new shares, and follows when tenants change it.

use crate::crash::{Death, MortalStore};
use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{House, description, new_share, new_snapshot, open, ready, settled, tenant, until};
use bulkhead_manager::{Force, Manager, NewShare, Update};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::{Operation, OperationState, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::ShareStatus;
use bulkhead_store::{MemoryStore, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

type Pairs = BTreeMap<String, String>;

fn pairs<const COUNT: usize>(pairs: [(&str, &str); COUNT]) -> Pairs {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

async fn set(manager: &Manager, share: ShareId, metadata: Pairs) {
    let update = Update { metadata: Some(metadata), ..Update::default() };
    manager.update_share(&tenant(), share, update).await.expect("accepted");
}

fn followed(house: &House) -> Vec<Pairs> {
    house.world.lock().expect("the world").followed.clone()
}

/// The operations that let the backend follow, oldest first.
fn updates(manager: &Manager) -> Vec<Arc<Operation>> {
    let mut found = manager.list_operations(&Scope::Everything, 1000);
    found.retain(|operation| matches!(operation.verb, Verb::UpdateShareMetadata { .. }));
    found.sort_by_key(|operation| operation.id);
    found
}

#[tokio::test]
async fn the_backend_is_told_of_listed_keys_that_were_set_or_changed_and_of_nothing_else() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    set(&house.manager, share, pairs([("tier", "gold"), ("owner", "me")])).await;
    house.settled().await;
    set(&house.manager, share, pairs([("tier", "gold"), ("quota", "7"), ("owner", "you")])).await;
    house.settled().await;
    set(&house.manager, share, pairs([("tier", "silver"), ("quota", "7")])).await;
    house.settled().await;
    set(&house.manager, share, pairs([("owner", "nobody")])).await;
    house.settled().await;
    let told = [pairs([("tier", "gold")]), pairs([("quota", "7")]), pairs([("tier", "silver")])];
    assert_eq!(followed(&house), told);
    assert_eq!(updates(&house.manager).len(), 3);
    assert_eq!(house.show(share).instance.status, ShareStatus::Available);
}

#[tokio::test]
async fn a_backend_that_does_not_follow_leaves_the_metadata_and_a_failed_operation() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    for code in [DriverErrorCode::InvalidParameter, DriverErrorCode::NotImplemented] {
        house.driver.then("update-share-from-metadata", Act::Fail(answered(code)));
        let wanted = pairs([("tier", if code == DriverErrorCode::NotImplemented { "tin" } else { "paper" })]);
        set(&house.manager, share, wanted.clone()).await;
        house.settled().await;
        let view = house.show(share);
        assert_eq!(view.share.metadata, wanted);
        assert_eq!(view.instance.status, ShareStatus::Available);
        assert_eq!(updates(&house.manager).last().map(|one| one.state), Some(OperationState::Failed));
    }
}

#[tokio::test]
async fn a_busy_or_unreachable_backend_follows_later_with_the_values_of_then() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("update-share-from-metadata", Act::Hold(Arc::clone(&hold)));
    house.driver.then("update-share-from-metadata", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    house.driver.then("update-share-from-metadata", Act::Fail(answered(DriverErrorCode::Busy)));
    set(&house.manager, share, pairs([("tier", "gold")])).await;
    until("it is called", async || !house.calls().is_empty() && updates(&house.manager).len() == 1).await;
    set(&house.manager, share, pairs([("tier", "silver")])).await;
    set(&house.manager, share, pairs([("tier", "bronze")])).await;
    hold.add_permits(1);
    house.settled().await;
    let told = followed(&house);
    assert_eq!(told.last(), Some(&pairs([("tier", "bronze")])), "{told:?}");
    assert!(updates(&house.manager).iter().all(|one| one.state == OperationState::Succeeded));
}

#[tokio::test]
async fn following_neither_holds_up_other_operations_nor_outlives_its_share() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    for _ in 0..1000 {
        house.driver.then("update-share-from-metadata", Act::Fail(answered(DriverErrorCode::Busy)));
    }
    set(&house.manager, share, pairs([("tier", "gold")])).await;
    until("it waits", async || {
        updates(&house.manager).iter().any(|one| one.state == OperationState::Waiting)
    })
    .await;
    house.manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("it is no hindrance");
    until("it is taken", async || house.calls().contains(&"create-snapshot")).await;
    let snapshot = house.manager.list_snapshots(&Scope::Everything, None)[0].snapshot.id;
    until("it is there", async || {
        house.manager.delete_snapshot(&tenant(), snapshot, Force::No).await.is_ok()
    })
    .await;
    until("it is accepted", async || house.manager.delete_share(&tenant(), share, Force::No).await.is_ok())
        .await;
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
    assert!(followed(&house).is_empty());
}

#[tokio::test]
async fn a_share_that_is_still_being_made_is_followed_once_it_is_there() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(Arc::clone(&hold)));
    let share = house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    set(&house.manager, share, pairs([("tier", "gold")])).await;
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(followed(&house), [pairs([("tier", "gold")])]);
    assert_eq!(house.calls(), ["create-share", "update-share-from-metadata"]);
}

#[tokio::test]
async fn what_the_driver_supplies_for_a_new_share_is_merged_into_the_tenants_metadata() {
    let house = House::with(|driver| driver.supplied = pairs([("mount-options", "fs=a")])).await;
    let asked = NewShare { metadata: pairs([("owner", "me"), ("mount-options", "mine")]), ..new_share(2) };
    let share = house.manager.create_share(&tenant(), asked).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(house.show(share).share.metadata, pairs([("owner", "me"), ("mount-options", "fs=a")]));
    let snapshot = house.snapshot(share).await.snapshot.id;
    let asked = NewShare { source_snapshot: Some(snapshot), ..new_share(2) };
    let made = house.manager.create_share(&tenant(), asked).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(house.show(made).share.metadata, pairs([("mount-options", "fs=a")]));
}

#[tokio::test]
async fn a_share_is_as_good_without_what_its_driver_failed_to_supply() {
    let house = House::with(|driver| driver.supplied = pairs([("mount-options", "fs=a")])).await;
    house.driver.then("share-creation-metadata", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    let share = house.share().await;
    assert_eq!(share.instance.status, ShareStatus::Available);
    assert!(share.share.metadata.is_empty());
}

#[tokio::test]
async fn no_share_carries_more_metadata_than_it_may_because_its_driver_has_some() {
    let house = House::with(|driver| driver.supplied = pairs([("mount-options", "fs=a")])).await;
    let full: Pairs = (0..64).map(|number| (number.to_string(), "x".to_owned())).collect();
    let asked = NewShare { metadata: full.clone(), ..new_share(2) };
    let share = house.manager.create_share(&tenant(), asked).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(house.show(share).share.metadata, full);
}

#[tokio::test]
async fn a_driver_without_the_interface_is_told_nothing_and_nothing_is_journalled() {
    let house = House::with(|driver| {
        driver.abilities.0.remove(&Ability::MetadataUpdates);
    })
    .await;
    let share = house.share().await.share.id;
    set(&house.manager, share, pairs([("tier", "gold")])).await;
    house.settled().await;
    assert!(updates(&house.manager).is_empty());
    assert!(followed(&house).is_empty());
}

async fn opened(store: Arc<dyn Store>, world: &Arc<Mutex<World>>, death: &Arc<Death>) -> Manager {
    let manager = open(store).await;
    let mut driver = FakeDriver::new(world);
    driver.supplied = pairs([("mount-options", "fs=a")]);
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
    set(manager, share, pairs([("tier", "gold"), ("mount-options", "fs=a")])).await;
    settled(manager).await;
}

fn run<T>(told: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let result = runtime.block_on(told);
    runtime.shutdown_background();
    result
}

#[test]
fn a_crash_at_any_step_loses_neither_what_is_supplied_nor_that_the_backend_follows() {
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
                let metadata = &view.share.metadata;
                assert_eq!(metadata.get("mount-options").map(String::as_str), Some("fs=a"), "step {at_step}");
                if metadata.contains_key("tier") {
                    let told = world.followed.last();
                    assert_eq!(told, Some(&pairs([("tier", "gold")])), "step {at_step}: never told");
                }
            }
            assert!(world.overlaps.is_empty(), "step {at_step}: {:?}", world.overlaps);
            for operation in manager.list_operations(&Scope::Everything, 100) {
                assert_eq!(operation.state, OperationState::Succeeded, "step {at_step}: {operation:#?}");
            }
        });
        if !died {
            assert!(at_step > 8, "the story has steps to die at");
            return;
        }
    }
}
