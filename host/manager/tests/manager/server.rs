//! Share servers: made for the first share of a network, shared by the next, gone with the last.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{
    House, code, description, new_share, new_snapshot, open_with, operator, other_tenant, ready, tenant,
    until,
};
use bulkhead_capability::network_allocation::{AddressBook, NetworkProvider, Standalone};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::{
    BackendDescription, Force, ManagerSettings, NewShare, NewShareGroup, NewShareType, ServerLimits,
    ShareServerView, ShareView,
};
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode, ErrorDetail};
use bulkhead_model::id::{ShareId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::key::RECORD;
use bulkhead_model::network::{
    NetworkDeclaration, NetworkGrants, NetworkType, ShareNetwork, ShareNetworkStatus, ShareNetworkSubnet,
};
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::ShareServerStatus;
use bulkhead_model::status::{ShareGroupStatus, ShareStatus};
use bulkhead_model::text::GuestText;
use bulkhead_model::time::Timestamp;
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A share network of a project with one subnet, in a store.
pub async fn network(store: &dyn Store, project: &str) -> ShareNetworkId {
    network_with(store, project, |_| {}).await
}

async fn network_with(
    store: &dyn Store,
    project: &str,
    alter: impl FnOnce(&mut ShareNetworkSubnet),
) -> ShareNetworkId {
    let (id, now) = (ShareNetworkId::random(), Timestamp::now());
    let mut subnet = ShareNetworkSubnet::new(ShareNetworkSubnetId::random(), id);
    alter(&mut subnet);
    let network = ShareNetwork {
        id,
        project_id: project.parse().expect("a project"),
        user_id: "alice".parse().expect("a user"),
        name: None,
        description: None,
        status: ShareNetworkStatus::Active,
        subnets: vec![subnet],
        added_subnet: None,
        security_services: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let row = serde_json::to_vec(&network).expect("a row");
    let key = Key::new(&[RECORD, "share-network", &id.to_string()]);
    store.commit(Transaction::new().put(key, row)).await.expect("written");
    id
}

/// Networks with the addresses 10.0.0.2 to 10.0.0.254 for tenants, and the same of 172.16.0.0/24 for administrators.
pub async fn provider(store: Arc<dyn Store>) -> Arc<dyn NetworkProvider> {
    provider_of(store, &["10.0.0.1"], 24).await
}

pub async fn provider_of(store: Arc<dyn Store>, user: &[&str], mask: u8) -> Arc<dyn NetworkProvider> {
    let declared = |gateway: &str, mask: u8| -> NetworkDeclaration {
        serde_json::from_value(serde_json::json!({ "gateway": gateway, "mask": mask }))
            .expect("a declaration")
    };
    let grants = NetworkGrants {
        user: user.iter().map(|gateway| declared(gateway, mask)).collect(),
        admin: vec![declared("172.16.0.1", 24)],
        ..NetworkGrants::default()
    };
    let ledger = Ledger::open(store.clone(), LedgerKey::new([7; 32])).await.expect("the ledger");
    let book = AddressBook::open(store, ledger).await.expect("the book");
    Arc::new(Standalone::new(book, "nas".parse().expect("a name"), &grants).expect("sound networks"))
}

pub fn makes_servers() -> BackendDescription {
    BackendDescription { handles_share_servers: true, ..description("nas", 1) }
}

/// Unused servers go with what was on them last.
pub fn at_once(settings: &mut ManagerSettings) {
    settings.unused_server_after = Duration::ZERO;
}

/// The share type whose shares live on servers.
pub fn on_servers() -> NewShareType {
    NewShareType {
        name: "served".to_owned(),
        description: None,
        extra_specs: [
            "driver_handles_share_servers",
            "snapshot_support",
            "create_share_from_snapshot_support",
        ]
        .map(|key| (key.to_owned(), "True".to_owned()))
        .into(),
    }
}

pub fn share_on(network: ShareNetworkId) -> NewShare {
    NewShare { share_type: Some("served".to_owned()), share_network: Some(network), ..new_share(1) }
}

/// A house whose backend makes share servers, in a street with two networks of one project.
pub struct Street {
    pub house: House,
    pub networks: Arc<dyn NetworkProvider>,
    pub first: ShareNetworkId,
    pub second: ShareNetworkId,
}

impl Street {
    pub async fn new() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub async fn with(
        prepare: impl FnOnce(&mut FakeDriver),
        adjust: impl FnOnce(&mut ManagerSettings),
    ) -> Self {
        let networks = provider(Arc::new(MemoryStore::new())).await;
        Self::at(networks, prepare, adjust, |_| {}).await
    }

    /// With addresses from `networks`, and the subnet of the second network as it is altered.
    pub async fn at(
        networks: Arc<dyn NetworkProvider>,
        prepare: impl FnOnce(&mut FakeDriver),
        adjust: impl FnOnce(&mut ManagerSettings),
        alter: impl FnOnce(&mut ShareNetworkSubnet),
    ) -> Self {
        Self::described(makes_servers(), networks, (prepare, adjust), alter).await
    }

    /// Whose servers hold no more than `limits`.
    pub async fn bounded(limits: ServerLimits) -> Self {
        let networks = provider(Arc::new(MemoryStore::new())).await;
        let description = BackendDescription { server_limits: limits, ..makes_servers() };
        Self::described(description, networks, (|_: &mut _| {}, |_: &mut _| {}), |_| {}).await
    }

    async fn described(
        description: BackendDescription,
        networks: Arc<dyn NetworkProvider>,
        (prepare, adjust): (impl FnOnce(&mut FakeDriver), impl FnOnce(&mut ManagerSettings)),
        alter: impl FnOnce(&mut ShareNetworkSubnet),
    ) -> Self {
        let (world, store) = (Arc::default(), Arc::new(MemoryStore::new()));
        let first = network(&*store, "alpha").await;
        let second = network_with(&*store, "alpha", alter).await;
        let mut driver = FakeDriver::new(&world);
        driver.servers.counts = (1, 0);
        driver.servers.networks = Some(Arc::clone(&networks));
        prepare(&mut driver);
        let manager = open_with(store.clone(), adjust).await;
        let house = House { manager, driver: Arc::new(driver), world, store };
        house.manager.attach(description, house.driver.clone());
        house.manager.create_share_type(&operator(), on_servers()).await.expect("made");
        ready(&house.manager, "nas").await;
        Self { house, networks, first, second }
    }

    /// A share on a network, asked for and settled.
    pub async fn share(&self, network: ShareNetworkId) -> ShareView {
        self.make(share_on(network)).await
    }

    /// A share as asked for, settled.
    pub async fn make(&self, asked: NewShare) -> ShareView {
        let share = self.house.manager.create_share(&tenant(), asked).await.expect("accepted");
        self.house.settled().await;
        self.house.show(share.share.id)
    }

    pub async fn delete(&self, share: ShareId) {
        self.house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
        self.house.settled().await;
    }

    pub fn servers(&self) -> Vec<ShareServerView> {
        self.house.manager.list_share_servers(&Scope::Everything)
    }

    pub fn status(&self, id: ShareServerId) -> ShareServerStatus {
        self.house.manager.show_share_server(&Scope::Everything, id).expect("the server").server.status
    }

    /// The addresses that are kept for a server.
    pub async fn kept(&self, id: ShareServerId) -> Vec<IpAddr> {
        let kept = self.networks.allocations(id).await.expect("read");
        kept.iter().map(|kept| kept.allocation.ip_address).collect()
    }

    /// The servers that have addresses.
    pub async fn addressed(&self) -> Vec<ShareServerId> {
        self.networks.servers().await.expect("read")
    }

    /// The newest operation with this verb's name.
    pub fn operation(&self, name: &str) -> Arc<Operation> {
        let all = self.house.manager.list_operations(&Scope::Everything, 100);
        all.into_iter().find(|operation| operation.verb.name() == name).expect("such an operation")
    }
}

pub fn server_of(share: &ShareView) -> ShareServerId {
    share.instance.share_server.expect("a share server")
}

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Contract D-03, D-51, M-02.
#[tokio::test]
async fn a_network_gets_one_server_for_all_its_shares_and_another_network_another_one() {
    let street = Street::new().await;
    let first = street.share(street.first).await;
    assert_eq!(first.instance.status, ShareStatus::Available);
    let calls = street.house.calls();
    let expected = [
        "network-allocations-number",
        "admin-network-allocations-number",
        "after-allocation",
        "setup-server",
        "create-share",
    ];
    assert_eq!(calls, expected);
    let second = street.share(street.first).await;
    let other = street.share(street.second).await;
    assert_eq!(server_of(&first), server_of(&second));
    assert_ne!(server_of(&first), server_of(&other));
    let [of_first, of_second] = street.servers().try_into().expect("two servers");
    let server = &of_first.server;
    assert_eq!((server.status, of_first.shares), (ShareServerStatus::Active, 2));
    assert_eq!(server.identifier(), server.id.to_string(), "the driver named none");
    assert_eq!(server.backend_details.get("port").map(String::as_str), Some("7"));
    assert_eq!(server.network_allocations.len(), 1);
    assert_eq!(street.kept(server.id).await, [address("10.0.0.2")]);
    assert_eq!(street.kept(of_second.server.id).await, [address("10.0.0.3")]);
    let world = street.house.world.lock().expect("the world");
    assert_eq!(world.servers[&server.id].addresses, BTreeSet::from([address("10.0.0.2")]));
}

#[tokio::test]
async fn a_server_goes_with_its_last_share_and_gives_its_addresses_back() {
    let street = Street::with(|_| {}, at_once).await;
    let (first, second) = (street.share(street.first).await, street.share(street.first).await);
    let server = server_of(&first);
    street.delete(first.share.id).await;
    assert_eq!(street.status(server), ShareServerStatus::Active, "another share is on it");
    street.delete(second.share.id).await;
    until("the server is gone", async || street.servers().is_empty()).await;
    let calls = street.house.calls();
    let last = ["delete-share", "teardown-server", "before-release", "end-server", "let-go"];
    assert!(calls.ends_with(&last), "{calls:?}");
    assert!(street.house.world.lock().expect("the world").servers.is_empty());
    assert_eq!(street.addressed().await, []);
    let anew = street.share(street.first).await;
    assert_ne!(server_of(&anew), server);
    assert_eq!(street.kept(server_of(&anew)).await, [address("10.0.0.3")], "the other address rests");
}

#[tokio::test]
async fn an_unused_server_stays_for_a_while_and_serves_again_until_then() {
    let patient = |settings: &mut ManagerSettings| {
        settings.unused_server_after = Duration::from_millis(300);
        settings.server_cleanup_period = Duration::from_millis(20);
    };
    let street = Street::with(|_| {}, patient).await;
    street.house.manager.recover().await.expect("recovered");
    let first = street.share(street.first).await;
    street.delete(first.share.id).await;
    let again = street.share(street.first).await;
    assert_eq!(server_of(&again), server_of(&first));
    street.delete(again.share.id).await;
    until("the server is gone", async || street.servers().is_empty()).await;
    assert_eq!(street.addressed().await, []);
}

#[tokio::test]
async fn shares_that_come_at_once_wait_for_one_server() {
    let street = Street::new().await;
    let set_up = Arc::new(Semaphore::new(0));
    street.house.driver.then("setup-server", Act::Hold(Arc::clone(&set_up)));
    let mut shares = Vec::new();
    for _ in 0..3 {
        let accepted = street.house.manager.create_share(&tenant(), share_on(street.first)).await;
        shares.push(accepted.expect("accepted").share.id);
    }
    let is_waiting = |operation: &Arc<Operation>| operation.step.starts_with("waiting for share server");
    until("all wait", async || {
        let all = street.house.manager.list_operations(&Scope::Everything, 100);
        all.iter().filter(|operation| is_waiting(operation)).count() == 3
    })
    .await;
    set_up.add_permits(1);
    street.house.settled().await;
    let on: BTreeSet<_> = shares.iter().map(|id| server_of(&street.house.show(*id))).collect();
    assert_eq!(on.len(), 1);
    let made = street.house.calls().iter().filter(|call| **call == "setup-server").count();
    assert_eq!(made, 1);
}

/// Contract M-03. What a set-up that failed left is torn down with what the driver told of it, before anybody gets its address.
#[tokio::test]
async fn a_set_up_that_fails_is_told_with_its_shares_and_cleaned_up_with_the_details_it_left() {
    let street = Street::with(|_| {}, at_once).await;
    let partial = BTreeMap::from([("half".to_owned(), "made".to_owned())]);
    street.house.driver.then(
        "setup-server",
        Act::FailAfterEffect(CallError::Answered(DriverError {
            code: DriverErrorCode::SecurityServiceFailed,
            message: GuestText::message("the domain said no"),
            detail: Some(ErrorDetail::ServerDetails(partial.clone())),
        })),
    );
    let share = street.share(street.first).await;
    let server = server_of(&share);
    assert_eq!(share.instance.status, ShareStatus::Error);
    let told = street.operation("create-share").failure.clone().expect("a failure");
    assert_eq!(told.code, "security-service-failed");
    assert_eq!(street.status(server), ShareServerStatus::Error);
    assert_eq!(street.kept(server).await.len(), 1, "something may answer there");
    street.delete(share.share.id).await;
    until("the server is gone", async || street.servers().is_empty()).await;
    let world = street.house.world.lock().expect("the world");
    assert_eq!(world.torn_down[&server], partial);
    assert!(world.servers.is_empty() && world.shares.is_empty());
}

#[tokio::test]
async fn a_server_in_error_takes_no_new_share() {
    let street = Street::new().await;
    street.house.driver.then("setup-server", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    let failed = street.share(street.first).await;
    let well = street.share(street.first).await;
    assert_eq!(well.instance.status, ShareStatus::Available);
    assert_ne!(server_of(&failed), server_of(&well));
}

#[tokio::test]
async fn a_set_up_whose_answer_is_lost_goes_on_with_the_addresses_it_has() {
    let street = Street::new().await;
    street.house.driver.then("setup-server", Act::FailAfterEffect(answered(DriverErrorCode::OutcomeUnknown)));
    let share = street.share(street.first).await;
    assert_eq!(share.instance.status, ShareStatus::Available);
    assert_eq!(street.kept(server_of(&share)).await, [address("10.0.0.2")]);
    let world = street.house.world.lock().expect("the world");
    assert!(world.made.values().all(|times| *times == 1), "{:?}", world.made);
}

#[tokio::test]
async fn a_copy_and_a_member_of_a_group_are_of_the_type_that_they_come_from_unless_they_name_one() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let share = street.share(street.first).await;
    let snapshot = street.house.snapshot(share.share.id).await.snapshot.id;
    let copy = NewShare { source_snapshot: Some(snapshot), ..new_share(1) };
    let copy = street.make(copy).await;
    assert_eq!(
        (copy.instance.status, copy.share.share_type),
        (ShareStatus::Available, share.share.share_type)
    );
    assert_eq!(server_of(&copy), server_of(&share));
    let asked = NewShareGroup {
        share_types: vec!["served".to_owned()],
        share_network: Some(street.first),
        ..NewShareGroup::default()
    };
    let group = manager.create_share_group(&tenant(), asked).await.expect("accepted").group.id;
    street.house.settled().await;
    let member = street.make(NewShare { group: Some(group), ..new_share(1) }).await;
    assert_eq!(
        (member.instance.status, member.share.share_type),
        (ShareStatus::Available, share.share.share_type)
    );
    let foreign = NewShare { source_snapshot: Some(snapshot), ..new_share(1) };
    assert_eq!(code(manager.create_share(&other_tenant(), foreign).await), "not-found");
}

#[tokio::test]
async fn a_share_that_waits_for_a_set_up_is_told_at_once_when_somebody_gives_that_up() {
    let patient = |settings: &mut ManagerSettings| settings.longest_repeat = Duration::from_secs(60);
    let street = Street::with(|_| {}, patient).await;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("setup-server", Act::Hold(Arc::clone(&hold)));
    let manager = &street.house.manager;
    let share = manager.create_share(&tenant(), share_on(street.first)).await.expect("accepted").share.id;
    until("the set-up runs", async || street.house.calls().contains(&"setup-server")).await;
    let operation = street.operation("set-up-share-server").id;
    manager.abandon_operation(&operator(), operation).await.expect("given up");
    until("the share is told", async || street.house.show(share).instance.status == ShareStatus::Error).await;
    hold.add_permits(1);
}

/// Contract D-28, M-01.
#[tokio::test]
async fn a_server_whose_network_is_not_bound_or_makes_no_sense_is_refused() {
    let unbound = |driver: &mut FakeDriver| {
        driver.servers.counts = (0, 1);
        driver.servers.networks = None;
    };
    let without = Street::with(unbound, |_| {}).await;
    let share = without.share(without.first).await;
    assert_eq!(share.instance.status, ShareStatus::Error);
    let failure = without.operation("create-share").failure.clone().expect("a failure");
    assert_eq!(failure.code, "bad-network-configuration");
    // What the network of the tenants is, no provider knows here: it is what the tenant said.
    let networks = provider_of(Arc::new(MemoryStore::new()), &[], 24).await;
    let odd = |subnet: &mut ShareNetworkSubnet| {
        subnet.network_type = Some(NetworkType::Vlan);
        subnet.segmentation_id = Some(5000);
    };
    let counts = |driver: &mut FakeDriver| driver.servers.counts = (0, 1);
    let street = Street::at(networks, counts, |_| {}, odd).await;
    let share = street.share(street.second).await;
    assert_eq!(share.instance.status, ShareStatus::Error);
    let failure = street.operation("create-share").failure.clone().expect("a failure");
    assert_eq!(failure.code, "bad-network-configuration");
    assert_eq!(street.addressed().await, [], "they went back");
}

#[tokio::test]
async fn a_share_names_a_network_exactly_where_its_type_asks_for_servers() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let without = NewShare { share_network: None, ..share_on(street.first) };
    assert_eq!(code(manager.create_share(&tenant(), without).await), "share-servers-without-network");
    let not_served = NewShare { share_network: Some(street.first), ..new_share(1) };
    assert_eq!(code(manager.create_share(&tenant(), not_served).await), "share-network-without-servers");
    let unknown = share_on(ShareNetworkId::random());
    assert_eq!(code(manager.create_share(&tenant(), unknown).await), "not-found");
    let foreign = manager.create_share(&other_tenant(), share_on(street.first)).await;
    assert_eq!(code(foreign), "not-found");
    assert_eq!(code(manager.create_share(&tenant(), new_share(1)).await), "no-backend");
}

#[tokio::test]
async fn what_is_made_from_a_snapshot_lives_beside_it() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let other = street.share(street.second).await;
    let snapshot = street.house.manager.create_snapshot(&tenant(), new_snapshot(share.share.id)).await;
    let snapshot = snapshot.expect("accepted").snapshot.id;
    street.house.settled().await;
    let asked = NewShare { source_snapshot: Some(snapshot), share_network: None, ..share_on(street.first) };
    let copy = street.house.manager.create_share(&tenant(), asked).await.expect("accepted");
    street.house.settled().await;
    let copy = street.house.show(copy.share.id);
    assert_eq!((copy.instance.status, server_of(&copy)), (ShareStatus::Available, server_of(&share)));
    let elsewhere = NewShare { source_snapshot: Some(snapshot), ..share_on(street.second) };
    let refused = street.house.manager.create_share(&tenant(), elsewhere).await;
    assert_eq!(code(refused), "other-share-network");
    assert_ne!(server_of(&other), server_of(&share));
}

