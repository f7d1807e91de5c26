use crate::lab::{Lab, code};
use bulkhead_capability::backend::Backend;
use bulkhead_capability::testing::origin;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::GenerationNumber;
use bulkhead_model::target::CallTarget;

#[tokio::test]
async fn a_lock_is_held_by_one_call_until_it_ends_and_its_number_grows() {
    let lab = Lab::new().await;
    let first = lab.call();
    let number = first.locks().acquire("pool", 0).await.expect("taken");
    let second = lab.call();
    assert_eq!(code(second.locks().acquire("pool", 1).await), CapabilityCode::TimedOut);
    assert_eq!(code(first.locks().acquire("pool", 0).await), CapabilityCode::InvalidArgument);
    first.end().expect("ended");
    let next = second.locks().acquire("pool", 0).await.expect("free again");
    assert!(next > number);
    second.locks().release("pool").await.expect("released");
    second.locks().release("pool").await.expect("a repeat succeeds");
    assert!(lab.call().locks().acquire("pool", 0).await.expect("free again") > next);
}

#[tokio::test]
async fn a_dropped_call_gives_its_locks_to_who_waits() {
    let lab = Lab::new().await;
    let first = lab.call();
    first.locks().acquire("pool", 0).await.expect("taken");
    let second = lab.call();
    let waiting = tokio::spawn(async move { second.locks().acquire("pool", 60_000).await });
    tokio::task::yield_now().await;
    drop(first);
    waiting.await.expect("a task").expect("taken");
}

#[tokio::test]
async fn generations_of_a_backend_share_locks_and_backends_do_not() {
    let lab = Lab::new().await;
    let first = lab.call();
    first.locks().acquire("pool", 0).await.expect("taken");
    for (name, outcome) in [("lab", Err(CapabilityCode::TimedOut)), ("other", Ok(1))] {
        let mut parts =
            lab.host.parts(name, crate::lab::manifest(), lab.backend.grant().clone()).expect("parts");
        parts.generation = GenerationNumber(2);
        let backend = Backend::new(parts).expect("a backend");
        let call = backend.begin(origin("lifecycle.setup"), CallTarget::default(), first.deadline(), 0);
        assert_eq!(call.locks().acquire("pool", 1).await.map_err(|error| error.code), outcome, "{name}");
    }
}

#[tokio::test]
async fn a_call_holds_a_bounded_number_of_well_named_locks() {
    let lab = Lab::new().await;
    let call = lab.call();
    for number in 0..16 {
        call.locks().acquire(&format!("lock-{number}"), 0).await.expect("taken");
    }
    assert_eq!(code(call.locks().acquire("one-more", 0).await), CapabilityCode::LimitExceeded);
    call.locks().release("lock-0").await.expect("released");
    call.locks().acquire("one-more", 0).await.expect("room again");
    for name in ["", "a\nb", &"a".repeat(256)] {
        assert_eq!(code(call.locks().acquire(name, 0).await), CapabilityCode::InvalidArgument);
        assert_eq!(code(call.locks().release(name).await), CapabilityCode::InvalidArgument);
    }
}

#[tokio::test]
async fn a_host_call_dropped_while_it_waits_leaves_a_begin_without_an_end() {
    let lab = Lab::new().await;
    let first = lab.call();
    first.locks().acquire("pool", 0).await.expect("taken");
    let second = lab.call();
    let locks = second.locks();
    {
        let mut waiting = std::pin::pin!(locks.acquire("pool", 60_000));
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
        });
        assert!(once.await, "the lock was free");
    }
    let mut effects = lab.effects().await;
    while effects.len() < 2 {
        tokio::task::yield_now().await;
        effects = lab.effects().await;
    }
    let outcomes: Vec<_> =
        effects.iter().map(|effect| (effect.capability.as_str(), effect.outcome)).collect();
    assert_eq!(outcomes, [("lock.acquire", EffectOutcome::Done), ("lock.acquire", EffectOutcome::Begun)]);
}

#[tokio::test]
async fn names_of_locks_do_not_pile_up_in_the_store() {
    let lab = Lab::new().await;
    let mut last = 0;
    for number in 0..100 {
        let call = lab.call();
        let fence = call.locks().acquire(&format!("lock-{number}"), 0).await.expect("taken");
        assert!(fence > last, "numbers grow whatever the name");
        last = fence;
    }
    let kept = lab.host.store.scan(&bulkhead_store::Key::prefix(&["lock"])).await.expect("a scan");
    assert_eq!(kept.len(), 1, "{kept:?}");
}
