//! Backends: set-up that fails and heals, ensuring, statistics, and a driver that is replaced.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{
    House, code, description, gib, new_share, open, open_with, ready, settled, tenant, until,
};
use crate::shelf::{Shelf, nas, refusal};
use bulkhead_manager::{BackendState, Step};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::GenerationNumber;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::EnsuredShare;
use bulkhead_model::status::{AccessRulesStatus, ShareStatus};
use bulkhead_store::MemoryStore;
use std::sync::Arc;

#[tokio::test]
async fn a_backend_that_cannot_be_set_up_is_tried_again_and_holds_up_no_other() {
    let manager = open(Arc::new(MemoryStore::new())).await;
    let broken = FakeDriver::new(&Arc::default());
    for _ in 0..4 {
        broken.then("setup", Act::Fail(answered(DriverErrorCode::BadConfiguration)));
    }
    manager.attach(description("aaa", 1), Arc::new(FakeDriver::new(&Arc::default())));
    manager.attach(description("nas", 1), Arc::new(broken));
    ready(&manager, "aaa").await;
    manager.create_share(&tenant(), new_share(1)).await.expect("the other backend takes it");
    ready(&manager, "nas").await;
    settled(&manager).await;
}

/// Contract M-12.
#[tokio::test]
async fn a_backend_in_trouble_says_why_and_places_nothing() {
    let manager = open(Arc::new(MemoryStore::new())).await;
    let broken = FakeDriver::new(&Arc::default());
    for _ in 0..100_000 {
        broken.then("setup", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    manager.attach(description("nas", 1), Arc::new(broken));
    until("it has failed", async || {
        let state = manager.show_backend(&nas()).expect("the backend").state;
        matches!(state, BackendState::Starting { failure: Some(failure), .. } if failure.code == "backend-unreachable")
    })
    .await;
    let error = manager.create_share(&tenant(), new_share(1)).await.expect_err("not ready");
    assert!(error.to_string().contains("is not set up"), "{error}");
    assert!(error.to_string().contains("backend-unreachable"), "{error}");
}

#[tokio::test]
async fn a_failed_reading_of_statistics_is_tried_again_before_the_next_one_is_due() {
    let manager = open(Arc::new(MemoryStore::new())).await;
    let driver = FakeDriver::new(&Arc::default());
    for _ in 0..3 {
        driver.then("stats", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    }
    manager.attach(description("nas", 1), Arc::new(driver));
    ready(&manager, "nas").await;
    until("it has reported", async || {
        let view = manager.show_backend(&nas()).expect("the backend");
        view.statistics.is_some() && view.statistics_failure.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_by_the_name_of_its_cause() {
    let store: Arc<MemoryStore> = Arc::default();
    let world = Arc::default();
    let manager = open(Arc::clone(&store) as Arc<_>).await;
    manager.attach(description("nas", 1), Arc::new(FakeDriver::new(&world)));
    ready(&manager, "nas").await;
    for _ in 0..3 {
        manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    }
    settled(&manager).await;
    let shares = manager.list_shares(&Scope::Everything);
    manager.drain(std::time::Duration::from_secs(5)).await;
    let next = open_with(store, |settings| settings.unfinished_operations = 2).await;
    let no = bulkhead_manager::Force::No;
    for view in shares.iter().take(2) {
        next.delete_share(&tenant(), view.share.id, no).await.expect("there is room to wait");
    }
    let refused = next.delete_share(&tenant(), shares[2].share.id, no).await;
    assert_eq!(code(refused), "backend-unreachable");
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let driver = FakeDriver::new(&world);
    driver.then("delete-share", Act::Hold(hold.clone()));
    driver.then("delete-share", Act::Hold(hold.clone()));
    next.attach(description("nas", 1), Arc::new(driver));
    ready(&next, "nas").await;
    assert_eq!(code(next.delete_share(&tenant(), shares[2].share.id, no).await), "busy");
    hold.add_permits(2);
    settled(&next).await;
    next.delete_share(&tenant(), shares[2].share.id, no).await.expect("there is room again");
    settled(&next).await;
}

/// Contract D-09.
#[tokio::test]
async fn a_backend_shows_its_statistics_and_what_it_holds() {
    let house = House::new().await;
    let readings = || {
        let world = house.world.lock().expect("the world");
        world.calls.iter().filter(|(function, _)| *function == "stats").count()
    };
    until("it has reported", async || readings() == 1).await;
    let view = house.manager.show_backend(&nas()).expect("the backend");
    assert!(!view.statistics_stale && view.statistics.is_some());
    house.share().await;
    let view = house.manager.show_backend(&nas()).expect("the backend");
    assert_eq!((view.shares, view.provisioned_gib), (1, 2));
    assert_eq!(readings(), 1, "who looks does not ask the driver");
}

#[tokio::test]
async fn an_operation_of_a_backend_that_is_not_attached_waits_and_goes_on_when_it_is() {
    let house = House::new().await;
    house.share().await;
    let world = Arc::clone(&house.world);
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let next = open(Arc::clone(&house.store) as Arc<_>).await;
    next.recover().await.expect("recovered");
    let share = next.list_shares(&Scope::Everything)[0].share.id;
    next.attach(description("nas", 1), Arc::new(FakeDriver::new(&world)));
    next.delete_share(&tenant(), share, bulkhead_manager::Force::No)
        .await
        .expect("accepted before it is ready");
    settled(&next).await;
    assert!(next.list_shares(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn ensuring_brings_new_locations_marks_the_unsound_and_sends_rules_again() {
    let house = House::new().await;
    let (sound, unsound) = (house.share().await, house.share().await);
    house.rule(sound.share.id, "10.0.0.1").await;
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let manager = open(Arc::clone(&house.store) as Arc<_>).await;
    let driver = FakeDriver::new(&house.world);
    let moved = bulkhead_model::export::ExportLocation {
        path: "10.9.9.9:/moved".to_owned(),
        ..sound.instance.export_locations[0].location.clone()
    };
    let answer =
        |id, healthy| EnsuredShare { id, export_locations: None, reapply_access_rules: true, healthy };
    let ensured = EnsuredShare { export_locations: Some(vec![moved]), ..answer(sound.instance.id, true) };
    driver
        .ensured
        .lock()
        .expect("the answers")
        .extend([(sound.instance.id, ensured), (unsound.instance.id, answer(unsound.instance.id, false))]);
    let before = house.world.lock().expect("the world").updates.len();
    manager.attach(description("nas", 1), Arc::new(driver));
    ready(&manager, "nas").await;
    settled(&manager).await;
    let view = manager.show_share(&Scope::Everything, sound.share.id).expect("the share");
    assert_eq!(view.instance.export_locations[0].location.path, "10.9.9.9:/moved");
    assert_eq!(view.instance.access_rules_status, AccessRulesStatus::Active);
    let world = house.world.lock().expect("the world");
    assert_eq!(world.updates.len(), before + 1);
    assert_eq!(world.updates.last().map(|update| update.add.len()), Some(1));
    let view = manager.show_share(&Scope::Everything, unsound.share.id).expect("the share");
    assert_eq!(view.instance.status, ShareStatus::Error);
}

/// Contract M-10.
#[tokio::test]
async fn a_known_fingerprint_skips_ensuring_and_a_new_one_does_not() {
    let store: Arc<MemoryStore> = Arc::default();
    let world = Arc::default();
    let mut ensured = Vec::new();
    for version in ["1", "1", "2"] {
        let manager = open(Arc::clone(&store) as Arc<_>).await;
        let mut driver = FakeDriver::new(&world);
        driver.fingerprint = Some(version.to_owned());
        manager.attach(description("nas", 1), Arc::new(driver));
        ready(&manager, "nas").await;
        if manager.list_shares(&Scope::Everything).is_empty() {
            manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
            settled(&manager).await;
        }
        let calls = world.lock().map(|world| world.calls.clone()).expect("the world");
        ensured.push(calls.iter().filter(|(function, _)| *function == "ensure-shares").count());
        manager.drain(std::time::Duration::from_secs(5)).await;
    }
    assert_eq!(ensured, [0, 0, 1]);
}

/// Contract M-10.
#[tokio::test]
async fn a_backend_whose_shares_cannot_be_ensured_serves_all_the_same() {
    for failure in [DriverErrorCode::BackendFailed, DriverErrorCode::NotImplemented] {
        let house = House::new().await;
        let share = house.share().await.share.id;
        house.manager.drain(std::time::Duration::from_secs(5)).await;
        let manager = open(Arc::clone(&house.store) as Arc<_>).await;
        let driver = Arc::new(FakeDriver::new(&house.world));
        driver.then("ensure-shares", Act::Fail(answered(failure)));
        manager.attach(description("nas", 1), Arc::clone(&driver) as Arc<_>);
        ready(&manager, "nas").await;
        let is_asked = driver.script.lock().expect("the script")["ensure-shares"].is_empty();
        assert!(is_asked, "{failure:?}");
        manager.extend_share(&tenant(), share, gib(9)).await.expect("accepted");
        settled(&manager).await;
        let view = manager.show_share(&Scope::Everything, share).expect("the share");
        assert_eq!((view.instance.status, view.share.size), (ShareStatus::Available, gib(9)));
    }
}

/// Contract D-53: a driver that says nothing exports over IPv4; what it says is believed, there is no flag beside it.
#[tokio::test]
async fn a_backend_exports_over_ipv4_unless_its_driver_says_otherwise() {
    use bulkhead_model::statistics::IpVersion;
    for (said, expected) in [
        (vec![], vec![IpVersion::V4]),
        (vec![IpVersion::V6], vec![IpVersion::V6]),
        (vec![IpVersion::V4, IpVersion::V6], vec![IpVersion::V4, IpVersion::V6]),
    ] {
        let house = House::with(|driver| driver.ip_versions = said.into_iter().collect()).await;
        let view = house.manager.show_backend(&nas()).expect("the backend");
        assert_eq!(view.ip_versions.into_iter().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_replaced_driver_serves_the_next_call_and_the_running_one_keeps_its_own() {
    let house = House::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(hold.clone()));
    house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    until("the driver has it", async || house.calls() == ["create-share"]).await;
    house.manager.attach(description("nas", 2), Arc::new(FakeDriver::new(&house.world)));
    until("the new driver serves", async || {
        house.manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
        let newest = house.manager.list_operations(&Scope::Everything, 1).remove(0);
        newest.generation == Some(GenerationNumber(2))
    })
    .await;
    hold.add_permits(1);
    house.settled().await;
    let shares = house.manager.list_shares(&Scope::Everything);
    assert!(shares.iter().all(|view| view.instance.status == ShareStatus::Available));
    let oldest = house.manager.list_operations(&Scope::Everything, 1000).pop().expect("an operation");
    assert_eq!(oldest.generation, Some(GenerationNumber(1)));
}

#[tokio::test]
async fn a_state_of_a_newer_format_is_refused_with_both_numbers() {
    use bulkhead_manager::{Manager, ManagerError, ManagerSettings};
    use bulkhead_store::{Key, Store, Transaction};
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let key = Key::new(&["record", "format"]);
    store.commit(Transaction::new().put(key, b"99".to_vec())).await.expect("written");
    let secret = bulkhead_ledger::LedgerKey::new([7; 32]);
    let ledger = bulkhead_ledger::Ledger::open(Arc::clone(&store), secret).await.expect("the ledger");
    let opened = Manager::open(store, ledger, ManagerSettings::default()).await;
    assert!(matches!(opened, Err(ManagerError::NewerFormat { found: 99, known: 1 })));
}

#[tokio::test]
async fn a_backend_that_cannot_be_loaded_is_listed_with_the_reason_and_tenants_learn_only_that() {
    let manager = open(Arc::new(MemoryStore::new())).await;
    let shelf = Shelf::new(&Arc::default());
    shelf.write("/backends/nas.toml", "/nothing.wasm", "");
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.offer_backend(&nas(), shelf.offer("/backends/nas.toml"));
    until("loading has failed twice", async || {
        let state = manager.show_backend(&nas()).expect("listed").state;
        matches!(state, BackendState::Unusable { failed_attempts: 2.., failure, .. } if failure == refusal("driver-unreadable"))
    })
    .await;
    assert_eq!(manager.list_backends().len(), 1);
    assert_eq!(manager.show_backend(&nas()).expect("listed").loaded, None);
    let error = manager.create_share(&tenant(), new_share(1)).await.expect_err("unusable");
    assert_eq!(
        error.to_string(),
        "no backend can take this share: nas: cannot be loaded; see 'bulkhead backend show nas'"
    );
}

#[tokio::test]
async fn a_backend_is_loaded_as_soon_as_it_can_be_and_its_operations_go_on() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.manager.drain(std::time::Duration::from_secs(5)).await;
    let manager = open(Arc::clone(&house.store) as Arc<_>).await;
    let shelf = Shelf::new(&house.world);
    shelf.put("/1.wasm", 1);
    shelf.write("/backends/nas.toml", "/1.wasm", "");
    shelf.fail(1, Step::Link, refusal("root-unusable"));
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.offer_backend(&nas(), shelf.offer("/backends/nas.toml"));
    until("loading has failed", async || {
        matches!(manager.show_backend(&nas()).expect("listed").state, BackendState::Unusable { .. })
    })
    .await;
    assert_eq!(code(manager.extend_share(&tenant(), share, gib(9)).await), "backend-unreachable");
    manager.delete_share(&tenant(), share, bulkhead_manager::Force::No).await.expect("accepted; it waits");
    until("it waits", async || {
        let operations = manager.list_operations(&Scope::Everything, 1);
        operations[0].state == OperationState::Waiting
    })
    .await;
    shelf.heal(1);
    ready(&manager, "nas").await;
    settled(&manager).await;
    assert!(manager.list_shares(&Scope::Everything).is_empty());
    assert!(manager.show_backend(&nas()).expect("listed").loaded.is_some());
}
