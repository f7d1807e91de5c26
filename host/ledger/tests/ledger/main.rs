//! The ledger from outside: what it promises to those who change state, to those who audit, and when the store fails.
#![cfg(test)]

mod carried;

use bulkhead_ledger::{Break, Ledger, LedgerError, LedgerKey, LedgerRecord, Verification};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::{Chain, Effect, EffectOutcome, LedgerEntry, StateChange};
use bulkhead_model::id::{CallId, GenerationNumber, RequestId};
use bulkhead_model::secret::Cleaner;
use bulkhead_store::testing::{Commit, UnevenStore};
use bulkhead_store::{Key, MemoryStore, SqliteStore, Store, StoreError, Transaction};
use std::sync::Arc;
use std::time::Duration;

fn chain(name: &str) -> Chain {
    name.parse().expect("a name")
}

fn change(text: &str) -> StateChange {
    StateChange {
        actor: "tester".to_owned(),
        request: RequestId::internal("test"),
        operation: None,
        resource: "share/1".to_owned(),
        change: text.to_owned(),
    }
}

fn effect(subject: &str) -> Effect {
    Effect {
        origin: CallOrigin {
            call: CallId::next(),
            function: "shares.create-share".to_owned(),
            request: RequestId::internal("test"),
            operation: None,
            generation: GenerationNumber(1),
        },
        capability: "files.make-directory".to_owned(),
        subject: subject.to_owned(),
        outcome: EffectOutcome::Done,
        detail: String::new(),
    }
}

fn words(records: &[LedgerRecord]) -> Vec<String> {
    records
        .iter()
        .map(|record| match &record.entry {
            LedgerEntry::Effect(effect) => effect.subject.clone(),
            LedgerEntry::StateChange(change) => change.change.clone(),
        })
        .collect()
}

fn key(name: &str) -> Key {
    Key::new(&["record", name])
}

fn put(name: &str) -> Transaction {
    Transaction::new().put(key(name), b"value".to_vec())
}

fn record_key(chain: &str, sequence: u64) -> Key {
    Key::new(&["ledger", chain, &format!("{sequence:020}")])
}

fn secret() -> LedgerKey {
    LedgerKey::new([7; 32])
}

#[tokio::test]
async fn a_change_that_tells_a_secret_is_recorded_without_it() {
    let cleaner = Cleaner::new(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("horse").then(|| text.replace("horse", "[secret]").into_bytes())
    });
    let ledger = Ledger::open(Arc::new(MemoryStore::default()), secret()).await.expect("a ledger");
    let ledger = ledger.cleaned_by(cleaner);
    let blue = chain("blue");
    let told = vec![change("creating -> error: horse"), change("error -> deleted")];
    ledger.commit(&blue, put("a"), told).await.expect("committed");
    let records = ledger.tail(Some(&blue), 10).await.expect("records");
    assert_eq!(words(&records), ["creating -> error: [secret]", "error -> deleted"]);
    assert_eq!(ledger.verify(&blue).await.expect("read"), Verification::Sound { records: 2 });
}

async fn new_ledger() -> (Arc<dyn Store>, Ledger) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ledger = Ledger::open(Arc::clone(&store), secret()).await.expect("a ledger");
    (store, ledger)
}

/// A store with a chain "a" of `count` records.
async fn written(count: usize) -> (Arc<dyn Store>, Ledger) {
    let (store, ledger) = new_ledger().await;
    for number in 0..count {
        ledger.commit(&chain("a"), put("share"), vec![change(&number.to_string())]).await.expect("a commit");
    }
    (store, ledger)
}

async fn verdict(ledger: &Ledger) -> Verification {
    ledger.verify(&chain("a")).await.expect("a verdict")
}

#[tokio::test]
async fn a_change_and_its_record_are_one_commit() {
    let (store, ledger) = new_ledger().await;
    let revision = ledger
        .commit(&chain("a"), put("share"), vec![change("creating"), change("available")])
        .await
        .expect("a commit");
    for key in [key("share"), record_key("a", 1), record_key("a", 2)] {
        assert_eq!(
            store.get(&key).await.expect("a read").map(|found| found.revision),
            Some(revision),
            "{key}"
        );
    }
    let records = ledger.tail(Some(&chain("a")), 10).await.expect("records");
    assert_eq!(words(&records), ["creating", "available"]);
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(records[1].previous_hash, records[0].hash);
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 2 });
}

