//! Subnets that are added to a network while share servers are in it.

use crate::fake::{Act, answered};
use crate::house::{code, new_snapshot, operator, tenant};
use crate::server::{Street, at_once, provider_of, server_of};
use crate::server_updates::{answer, network_status};
use bulkhead_manager::{ManagerError, NetworkChange, NewSubnet, WhileInUse};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode, ErrorDetail};
use bulkhead_model::id::{ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::ShareNetworkStatus;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_model::text::GuestText;
use bulkhead_store::MemoryStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

const ONE_MORE: NetworkChange = NetworkChange::AddSubnet { neutron_net_id: None, neutron_subnet_id: None };

async fn add(street: &Street) -> Result<ShareNetworkSubnetId, ManagerError> {
    let manager = &street.house.manager;
    manager.add_share_network_subnet(&tenant(), street.first, NewSubnet::default(), WhileInUse::Follow).await
}

/// Ask, add, and wait for the end.
async fn added(street: &Street) -> ShareNetworkSubnetId {
    assert!(answer(&street.house.manager, street.first, &ONE_MORE).await);
    let added = add(street).await.expect("accepted");
    street.house.settled().await;
    added
}

fn server(street: &Street, id: ShareServerId) -> Arc<ShareServer> {
    street.house.manager.show_share_server(&Scope::Everything, id).expect("the server").server
}

fn subnets(street: &Street) -> Vec<ShareNetworkSubnetId> {
    let network = street.house.manager.show_share_network(&Scope::Everything, street.first).expect("shown");
    network.subnets.iter().map(|subnet| subnet.id).collect()
}

#[tokio::test]
async fn servers_in_service_serve_a_subnet_that_is_added_with_addresses_of_their_own_there() {
    let street = Street::with(|_| {}, at_once).await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    let snapshot = street.house.snapshot(share.share.id).await.snapshot.id;
    let id = server_of(&share);
    assert_eq!(code(add(&street).await), "network-change-not-checked");
    assert!(answer(manager, street.first, &ONE_MORE).await);
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-network-allocations", Act::Hold(Arc::clone(&hold)));
    let subnet = add(&street).await.expect("accepted");
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::NetworkChange);
    assert_eq!(street.status(id), ShareServerStatus::NetworkChange);
    hold.add_permits(1);
    street.house.settled().await;
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    let changed = server(&street, id);
    assert_eq!((changed.status, &changed.further_subnets[..]), (ShareServerStatus::Active, &[subnet][..]));
    assert_eq!(changed.backend_details, BTreeMap::from([("port".to_owned(), "8".to_owned())]));
    let kept = street.kept(id).await;
    assert_eq!(kept.len(), 2, "one in each subnet");
    let shown = street.house.show(share.share.id).instance;
    let paths: Vec<_> = shown.export_locations.iter().map(|one| one.location.path.clone()).collect();
    assert_eq!(paths, kept.iter().map(|address| format!("{address}:/{}", shown.id)).collect::<Vec<_>>());
    let taken = street.house.show_snapshot(snapshot).instance;
    assert_eq!(
        (taken.status, taken.provider_location.as_deref()),
        (SnapshotStatus::Available, Some("elsewhere"))
    );
    let network = manager.show_share_network(&Scope::Everything, street.first).expect("shown");
    assert!(network.subnet(subnet).expect("it is there").cidr.is_some() && network.added_subnet.is_none());
    manager.delete_snapshot(&tenant(), snapshot, bulkhead_manager::Force::No).await.expect("accepted");
    street.house.settled().await;
    street.delete(share.share.id).await;
    crate::house::until("the server is gone", async || street.servers().is_empty()).await;
    assert!(street.addressed().await.is_empty(), "all its addresses went with it");
}

#[tokio::test]
async fn where_no_address_is_left_the_server_goes_on_as_it_was_and_the_subnet_goes_again() {
    let networks = provider_of(Arc::new(MemoryStore::new()), &["10.0.0.1"], 30).await;
    let street = Street::at(networks, |_| {}, |_| {}, |_| {}).await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    let (id, before) = (server_of(&share), subnets(&street));
    added(&street).await;
    assert_eq!(street.operation("add-server-subnet").state, OperationState::Failed);
    assert_eq!((street.status(id), street.kept(id).await.len()), (ShareServerStatus::Active, 1));
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    assert_eq!(subnets(&street), before);
    assert_eq!(street.house.show(share.share.id).instance.status, ShareStatus::Available);
    assert!(!street.house.calls().contains(&"update-network-allocations"));
}