/// Contract D-36.
#[tokio::test]
async fn a_group_lives_on_one_server_with_all_its_shares() {
    let street = Street::with(|_| {}, at_once).await;
    let asked = NewShareGroup {
        share_types: vec!["served".to_owned()],
        share_network: Some(street.first),
        ..NewShareGroup::default()
    };
    let made = street.house.manager.create_share_group(&tenant(), asked).await.expect("accepted");
    let group = made.group.id;
    street.house.settled().await;
    let shown = street.house.show_group(group);
    assert_eq!(shown.status, ShareGroupStatus::Available);
    let server = shown.share_server.expect("a server");
    let inside = NewShare { group: Some(group), share_network: None, ..share_on(street.first) };
    let share = street.house.manager.create_share(&tenant(), inside).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(server_of(&street.house.show(share.share.id)), server);
    street.delete(share.share.id).await;
    assert_eq!(street.status(server), ShareServerStatus::Active, "the group is on it");
    street.house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    street.house.settled().await;
    until("the server is gone", async || street.servers().is_empty()).await;
}

/// Contract D-07, D-13, D-14. Where the backend makes no servers, nothing of them is called.
#[tokio::test]
async fn set_up_and_tear_down_must_be_there_where_servers_are_made_and_are_not_called_elsewhere() {
    let lacks = |driver: &mut FakeDriver| {
        driver.then("setup-server", Act::Fail(answered(DriverErrorCode::NotImplemented)));
    };
    let street = Street::with(lacks, |_| {}).await;
    let share = street.share(street.first).await;
    assert_eq!(share.instance.status, ShareStatus::Error);
    let told = street.operation("create-share").failure.clone().expect("a failure");
    assert_eq!(told.code, "not-implemented");
    let plain = House::new().await;
    plain.share().await;
    assert_eq!(plain.calls(), ["create-share"]);
}

