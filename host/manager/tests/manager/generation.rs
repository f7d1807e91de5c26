//! Generations: one number for one configuration, over all starts.

use crate::fake::FakeDriver;
use crate::house::{description, open, ready};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::{ConfigurationIdentity, Manager};
use bulkhead_model::effect::LedgerEntry;
use bulkhead_model::id::{BackendName, Digest};
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::sync::Arc;

fn nas() -> BackendName {
    "nas".parse().expect("a name")
}

async fn generation(manager: &Manager, configuration: u8) -> u64 {
    let identity = ConfigurationIdentity {
        digest: Digest::from_bytes([configuration; 32]),
        driver: "fake".parse().expect("a name"),
        driver_version: "1.2.3".to_owned(),
        package: Digest::from_bytes([9; 32]),
    };
    manager.generation_of(&nas(), identity).await.expect("recorded").0
}

#[tokio::test]
async fn the_same_configuration_keeps_its_number_and_another_gets_the_next_one_also_after_a_restart() {
    let store: Arc<MemoryStore> = Arc::default();
    let first = open(Arc::clone(&store) as Arc<_>).await;
    assert_eq!((generation(&first, 1).await, generation(&first, 1).await), (1, 1));
    assert_eq!(generation(&first, 2).await, 2);
    drop(first);
    let next = open(store).await;
    assert_eq!(generation(&next, 2).await, 2);
    assert_eq!(generation(&next, 1).await, 3, "a number is never used again, not even for what it stood for");
}

#[tokio::test]
async fn ensuring_shares_keeps_the_number() {
    let store: Arc<MemoryStore> = Arc::default();
    let manager = open(Arc::clone(&store) as Arc<_>).await;
    generation(&manager, 1).await;
    assert_eq!(generation(&manager, 2).await, 2);
    let mut driver = FakeDriver::new(&Arc::default());
    driver.fingerprint = Some("a".to_owned());
    manager.attach(description("nas", 2), Arc::new(driver));
    ready(&manager, "nas").await;
    drop(manager);
    let next = open(store).await;
    assert_eq!((generation(&next, 2).await, generation(&next, 3).await), (2, 3));
}

#[tokio::test]
async fn a_new_generation_stands_in_the_ledger_with_its_driver_and_digests() {
    let store: Arc<MemoryStore> = Arc::default();
    let manager = open(Arc::clone(&store) as Arc<_>).await;
    generation(&manager, 1).await;
    generation(&manager, 1).await;
    let ledger = Ledger::open(store as Arc<_>, LedgerKey::new([7; 32])).await.expect("the ledger");
    let records = ledger.tail(Some(&nas()), 10).await.expect("records");
    let changes: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.entry {
            LedgerEntry::StateChange(change) => Some((change.resource.as_str(), change.change.as_str())),
            _ => None,
        })
        .collect();
    let [(resource, change)] = changes.as_slice() else { panic!("one change: {changes:?}") };
    assert_eq!(*resource, "backend/nas");
    let package = Digest::from_bytes([9; 32]);
    assert!(change.starts_with(&format!("generation 1: fake 1.2.3 {package}")), "{change}");
}

#[tokio::test]
async fn a_record_of_a_version_that_did_not_count_is_read_and_its_number_not_used_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let key = Key::new(&["record", "backend", "nas"]);
    let value = br#"{"name":"nas","fingerprint":null,"generation":1}"#.to_vec();
    store.commit(Transaction::default().put(key, value)).await.expect("written");
    let manager = open(store).await;
    assert_eq!((generation(&manager, 1).await, generation(&manager, 1).await), (2, 2));
}