#[tokio::test]
async fn a_driver_that_fails_leaves_server_shares_and_snapshots_in_error_and_the_addresses_with_the_server() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    manager.create_snapshot(&tenant(), new_snapshot(share.share.id)).await.expect("accepted");
    street.house.settled().await;
    let id = server_of(&share);
    let told = BTreeMap::from([("plugged".to_owned(), "half".to_owned())]);
    let failure = CallError::Answered(DriverError {
        code: DriverErrorCode::BadNetworkConfiguration,
        message: GuestText::message(""),
        detail: Some(ErrorDetail::ServerDetails(told)),
    });
    street.house.driver.then("update-network-allocations", Act::Fail(failure));
    let subnet = added(&street).await;
    let failed = server(&street, id);
    assert_eq!((failed.status, &failed.further_subnets[..]), (ShareServerStatus::Error, &[subnet][..]));
    assert_eq!(failed.backend_details.get("plugged").map(String::as_str), Some("half"));
    assert_eq!(street.kept(id).await.len(), 2, "something may answer at the new one");
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    assert_eq!(street.house.show(share.share.id).instance.status, ShareStatus::Error);
    let snapshots = manager.list_snapshots(&Scope::Everything, None);
    assert!(snapshots.iter().all(|view| view.instance.status == SnapshotStatus::Error), "{snapshots:?}");
    assert!(subnets(&street).contains(&subnet), "a server has addresses in it");
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_is_called_again_with_the_same_addresses() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let id = server_of(&share);
    for function in ["network-allocations-number", "update-network-allocations", "update-network-allocations"]
    {
        street.house.driver.then(function, Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    street
        .house
        .driver
        .then("update-network-allocations", Act::FailAfterEffect(answered(DriverErrorCode::OutcomeUnknown)));
    added(&street).await;
    assert_eq!((street.status(id), street.kept(id).await.len()), (ShareServerStatus::Active, 2));
    assert_eq!(street.operation("add-server-subnet").state, OperationState::Succeeded);
}

#[tokio::test]
async fn given_up_before_its_driver_was_told_a_server_goes_on_as_it_was() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    let (id, before) = (server_of(&share), subnets(&street));
    assert!(answer(manager, street.first, &ONE_MORE).await);
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("network-allocations-number", Act::Hold(Arc::clone(&hold)));
    add(&street).await.expect("accepted");
    let operation = street.operation("add-server-subnet").id;
    manager.abandon_operation(&operator(), operation).await.expect("given up");
    hold.add_permits(1);
    street.house.settled().await;
    assert_eq!(street.status(id), ShareServerStatus::Active);
    assert_eq!(subnets(&street), before);
    crate::house::until("its address is given back", async || street.kept(id).await.len() == 1).await;
}

#[tokio::test]
async fn a_new_server_serves_all_subnets_of_its_network_where_its_driver_could_add_them_too() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let new = NewSubnet::default();
    let more = manager.add_share_network_subnet(&tenant(), street.first, new, WhileInUse::Follow).await;
    let more = more.expect("nothing is there yet, so nobody is asked");
    let id = server_of(&street.share(street.first).await);
    assert_eq!(server(&street, id).further_subnets, [more]);
    let kept = street.networks.allocations(id).await.expect("read");
    let of: Vec<_> = kept.iter().filter_map(|kept| kept.allocation.subnet_id).collect();
    assert_eq!(of, subnets(&street), "one address in each");

    let plain =
        Street::with(|driver| driver.abilities.0.retain(|one| *one != Ability::ServerUpdates), |_| {}).await;
    let new = NewSubnet::default();
    let more =
        plain.house.manager.add_share_network_subnet(&tenant(), plain.first, new, WhileInUse::Follow).await;
    more.expect("nothing is there yet");
    let id = server_of(&plain.share(plain.first).await);
    assert_eq!((server(&plain, id).further_subnets.len(), plain.kept(id).await.len()), (0, 1));
}
