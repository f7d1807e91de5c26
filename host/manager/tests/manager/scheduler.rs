//! Where shares go: room, goodness, filter functions, and what operators are told of places that would not do.

use crate::fake::FakeDriver;
use crate::house::{House, code, description, gib, new_share, operator, ready, tenant};
use crate::share_type::made;
use bulkhead_manager::{BackendDescription, Manager, ManagerError, NewShare, PlacementView};
use bulkhead_model::statistics::IpVersion;
use std::sync::Arc;

/// Another backend in the house, described and prepared.
async fn another(house: &House, description: BackendDescription, prepare: impl FnOnce(&mut FakeDriver)) {
    let name = description.name.to_string();
    let mut driver = FakeDriver::new(&house.world);
    prepare(&mut driver);
    house.manager.attach(description, Arc::new(driver));
    ready(&house.manager, &name).await;
}

fn filtered(name: &str, function: &str) -> BackendDescription {
    let function = function.parse().expect("a function");
    BackendDescription { filter_function: Some(function), ..description(name, 1) }
}

fn placement(manager: &Manager, size: u64) -> PlacementView {
    manager.explain_placement(&operator(), &new_share(size)).expect("explained")
}

fn order(view: &PlacementView) -> Vec<&str> {
    view.fitting.iter().map(|pool| pool.placement.backend.as_str()).collect()
}

fn reason_of<'a>(view: &'a PlacementView, backend: &str) -> &'a str {
    let meant = view.rejected.iter().find(|place| place.backend.as_str() == backend);
    meant.map_or("", |place| &place.reason)
}

async fn goes_to(house: &House, new: NewShare) -> String {
    let made = house.manager.create_share(&tenant(), new).await.expect("accepted");
    house.settled().await;
    house.show(made.share.id).instance.placement.backend.to_string()
}

#[tokio::test]
async fn a_share_goes_to_the_pool_with_the_most_room() {
    let house = House::with(|driver| driver.free_gib = 100.0).await;
    another(&house, description("roomy", 1), |driver| driver.free_gib = 500.0).await;
    assert_eq!(goes_to(&house, new_share(2)).await, "roomy");
    let view = placement(&house.manager, 2);
    assert_eq!(order(&view), ["roomy", "nas"]);
    assert_eq!(view.fitting[0].room_gib, Some(498.0), "what was just placed is gone");
}

#[tokio::test]
async fn a_better_score_counts_as_much_as_more_room() {
    let house = House::with(|driver| driver.free_gib = 500.0).await;
    another(&house, description("small", 1), |driver| driver.free_gib = 100.0).await;
    let goodness = "capabilities.free_capacity_gb > 200 ? 80 : share.size * 10".parse().expect("a function");
    let good = BackendDescription { goodness_function: Some(goodness), ..description("good", 1) };
    another(&house, good, |driver| driver.free_gib = 450.0).await;
    assert_eq!(order(&placement(&house.manager, 2)), ["good", "nas", "small"]);
    assert_eq!(goes_to(&house, new_share(2)).await, "good");
}

#[tokio::test]
async fn a_filter_function_keeps_shares_away_and_says_why() {
    let house = House::with(|driver| driver.free_gib = 900.0).await;
    another(&house, filtered("large-only", "share.size >= 100 and share.share_proto == 'NFS'"), |_| {}).await;
    assert_eq!(goes_to(&house, new_share(2)).await, "nas");
    assert_eq!(goes_to(&house, new_share(100)).await, "large-only");
    let view = placement(&house.manager, 2);
    assert!(reason_of(&view, "large-only").contains("share.size >= 100"), "{view:?}");
}

/// Contract G-01.
#[tokio::test]
async fn an_error_in_a_filter_function_keeps_shares_away_too() {
    let house = House::new().await;
    another(&house, filtered("typo", "share.sise < 5"), |_| {}).await;
    another(&house, filtered("zero", "1 / 0 == 0"), |_| {}).await;
    another(&house, description("broken", 1), |driver| driver.filter_function = Some("share.size <")).await;
    let view = placement(&house.manager, 1);
    assert_eq!(order(&view), ["nas"]);
    assert!(reason_of(&view, "typo").contains("'share.sise', which is not known"), "{view:?}");
    assert!(reason_of(&view, "zero").contains("divides by zero"), "{view:?}");
    assert!(reason_of(&view, "broken").contains("the driver's filter function cannot be read"), "{view:?}");
}

