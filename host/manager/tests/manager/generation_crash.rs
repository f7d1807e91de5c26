//! A daemon that dies between any two steps of a change: the next one serves exactly what was recorded.

use crate::crash::{Death, MortalStore};
use crate::house::{new_share, open, operator, ready, settled, tenant};
use crate::shelf::{Shelf, current, generations, nas};
use bulkhead_manager::{GenerationState, Manager};
use bulkhead_store::{MemoryStore, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "/backends/nas.toml";

async fn start(store: Arc<dyn Store>, shelf: Shelf) -> Manager {
    let manager = open(store).await;
    manager.load_drivers_with(Arc::new(shelf));
    manager
}

/// A store on which a daemon made package 1 current, and its shelf.
async fn prepared() -> (Arc<MemoryStore>, Shelf) {
    let store = Arc::new(MemoryStore::new());
    let shelf = Shelf::new(&Arc::default());
    shelf.put("/1.wasm", 1);
    shelf.put("/2.wasm", 2);
    shelf.write(FILE, "/1.wasm", "");
    let manager = start(store.clone(), shelf.clone()).await;
    manager.offer_backend(&nas(), shelf.offer(FILE));
    ready(&manager, "nas").await;
    manager.drain(Duration::from_secs(5)).await;
    (store, shelf)
}

/// Let a daemon die at step `at` of a swap to package 2; whether it died.
async fn die_at(at: u64, store: &Arc<MemoryStore>, shelf: &Shelf) -> bool {
    let death = Death::at_step(at);
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(&death) });
    let manager = start(mortal, shelf.mortal(&death)).await;
    let living = async {
        manager.resume_backends().await.expect("resumed");
        ready(&manager, "nas").await;
        let package = Some(PathBuf::from("/2.wasm"));
        let change = manager.swap_backend(&operator(), &nas(), package).await;
        crate::shelf::ended(&manager, change).await;
    };
    tokio::select! {
        () = living => false,
        () = death.happened() => true,
    }
}

#[tokio::test]
async fn killed_between_any_two_steps_the_recorded_generation_is_current_after_the_restart() {
    let (mut before, mut after) = (0, 0);
    for at in 0.. {
        let (store, shelf) = prepared().await;
        let died = die_at(at, &store, &shelf).await;
        let manager = start(store.clone(), shelf.clone()).await;
        let states: Vec<_> = generations(&manager).into_iter().map(|(_, state)| state).collect();
        let recorded =
            generations(&manager).into_iter().find(|(_, state)| *state == GenerationState::Current);
        let (recorded, _) = recorded.expect("one is current, always");
        manager.resume_backends().await.expect("resumed");
        manager.offer_backend(&nas(), shelf.offer(FILE));
        ready(&manager, "nas").await;
        assert_eq!(current(&manager), Some(recorded), "died at step {at} with {states:?}");
        let states = generations(&manager);
        assert!(states.iter().all(|(_, state)| *state != GenerationState::Prepared), "{at}: {states:?}");
        manager.create_share(&tenant(), new_share(1)).await.expect("it serves");
        settled(&manager).await;
        if recorded == 1 {
            before += 1
        } else {
            after += 1
        }
        if !died {
            assert_eq!(recorded, 2, "a swap that nobody killed has happened");
            break;
        }
    }
    assert!(before > 10 && after > 1, "{before} kills before the commit, {after} after it");
}
