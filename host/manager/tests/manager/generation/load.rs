//! Backends that are loaded and unloaded.

use super::{FILE, Room, start};
use crate::fake::Act;
use crate::house::{code, new_share, operator, ready, settled, tenant, until};
use crate::shelf::{Shelf, current, ended, nas, refusal};
use bulkhead_manager::{ChangeState, Detach, Force, GenerationState, Step};
use bulkhead_model::error::CallError;
use bulkhead_model::scope::Scope;
use bulkhead_store::MemoryStore;
use std::path::PathBuf;
use std::sync::Arc;

#[tokio::test]
async fn a_backend_is_not_loaded_again_before_all_that_the_unloaded_one_keeps_running_has_ended() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("end-services", Act::Hold(held.clone())));
    let swap = room.manager.swap_backend(&operator(), &nas(), Some(PathBuf::from("/2.wasm"))).await;
    assert_eq!(ended(&room.manager, swap).await.state, ChangeState::Done);
    room.shelf.write("/again.toml", "/3.wasm", "");
    let load = async || room.manager.load_backend(&operator(), &nas(), PathBuf::from("/again.toml")).await;
    let early = async {
        until("it is off the list", async || room.manager.list_backends().is_empty()).await;
        let refused = code(load().await);
        // Killed now, the next daemon finds the backend, and its services with it.
        let generations = room.manager.list_generations(&nas()).expect("its generations");
        assert!(generations.iter().any(|one| one.state == GenerationState::Current));
        hold.add_permits(1);
        refused
    };
    let unload = async { room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await };
    let (unloaded, refused) = tokio::join!(unload, early);
    unloaded.expect("it is empty");
    assert_eq!(refused, "change-running");
    assert!(room.manager.list_backends().is_empty(), "what was refused is not listed");
    assert_eq!(ended(&room.manager, load().await).await.state, ChangeState::Done);
}

#[tokio::test]
async fn a_backend_that_cannot_be_set_up_takes_what_it_keeps_running_with_it_when_it_is_unloaded() {
    let mut room = Room::new().await;
    let broken = || CallError::Host { reason: "the pool is not mounted".to_owned() };
    room.shelf.prepare(1, move |driver| (0..100).for_each(|_| driver.then("setup", Act::Fail(broken()))));
    room.restart().await;
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    let calls = room.world.lock().expect("the world").calls.clone();
    assert!(calls.iter().any(|(function, _)| *function == "end-services"), "{calls:?}");
    assert!(room.manager.list_backends().is_empty());
}

/// Off the record, nobody would ever end them.
#[tokio::test]
async fn a_backend_whose_services_cannot_be_ended_serves_on_unless_it_is_detached() {
    let mut room = Room::new().await;
    let down = || CallError::Host { reason: "the helper is not there".to_owned() };
    room.shelf.prepare(1, move |driver| driver.then("end-services", Act::Fail(down())));
    room.restart().await;
    ready(&room.manager, "nas").await;
    let refused = room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await;
    let refused = refused.expect_err("its services run");
    assert_eq!(refused.code(), "services-run-on");
    assert!(refused.to_string().contains("the helper is not there"), "{refused}");
    assert!(refused.to_string().contains("'bulkhead backend unload nas --detach'"), "{refused}");
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(1));
    room.manager.unload_backend(&operator(), &nas(), Detach::Shares).await.expect("left to themselves");
    assert!(room.manager.list_backends().is_empty());
}

#[tokio::test]
async fn a_backend_whose_driver_cannot_be_loaded_is_not_unloaded_with_its_services_running() {
    let mut room = Room::new().await;
    room.shelf.fail(1, Step::Link, refusal("grant-refused"));
    room.restart().await;
    let refused = room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await;
    assert_eq!(code(refused), "services-run-on");
    assert_eq!(room.manager.list_backends().len(), 1);
    room.shelf.heal(1);
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it loads again");
    assert!(room.manager.list_backends().is_empty());
}

#[tokio::test]
async fn a_backend_is_loaded_by_command_and_serves_after_a_restart_without_any_file() {
    let mut room = Room::new().await;
    room.shelf.write("/elsewhere.toml", "/4.wasm", "");
    let refused = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/elsewhere.toml")).await;
    assert_eq!(code(refused), "backend-exists");
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    let begun = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/elsewhere.toml")).await;
    assert_eq!(ended(&room.manager, begun).await.state, ChangeState::Done);
    room.restart().await;
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(2));
}

#[tokio::test]
async fn a_load_that_fails_leaves_no_backend_behind_but_its_reason() {
    let manager = start(&Arc::new(MemoryStore::new()), &Shelf::new(&Arc::default())).await;
    let change =
        ended(&manager, manager.load_backend(&operator(), &nas(), PathBuf::from("/no.toml")).await).await;
    assert_eq!((change.state, change.step), (ChangeState::Failed, Step::Configure));
    until("it is gone", async || manager.list_backends().is_empty()).await;
}

#[tokio::test]
async fn a_backend_in_use_is_not_unloaded_unless_its_shares_are_detached_and_they_come_back_with_it() {
    let mut room = Room::new().await;
    let share = room.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&room.manager).await;
    let refused = room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await;
    assert_eq!(code(refused), "backend-in-use");
    assert_eq!(current(&room.manager), Some(1));
    room.manager.unload_backend(&operator(), &nas(), Detach::Shares).await.expect("detached");
    assert!(room.manager.list_backends().is_empty());
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    assert!(room.manager.list_backends().is_empty(), "its unchanged file does not load it again");
    room.shelf.write("/again.toml", "/2.wasm", "");
    let begun = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/again.toml")).await;
    assert_eq!(ended(&room.manager, begun).await.state, ChangeState::Done);
    room.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    settled(&room.manager).await;
    assert!(room.manager.list_shares(&Scope::Everything).is_empty());
}