/// Contract D-50: an option of the backend; there is none for all backends.
#[tokio::test]
async fn the_operators_function_comes_before_the_drivers_and_an_empty_one_is_none() {
    let house = House::with(|driver| driver.filter_function = Some("share.size < 10")).await;
    another(&house, filtered("told", "share.size > 5"), |driver| driver.filter_function = Some("0")).await;
    another(&house, description("empty", 1), |driver| driver.filter_function = Some(" ")).await;
    let named = |size| {
        let view = placement(&house.manager, size);
        let mut names: Vec<_> = order(&view).into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(named(2), ["empty", "nas"]);
    assert_eq!(named(7), ["empty", "nas", "told"]);
    assert_eq!(named(20), ["empty", "told"]);
}

/// Contract D-50.
#[tokio::test]
async fn the_operators_goodness_function_comes_before_the_drivers() {
    let house = House::with(|driver| driver.goodness_function = Some("30")).await;
    let goodness = "10".parse().expect("a function");
    let told = BackendDescription { goodness_function: Some(goodness), ..description("told", 1) };
    another(&house, told, |driver| driver.goodness_function = Some("90")).await;
    another(&house, description("empty", 1), |driver| driver.goodness_function = Some("")).await;
    let view = placement(&house.manager, 2);
    let scored = |name: &str| {
        let meant = view.fitting.iter().find(|pool| pool.placement.backend.as_str() == name);
        meant.map(|pool| pool.goodness)
    };
    assert_eq!((scored("nas"), scored("told"), scored("empty")), (Some(30.0), Some(10.0), Some(0.0)));
}

#[tokio::test]
async fn a_share_does_not_grow_beyond_what_the_filter_function_lets_through() {
    let house = House::with(|driver| driver.filter_function = Some("share.size <= 5")).await;
    let share = house.share().await.share.id;
    house.manager.extend_share(&tenant(), share, gib(5)).await.expect("accepted");
    house.settled().await;
    assert_eq!(code(house.manager.extend_share(&tenant(), share, gib(6)).await), "no-room");
    house.manager.shrink_share(&tenant(), share, gib(2)).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(share).share.size, gib(2));
}

#[tokio::test]
async fn functions_read_the_extra_specs_of_the_share_type() {
    let house = House::with(|driver| driver.filter_function = Some("extra.tier == 'gold'")).await;
    made(&house, "gold", &[("acme:x", "1")]).await;
    let view = placement(&house.manager, 1);
    assert!(reason_of(&view, "nas").contains("'extra.tier', which is not known"), "{view:?}");
    let nowhere = house.manager.create_share(&tenant(), new_share(1)).await;
    assert!(
        matches!(&nowhere, Err(ManagerError::NoBackend { reasons }) if reasons.len() == 1),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn only_operators_ask_where_a_share_would_go_and_nothing_is_made_by_asking() {
    let house = House::new().await;
    let asked = house.manager.explain_placement(&tenant(), &new_share(1));
    assert!(matches!(asked, Err(ManagerError::Forbidden { .. })));
    let too_large = placement(&house.manager, 2000);
    assert!(order(&too_large).is_empty());
    assert!(reason_of(&too_large, "nas").contains("2000 GiB are needed"), "{too_large:?}");
    let unknown = NewShare { share_type: Some("none-such".to_owned()), ..new_share(1) };
    assert_eq!(code(house.manager.explain_placement(&operator(), &unknown).map(drop)), "not-found");
    assert!(house.manager.list_shares(&House::scope()).is_empty());
}

#[tokio::test]
async fn a_share_type_may_name_a_backend_and_compare_what_pools_report() {
    let house = House::with(|driver| driver.free_gib = 100.0).await;
    another(&house, description("roomy", 1), |driver| driver.free_gib = 900.0).await;
    made(&house, "there", &[("share_backend_name", "nas")]).await;
    made(&house, "either", &[("capabilities:pool_name", "<or> pool <or> lake"), ("vendor_name", "nobody")])
        .await;
    made(&house, "vast", &[("total_capacity_gb", ">= 5000")]).await;
    let of = |name: &str| NewShare { share_type: Some(name.to_owned()), ..new_share(2) };
    assert_eq!(goes_to(&house, of("there")).await, "nas");
    assert_eq!(goes_to(&house, of("either")).await, "roomy");
    let view = house.manager.explain_placement(&operator(), &of("vast")).expect("explained");
    assert!(reason_of(&view, "roomy").contains("total_capacity_gb = >= 5000"), "{view:?}");
}

/// Contract D-52.
#[tokio::test]
async fn what_the_host_computes_no_driver_overrides_for_the_scheduler_either() {
    let house = House::with(|driver| {
        driver.ip_versions = [IpVersion::V4].into();
        let told = [("ipv6_support", "True"), ("ipv4_support", "False"), ("tier", "gold")];
        driver.capabilities =
            told.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    })
    .await;
    made(&house, "six", &[("ipv6_support", "<is> True")]).await;
    made(&house, "four", &[("ipv4_support", "<is> True"), ("tier", "gold")]).await;
    let of = |name: &str| NewShare { share_type: Some(name.to_owned()), ..new_share(2) };
    let view = house.manager.explain_placement(&operator(), &of("six")).expect("explained");
    assert!(view.fitting.is_empty(), "{view:?}");
    assert_eq!(goes_to(&house, of("four")).await, "nas");
}
