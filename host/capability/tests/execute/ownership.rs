use crate::lab::{Lab, at, code, snapshot_slots};
use bulkhead_capability::execute::RunError;
use bulkhead_helper::protocol::{Ending, Refusal};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::key;
use bulkhead_model::target::CallTarget;
use bulkhead_store::Key;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

impl Lab {
    async fn owned(&self) -> Vec<String> {
        let records = self.host.store.scan(&Key::prefix(&[key::OWNED, "lab"])).await.expect("records");
        records.iter().filter_map(|(key, _)| key.parts().last().cloned()).collect()
    }

    fn name(&self, pattern: &str) -> String {
        let path = self.on_disk(pattern);
        path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned()
    }
}

#[tokio::test]
async fn what_a_template_creates_is_recorded_before_it_starts() {
    let lab = Lab::new().await;
    let store = Arc::clone(&lab.host.store);
    let seen = Arc::new(AtomicUsize::new(0));
    let seen_then = Arc::clone(&seen);
    lab.fake.perform(move |_| {
        let records = futures_now(store.scan(&Key::prefix(&[key::OWNED, "lab"]))).expect("records");
        seen_then.store(records.len(), Ordering::Relaxed);
    });
    lab.snapshot_call().execute().run("copy-tree", &snapshot_slots()).await.expect("it runs");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    assert_eq!(lab.owned().await, [lab.name("{share}@{snapshot}")]);
}

/// The answer of a future that never waits: the store in memory answers at once.
fn futures_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[tokio::test]
async fn a_record_stays_when_the_command_failed_and_goes_when_it_never_started() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    let refused = Refusal::new(CapabilityCode::NotFound, "the source is not there");
    lab.fake.answer(Err(RunError::Refused(refused)));
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::NotFound);
    assert!(lab.owned().await.is_empty());
    lab.fake.end(Ending::Exited(1));
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::CommandFailed);
    assert_eq!(lab.owned().await.len(), 1);
}

#[tokio::test]
async fn what_already_stands_there_is_never_claimed() {
    let lab = Lab::new().await;
    fs::create_dir(lab.on_disk("{share}@{snapshot}")).expect("a directory");
    let call = lab.snapshot_call();
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::AlreadyExists);
    assert!(lab.owned().await.is_empty() && lab.fake.requests().is_empty());
    fs::remove_dir(lab.on_disk("{share}@{snapshot}")).expect("it goes");
    std::os::unix::fs::symlink("/nowhere", lab.on_disk("{share}@{snapshot}")).expect("a link");
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::AlreadyExists);
}

#[tokio::test]
async fn only_what_is_recorded_is_destroyed_and_its_record_goes_with_it() {
    let lab = Lab::new().await;
    fs::create_dir(lab.on_disk(".{share}.new")).expect("a directory");
    let call = lab.call();
    let old = [at("old", ".{share}.new")];
    assert_eq!(code(call.execute().run("remove-tree", &old).await), CapabilityCode::NotOwned);
    assert!(lab.fake.requests().is_empty());
    fs::remove_dir(lab.on_disk(".{share}.new")).expect("it goes");
    call.execute()
        .run("copy-tree", &[at("from", "{share}"), at("to", ".{share}.new")])
        .await
        .expect("it is made");
    lab.fake.end(Ending::Exited(1));
    assert_eq!(code(call.execute().run("remove-tree", &old).await), CapabilityCode::CommandFailed);
    assert_eq!(lab.owned().await.len(), 1);
    call.execute().run("remove-tree", &old).await.expect("it is removed");
    assert!(lab.owned().await.is_empty());
}

#[tokio::test]
async fn a_template_of_once_is_not_begun_again_by_a_later_attempt_of_the_same_operation() {
    let lab = Lab::new().await;
    let origin = bulkhead_capability::testing::origin("shares.create-share");
    let target = || CallTarget::snapshot(lab.snapshot, lab.share);
    let attempt = || {
        let mut origin = origin.clone();
        origin.call = bulkhead_model::id::CallId::next();
        lab.call_of(origin, target(), Duration::from_secs(600))
    };
    lab.fake.answer(Err(RunError::OutcomeUnknown { reason: "it was killed".to_owned() }));
    let first = attempt();
    assert_eq!(
        code(first.execute().run("copy-once", &snapshot_slots()).await),
        CapabilityCode::OutcomeUnknown
    );
    assert_eq!(lab.fake.requests().len(), 1);
    let second = attempt().execute().run("copy-once", &snapshot_slots()).await.expect_err("it is refused");
    assert_eq!(second.code, CapabilityCode::OutcomeUnknown);
    assert!(second.message.contains("must not be repeated blindly"), "{second}");
    assert_eq!(lab.fake.requests().len(), 1);
    // The same call knows what it did, other slots are another command, and another operation begins anew.
    first.execute().run("copy-once", &snapshot_slots()).await.expect("it runs");
    attempt()
        .execute()
        .run("copy-once", &[at("from", "{share}"), at("to", ".{share}.new")])
        .await
        .expect("it runs");
    lab.snapshot_call().execute().run("copy-once", &snapshot_slots()).await.expect("it runs");
}

#[tokio::test]
async fn a_template_of_once_that_never_started_may_be_tried_again() {
    let lab = Lab::new().await;
    let origin = bulkhead_capability::testing::origin("shares.create-share");
    lab.fake.answer(Err(RunError::Unavailable { reason: "it is not there".to_owned() }));
    for expected in [Some(CapabilityCode::Unavailable), None] {
        let mut origin = origin.clone();
        origin.call = bulkhead_model::id::CallId::next();
        let target = CallTarget::snapshot(lab.snapshot, lab.share);
        let call = lab.call_of(origin, target, Duration::from_secs(600));
        let result = call.execute().run("copy-once", &snapshot_slots()).await;
        assert_eq!(result.err().map(|error| error.code), expected);
    }
}
