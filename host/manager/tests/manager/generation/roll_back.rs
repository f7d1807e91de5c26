//! The way back: which generations stay, with their numbers and packages, also after restarts.

use super::{FILE, Room, start};
use crate::house::{code, open_with, operator, ready, until};
use crate::shelf::{Shelf, current, generation, generations, nas, refusal, roll_back, swap};
use bulkhead_manager::GenerationState::{Current, Retired};
use bulkhead_manager::{BackendState, ChangeState, ManagerSettings, Step};
use bulkhead_model::id::GenerationNumber;
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn the_way_back_keeps_the_number_and_needs_no_file() {
    let room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    swap(&room.manager, Some("/3.wasm")).await;
    room.shelf.put("/1.wasm", 9);
    room.shelf.put("/2.wasm", 9);
    assert_eq!(roll_back(&room.manager, None).await.generation, Some(GenerationNumber(2)));
    assert_eq!(current(&room.manager), Some(2));
    assert_eq!(roll_back(&room.manager, None).await.generation, Some(GenerationNumber(3)));
    assert_eq!(roll_back(&room.manager, Some(1)).await.generation, Some(GenerationNumber(1)));
    assert_eq!(generations(&room.manager), [(1, Current), (2, Retired), (3, Retired)]);
    assert_eq!(room.shelf.linked().last(), Some(&(1, GenerationNumber(1))));
    let change = swap(&room.manager, Some("/4.wasm")).await;
    assert_eq!(change.generation, Some(GenerationNumber(4)), "no number is given twice");
}

#[tokio::test]
async fn the_last_generations_stay_for_the_way_back_and_older_ones_are_forgotten_with_their_packages() {
    let room = Room::new().await;
    for number in 2..10 {
        assert_eq!(swap(&room.manager, Some(&format!("/{number}.wasm"))).await.state, ChangeState::Done);
    }
    let kept: Vec<_> = generations(&room.manager).into_iter().map(|(number, _)| number).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8, 9]);
    assert_eq!(room.shelf.kept(), 6);
    let refused = room.manager.roll_back_backend(&operator(), &nas(), Some(GenerationNumber(3))).await;
    assert_eq!(code(refused), "not-found");
}

#[tokio::test]
async fn a_way_back_that_fails_leaves_both_generations_as_they_were() {
    let room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    room.shelf.fail(1, Step::Link, refusal("root-unusable"));
    let change = roll_back(&room.manager, None).await;
    assert_eq!((change.state, change.step), (ChangeState::Failed, Step::Link));
    assert_eq!(generations(&room.manager), [(1, Retired), (2, Current)]);
    assert_eq!(generation(&room.manager, 1).failure, Some(refusal("root-unusable")));
    room.shelf.heal(1);
    assert_eq!(roll_back(&room.manager, None).await.state, ChangeState::Done);
    assert_eq!(generation(&room.manager, 1).failure, None);
}

#[tokio::test]
async fn a_recorded_generation_that_cannot_be_set_up_is_brought_up_again_by_a_swap_to_itself() {
    let mut room = Room::new().await;
    room.shelf.fail(1, Step::Link, refusal("root-unusable"));
    room.manager.drain(Duration::from_secs(5)).await;
    // It is not tried again by itself before the test is over.
    let patient = |settings: &mut ManagerSettings| settings.first_setup_repeat = Duration::from_secs(600);
    room.manager = open_with(room.store.clone(), patient).await;
    room.manager.load_drivers_with(Arc::new(room.shelf.clone()));
    room.manager.resume_backends().await.expect("resumed");
    until("it is unusable", async || {
        let state = room.manager.show_backend(&nas()).expect("listed").state;
        matches!(state, BackendState::Unusable { .. })
    })
    .await;
    assert_eq!(swap(&room.manager, None).await.step, Step::Link);
    room.shelf.heal(1);
    assert_eq!(swap(&room.manager, None).await.generation, Some(GenerationNumber(1)));
    assert_eq!(generations(&room.manager), [(1, Current)]);
}

#[tokio::test]
async fn a_kept_package_that_is_lost_is_told_and_a_swap_heals_it() {
    let mut room = Room::new().await;
    room.manager.drain(Duration::from_secs(5)).await;
    bulkhead_manager::DriverLoader::keep_only(&room.shelf, Box::new(std::collections::BTreeSet::new)).await;
    room.manager = start(&room.store, &room.shelf).await;
    until("it is unusable", async || {
        let state = room.manager.show_backend(&nas()).expect("listed").state;
        matches!(state, BackendState::Unusable { failure, .. } if failure.code == "package-lost")
    })
    .await;
    room.shelf.put("/1.wasm", 2);
    assert_eq!(swap(&room.manager, None).await.state, ChangeState::Done);
    ready(&room.manager, "nas").await;
}

#[tokio::test]
async fn a_record_of_a_version_that_did_not_count_is_read_and_its_number_not_used_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let key = Key::new(&["record", "backend", "nas"]);
    let value = br#"{"name":"nas","fingerprint":null,"generation":1}"#.to_vec();
    store.commit(Transaction::default().put(key, value)).await.expect("written");
    let shelf = Shelf::new(&Arc::default());
    shelf.put("/1.wasm", 1);
    shelf.write(FILE, "/1.wasm", "");
    let manager = start(&store, &shelf).await;
    manager.offer_backend(&nas(), shelf.offer(FILE));
    ready(&manager, "nas").await;
    assert_eq!(current(&manager), Some(2));
}

#[tokio::test]
async fn the_number_of_kept_generations_is_a_setting() {
    let shelf = Shelf::new(&Arc::default());
    for number in 1..5 {
        shelf.put(&format!("/{number}.wasm"), number);
    }
    shelf.write(FILE, "/1.wasm", "");
    let manager = open_with(Arc::new(MemoryStore::new()), |settings| settings.kept_generations = 1).await;
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.offer_backend(&nas(), shelf.offer(FILE));
    ready(&manager, "nas").await;
    for number in 2..5 {
        swap(&manager, Some(&format!("/{number}.wasm"))).await;
    }
    assert_eq!(generations(&manager), [(3, Retired), (4, Current)]);
}
