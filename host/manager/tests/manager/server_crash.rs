//! The daemon dies at every step of a life on share servers, and the next one puts all of it right: no server is doubled, no address lost.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{open_with, operator, ready, settled, tenant, until};
use crate::server::{makes_servers, network, on_servers, provider, share_on};
use crate::server_updates::{answer, service};
use bulkhead_manager::{Force, ManageServer, Manager, NetworkChange, NewSubnet, WhileInUse};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareId, ShareNetworkId};
use bulkhead_model::network::ShareNetworkStatus;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::ShareServerStatus;
use bulkhead_model::status::ShareStatus;
use bulkhead_sandbox::NetworkProvider;
use bulkhead_store::{MemoryStore, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What outlives the daemon.
struct Durable {
    records: Arc<MemoryStore>,
    addresses: Arc<MemoryStore>,
    world: Arc<Mutex<World>>,
}

/// What happens in a life.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Story {
    /// Two shares on one network, one on another, and all go with their servers.
    Usual,
    /// A server that cannot be set up, and the share that waited for it.
    Failing,
    /// A server is taken over and let go.
    Managing,
    /// A server in service uses another security service, then serves one more subnet.
    Changing,
}

struct Home {
    manager: Manager,
    networks: Arc<dyn NetworkProvider>,
}

impl Durable {
    fn new() -> Self {
        Self { records: Arc::default(), addresses: Arc::default(), world: Arc::default() }
    }

    fn mortal(store: &Arc<MemoryStore>, death: &Arc<Death>) -> Arc<dyn Store> {
        Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) })
    }

    async fn open(&self, death: &Arc<Death>, story: Story) -> Home {
        let networks = provider(Self::mortal(&self.addresses, death)).await;
        let adjust = |settings: &mut bulkhead_manager::ManagerSettings| {
            settings.unused_server_after = Duration::ZERO;
            settings.server_cleanup_period = Duration::from_millis(5);
        };
        let manager = open_with(Self::mortal(&self.records, death), adjust).await;
        let mut driver = FakeDriver::new(&self.world);
        driver.servers.counts = (1, 1);
        driver.servers.networks = Some(Arc::clone(&networks));
        driver.servers.found =
            ["10.0.0.77", "172.16.0.77"].map(|address| address.parse().expect("an address")).into();
        driver.death = Arc::clone(death);
        if story == Story::Failing {
            for _ in 0..2 {
                let failure = answered(DriverErrorCode::BackendFailed);
                driver.then("setup-server", Act::FailAfterEffect(failure));
            }
        }
        manager.attach(makes_servers(), Arc::new(driver));
        manager.recover().await.expect("recovered");
        ready(&manager, "nas").await;
        settled(&manager).await;
        Home { manager, networks }
    }
}

async fn made(manager: &Manager, network: ShareNetworkId) -> ShareId {
    let share = manager.create_share(&tenant(), share_on(network)).await.expect("accepted").share.id;
    settled(manager).await;
    share
}

/// A tenant sets metadata of the network's subnet, and its server follows.
async fn follows(manager: &Manager, network: ShareNetworkId) {
    let shown = manager.show_share_network(&Scope::Everything, network).expect("the network");
    let subnet = shown.subnets.first().expect("a subnet").id;
    let metadata = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    manager.update_share_network_subnet(&tenant(), network, subnet, metadata).await.expect("set");
    settled(manager).await;
}

/// A security service and a subnet come to a network whose servers are asked first.
async fn changes(manager: &Manager, network: ShareNetworkId) {
    let service = service(manager).await;
    assert!(answer(manager, network, &NetworkChange::AddService { service }).await);
    manager.add_security_service(&tenant(), network, service, WhileInUse::Follow).await.expect("accepted");
    settled(manager).await;
    let subnet = NetworkChange::AddSubnet { neutron_net_id: None, neutron_subnet_id: None };
    assert!(answer(manager, network, &subnet).await);
    let new = NewSubnet::default();
    manager.add_share_network_subnet(&tenant(), network, new, WhileInUse::Follow).await.expect("accepted");
    settled(manager).await;
}

/// Every network is active, and its servers use all its services and serve all its subnets.
fn assert_followed(manager: &Manager, world: &Mutex<World>, told: &str) {
    for network in manager.list_share_networks(&Scope::Everything) {
        assert_eq!(network.status, ShareNetworkStatus::Active, "{told}");
        let servers = manager.list_share_servers(&Scope::Everything);
        for view in servers.iter().filter(|view| view.server.share_network == network.id) {
            let server = &view.server;
            assert!(network.subnets.iter().all(|subnet| server.serves(subnet.id)), "{told}: {server:#?}");
            let used: Vec<_> = server.security_services.iter().map(|service| service.id).collect();
            assert_eq!(used, network.security_services, "{told}");
            let world = world.lock().expect("the world");
            let told_to_driver = world.services.get(&server.id).cloned().unwrap_or_default();
            assert_eq!(told_to_driver, network.security_services, "{told}");
        }
    }
}

async fn gone(manager: &Manager, share: ShareId) {
    manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    settled(manager).await;
}

