//! What every back end promises. A new back end adds one module at the end.

use bulkhead_store::{Key, MemoryStore, Revision, SqliteStore, Store, StoreError, Transaction, limits};
use std::collections::BTreeSet;
use std::sync::Arc;

fn key(name: &str) -> Key {
    Key::new(&["test", name])
}

fn put(name: &str, value: &str) -> Transaction {
    Transaction::new().put(key(name), value.as_bytes().to_vec())
}

async fn value(store: &dyn Store, name: &str) -> Option<String> {
    let found = store.get(&key(name)).await.expect("a read");
    found.map(|found| String::from_utf8(found.value).expect("text"))
}

async fn names(store: &dyn Store) -> Vec<String> {
    let found = store.scan(&Key::prefix(&["test"])).await.expect("a scan");
    found.into_iter().map(|(key, _)| key.parts()[1].clone()).collect()
}

fn conflicting_key(outcome: Result<Revision, StoreError>) -> Key {
    match outcome {
        Err(StoreError::Conflict { key }) => key,
        other => panic!("not a conflict: {other:?}"),
    }
}

async fn what_was_put_is_found_with_its_revision(store: Arc<dyn Store>) {
    assert_eq!(store.get(&key("a")).await.expect("a read"), None);
    let revision = store.commit(put("a", "one")).await.expect("a commit");
    let found = store.get(&key("a")).await.expect("a read").expect("something");
    assert_eq!((found.revision, found.value.as_slice()), (revision, b"one".as_slice()));
    let later = store.commit(put("a", "two")).await.expect("a commit");
    assert!(later > revision && revision.number() > 0);
    assert_eq!(value(&*store, "a").await.as_deref(), Some("two"));
}

async fn what_was_deleted_is_gone_and_deleting_nothing_is_well(store: Arc<dyn Store>) {
    store.commit(put("a", "one")).await.expect("a commit");
    for _ in 0..2 {
        store.commit(Transaction::new().delete(key("a"))).await.expect("a commit");
        assert_eq!(value(&*store, "a").await, None);
    }
}

async fn a_compare_that_does_not_hold_writes_nothing(store: Arc<dyn Store>) {
    let first = store.commit(put("a", "one")).await.expect("a commit");
    let second = store.commit(put("a", "two")).await.expect("a commit");
    for (compare, conflict) in [
        (Transaction::new().absent(key("b")).absent(key("a")), "a"),
        (Transaction::new().unchanged(key("a"), first), "a"),
        (Transaction::new().unchanged(key("c"), second), "c"),
        (Transaction::new().holds(key("a"), b"one".to_vec()), "a"),
        (Transaction::new().holds(key("c"), Vec::new()), "c"),
    ] {
        let outcome = store.commit(compare.put(key("a"), b"three".to_vec()).put(key("b"), vec![])).await;
        assert_eq!(conflicting_key(outcome), key(conflict));
        assert_eq!(value(&*store, "a").await.as_deref(), Some("two"));
        assert_eq!(value(&*store, "b").await, None);
    }
}

async fn compares_that_hold_let_all_writes_happen(store: Arc<dyn Store>) {
    let revision = store.commit(put("a", "one").put(key("b"), vec![])).await.expect("a commit");
    let transaction = Transaction::new()
        .unchanged(key("a"), revision)
        .holds(key("b"), Vec::new())
        .absent(key("c"))
        .delete(key("a"))
        .put(key("c"), b"new".to_vec());
    store.commit(transaction).await.expect("a commit");
    assert_eq!(names(&*store).await, ["b", "c"]);
}

async fn a_transaction_without_writes_only_compares(store: Arc<dyn Store>) {
    let revision = store.commit(put("a", "one")).await.expect("a commit");
    let unchanged = Transaction::new().unchanged(key("a"), revision);
    assert_eq!(store.commit(unchanged).await.expect("it holds"), revision);
    assert_eq!(conflicting_key(store.commit(Transaction::new().absent(key("a"))).await), key("a"));
}

async fn a_revision_never_comes_back(store: Arc<dyn Store>) {
    store.commit(put("a", "one")).await.expect("a commit");
    let newest = store.commit(put("b", "two")).await.expect("a commit");
    store.commit(Transaction::new().delete(key("b"))).await.expect("a commit");
    let again = store.commit(put("b", "two")).await.expect("a commit");
    assert!(again.number() > newest.number() + 1);
    assert_eq!(
        conflicting_key(store.commit(put("c", "").unchanged(key("b"), newest)).await),
        key("b"),
        "a key that was deleted and put again is another"
    );
}

