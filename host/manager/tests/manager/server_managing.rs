//! Taking over share servers that somebody made, letting servers go, and statuses by hand.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, code, operator, tenant, until};
use crate::managing::taken_by_hand;
use crate::server::{Street, at_once, share_on};
use bulkhead_manager::{Detach, Force, ManageServer, ManageShare, ManagerSettings, NewSubnet, WhileInUse};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareNetworkId, ShareServerId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Protocol;
use bulkhead_model::share_server::ShareServerStatus;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

fn found(driver: &mut FakeDriver, addresses: &[&str]) {
    driver.servers.found = addresses.iter().map(|text| text.parse::<IpAddr>().expect("an address")).collect();
}

fn named(network: ShareNetworkId) -> ManageServer {
    ManageServer {
        backend: "nas".parse().expect("a name"),
        share_network: network,
        subnet: None,
        identifier: "svm-old".to_owned(),
        driver_options: BTreeMap::new(),
    }
}

async fn take_over(street: &Street) -> ShareServerId {
    let made = street.house.manager.manage_share_server(&operator(), named(street.first)).await;
    street.house.settled().await;
    made.expect("accepted").server.id
}

#[tokio::test]
async fn a_server_that_somebody_made_serves_with_the_addresses_it_has_and_is_never_removed_unasked() {
    let street = Street::with(|driver| found(driver, &["10.0.0.77"]), at_once).await;
    let server = take_over(&street).await;
    let shown = street.house.manager.show_share_server(&Scope::Everything, server).expect("shown").server;
    assert_eq!((shown.status, shown.identifier().as_str()), (ShareServerStatus::Active, "svm-old"));
    assert!(!shown.is_auto_deletable);
    assert_eq!(street.kept(server).await, ["10.0.0.77".parse::<IpAddr>().expect("an address")]);
    let again = street.house.manager.manage_share_server(&operator(), named(street.first)).await;
    assert_eq!(code(again), "share-server-already-managed");
    let share = street.share(street.first).await;
    assert_eq!(share.instance.share_server, Some(server));
    street.delete(share.share.id).await;
    assert_eq!(street.status(server), ShareServerStatus::Active);
}

#[tokio::test]
async fn a_server_with_an_address_of_no_network_or_none_is_not_taken_over() {
    for (addresses, refusal) in
        [(&["192.168.9.9"][..], "bad-network-configuration"), (&[][..], "invalid-share-server")]
    {
        let street = Street::with(|driver| found(driver, addresses), |_| {}).await;
        let server = take_over(&street).await;
        assert_eq!(street.status(server), ShareServerStatus::ManageError);
        let all = street.house.manager.list_operations(&Scope::Everything, 10);
        let failure = all.iter().find_map(|operation| operation.failure.clone()).expect("a failure");
        assert_eq!(failure.code, refusal);
        assert!(!street.house.calls().contains(&"manage-server"));
    }
}

#[tokio::test]
async fn taking_over_is_for_operators_on_backends_whose_drivers_can() {
    let street = Street::with(|driver| found(driver, &["10.0.0.77"]), |_| {}).await;
    let manager = &street.house.manager;
    assert_eq!(code(manager.manage_share_server(&tenant(), named(street.first)).await), "forbidden");
    let nowhere = named(ShareNetworkId::random());
    assert_eq!(code(manager.manage_share_server(&operator(), nowhere).await), "not-found");
    let nameless = ManageServer { identifier: String::new(), ..named(street.first) };
    assert_eq!(code(manager.manage_share_server(&operator(), nameless).await), "invalid");
    let lacks = |driver: &mut FakeDriver| {
        driver.abilities.0.remove(&Ability::ManageServers);
    };
    let street = Street::with(lacks, |_| {}).await;
    let refused = street.house.manager.manage_share_server(&operator(), named(street.first)).await;
    assert_eq!(code(refused), "unsupported");
    let plain = House::new().await;
    let refused = plain.manager.manage_share_server(&operator(), named(street.first)).await;
    assert_eq!(code(refused), "no-share-servers-here");
}

#[tokio::test]
async fn a_server_that_is_let_go_stays_at_the_backend_and_its_address_out_of_use() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    let manager = &street.house.manager;
    let in_use = manager.unmanage_share_server(&operator(), server, Force::Yes).await;
    assert_eq!(code(in_use), "share-server-in-use");
    street.delete(share.share.id).await;
    manager.unmanage_share_server(&operator(), server, Force::No).await.expect("accepted");
    street.house.settled().await;
    assert!(street.servers().is_empty());
    assert!(street.house.world.lock().expect("the world").servers.contains_key(&server));
    let held = street.networks.in_use_unmanaged().await.expect("read");
    assert_eq!(held, ["10.0.0.2".parse::<IpAddr>().expect("an address")]);
}