async fn tell(manager: &Manager, story: Story, networks: [ShareNetworkId; 2]) {
    let [first, second] = networks;
    manager.create_share_type(&operator(), on_servers()).await.expect("made");
    match story {
        Story::Usual => {
            let leaving = made(manager, first).await;
            follows(manager, first).await;
            made(manager, first).await;
            let alone = made(manager, second).await;
            gone(manager, alone).await;
            gone(manager, leaving).await;
        }
        Story::Failing => {
            let share = made(manager, first).await;
            gone(manager, share).await;
        }
        Story::Changing => {
            made(manager, first).await;
            changes(manager, first).await;
        }
        Story::Managing => {
            let named = ManageServer {
                backend: "nas".parse().expect("a name"),
                share_network: first,
                subnet: None,
                identifier: "old".to_owned(),
                driver_options: BTreeMap::new(),
            };
            let server = manager.manage_share_server(&operator(), named).await.expect("accepted").server.id;
            settled(manager).await;
            manager.unmanage_share_server(&operator(), server, Force::No).await.expect("accepted");
            settled(manager).await;
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(durable: &Durable, death: &Arc<Death>, story: Story) {
    let runtime = runtime();
    let told = async {
        let networks = [network(&*durable.records, "alpha").await, network(&*durable.records, "alpha").await];
        let home = durable.open(death, story).await;
        tell(&home.manager, story, networks).await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = told => {}
            () = death.happened() => {}
        }
    });
    runtime.shutdown_background();
    durable.world.lock().expect("the world").end_of_life();
}

/// Every server of the records is at the backend with the addresses that are kept for it, and there is no other server or address.
async fn assert_agreement(home: &Home, world: &Mutex<World>, told: &str) {
    let servers = home.manager.list_share_servers(&Scope::Everything);
    let mut addressed = home.networks.servers().await.expect("read");
    let mut known: Vec<_> = servers.iter().map(|view| view.server.id).collect();
    addressed.sort();
    known.sort();
    assert_eq!(addressed, known, "{told}: addresses are kept for exactly the servers that are there");
    for view in &servers {
        let server = &view.server;
        assert_eq!(server.status, ShareServerStatus::Active, "{told}: {server:#?}");
        let kept = home.networks.allocations(server.id).await.expect("read");
        let kept = kept.iter().map(|kept| kept.allocation.ip_address).collect();
        let world = world.lock().expect("the world");
        let held = world.servers.get(&server.id).expect("it is at the backend");
        assert_eq!(held.addresses, kept, "{told}");
    }
    let world = world.lock().expect("the world");
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
}

/// The next life: after recovery everything comes to rest, and records, backend and addresses agree.
fn put_right(durable: &Durable, story: Story, told: &str) {
    runtime().block_on(async {
        let home = durable.open(&Death::never(), Story::Usual).await;
        let manager = &home.manager;
        let in_use = home.networks.in_use_unmanaged().await.expect("read").len();
        if matches!(story, Story::Usual | Story::Changing) {
            for view in manager.list_shares(&Scope::Everything) {
                assert_eq!(view.instance.status, ShareStatus::Available, "{told}: {view:#?}");
            }
            for operation in manager.list_operations(&Scope::Everything, 1000) {
                assert_eq!(operation.state, OperationState::Succeeded, "{told}: {operation:#?}");
            }
            let networks = manager.list_share_networks(&Scope::Everything);
            let is_written = networks.iter().flat_map(|one| &one.subnets).any(|one| !one.metadata.is_empty());
            let is_followed = !durable.world.lock().expect("the world").followed_subnets.is_empty();
            assert_eq!(is_followed, is_written, "{told}: what a tenant wrote of a subnet its server follows");
        }
        for view in manager.list_share_servers(&Scope::Everything) {
            // One that was taken over stays until somebody says otherwise.
            if !view.server.is_auto_deletable {
                manager.delete_share_server(&operator(), view.server.id).await.expect("accepted");
            }
        }
        settled(manager).await;
        let is_served = || {
            let all = manager.list_share_servers(&Scope::Everything);
            all.iter().all(|view| view.shares > 0) && all.iter().all(|view| view.operation.is_none())
        };
        if story == Story::Changing {
            assert_followed(manager, &durable.world, told);
        }
        if matches!(story, Story::Usual | Story::Changing) {
            until("unused servers are gone", async || is_served()).await;
            assert_agreement(&home, &durable.world, told).await;
        }
        for view in manager.list_shares(&Scope::Everything) {
            gone(manager, view.share.id).await;
        }
        until("all servers are gone", async || manager.list_share_servers(&Scope::Everything).is_empty())
            .await;
        settled(manager).await;
        assert_agreement(&home, &durable.world, told).await;
        let world = durable.world.lock().expect("the world");
        let let_go = usize::from(in_use > 0);
        assert_eq!((world.shares.len(), world.servers.len()), (0, let_go), "{told}: {world:#?}");
        assert_eq!(in_use, 2 * let_go, "{told}: both addresses of the server that was let go");
    });
}

fn at_every_step(story: Story) {
    at_every_point(&format!("a life on share servers, {story:?}"), 30, |death, told| {
        let durable = Durable::new();
        live(&durable, death, story);
        put_right(&durable, story, &told());
    });
}

#[test]
fn a_crash_at_any_step_of_a_life_on_share_servers_is_put_right() {
    at_every_step(Story::Usual);
}

#[test]
fn a_crash_at_any_step_of_a_set_up_that_fails_leaves_nothing() {
    at_every_step(Story::Failing);
}

#[test]
fn a_crash_at_any_step_of_a_change_of_a_network_in_use_is_put_right() {
    at_every_step(Story::Changing);
}

#[test]
fn a_crash_at_any_step_of_taking_a_server_over_and_letting_it_go_is_put_right() {
    at_every_step(Story::Managing);
}
