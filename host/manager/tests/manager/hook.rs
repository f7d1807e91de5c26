//! What the driver tells the operator's hooks of its shares.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, description, open_with, ready, until};
use bulkhead_manager::{HookView, Manager};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::BackendName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn nas() -> BackendName {
    "nas".parse().expect("a name")
}

fn told(manager: &Manager) -> HookView {
    manager.hook_data(&nas()).expect("the backend")
}

/// The next daemon on what `house` made, with hooks.
async fn with_hooks(house: &House, prepare: impl FnOnce(&mut FakeDriver)) -> Manager {
    house.manager.drain(Duration::from_secs(5)).await;
    let often = Some(Duration::from_millis(2));
    let manager =
        open_with(Arc::clone(&house.store) as Arc<_>, |settings| settings.hook_period = often).await;
    let mut driver = FakeDriver::new(&house.world);
    driver.hook_data = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    prepare(&mut driver);
    manager.attach(description("nas", 1), Arc::new(driver));
    ready(&manager, "nas").await;
    manager
}

#[tokio::test]
async fn hooks_are_off_unless_the_operator_wants_them() {
    let house = House::new().await;
    house.share().await;
    assert_eq!(told(&house.manager), HookView::default());
    assert!(!house.calls().contains(&"periodic-hook-data"));
}

/// Contract D-23.
#[tokio::test]
async fn what_the_driver_tells_is_kept_and_a_share_it_leaves_out_stands_alone() {
    let house = House::new().await;
    for _ in 0..2 {
        house.share().await;
    }
    let manager = with_hooks(&house, |_| {}).await;
    until("there is a round", async || told(&manager).told_at.is_some()).await;
    let view = told(&manager);
    assert_eq!((view.shares.len(), view.failure), (2, None));
    let mut sizes: Vec<_> = view.shares.iter().map(|share| share.data.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 1]);
}

#[tokio::test]
async fn a_round_that_fails_says_so_and_leaves_what_the_last_one_told() {
    let house = House::new().await;
    house.share().await;
    let manager = with_hooks(&house, |driver| {
        driver.then("periodic-hook-data", Act::Hold(Arc::new(tokio::sync::Semaphore::new(1))));
        for _ in 0..1000 {
            let failure = answered(DriverErrorCode::BackendUnreachable);
            driver.then("periodic-hook-data", Act::Fail(failure));
        }
    })
    .await;
    until("a round has failed", async || told(&manager).failure.is_some()).await;
    let view = told(&manager);
    assert!(view.told_at.is_some());
    assert_eq!(view.shares.len(), 1);
    assert_eq!(view.failure.expect("why").code, "backend-unreachable");
}
