use crate::lab::{Lab, abandoned, code};
use bulkhead_capability::private_data::{DataOwner, Expected, KEY_BYTES, KEYS_PER_OWNER, VALUE_BYTES};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::GenerationNumber;
use bulkhead_model::target::{CallTarget, Resource};
use bulkhead_store::testing::{Commit, UnevenStore};
use bulkhead_store::{Key, Store, StoreError, Transaction};
use std::sync::Arc;
use tokio::sync::Semaphore;

const SUBJECT: DataOwner = DataOwner::Subject;

/// Contract P-03.
#[tokio::test]
async fn a_value_is_kept_for_its_resource_and_outlives_the_call() {
    let lab = Lab::new().await;
    let call = lab.call();
    let revision = call.private_data().set(SUBJECT, "pool", "p1", Expected::Absent).await.expect("set");
    assert!(revision > 0);
    call.end().expect("ended");
    let call = lab.call();
    let found = call.private_data().get(SUBJECT, "pool").await.expect("a look").expect("a value");
    assert_eq!((found.value.as_str(), found.revision), ("p1", revision));
    let named = DataOwner::Resource(Resource::Share(lab.share));
    assert!(call.private_data().get(named, "pool").await.expect("a look").is_some());
    assert_eq!(call.private_data().get(DataOwner::Backend, "pool").await, Ok(None));
    let snapshot = lab.snapshot_call();
    assert_eq!(snapshot.private_data().get(SUBJECT, "pool").await, Ok(None));
    assert!(
        snapshot.private_data().get(named, "pool").await.expect("a look").is_some(),
        "its share comes with it"
    );
}

#[tokio::test]
async fn a_set_is_made_only_if_what_it_expects_is_there() {
    let lab = Lab::new().await;
    let call = lab.call();
    let data = call.private_data();
    assert_eq!(code(data.set(SUBJECT, "a", "1", Expected::Revision(1)).await), CapabilityCode::Conflict);
    let first = data.set(SUBJECT, "a", "1", Expected::Absent).await.expect("set");
    assert_eq!(code(data.set(SUBJECT, "a", "2", Expected::Absent).await), CapabilityCode::Conflict);
    let second = data.set(SUBJECT, "a", "2", Expected::Revision(first)).await.expect("set");
    assert!(second > first);
    assert_eq!(code(data.set(SUBJECT, "a", "3", Expected::Revision(first)).await), CapabilityCode::Conflict);
    data.set(SUBJECT, "a", "4", Expected::Anything).await.expect("set");
    data.remove(SUBJECT, "a").await.expect("removed");
    data.remove(SUBJECT, "a").await.expect("a repeat succeeds");
    assert_eq!(data.get(SUBJECT, "a").await, Ok(None));
}

#[tokio::test]
async fn all_pairs_come_in_order_of_keys_whatever_letters_they_have() {
    let lab = Lab::new().await;
    let call = lab.call();
    let keys = ["a/b", "a", "../x", "ä", "a b", "%2F", "a/", "B"];
    for key in keys {
        call.private_data().set(SUBJECT, key, key, Expected::Absent).await.expect("set");
    }
    let all = call.private_data().get_all(SUBJECT).await.expect("all");
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let found: Vec<_> = all.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    assert_eq!(found, sorted.iter().map(|key| (*key, *key)).collect::<Vec<_>>());
    assert_eq!(
        call.private_data().get_all(DataOwner::Backend).await,
        Ok(Vec::new()),
        "no key leaves its owner"
    );
}

#[tokio::test]
async fn keys_and_values_have_their_limits() {
    let lab = Lab::new().await;
    let call = lab.call();
    let data = call.private_data();
    let (key, value) = ("k".repeat(KEY_BYTES), "v".repeat(VALUE_BYTES));
    data.set(SUBJECT, &key, &value, Expected::Absent).await.expect("at the limit");
    let long = format!("{value}v");
    assert_eq!(code(data.set(SUBJECT, "a", &long, Expected::Anything).await), CapabilityCode::LimitExceeded);
    for bad in ["", "a\nb", "a\0", &format!("{key}k")] {
        assert_eq!(
            code(data.set(SUBJECT, bad, "v", Expected::Anything).await),
            CapabilityCode::InvalidArgument
        );
        assert_eq!(code(data.get(SUBJECT, bad).await), CapabilityCode::InvalidArgument);
        assert_eq!(code(data.remove(SUBJECT, bad).await), CapabilityCode::InvalidArgument);
    }
    for number in 1..KEYS_PER_OWNER {
        data.set(SUBJECT, &format!("n{number}"), "v", Expected::Absent).await.expect("below the limit");
    }
    assert_eq!(code(data.set(SUBJECT, "more", "v", Expected::Anything).await), CapabilityCode::LimitExceeded);
    data.set(SUBJECT, "n1", "changed", Expected::Anything).await.expect("no new key");
    data.remove(SUBJECT, "n2").await.expect("removed");
    data.set(SUBJECT, "more", "v", Expected::Anything).await.expect("room again");
}