#[tokio::test]
async fn a_conflict_comes_through_and_leaves_neither_change_nor_record() {
    let (store, ledger) = written(1).await;
    let outcome = ledger.commit(&chain("a"), put("other").absent(key("share")), vec![change("never")]).await;
    let error = outcome.expect_err("a conflict");
    assert!(error.is_conflict());
    assert!(
        matches!(&error, LedgerError::Store(StoreError::Conflict { key: found }) if *found == key("share"))
    );
    assert_eq!(store.get(&key("other")).await.expect("a read"), None);
    ledger.commit(&chain("a"), put("other"), vec![change("after")]).await.expect("the chain goes on");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["0", "after"]);
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 2 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_at_once_make_one_unbroken_chain_although_some_conflict() {
    let directory = tempfile::tempdir().expect("a directory");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
    let ledger = Ledger::open(Arc::clone(&store), secret()).await.expect("a ledger");
    store.commit(put("taken")).await.expect("a commit");
    let tasks: Vec<_> = (0..300)
        .map(|number: u64| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let transaction = put(&number.to_string());
                let conflicting = number.is_multiple_of(7);
                let transaction = if conflicting { transaction.absent(key("taken")) } else { transaction };
                ledger.effect(&chain("a"), effect("effect")).await.expect("handed over");
                let outcome = ledger.commit(&chain("a"), transaction, vec![change("change")]).await;
                assert_eq!(outcome.as_ref().is_err_and(LedgerError::is_conflict), conflicting, "{outcome:?}");
                assert_eq!(outcome.is_err(), conflicting);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    ledger.flush(&chain("a")).await.expect("a flush");
    let committed = (0..300_u64).filter(|number| !number.is_multiple_of(7)).count();
    let records = u64::try_from(300 + committed).expect("small");
    assert_eq!(verdict(&ledger).await, Verification::Sound { records });
    assert_eq!(store.scan(&Key::prefix(&["record"])).await.expect("a scan").len(), committed + 1);
}

#[tokio::test]
async fn two_writers_on_one_chain_do_not_fork_it() {
    let (store, first) = written(3).await;
    let second = Ledger::open(store, secret()).await.expect("a second ledger");
    for round in 0..5 {
        for ledger in [&first, &second] {
            ledger
                .commit(&chain("a"), put("share"), vec![change(&round.to_string())])
                .await
                .expect("a commit");
        }
    }
    assert_eq!(verdict(&first).await, Verification::Sound { records: 13 });
}

#[tokio::test]
async fn a_flush_brings_the_effects_in_their_order() {
    let (_store, ledger) = new_ledger().await;
    let subjects: Vec<_> = (0..250).map(|number| number.to_string()).collect();
    for subject in &subjects {
        ledger.effect(&chain("a"), effect(subject)).await.expect("handed over");
    }
    ledger.flush(&chain("a")).await.expect("a flush");
    assert_eq!(words(&ledger.tail(Some(&chain("a")), 1000).await.expect("records")), subjects);
    ledger.flush(&chain("a")).await.expect("nothing to flush");
    ledger.flush(&chain("never-used")).await.expect("nothing to flush");
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 250 });
}

#[tokio::test]
async fn effects_are_written_without_a_flush_too() {
    let (_store, ledger) = new_ledger().await;
    for round in 1..3 {
        ledger.effect(&chain("a"), effect("alone")).await.expect("handed over");
        let written = async {
            while ledger.tail(None, 10).await.expect("records").len() < round {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), written).await.expect("a timer that flushes");
    }
}

#[tokio::test]
async fn a_caller_that_stops_waiting_loses_no_effect() {
    let directory = tempfile::tempdir().expect("a directory");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
    let ledger = Ledger::open(store, secret()).await.expect("a ledger");
    for number in 0..20 {
        ledger.effect(&chain("a"), effect(&number.to_string())).await.expect("handed over");
        let (flushed, chain) = (ledger.clone(), chain("a"));
        let waiting = tokio::spawn(async move { flushed.flush(&chain).await });
        tokio::task::yield_now().await;
        waiting.abort();
    }
    ledger.flush_all().await.expect("a flush");
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 20 });
}

