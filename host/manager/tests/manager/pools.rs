//! The pool of a share whose record has none: the driver finds it.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, code, description, operator, ready};
use crate::managing::by_hand;
use bulkhead_manager::ManageShare;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::ShareId;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::ShareStatus;
use std::sync::Arc;

async fn two_pools(finds_in: Option<&'static str>) -> House {
    House::with(|driver| {
        driver.pools = vec!["fast", "slow"];
        driver.finds_in = finds_in;
    })
    .await
}

async fn taken_over(house: &House) -> ShareId {
    let share = house.manager.manage_share(&operator(), by_hand("old")).await.expect("accepted").share.id;
    house.settled().await;
    let view = house.manager.show_share(&Scope::Everything, share).expect("the share");
    assert_eq!(view.instance.status, ShareStatus::Available);
    share
}

fn pool_of(house: &House, share: ShareId) -> Option<String> {
    let view = house.manager.show_share(&Scope::Everything, share).expect("the share");
    view.instance.placement.pool.clone()
}

#[tokio::test]
async fn a_share_taken_over_without_a_pool_is_in_the_one_the_driver_finds_it_in() {
    let house = two_pools(Some("slow")).await;
    let share = taken_over(&house).await;
    assert_eq!(pool_of(&house, share).as_deref(), Some("slow"));
    assert_eq!(house.calls(), ["manage-existing", "pool-of"]);
}

#[tokio::test]
async fn a_pool_that_the_operator_names_is_not_asked_for_and_is_one_of_those_there_are() {
    let house = two_pools(Some("slow")).await;
    let in_pool = |pool: &str| ManageShare { pool: Some(pool.to_owned()), ..by_hand("old") };
    let refused = house.manager.manage_share(&operator(), in_pool("other")).await;
    assert_eq!(code(refused), "invalid");
    let share = house.manager.manage_share(&operator(), in_pool("fast")).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(pool_of(&house, share).as_deref(), Some("fast"));
    assert!(!house.calls().contains(&"pool-of"));
}

#[tokio::test]
async fn a_driver_that_knows_no_pool_names_a_wrong_one_or_fails_leaves_the_share_without() {
    for finds_in in [None, Some("elsewhere")] {
        let house = two_pools(finds_in).await;
        let share = taken_over(&house).await;
        assert_eq!(pool_of(&house, share), None, "{finds_in:?}");
    }
    let house = two_pools(Some("slow")).await;
    house.driver.then("pool-of", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    let share = taken_over(&house).await;
    assert_eq!(pool_of(&house, share), None);
}

#[tokio::test]
async fn a_share_without_a_pool_gets_one_when_the_shares_of_its_backend_are_ensured() {
    let house = two_pools(None).await;
    let share = taken_over(&house).await;
    let mut driver = FakeDriver::new(&house.world);
    driver.pools = vec!["fast", "slow"];
    driver.finds_in = Some("fast");
    house.manager.attach(description("nas", 2), Arc::new(driver));
    ready(&house.manager, "nas").await;
    house.manager.ensure_backend(&operator(), &"nas".parse().expect("a name")).await.expect("ensured");
    assert_eq!(pool_of(&house, share).as_deref(), Some("fast"));
    let asked = house.calls().iter().filter(|call| **call == "pool-of").count();
    house.manager.ensure_backend(&operator(), &"nas".parse().expect("a name")).await.expect("ensured");
    assert_eq!(house.calls().iter().filter(|call| **call == "pool-of").count(), asked, "it is known now");
}