#[tokio::test]
async fn servers_and_networks_are_shown_while_their_backend_is_not_loaded_and_others_work() {
    let street = Street::new().await;
    let server = server_of(&street.share(street.first).await);
    street.house.manager.drain(Duration::from_secs(5)).await;
    let manager = open_with(street.house.store.clone(), |_| {}).await;
    let shown = manager.list_share_servers(&Scope::Everything);
    assert!(shown.iter().all(|one| one.server.id == server && !one.can_be_changed), "{shown:?}");
    assert!(!manager.network_updates(street.first).are_supported);
    assert_eq!(code(manager.create_share(&tenant(), share_on(street.first)).await), "no-backend");
    let more = bulkhead_model::size::Gibibytes::new(9).expect("a size");
    let share = manager.list_shares(&Scope::Everything).first().expect("the share").share.id;
    assert_eq!(code(manager.extend_share(&tenant(), share, more).await), "backend-unreachable");
}

#[tokio::test]
async fn servers_that_do_not_answer_hold_neither_the_start_of_a_backend_nor_its_statistics_up() {
    let often = |settings: &mut ManagerSettings| settings.statistics_period = Duration::from_millis(10);
    let hold = Arc::new(Semaphore::new(0));
    let street = Street::with(|_| {}, often).await;
    street.share(street.first).await;
    for _ in 0..100 {
        street.house.driver.then("share-server-pools", Act::Hold(Arc::clone(&hold)));
    }
    let count = |function: &str| {
        let world = street.house.world.lock().expect("the world");
        world.calls.iter().filter(|(called, _)| *called == function).count()
    };
    let before = count("share-server-pools");
    until("a server is asked", async || count("share-server-pools") > before).await;
    let before = count("stats");
    until("the statistics go on", async || count("stats") > before + 3).await;
    let second = street.share(street.first).await;
    assert_eq!(second.instance.status, ShareStatus::Available, "what it said last holds");
}