async fn a_scan_is_in_order_and_stays_below_its_prefix(store: Arc<dyn Store>) {
    let inside = ["0", "10", "9", "A", "a", "a-b", "a.b", "a/b", "ab", "ä"];
    let mut transaction = Transaction::new();
    for name in inside {
        transaction = transaction.put(key(name), name.as_bytes().to_vec());
    }
    for outside in
        [&["tes"][..], &["test"], &["test-1", "a"], &["test0", "a"], &["tesu", "a"], &["sest", "a"]]
    {
        transaction = transaction.put(Key::new(outside), vec![]);
    }
    store.commit(transaction).await.expect("a commit");
    let found = store.scan(&Key::prefix(&["test"])).await.expect("a scan");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
    assert!(keys.is_sorted());
    let expected: BTreeSet<_> = inside.into_iter().map(key).collect();
    assert_eq!(keys, Vec::from_iter(expected));
    assert!(found.iter().all(|(key, found)| key.parts()[1].as_bytes() == found.value));
    assert_eq!(store.scan(&Key::prefix(&[])).await.expect("a scan").len(), inside.len() + 6);
}

async fn pages_bring_everything_once(store: Arc<dyn Store>) {
    let all: Vec<_> = (0..25).map(|number| format!("{number:02}")).collect();
    for name in &all {
        store.commit(put(name, name).put(Key::new(&["test2", name]), vec![])).await.expect("a commit");
    }
    let mut found = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan_page(&Key::prefix(&["test"]), after.as_ref(), 10).await.expect("a page");
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        assert!(page.len() <= 10);
        found.extend(page.into_iter().map(|(key, _)| key.parts()[1].clone()));
    }
    assert_eq!(found, all);
}

async fn a_page_begins_after_a_key_that_need_not_exist(store: Arc<dyn Store>) {
    store.commit(put("a", "").put(key("c"), vec![])).await.expect("a commit");
    let prefix = Key::prefix(&["test"]);
    let first = async |after: Key| {
        let page = store.scan_page(&prefix, Some(&after), 1).await.expect("a page");
        page.into_iter().next().map(|(key, _)| key)
    };
    assert_eq!(first(key("b")).await, Some(key("c")));
    assert_eq!(first(key("c")).await, None);
    assert_eq!(first(Key::new(&["a", "z"])).await, Some(key("a")), "a key before the prefix");
    assert_eq!(first(Key::new(&["zest", "a"])).await, None, "a key after the prefix");
    assert!(store.scan_page(&prefix, None, 0).await.expect("a page").is_empty());
}

async fn limits_hold_to_the_byte_and_name_themselves(store: Arc<dyn Store>) {
    let numbered = |count| (0..count).map(|number| key(&format!("{number:03}")));
    let too_large = async |transaction: Transaction, expected: &str| match store.commit(transaction).await {
        Err(StoreError::TooLarge { what, .. }) => assert_eq!(what, expected),
        other => panic!("not too large: {other:?}"),
    };
    let writes = |count| numbered(count).fold(Transaction::new(), |whole, key| whole.put(key, vec![]));
    store.commit(writes(limits::WRITES)).await.expect("100 writes");
    too_large(writes(limits::WRITES + 1), "writes in one commit").await;
    let compares = numbered(limits::COMPARES + 1).fold(Transaction::new(), Transaction::absent);
    too_large(compares, "compares in one commit").await;
    store.commit(Transaction::new().put(key("v"), vec![0; limits::VALUE_BYTES])).await.expect("256 KiB");
    too_large(Transaction::new().put(key("v"), vec![0; limits::VALUE_BYTES + 1]), "bytes of a value").await;
    let long = |bytes| Key::new(&[&"k".repeat(bytes)]);
    store.commit(Transaction::new().put(long(limits::KEY_BYTES), vec![])).await.expect("a long key");
    too_large(Transaction::new().delete(long(limits::KEY_BYTES + 1)), "bytes of a key").await;
    let whole =
        numbered(4).fold(Transaction::new(), |whole, key| whole.put(key, vec![0; limits::VALUE_BYTES]));
    too_large(whole, "bytes of one commit").await;
    assert_eq!(value(&*store, "003").await.as_deref(), Some(""), "nothing of a refused commit was written");
}

