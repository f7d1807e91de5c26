use crate::lab::Lab;
use bulkhead_capability::testing::origin;
use bulkhead_model::target::CallTarget;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_sleep_never_takes_the_last_second_before_the_deadline() {
    let lab = Lab::new().await;
    let begin =
        |left| lab.backend.begin(origin("lifecycle.stats"), CallTarget::default(), Instant::now() + left, 0);
    let short = begin(Duration::from_secs(1));
    assert_eq!(short.clock().sleep(u64::MAX).await, 0, "there is no second to spare");
    assert!(short.clock().time_left_ms() <= 1_000);
    let late = begin(Duration::ZERO);
    assert_eq!(late.clock().time_left_ms(), 0);
    assert_eq!(late.clock().sleep(1_000).await, 0);
    let long = begin(Duration::from_secs(600));
    assert!(long.clock().sleep(2).await >= 2);
    assert!((1_000..=600_000).contains(&long.clock().time_left_ms()));
    assert!(lab.effects().await.is_empty(), "time is no effect");
}

#[tokio::test]
async fn ids_are_fresh_and_the_monotonic_clock_never_goes_back() {
    let lab = Lab::new().await;
    let call = lab.call();
    let (first, second) = (call.clock().new_id(), call.clock().new_id());
    assert_ne!(first, second);
    assert_eq!((first.len(), first.to_lowercase()), (36, first.clone()));
    let before = call.clock().monotonic_ms();
    assert!(call.clock().monotonic_ms() >= before);
    assert!(call.clock().now_ms() > 1_600_000_000_000);
}