#[tokio::test]
async fn an_entry_is_cut_to_size_and_harmless_in_a_terminal() {
    let (_store, ledger) = new_ledger().await;
    let mut large = effect("\u{1b}[2J");
    large.detail = "\u{202e}".repeat(100_000);
    large.capability = "x".repeat(100_000);
    for _ in 0..100 {
        ledger.effect(&chain("a"), large.clone()).await.expect("handed over");
    }
    ledger
        .commit(&chain("a"), Transaction::new(), vec![change(&"y".repeat(100_000))])
        .await
        .expect("a commit");
    ledger.flush(&chain("a")).await.expect("a flush");
    let records = ledger.tail(None, 200).await.expect("records");
    assert_eq!(records.len(), 101);
    for record in records {
        let text = serde_json::to_string(&record).expect("JSON");
        assert!(text.len() < 4096 && !text.contains(['\u{1b}', '\u{202e}']), "{}", text.len());
    }
}

#[tokio::test]
async fn it_goes_on_where_it_was_when_it_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    for round in 0..3_u64 {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
        let ledger = Ledger::open(store, secret()).await.expect("a ledger");
        for name in ["a", "a-b", "host"] {
            ledger.commit(&chain(name), put("share"), vec![change(name)]).await.expect("a commit");
            let expected = Verification::Sound { records: round + 1 };
            assert_eq!(ledger.verify(&chain(name)).await.expect("a verdict"), expected);
        }
        assert_eq!(ledger.chains(), [chain("a"), chain("a-b"), chain("host")]);
    }
}

#[tokio::test]
async fn the_tail_merges_chains_and_after_follows_one() {
    let (_store, ledger) = new_ledger().await;
    for number in 0..6 {
        let name = if number % 2 == 0 { "a" } else { "b" };
        ledger.commit(&chain(name), put("share"), vec![change(&number.to_string())]).await.expect("a commit");
    }
    assert_eq!(words(&ledger.tail(None, 3).await.expect("records")), ["3", "4", "5"]);
    assert_eq!(words(&ledger.tail(Some(&chain("b")), 2).await.expect("records")), ["3", "5"]);
    assert_eq!(words(&ledger.after(&chain("a"), 1, 1).await.expect("records")), ["2"]);
    assert_eq!(words(&ledger.after(&chain("a"), 1, 100).await.expect("records")), ["2", "4"]);
    assert!(ledger.after(&chain("a"), 3, 100).await.expect("records").is_empty());
    assert!(ledger.tail(Some(&chain("c")), 2).await.expect("records").is_empty());
    assert_eq!(ledger.chains(), [chain("a"), chain("b")], "a question makes no chain");
}