async fn a_key_is_written_once_a_commit(store: Arc<dyn Store>) {
    let outcome = store.commit(put("a", "one").delete(key("a"))).await;
    assert!(matches!(outcome, Err(StoreError::WrittenTwice { key: twice }) if twice == key("a")));
}

async fn of_many_who_want_the_same_place_one_gets_it(store: Arc<dyn Store>) {
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(
                async move { store.commit(put("place", &number.to_string()).absent(key("place"))).await },
            )
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(_) => winners += 1,
            Err(StoreError::Conflict { key: found }) => assert_eq!(found, key("place")),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(winners, 1);
}

async fn counting_in_many_tasks_loses_no_step(store: Arc<dyn Store>) {
    const TASKS: u64 = 8;
    const STEPS: u64 = 25;
    store.commit(put("count", "0")).await.expect("a commit");
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut done = 0;
                while done < STEPS {
                    let found = store.get(&key("count")).await.expect("a read").expect("a count");
                    let count: u64 = String::from_utf8(found.value).expect("text").parse().expect("a number");
                    let step = put("count", &(count + 1).to_string()).unchanged(key("count"), found.revision);
                    match store.commit(step).await {
                        Ok(_) => done += 1,
                        Err(error) => assert!(error.is_conflict(), "{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(value(&*store, "count").await, Some((TASKS * STEPS).to_string()));
}

async fn a_scan_never_sees_half_a_commit(store: Arc<dyn Store>) {
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..100 {
                let number = number.to_string();
                store
                    .commit(put("left", &number).put(key("right"), number.into_bytes()))
                    .await
                    .expect("a commit");
            }
        })
    };
    while !writer.is_finished() {
        let found = store.scan(&Key::prefix(&["test"])).await.expect("a scan");
        if let [(_, left), (_, right)] = found.as_slice() {
            assert_eq!(left, right);
        } else {
            assert!(found.is_empty(), "half a commit");
        }
        tokio::task::yield_now().await;
    }
    writer.await.expect("no panic");
}

async fn everybody_who_waits_gets_an_answer_of_their_own(store: Arc<dyn Store>) {
    store.commit(put("taken", "")).await.expect("a commit");
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = Arc::clone(&store);
            let transaction = put(&format!("{number:03}"), "").put(key(&format!("{number:03}-too")), vec![]);
            tokio::spawn(async move {
                let wanted = if number % 3 == 0 { transaction.absent(key("taken")) } else { transaction };
                (number, store.commit(wanted).await)
            })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        let (number, outcome) = task.await.expect("no panic");
        let stands = (
            value(&*store, &format!("{number:03}")).await,
            value(&*store, &format!("{number:03}-too")).await,
        );
        if number % 3 == 0 {
            assert_eq!(conflicting_key(outcome), key("taken"));
            assert_eq!(stands, (None, None));
        } else {
            assert!(revisions.insert(outcome.expect("a commit")), "two commits share a revision");
            assert_eq!(stands, (Some(String::new()), Some(String::new())), "visible once it is acknowledged");
        }
    }
}

macro_rules! suite {
    ($back_end:ident, $open:expr, [$($promise:ident,)*]) => {
        mod $back_end {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let (_kept, store) = $open;
                    super::$promise(store).await;
                }
            )*
        }
    };
}

macro_rules! every_back_end {
    ($promises:tt) => {
        suite!(memory, ((), Arc::new(MemoryStore::new()) as Arc<dyn Store>), $promises);
        suite!(
            sqlite,
            {
                let directory = tempfile::tempdir().expect("a directory");
                let store = SqliteStore::open(directory.path()).expect("a store");
                (directory, Arc::new(store) as Arc<dyn Store>)
            },
            $promises
        );
    };
}

every_back_end!([
    what_was_put_is_found_with_its_revision,
    what_was_deleted_is_gone_and_deleting_nothing_is_well,
    a_compare_that_does_not_hold_writes_nothing,
    compares_that_hold_let_all_writes_happen,
    a_transaction_without_writes_only_compares,
    a_revision_never_comes_back,
    a_scan_is_in_order_and_stays_below_its_prefix,
    pages_bring_everything_once,
    a_page_begins_after_a_key_that_need_not_exist,
    limits_hold_to_the_byte_and_name_themselves,
    a_key_is_written_once_a_commit,
    of_many_who_want_the_same_place_one_gets_it,
    counting_in_many_tasks_loses_no_step,
    a_scan_never_sees_half_a_commit,
    everybody_who_waits_gets_an_answer_of_their_own,
]);