/// Contract M-06.
#[tokio::test]
async fn a_server_that_its_driver_does_not_let_go_is_in_error_and_goes_with_force() {
    let street = Street::with(|driver| driver.servers.keeps = true, |_| {}).await;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    street.delete(share.share.id).await;
    let manager = &street.house.manager;
    manager.unmanage_share_server(&operator(), server, Force::No).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(street.status(server), ShareServerStatus::UnmanageError);
    manager.unmanage_share_server(&operator(), server, Force::Yes).await.expect("accepted");
    street.house.settled().await;
    assert!(street.servers().is_empty());
}

#[tokio::test]
async fn a_share_is_taken_over_on_its_server() {
    let street = Street::with(|driver| found(driver, &["10.0.0.77"]), at_once).await;
    let server = take_over(&street).await;
    let new = ManageShare {
        backend: "nas".parse().expect("a name"),
        pool: None,
        protocol: Protocol::Nfs,
        export_path: "10.0.0.77:/old".to_owned(),
        display_name: None,
        display_description: None,
        share_type: Some("served".to_owned()),
        driver_options: BTreeMap::new(),
        share_server: Some(server),
    };
    let manager = &street.house.manager;
    let nowhere = ManageShare { share_server: None, ..new.clone() };
    assert!(manager.manage_share(&operator(), nowhere).await.is_err());
    let unknown = ManageShare { share_server: Some(ShareServerId::random()), ..new.clone() };
    assert_eq!(code(manager.manage_share(&operator(), unknown).await), "not-found");
    let taken = manager.manage_share(&operator(), new).await.expect("accepted");
    street.house.settled().await;
    let shown = manager.show_share(&Scope::Everything, taken.share.id).expect("shown");
    assert_eq!(shown.instance.status, ShareStatus::Available);
    assert_eq!(shown.instance.share_network, Some(street.first));
    assert_eq!(shown.instance.share_server, Some(server));
    assert_eq!(shown.share.project, tenant().actor.project, "it belongs to the project of its network");
}

#[tokio::test]
async fn a_backend_with_share_servers_is_not_unloaded() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    street.delete(share.share.id).await;
    let name = "nas".parse().expect("a name");
    let refused = street.house.manager.unload_backend(&operator(), &name, Detach::Nothing).await;
    let message = refused.expect_err("its server is there").to_string();
    assert!(message.contains("1 share servers"), "{message}");
}

/// What is made and what is taken away at once: one of the two is refused, and nothing names what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_share_and_the_removal_of_its_network_never_both_succeed() {
    let street = Street::new().await;
    let mut refused = [0, 0];
    for _ in 0..20 {
        let new = bulkhead_manager::NewShareNetwork::default();
        let network = street.house.manager.create_share_network(&tenant(), new).await.expect("made").id;
        let (maker, remover) = (street.house.manager.clone(), street.house.manager.clone());
        let made = tokio::spawn(async move { maker.create_share(&tenant(), share_on(network)).await });
        let removed = tokio::spawn(async move { remover.delete_share_network(&tenant(), network).await });
        let (made, removed) = (made.await.expect("no panic"), removed.await.expect("no panic"));
        assert_ne!(made.is_ok(), removed.is_ok(), "{made:?} {removed:?}");
        for (count, failed) in refused.iter_mut().zip([made.is_err(), removed.is_err()]) {
            *count += usize::from(failed);
        }
    }
    street.house.settled().await;
    assert_eq!(refused.iter().sum::<usize>(), 20, "{refused:?}");
}

#[tokio::test]
async fn one_of_two_that_take_the_same_server_over_at_once_is_refused() {
    let street = Street::with(|driver| found(driver, &[]), at_once).await;
    let manager = &street.house.manager;
    let (caller, other) = (operator(), operator());
    let first = manager.manage_share_server(&caller, named(street.first));
    let second = manager.manage_share_server(&other, named(street.first));
    let (first, second) = tokio::join!(first, second);
    let refused = if first.is_ok() { second } else { first };
    assert_eq!(code(refused), "share-server-already-managed");
    street.house.settled().await;
}