/// Contract D-16.
#[tokio::test]
async fn a_server_reaches_all_pools_unless_its_driver_names_some() {
    let often = |settings: &mut ManagerSettings| settings.statistics_period = Duration::from_millis(10);
    for (pools, is_shared) in [(None, true), (Some("pool"), true), (Some("elsewhere"), false)] {
        let says =
            |driver: &mut FakeDriver| driver.servers.pools = pools.map(str::to_owned).into_iter().collect();
        let street = Street::with(says, often).await;
        let share = street.share(street.first).await;
        until("its pools are known", async || {
            let world = street.house.world.lock().expect("the world");
            world.calls.iter().filter(|(function, _)| *function == "share-server-pools").count() > 1
        })
        .await;
        let second = street.share(street.first).await;
        assert_eq!(server_of(&second) == server_of(&share), is_shared, "{pools:?}");
    }
}

#[tokio::test]
async fn an_operator_tears_a_server_down_once_nothing_is_on_it() {
    let street = Street::new().await;
    let share = street.share(street.first).await;
    let server = server_of(&share);
    let manager = &street.house.manager;
    assert_eq!(code(manager.delete_share_server(&tenant(), server).await), "forbidden");
    assert_eq!(code(manager.delete_share_server(&operator(), server).await), "share-server-in-use");
    let network = street.first;
    street.delete(share.share.id).await;
    street.house.driver.then("teardown-server", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    manager.delete_share_server(&operator(), server).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(street.status(server), ShareServerStatus::Error);
    assert_eq!(street.kept(server).await.len(), 1, "it may still be there");
    manager.delete_share_server(&operator(), server).await.expect("accepted");
    street.house.settled().await;
    assert!(street.servers().is_empty());
    assert_eq!(street.addressed().await, []);
    assert_eq!(code(manager.delete_share_server(&operator(), server).await), "not-found");
    assert_eq!(street.share(network).await.instance.status, ShareStatus::Available);
}
