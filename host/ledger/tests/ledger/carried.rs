//! Effects that commits carry: what an operation did is on the disk no later than that it ended, and costs no commit of its own.

use super::{chain, change, effect, full, key, put, secret, verdict, words};
use bulkhead_ledger::{Ledger, LedgerError, Verification};
use bulkhead_model::effect::{Effect, StateChange};
use bulkhead_model::id::OperationId;
use bulkhead_store::testing::{Commit, UnevenStore};
use bulkhead_store::{MemoryStore, Store, StoreError, Transaction, limits};
use std::sync::Arc;

async fn on(store: &Arc<UnevenStore>) -> Ledger {
    Ledger::open(Arc::clone(store) as Arc<dyn Store>, secret()).await.expect("a ledger")
}

async fn hand_over(ledger: &Ledger, subjects: impl IntoIterator<Item = String>) {
    for subject in subjects {
        ledger.effect(&chain("a"), effect(&subject)).await.expect("handed over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_carries_the_effects_before_it_in_its_own_commit() {
    let store = Arc::new(UnevenStore::default());
    let ledger = on(&store).await;
    hand_over(&ledger, ["one", "two"].map(str::to_owned)).await;
    ledger.commit(&chain("a"), put("share"), vec![change("ended")]).await.expect("a commit");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["one", "two", "ended"]);
    assert_eq!(store.passed(), 1);
    ledger.flush(&chain("a")).await.expect("nothing to flush");
    assert_eq!(store.passed(), 1);
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 3 });
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_a_record_of_its_own_carries_effects_too() {
    let store = Arc::new(UnevenStore::default());
    let ledger = on(&store).await;
    hand_over(&ledger, ["one".to_owned()]).await;
    ledger.commit(&chain("a"), put("share"), Vec::new()).await.expect("a commit");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["one"]);
    assert_eq!(store.passed(), 1);
    ledger.commit(&chain("a"), put("share"), Vec::new()).await.expect("nothing to carry");
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 1 });
}

#[tokio::test]
async fn effects_that_do_not_fit_beside_a_change_go_before_it() {
    let store = Arc::new(UnevenStore::default());
    let ledger = on(&store).await;
    let subjects: Vec<_> = (0..250).map(|number| number.to_string()).collect();
    hand_over(&ledger, subjects.clone()).await;
    let large = vec![0; limits::VALUE_BYTES];
    let places = ["1", "2", "3"];
    let large = places.iter().fold(Transaction::new(), |whole, place| whole.put(key(place), large.clone()));
    ledger.commit(&chain("a"), large, vec![change("ended")]).await.expect("a commit");
    let found = words(&ledger.tail(None, 1000).await.expect("records"));
    assert_eq!(found.split_last(), Some((&"ended".to_owned(), &subjects[..])));
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 251 });
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_commit_carried_is_carried_by_the_next_and_written_once() {
    let store = Arc::new(UnevenStore::default());
    let ledger = on(&store).await;
    ledger.commit(&chain("a"), put("taken"), vec![change("first")]).await.expect("a commit");
    hand_over(&ledger, ["one".to_owned()]).await;
    let refused = ledger.commit(&chain("a"), put("x").absent(key("taken")), vec![change("refused")]).await;
    assert!(refused.is_err_and(|error| error.is_conflict()));
    hand_over(&ledger, ["two".to_owned()]).await;
    store.then([Commit::Fail(full())]);
    let refused = ledger.commit(&chain("a"), put("y"), vec![change("no room")]).await;
    assert!(matches!(refused, Err(LedgerError::Store(StoreError::NotWritten { .. }))), "{refused:?}");
    ledger.commit(&chain("a"), put("z"), vec![change("ended")]).await.expect("a commit");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["first", "one", "two", "ended"]);
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 4 });
}

#[tokio::test]
async fn a_flush_waits_for_what_a_commit_of_somebody_else_carries() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = bulkhead_store::SqliteStore::open(directory.path()).expect("a store");
    let ledger = Ledger::open(Arc::new(store), secret()).await.expect("a ledger");
    for round in 0..50_usize {
        hand_over(&ledger, [format!("effect {round}")]).await;
        let (other, transaction) = (ledger.clone(), put(&round.to_string()));
        let commit =
            tokio::spawn(async move { other.commit(&chain("a"), transaction, vec![change("ended")]).await });
        ledger.flush(&chain("a")).await.expect("a flush");
        let found = words(&ledger.tail(None, 1000).await.expect("records"));
        assert!(found.contains(&format!("effect {round}")), "round {round}: {found:?}");
        commit.await.expect("no panic").expect("a commit");
    }
    assert_eq!(verdict(&ledger).await, Verification::Sound { records: 100 });
}

#[tokio::test(start_paused = true)]
async fn effects_of_an_operation_at_another_backend_are_written_before_it_ends() {
    let ledger = Ledger::open(Arc::new(MemoryStore::new()), secret()).await.expect("a ledger");
    let operation = Some(OperationId::next());
    let mut here = effect("of the operation");
    here.origin.operation = operation;
    let there: Effect = effect("of nobody");
    ledger.effect(&chain("b"), here).await.expect("handed over");
    ledger.effect(&chain("c"), there).await.expect("handed over");
    let ended = StateChange { operation, ..change("ended") };
    ledger.commit(&chain("a"), put("share"), vec![ended]).await.expect("a commit");
    assert_eq!(words(&ledger.tail(None, 10).await.expect("records")), ["of the operation", "ended"]);
    ledger.flush_all().await.expect("a flush");
}