/// What is forgotten is at the backend still: the host must not remove what holds it.
#[tokio::test]
async fn a_server_is_not_removed_unasked_once_something_on_it_was_forgotten_or_let_go() {
    let asked = |server: ShareServerId, street: &Street| {
        let shown = street.house.manager.show_share_server(&Scope::Everything, server);
        !shown.expect("shown").server.is_auto_deletable
    };
    let street = Street::new().await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    assert!(!asked(server, &street));
    manager.forget_share(&operator(), share.share.id).await.expect("forgotten");
    assert!(asked(server, &street), "a share was forgotten");

    let share = street.share(street.second).await;
    let server = share.instance.share_server.expect("a server");
    let taken = manager.manage_snapshot(&operator(), taken_by_hand(share.share.id)).await.expect("accepted");
    street.house.settled().await;
    manager.unmanage_snapshot(&operator(), taken.snapshot.id).await.expect("accepted");
    street.house.settled().await;
    assert!(asked(server, &street), "a snapshot was let go");
}

#[tokio::test]
async fn snapshots_are_taken_over_and_let_go_on_a_share_server() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let manager = &street.house.manager;
    let taken = manager.manage_snapshot(&operator(), taken_by_hand(share.share.id)).await.expect("accepted");
    street.house.settled().await;
    let shown = street.house.show_snapshot(taken.snapshot.id);
    assert_eq!(shown.instance.status, SnapshotStatus::Available);
    manager.unmanage_snapshot(&operator(), taken.snapshot.id).await.expect("accepted");
    street.house.settled().await;
    let calls = street.house.calls();
    assert!(calls.contains(&"manage-existing-snapshot") && calls.contains(&"unmanage-snapshot"), "{calls:?}");
    street.delete(share.share.id).await;
}

#[tokio::test]
async fn a_network_that_something_is_on_is_neither_changed_nor_removed() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let manager = &street.house.manager;
    assert_eq!(code(manager.delete_share_network(&tenant(), street.first).await), "share-network-in-use");
    let more = manager
        .add_share_network_subnet(&tenant(), street.first, NewSubnet::default(), WhileInUse::Refuse)
        .await;
    assert_eq!(code(more), "share-network-in-use");
    street.delete(share.share.id).await;
    assert_eq!(code(manager.delete_share_network(&tenant(), street.first).await), "share-network-in-use");
    manager
        .delete_share_server(&operator(), street.servers().first().expect("a server").server.id)
        .await
        .expect("accepted");
    street.house.settled().await;
    manager.delete_share_network(&tenant(), street.first).await.expect("removed");
}

#[tokio::test]
async fn a_server_whose_share_was_let_go_is_not_removed_unasked() {
    let street = Street::with(|_| {}, at_once).await;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    street.house.manager.unmanage_share(&operator(), share.share.id).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(street.status(server), ShareServerStatus::Active);
    street.house.manager.delete_share_server(&operator(), server).await.expect("accepted");
    street.house.settled().await;
}

#[tokio::test]
async fn a_status_is_set_by_hand_and_only_one_that_rests() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    let manager = &street.house.manager;
    let set = async |status| manager.reset_share_server_status(&operator(), server, status).await;
    assert_eq!(code(set(ShareServerStatus::Creating).await), "invalid");
    set(ShareServerStatus::Error).await.expect("set");
    let other = street.share(street.first).await;
    assert_ne!(other.instance.share_server, Some(server));
    set(ShareServerStatus::Active).await.expect("set");
    let by_tenant = manager.reset_share_server_status(&tenant(), server, ShareServerStatus::Error).await;
    assert_eq!(code(by_tenant), "forbidden");
}

/// A driver that says that it tore its server down is not believed: what the host runs for it would answer at another tenant's address.
#[tokio::test]
async fn a_server_whose_services_cannot_be_ended_keeps_its_addresses_and_its_record() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let server = share.instance.share_server.expect("a server");
    street.delete(share.share.id).await;
    let manager = &street.house.manager;
    street.house.driver.then("end-server", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    manager.delete_share_server(&operator(), server).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(street.status(server), ShareServerStatus::Error);
    assert_eq!(street.kept(server).await.len(), 1, "something may answer there");
    assert!(!street.house.calls().contains(&"let-go"), "{:?}", street.house.calls());
    manager.delete_share_server(&operator(), server).await.expect("accepted");
    street.house.settled().await;
    assert!(street.servers().is_empty());
    assert_eq!(street.addressed().await, []);
}

#[tokio::test]
async fn a_tear_down_that_failed_is_tried_again_by_the_host() {
    let soon = |settings: &mut ManagerSettings| {
        at_once(settings);
        settings.server_cleanup_period = Duration::from_millis(20);
    };
    let street = Street::with(|_| {}, soon).await;
    street.house.manager.recover().await.expect("recovered");
    let share = street.share(street.first).await;
    street.house.driver.then("teardown-server", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    street.delete(share.share.id).await;
    until("the server is gone", async || street.servers().is_empty()).await;
    assert!(street.addressed().await.is_empty());
}
