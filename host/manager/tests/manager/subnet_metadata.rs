//! Metadata of subnets that backends follow when tenants change them.

use crate::fake::{Act, answered};
use crate::house::{code, other_tenant, tenant, until};
use crate::server::{Street, at_once, server_of, share_on};
use bulkhead_manager::{Manager, ManagerError};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareNetworkId, ShareNetworkSubnetId};
use bulkhead_model::operation::{Operation, OperationState, Verb};
use bulkhead_model::scope::Scope;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

type Pairs = BTreeMap<String, String>;

fn pairs<const COUNT: usize>(pairs: [(&str, &str); COUNT]) -> Pairs {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn subnet_of(manager: &Manager, network: ShareNetworkId) -> ShareNetworkSubnetId {
    let network = manager.show_share_network(&Scope::Everything, network).expect("the network");
    network.subnets.first().expect("a subnet").id
}

async fn set(manager: &Manager, network: ShareNetworkId, metadata: Pairs) -> Result<(), ManagerError> {
    let subnet = subnet_of(manager, network);
    manager.update_share_network_subnet(&tenant(), network, subnet, metadata).await
}

/// The operations that let servers follow, oldest first.
fn updates(manager: &Manager) -> Vec<Arc<Operation>> {
    let mut found = manager.list_operations(&Scope::Everything, 1000);
    found.retain(|operation| matches!(operation.verb, Verb::UpdateSubnetMetadata { .. }));
    found.sort_by_key(|operation| operation.id);
    found
}

#[tokio::test]
async fn every_server_of_a_subnet_is_told_of_listed_keys_that_were_set_or_changed_and_of_nothing_else() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    set(manager, street.first, pairs([("tier", "iron")])).await.expect("set");
    let server = server_of(&street.share(street.first).await);
    let other = server_of(&street.share(street.second).await);
    assert!(updates(manager).is_empty(), "there was no server yet");
    set(manager, street.first, pairs([("tier", "gold"), ("owner", "me")])).await.expect("set");
    street.house.settled().await;
    set(manager, street.first, pairs([("tier", "gold"), ("quota", "7")])).await.expect("set");
    street.house.settled().await;
    set(manager, street.first, pairs([("owner", "nobody")])).await.expect("set");
    street.house.settled().await;
    set(manager, street.second, pairs([("tier", "silver")])).await.expect("set");
    street.house.settled().await;
    let told = street.house.world.lock().expect("the world").followed_subnets.clone();
    let expected = [
        (server, pairs([("tier", "gold")])),
        (server, pairs([("quota", "7")])),
        (other, pairs([("tier", "silver")])),
    ];
    assert_eq!(told, expected);
    assert_eq!(updates(manager).len(), 3);
    let shown = manager.show_share_network(&Scope::Everything, street.first).expect("shown");
    assert_eq!(shown.subnets.first().expect("a subnet").metadata, pairs([("owner", "nobody")]));
}

#[tokio::test]
async fn what_a_server_refuses_stays_as_the_tenant_wrote_it_and_nothing_else_is_in_error() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    street
        .house
        .driver
        .then("update-subnet-from-metadata", Act::Fail(answered(DriverErrorCode::InvalidParameter)));
    set(manager, street.first, pairs([("tier", "paper")])).await.expect("set");
    street.house.settled().await;
    let [update] = updates(manager).try_into().expect("one");
    assert_eq!(update.state, OperationState::Failed);
    let shown = manager.show_share_network(&Scope::Everything, street.first).expect("shown");
    assert_eq!(shown.subnets.first().expect("a subnet").metadata, pairs([("tier", "paper")]));
    assert!(street.status(server_of(&share)).takes_shares());
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_follows_later_with_the_values_of_then() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    street.share(street.first).await;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-subnet-from-metadata", Act::Hold(Arc::clone(&hold)));
    street
        .house
        .driver
        .then("update-subnet-from-metadata", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    set(manager, street.first, pairs([("tier", "gold")])).await.expect("set");
    until("the call is at work", async || {
        let world = street.house.world.lock().expect("the world");
        world.calls.iter().any(|(function, _)| *function == "update-subnet-from-metadata")
    })
    .await;
    set(manager, street.first, pairs([("tier", "silver")])).await.expect("set");
    hold.add_permits(1);
    street.house.settled().await;
    let told = street.house.world.lock().expect("the world").followed_subnets.clone();
    assert_eq!(told.last().expect("told").1, pairs([("tier", "silver")]));
    assert!(updates(manager).iter().all(|one| one.state == OperationState::Succeeded));
}

#[tokio::test]
async fn a_server_that_is_being_made_follows_once_it_is_there() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("setup-server", Act::Hold(Arc::clone(&hold)));
    manager.create_share(&tenant(), share_on(street.first)).await.expect("accepted");
    until("the set-up is at work", async || {
        let world = street.house.world.lock().expect("the world");
        world.calls.iter().any(|(function, _)| *function == "setup-server")
    })
    .await;
    set(manager, street.first, pairs([("tier", "gold")])).await.expect("set");
    hold.add_permits(1);
    street.house.settled().await;
    let told = street.house.world.lock().expect("the world").followed_subnets.clone();
    assert_eq!(told.into_iter().map(|(_, pairs)| pairs).collect::<Vec<_>>(), [pairs([("tier", "gold")])]);
}

#[tokio::test]
async fn odd_metadata_and_other_tenants_subnets_are_refused() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let subnet = subnet_of(manager, street.first);
    let update = async |context, network, subnet, metadata| {
        manager.update_share_network_subnet(&context, network, subnet, metadata).await
    };
    let gold = pairs([("tier", "gold")]);
    assert_eq!(code(update(other_tenant(), street.first, subnet, gold.clone()).await), "not-found");
    let of_other = update(tenant(), street.second, subnet, gold.clone()).await;
    assert_eq!(code(of_other), "not-found", "the subnet is of another network");
    let too_long = "x".repeat(20_000);
    let long = update(tenant(), street.first, subnet, pairs([("tier", &too_long)])).await;
    assert_eq!(code(long), "invalid");
    assert!(updates(manager).is_empty());
}

#[tokio::test]
async fn a_server_is_torn_down_while_it_waits_to_follow() {
    let street = Street::with(|_| {}, at_once).await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    for _ in 0..1000 {
        let busy = answered(DriverErrorCode::Busy);
        street.house.driver.then("update-subnet-from-metadata", Act::Fail(busy));
    }
    set(manager, street.first, pairs([("tier", "gold")])).await.expect("set");
    until("it waits", async || updates(manager).iter().any(|one| one.state == OperationState::Waiting)).await;
    street.delete(share.share.id).await;
    until("the server is gone", async || street.servers().is_empty()).await;
    street.house.settled().await;
    assert!(updates(manager).iter().all(|one| one.state == OperationState::Succeeded));
    assert!(street.house.world.lock().expect("the world").followed_subnets.is_empty());
}
