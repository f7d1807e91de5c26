//! Which addresses share servers get, and when these go back.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{operator, until};
use crate::server::{Street, provider, provider_of, server_of};
use bulkhead_manager::ManagerSettings;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::network::{AllocationLabel, ShareNetworkSubnet};
use bulkhead_model::scope::Scope;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::status::ShareStatus;
use bulkhead_store::MemoryStore;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn addresses_that_a_driver_was_told_of_go_back_only_once_it_has_answered() {
    for (fails, is_kept) in [
        (answered(DriverErrorCode::BackendFailed), false),
        (CallError::Trapped { function: "after-allocation", reason: "as the test said".to_owned() }, true),
    ] {
        let street = Street::new().await;
        street.house.driver.then("after-allocation", Act::Fail(fails.clone()));
        let share = street.share(street.first).await;
        assert_eq!(share.instance.status, ShareStatus::Error, "{fails}");
        assert_eq!(!street.addressed().await.is_empty(), is_kept, "{fails}");
        let [server] = &street.servers()[..] else { panic!("one server") };
        street.delete(share.share.id).await;
        street.house.manager.delete_share_server(&operator(), server.server.id).await.expect("accepted");
        street.house.settled().await;
        assert_eq!(street.addressed().await, [], "{fails}");
        assert_eq!(street.house.calls().contains(&"before-release"), is_kept, "{fails}");
    }
}

#[tokio::test]
async fn without_an_address_left_no_driver_is_asked_and_the_share_tells_why() {
    let networks = provider_of(Arc::new(MemoryStore::new()), &["10.0.0.1"], 30).await;
    let street = Street::at(networks, |_| {}, |_| {}, |_| {}).await;
    assert_eq!(street.share(street.first).await.instance.status, ShareStatus::Available);
    let second = street.share(street.second).await;
    assert_eq!(second.instance.status, ShareStatus::Error);
    assert_eq!(street.operation("create-share").failure.as_ref().expect("a failure").code, "no-address-left");
    let set_ups = street.house.calls().iter().filter(|call| **call == "setup-server").count();
    assert_eq!(set_ups, 1);
    assert_eq!(street.addressed().await.len(), 1, "nothing is kept for the other one");
}

/// Contract D-25, D-26. The network of the administrators is not asked where the driver counts none of its addresses.
#[tokio::test]
async fn a_server_that_needs_no_address_has_none() {
    let street = Street::with(|driver| driver.servers.counts = (0, 0), |_| {}).await;
    let share = street.share(street.first).await;
    assert_eq!(share.instance.status, ShareStatus::Available);
    assert_eq!(street.kept(server_of(&share)).await, Vec::<IpAddr>::new());
    let calls = street.house.calls();
    let asked = calls.iter().filter(|call| **call == "admin-network-allocations-number").count();
    assert_eq!(asked, 1, "{calls:?}");
}

/// Contract D-05, D-24, D-27.
#[tokio::test]
async fn a_server_has_as_many_addresses_of_the_administrators_as_its_driver_counts() {
    let street = Street::with(|driver| driver.servers.counts = (1, 2), |_| {}).await;
    let server = server_of(&street.share(street.first).await);
    let kept = street.networks.allocations(server).await.expect("read");
    let of = |label| kept.iter().filter(|kept| kept.allocation.label == label).count();
    assert_eq!((of(AllocationLabel::User), of(AllocationLabel::Admin)), (1, 2));
}

/// Contract D-43.
#[tokio::test]
async fn shares_are_exported_with_the_versions_that_driver_and_networks_have() {
    let (four, six) = (IpVersion::V4, IpVersion::V6);
    let cases: [(&[&str], &[IpVersion], &[IpVersion]); 9] = [
        (&["10.0.0.1"], &[four], &[four]),
        (&["fd00::1"], &[four], &[]),
        (&["10.0.0.1", "fd00::1"], &[four], &[four]),
        (&["10.0.0.1"], &[six], &[]),
        (&["fd00::1"], &[six], &[six]),
        (&["10.0.0.1", "fd00::1"], &[six], &[six]),
        (&["10.0.0.1"], &[four, six], &[four]),
        (&["fd00::1"], &[four, six], &[six]),
        (&["10.0.0.1", "fd00::1"], &[four, six], &[four, six]),
    ];
    for (gateways, of_driver, expected) in cases {
        let networks = provider_of(Arc::new(MemoryStore::new()), gateways, 24).await;
        let says = |driver: &mut FakeDriver| driver.ip_versions = of_driver.iter().copied().collect();
        let street = Street::at(networks, says, |_| {}, |_| {}).await;
        let shown = street.house.manager.show_backend(&"nas".parse().expect("a name")).expect("shown");
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        assert_eq!(shown.ip_versions, expected, "{gateways:?} {of_driver:?}");
    }
}

#[tokio::test]
async fn a_server_gets_addresses_of_a_version_that_its_driver_exports_with() {
    let (four, six) = (IpVersion::V4, IpVersion::V6);
    for (of_driver, expected) in [(&[six][..], six), (&[four], four), (&[four, six], four)] {
        let networks = provider_of(Arc::new(MemoryStore::new()), &["10.0.0.1", "fd00::1"], 24).await;
        let says = |driver: &mut FakeDriver| driver.ip_versions = of_driver.iter().copied().collect();
        let street = Street::at(networks, says, |_| {}, |_| {}).await;
        let share = street.share(street.first).await;
        assert_eq!(share.instance.status, ShareStatus::Available, "{of_driver:?}");
        let kept = street.kept(server_of(&share)).await;
        let versions: Vec<_> = kept.iter().map(|one| IpVersion::of(*one)).collect();
        assert_eq!(versions, [expected], "{of_driver:?}");
        let network =
            street.house.manager.show_share_network(&Scope::Everything, street.first).expect("shown");
        assert_eq!(network.subnets.first().and_then(ShareNetworkSubnet::ip_version), Some(expected));
    }
}

#[tokio::test]
async fn addresses_of_a_server_that_is_not_there_go_back() {
    let addresses = Arc::new(MemoryStore::new());
    let networks = provider(addresses.clone()).await;
    let stranger = Street::at(networks.clone(), |_| {}, |_| {}, |_| {}).await;
    let lost = server_of(&stranger.share(stranger.first).await);
    let soon = |settings: &mut ManagerSettings| settings.server_cleanup_period = Duration::from_millis(20);
    let street = Street::at(networks, |_| {}, soon, |_| {}).await;
    street.house.manager.recover().await.expect("recovered");
    until("they are back", async || !street.addressed().await.contains(&lost)).await;
}
