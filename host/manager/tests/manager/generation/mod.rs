//! Generations: what becomes current, what changes nothing, the way back, and the same number after every start.

mod file;
mod load;
mod roll_back;
mod swap;

use crate::fake::World;
use crate::house::{open, ready};
use crate::shelf::{Shelf, nas};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::Manager;
use bulkhead_model::effect::LedgerEntry;
use bulkhead_store::MemoryStore;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FILE: &str = "/backends/nas.toml";

/// A shelf with packages 1 to 9, a file that names the first, and a daemon that has taken it.
struct Room {
    store: Arc<MemoryStore>,
    world: Arc<Mutex<World>>,
    shelf: Shelf,
    manager: Manager,
}

impl Room {
    async fn new() -> Self {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        let shelf = Shelf::new(&world);
        for number in 1..10 {
            shelf.put(&format!("/{number}.wasm"), number);
        }
        shelf.write(FILE, "/1.wasm", "");
        let manager = start(&store, &shelf).await;
        manager.offer_backend(&nas(), shelf.offer(FILE));
        ready(&manager, "nas").await;
        Self { store, world, shelf, manager }
    }

    /// End the daemon and start another one on the same store.
    async fn restart(&mut self) {
        self.manager.drain(Duration::from_secs(5)).await;
        self.manager = start(&self.store, &self.shelf).await;
        self.manager.recover().await.expect("recovered");
    }

    async fn words(&self) -> Vec<(String, String)> {
        let ledger = Ledger::open(self.store.clone(), LedgerKey::new([7; 32])).await.expect("the ledger");
        let records = ledger.tail(Some(&nas()), 1000).await.expect("records");
        let changes = records.into_iter().filter_map(|record| match record.entry {
            LedgerEntry::StateChange(change) if change.resource == "backend/nas" => {
                Some((change.actor, change.change))
            }
            _ => None,
        });
        changes.collect()
    }
}

async fn start(store: &Arc<MemoryStore>, shelf: &Shelf) -> Manager {
    let manager = open(store.clone()).await;
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.resume_backends().await.expect("resumed");
    manager
}
