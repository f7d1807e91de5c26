//! Copies made while a daemon works, and put back.

use bulkhead_store::{Key, SqliteStore, Store, StoreError, Transaction};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn both(number: u64) -> Transaction {
    let value = number.to_string().into_bytes();
    Transaction::new()
        .put(Key::new(&["left", &number.to_string()]), value.clone())
        .put(Key::new(&["right", &number.to_string()]), value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_store_at_work_is_of_one_moment_and_has_all_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteStore::open(&folder.path().join("store")).expect("a store"));
    store.commit(Transaction::new().put(Key::new(&["before"]), vec![1])).await.expect("a commit");
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                store.commit(both(number)).await.expect("a commit");
                number += 1;
            }
        })
    };
    for round in 0..10 {
        let copy = folder.path().join(format!("copy-{round}"));
        let facts = SqliteStore::back_up(&folder.path().join("store"), &copy).expect("a copy");
        let opened = SqliteStore::open(&copy).expect("a copy is a store");
        assert!(opened.get(&Key::new(&["before"])).await.expect("a read").is_some());
        let left = opened.scan(&Key::prefix(&["left"])).await.expect("a scan");
        let right = opened.scan(&Key::prefix(&["right"])).await.expect("a scan");
        assert_eq!(left.len(), right.len(), "half a commit is in the copy");
        assert!(facts.revision >= 1 && facts.entries >= 1, "{facts:?}");
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.expect("no panic");
}

#[tokio::test]
async fn a_copy_is_put_back_where_there_is_no_store_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (original, copy, other) =
        (folder.path().join("store"), folder.path().join("copy"), folder.path().join("other"));
    let store = SqliteStore::open(&original).expect("a store");
    store.commit(both(7)).await.expect("a commit");
    let facts = SqliteStore::back_up(&original, &copy).expect("a copy");
    assert!(matches!(SqliteStore::back_up(&original, &copy), Err(StoreError::Occupied { .. })));
    assert!(matches!(SqliteStore::restore(&copy, &original), Err(StoreError::Locked { .. })));
    drop(store);
    assert!(matches!(SqliteStore::restore(&copy, &original), Err(StoreError::Occupied { .. })));
    assert_eq!(SqliteStore::restore(&copy, &other).expect("restored"), facts);
    let restored = SqliteStore::open(&other).expect("a store");
    assert!(restored.get(&Key::new(&["right", "7"])).await.expect("a read").is_some());
}

#[tokio::test]
async fn a_damaged_store_is_told_and_never_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    let original = folder.path().join("store");
    assert!(matches!(SqliteStore::check(&original), Err(StoreError::Open { .. })));
    let store = SqliteStore::open(&original).expect("a store");
    for number in 0..200 {
        store.commit(both(number)).await.expect("a commit");
    }
    drop(store);
    assert_eq!(SqliteStore::check(&original).expect("sound").entries, 400);
    let file = original.join("state.sqlite");
    let mut bytes = std::fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    std::fs::write(&file, bytes).expect("a file");
    assert!(matches!(SqliteStore::check(&original), Err(StoreError::Corrupt { .. })));
    let copy = folder.path().join("copy");
    assert!(matches!(SqliteStore::back_up(&original, &copy), Err(StoreError::Corrupt { .. })));
    assert!(!copy.join("state.sqlite").exists());
}