/// Fill `store` below the capability, as an older daemon left it: 64 MiB less 1 KiB.
async fn fill(store: &dyn Store) {
    let mut left = (64 << 20) - 1024;
    let mut number = 0;
    while left > 0 {
        let size = std::cmp::min(left, 200_000);
        let name = format!("{number:08}");
        let key = Key::new(&["private", "lab", "share-old", &name]);
        let transaction = Transaction::default().put(key, vec![b'v'; size - name.len()]);
        store.commit(transaction).await.expect("filled");
        left -= size;
        number += 1;
    }
}

#[tokio::test]
async fn room_taken_by_a_call_that_is_dropped_is_given_back_if_nothing_was_written() {
    let (store, gate): (Arc<UnevenStore>, _) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let used = Arc::clone(&store);
    let lab = Lab::with(move |parts| parts.store = used).await;
    fill(&*store).await;
    let refusal = StoreError::Conflict { key: Key::new(&["refused"]) };
    store.then([Commit::Hold(Arc::clone(&gate)), Commit::Fail(refusal)]);
    let value = "v".repeat(600);
    let call = lab.call();
    let set = abandoned(call.private_data().set(SUBJECT, "a", &value, Expected::Absent)).await;
    assert!(set.is_none(), "the store is closed");
    drop(call);
    gate.add_permits(1);
    let later = lab.call();
    later.private_data().set(SUBJECT, "b", &value, Expected::Absent).await.expect("the room is free again");
    assert_eq!(
        code(later.private_data().set(SUBJECT, "c", &value, Expected::Absent).await),
        CapabilityCode::LimitExceeded
    );
}

#[tokio::test]
async fn a_backend_holds_at_most_its_bytes_over_all_resources_and_generations() {
    let lab = Lab::new().await;
    fill(&*lab.host.store).await;
    let call = lab.call();
    let value = "v".repeat(600);
    call.private_data().set(SUBJECT, "a", &value, Expected::Absent).await.expect("room for one");
    assert_eq!(
        code(call.private_data().set(SUBJECT, "b", &value, Expected::Absent).await),
        CapabilityCode::LimitExceeded
    );
    let mut parts =
        lab.host.parts("lab", crate::lab::manifest(), lab.backend.grant().clone()).expect("parts");
    parts.generation = GenerationNumber(2);
    let next = bulkhead_capability::backend::Backend::new(parts).expect("the next generation");
    let origin = bulkhead_capability::testing::origin("shares.create-share");
    let later = next.begin(origin, CallTarget::share(lab.share), call.deadline(), 0);
    assert_eq!(
        code(later.private_data().set(SUBJECT, "b", &value, Expected::Absent).await),
        CapabilityCode::LimitExceeded
    );
    call.private_data().remove(SUBJECT, "a").await.expect("removed");
    later.private_data().set(SUBJECT, "b", &value, Expected::Absent).await.expect("room again");
}

#[tokio::test]
async fn a_counter_never_answers_the_same_twice() {
    let lab = Lab::new().await;
    let calls: Vec<_> = (0..8).map(|_| lab.call()).collect();
    let mut tasks = Vec::new();
    for call in calls {
        tasks.push(tokio::spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..25 {
                numbers.push(call.private_data().next_number("export-id").await.expect("a number"));
            }
            numbers
        }));
    }
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.expect("a task"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
    let error = lab.call().private_data().next_number("other").await.expect_err("not declared");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("[private-data] counters = [\"other\"]"), "{error}");
}

#[tokio::test]
async fn the_backends_own_data_need_a_declared_reason() {
    let lab = Lab::with(|parts| {
        let mut manifest = crate::lab::manifest();
        manifest.private_data = None;
        parts.manifest = std::sync::Arc::new(manifest);
    })
    .await;
    let error = lab.call().private_data().get(DataOwner::Backend, "a").await.expect_err("not declared");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("[private-data] backend-scope"), "{error}");
    let setup = lab.call_about(CallTarget::default());
    assert_eq!(code(setup.private_data().get(SUBJECT, "a").await), CapabilityCode::Denied);
}