#[tokio::test]
async fn an_altered_chain_names_its_first_bad_record() {
    let put_back = |sequence, bytes: Vec<u8>| Transaction::new().put(record_key("a", sequence), bytes);
    for (damage, expected) in [
        ("edited", Verification::Broken { sequence: 4, what: Break::Hash }),
        ("re-hashed with another key", Verification::Broken { sequence: 4, what: Break::Hash }),
        ("no JSON", Verification::Broken { sequence: 4, what: Break::Unreadable }),
        ("taken away", Verification::Broken { sequence: 4, what: Break::Missing }),
        ("another's place", Verification::Broken { sequence: 4, what: Break::Place }),
        ("of another history", Verification::Broken { sequence: 4, what: Break::Order }),
        ("cut tail", Verification::Broken { sequence: 10, what: Break::Missing }),
        ("head put back", Verification::Broken { sequence: 9, what: Break::Head }),
    ] {
        let (store, ledger) = written(10).await;
        let bytes = async |store: &dyn Store, sequence| {
            store.get(&record_key("a", sequence)).await.expect("a read").expect("a record").value
        };
        let fourth = String::from_utf8(bytes(&*store, 4).await).expect("text");
        let transaction = match damage {
            "edited" => put_back(4, fourth.replace("tester", "nobody").into_bytes()),
            "re-hashed with another key" => {
                let other: Arc<dyn Store> = Arc::new(MemoryStore::new());
                let forger =
                    Ledger::open(Arc::clone(&other), LedgerKey::new([8; 32])).await.expect("a ledger");
                forger.commit(&chain("a"), put("share"), vec![change("3"); 4]).await.expect("a commit");
                put_back(4, bytes(&*other, 4).await)
            }
            "no JSON" => put_back(4, b"text ".repeat(100)),
            "taken away" => Transaction::new().delete(record_key("a", 4)),
            "another's place" => put_back(4, bytes(&*store, 5).await),
            "of another history" => put_back(4, bytes(&*written(10).await.0, 4).await),
            "cut tail" => Transaction::new().delete(record_key("a", 10)),
            _ => {
                let head = Key::new(&["ledger", "a", "head"]);
                let found = store.get(&head).await.expect("a read").expect("a head").value;
                let text = String::from_utf8(found).expect("text");
                Transaction::new().put(head, text.replace(r#""sequence":10"#, r#""sequence":9"#).into_bytes())
            }
        };
        store.commit(transaction).await.expect("the damage");
        assert_eq!(verdict(&ledger).await, expected, "{damage}");
    }
}

#[tokio::test]
async fn another_key_or_a_cut_tail_is_refused_when_it_is_opened() {
    let (store, _ledger) = written(3).await;
    let error = Ledger::open(Arc::clone(&store), LedgerKey::new([8; 32])).await.expect_err("another key");
    assert!(matches!(&error, LedgerError::Altered { sequence: 3, what: Break::Hash, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("record 3 of the ledger's chain 'a'") && text.contains("key file"), "{text}");
    store.commit(Transaction::new().delete(record_key("a", 3))).await.expect("the damage");
    let error = Ledger::open(Arc::clone(&store), secret()).await.expect_err("a cut tail");
    assert!(matches!(&error, LedgerError::Altered { sequence: 3, what: Break::Missing, .. }), "{error:?}");
    let (store, _ledger) = written(3).await;
    store.commit(Transaction::new().delete(Key::new(&["ledger", "a", "head"]))).await.expect("the damage");
    let error = Ledger::open(store, secret()).await.expect_err("no head");
    assert!(matches!(&error, LedgerError::Altered { sequence: 1, what: Break::Head, .. }), "{error:?}");
}

fn full() -> StoreError {
    let source = Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
    StoreError::NotWritten { path: "state".into(), source }
}

fn broken() -> StoreError {
    StoreError::Unusable { path: "state".into(), source: Arc::new(std::io::Error::other("broken")) }
}

#[tokio::test]
async fn effects_survive_a_full_disk() {
    let store = Arc::new(UnevenStore::default());
    let ledger = Ledger::open(Arc::clone(&store) as Arc<dyn Store>, secret()).await.expect("a ledger");
    store.then([Commit::Fail(full())]);
    for subject in ["one", "two"] {
        ledger.effect(&chain("a"), effect(subject)).await.expect("handed over");
    }
    let error = ledger.flush(&chain("a")).await.expect_err("a full disk");
    assert!(matches!(error, LedgerError::Store(StoreError::NotWritten { .. })), "{error:?}");
    ledger.effect(&chain("a"), effect("three")).await.expect("handed over");
    ledger.flush(&chain("a")).await.expect("room again");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["one", "two", "three"]);
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 3 });
}

#[tokio::test]
async fn after_a_broken_disk_no_effect_is_allowed_any_more() {
    let store = Arc::new(UnevenStore::default());
    let ledger = Ledger::open(Arc::clone(&store) as Arc<dyn Store>, secret()).await.expect("a ledger");
    ledger.effect(&chain("a"), effect("lost")).await.expect("handed over");
    store.then([Commit::Fail(broken())]);
    for _ in 0..2 {
        let error = ledger.flush(&chain("a")).await.expect_err("a broken disk");
        assert!(matches!(error, LedgerError::Store(StoreError::Unusable { .. })), "{error:?}");
    }
    let error = ledger.effect(&chain("a"), effect("next")).await.expect_err("not recorded, not allowed");
    assert!(matches!(error, LedgerError::Store(StoreError::Unusable { .. })), "{error:?}");
    assert!(ledger.flush_all().await.is_err());
}

#[tokio::test]
async fn a_full_queue_waits_for_room_and_everything_arrives() {
    let store = Arc::new(UnevenStore::default());
    let ledger = Ledger::open(Arc::clone(&store) as Arc<dyn Store>, secret()).await.expect("a ledger");
    // Nothing is written at first, so that the queue fills up; the timer tries again and frees it.
    store.then([Commit::Fail(full())]);
    let handed_over = async {
        for number in 0..6000 {
            ledger.effect(&chain("a"), effect(&number.to_string())).await.expect("handed over");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), handed_over).await.expect("room again");
    ledger.flush(&chain("a")).await.expect("a flush");
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 6000 });
}
