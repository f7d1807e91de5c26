//! The standalone provider on a store in memory, with time that stands still.

use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::network_allocation::{
    AddressBook, AddressRequest, AllocationError, GiveBack, NetworkProvider, Purpose, REST, Release,
    Standalone, SubnetChoice, TakeOver,
};
use bulkhead_capability::testing::{TestHost, subnet};
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{RequestId, ShareServerId};
use bulkhead_model::network::{AllocationLabel, NetworkAllocation};
use bulkhead_model::statistics::IpVersion;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn reason() -> CallReason {
    CallReason { request: RequestId::random(), operation: None, earlier_attempts: 0 }
}

/// What the host asks for a server before it sets it up.
pub(crate) fn host_request(server: ShareServerId, count: usize) -> AddressRequest {
    AddressRequest {
        server,
        project: Some("p".parse().expect("a project")),
        label: AllocationLabel::User,
        version: None,
        subnet: SubnetChoice::Given(Box::new(subnet())),
        count,
        purpose: Purpose::Host,
    }
}

pub(crate) fn of_driver(request: &AddressRequest, purpose: &str, count: usize) -> AddressRequest {
    let purpose = Purpose::Driver(purpose.to_owned());
    AddressRequest { project: None, subnet: SubnetChoice::First, count, purpose, ..request.clone() }
}

pub(crate) async fn host() -> TestHost {
    TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host")
}

pub(crate) fn backend(host: &TestHost, name: &str, networks: Value) -> Standalone {
    let networks = serde_json::from_value(networks).expect("grants");
    let name = name.parse().expect("a backend");
    Standalone::new(host.addresses.clone(), name, &networks).expect("sound networks")
}

pub(crate) fn network(gateway: &str, mask: u8) -> Value {
    json!({ "gateway": gateway, "mask": mask })
}

/// A backend whose tenants' network is 10.0.0.0/24, and whose administrators' is 172.16.0.0/24.
async fn usual() -> Standalone {
    let (user, admin) = (network("10.0.0.1", 24), network("172.16.0.1", 24));
    backend(&host().await, "nas", json!({ "user": [user], "admin": [admin] }))
}

pub(crate) async fn allocate(networks: &Standalone, request: &AddressRequest) -> Vec<String> {
    let kept = networks.allocate(request, &reason()).await.expect("allocated");
    kept.iter().map(|allocation| allocation.ip_address.to_string()).collect()
}

async fn all(networks: &Standalone, server: ShareServerId) -> Vec<String> {
    let kept = networks.allocations(server).await.expect("read");
    kept.iter().map(|kept| kept.allocation.ip_address.to_string()).collect()
}

async fn release(networks: &Standalone, server: ShareServerId) {
    networks.release(server, &Release::Everything, &reason()).await.expect("released");
}

/// Contract N-11, N-14, N-17. What a subnet learns of its network does not hang on addresses.
#[tokio::test]
async fn a_network_is_described_whether_or_not_it_has_addresses_left() {
    let user = json!([{
        "gateway": "10.0.0.1", "mask": 30, "network-type": "vlan", "segmentation-id": 7, "mtu": 9000,
    }]);
    let networks = backend(&host().await, "nas", json!({ "user": user }));
    let none = host_request(ShareServerId::random(), 0);
    assert_eq!(allocate(&networks, &none).await, Vec::<String>::new());
    let last = host_request(ShareServerId::random(), 1);
    assert_eq!(allocate(&networks, &last).await, ["10.0.0.2"]);
    let full = networks.allocate(&host_request(ShareServerId::random(), 1), &reason()).await;
    let told = full.expect_err("full").to_string();
    assert!(told.contains("the user network 10.0.0.0/30") && told.contains("has 0 addresses left"), "{told}");
    let mut subnet = subnet();
    subnet.describe(&networks.describe(&subnet, None).await.expect("described"));
    assert_eq!(subnet.cidr.expect("a network").to_string(), "10.0.0.0/30");
    assert_eq!((subnet.mtu, subnet.segmentation_id), (Some(9000), Some(7)));
    assert_eq!(subnet.ip_version(), Some(IpVersion::V4));
}

/// Contract N-12.
#[tokio::test]
async fn the_first_free_address_is_given_to_tenants_and_to_administrators() {
    let networks = usual().await;
    let user = host_request(ShareServerId::random(), 1);
    let kept = networks.allocate(&user, &reason()).await.expect("allocated");
    let [NetworkAllocation { ip_address, gateway, subnet_id, label, mtu, .. }] = kept.as_slice() else {
        panic!("one address: {kept:?}")
    };
    assert_eq!((ip_address.to_string().as_str(), *mtu), ("10.0.0.2", 1500));
    assert_eq!(gateway.expect("a gateway").to_string(), "10.0.0.1");
    assert!(*label == AllocationLabel::User && subnet_id.is_some());
    let admin = AddressRequest { label: AllocationLabel::Admin, ..user.clone() };
    let kept = networks.allocate(&admin, &reason()).await.expect("allocated");
    assert_eq!(kept.iter().map(|one| one.subnet_id).collect::<Vec<_>>(), [None]);
    assert_eq!(all(&networks, user.server).await, ["10.0.0.2", "172.16.0.2"]);
}

/// Contract N-13.
#[tokio::test]
async fn used_addresses_are_passed_over_in_order() {
    let networks = usual().await;
    let servers = [(); 3].map(|()| ShareServerId::random());
    for (server, address) in servers.iter().zip(["10.0.0.2", "10.0.0.3", "10.0.0.4"]) {
        assert_eq!(allocate(&networks, &host_request(*server, 1)).await, [address]);
    }
    tokio::time::pause();
    release(&networks, servers[1]).await;
    tokio::time::advance(REST).await;
    assert_eq!(
        allocate(&networks, &host_request(ShareServerId::random(), 2)).await,
        ["10.0.0.3", "10.0.0.5"]
    );
}

/// Contract N-10.
#[tokio::test(start_paused = true)]
async fn everything_of_a_server_is_released_and_rests_before_others_get_it() {
    let networks = backend(&host().await, "nas", json!({ "user": [network("10.0.0.1", 29)] }));
    let (gone, next) = (host_request(ShareServerId::random(), 4), host_request(ShareServerId::random(), 2));
    allocate(&networks, &gone).await;
    let admin = of_driver(&gone, "failover", 1);
    allocate(&networks, &admin).await;
    release(&networks, gone.server).await;
    release(&networks, gone.server).await;
    assert_eq!(all(&networks, gone.server).await, Vec::<String>::new());
    assert_eq!(networks.servers().await.expect("read"), []);
    tokio::time::advance(REST.saturating_sub(Duration::from_secs(1))).await;
    assert!(matches!(
        networks.allocate(&next, &reason()).await,
        Err(AllocationError::Exhausted { free: 0, wanted: 2, .. })
    ));
    assert_eq!(all(&networks, next.server).await, Vec::<String>::new(), "all or nothing");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(allocate(&networks, &next).await, ["10.0.0.2", "10.0.0.3"]);
}

#[tokio::test]
async fn a_repeat_finds_what_it_had_and_another_count_is_a_conflict() {
    let networks = usual().await;
    let request = host_request(ShareServerId::random(), 2);
    let first = networks.allocate(&request, &reason()).await.expect("allocated");
    assert_eq!(networks.allocate(&request, &reason()).await.expect("again"), first);
    let more = AddressRequest { count: 3, ..request.clone() };
    assert!(matches!(
        networks.allocate(&more, &reason()).await,
        Err(AllocationError::OtherCount { found: 2, wanted: 3, .. })
    ));
    let other_subnet = host_request(request.server, 1);
    assert_eq!(allocate(&networks, &other_subnet).await, ["10.0.0.4"], "each subnet has its own");
    let extra = of_driver(&request, "failover", 1);
    assert_eq!(allocate(&networks, &extra).await, ["10.0.0.5"]);
    assert_eq!(allocate(&networks, &extra).await, ["10.0.0.5"]);
    let what = Release::Purpose(Purpose::Driver("failover".to_owned()));
    networks.release(request.server, &what, &reason()).await.expect("released");
    networks.release(request.server, &what, &reason()).await.expect("again");
    assert_eq!(all(&networks, request.server).await, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    let kept = networks.allocations(request.server).await.expect("read");
    let second = kept.last().and_then(|kept| kept.allocation.subnet_id).expect("a subnet");
    networks.release(request.server, &Release::Subnet(second), &reason()).await.expect("released");
    assert_eq!(
        all(&networks, request.server).await,
        ["10.0.0.2", "10.0.0.3"],
        "those of the other subnet stay"
    );
}

#[tokio::test]
async fn no_address_is_kept_twice_whichever_backend_or_label_asks() {
    let host = host().await;
    let same = || json!({ "user": [network("10.0.0.1", 28)], "admin": [network("10.0.0.1", 28)] });
    let (one, other) = (backend(&host, "one", same()), backend(&host, "other", same()));
    let mut found = BTreeSet::new();
    for networks in [&one, &other] {
        let user = host_request(ShareServerId::random(), 3);
        let admin = AddressRequest { label: AllocationLabel::Admin, ..user.clone() };
        found.extend(allocate(networks, &user).await);
        found.extend(allocate(networks, &admin).await);
    }
    assert_eq!(found.len(), 12, "{found:?}");
}

#[tokio::test]
async fn another_backends_server_is_foreign_in_every_call() {
    let host = host().await;
    let grants = || json!({ "user": [network("10.0.0.1", 28)] });
    let (one, other) = (backend(&host, "one", grants()), backend(&host, "other", grants()));
    let request = host_request(ShareServerId::random(), 1);
    allocate(&one, &request).await;
    let foreign = |result: Result<(), AllocationError>| {
        assert!(matches!(result, Err(AllocationError::Foreign { .. })), "{result:?}");
    };
    foreign(other.allocate(&request, &reason()).await.map(drop));
    foreign(other.allocations(request.server).await.map(drop));
    foreign(other.release(request.server, &Release::Everything, &reason()).await);
    foreign(other.let_go(request.server, &reason()).await);
    foreign(other.manage(&take_over(&request, &[]), &reason()).await.map(drop));
    let unknown = of_driver(&host_request(ShareServerId::random(), 1), "x", 1);
    foreign(other.allocate(&unknown, &reason()).await.map(drop));
    assert_eq!(all(&one, request.server).await, ["10.0.0.2"]);
    assert_eq!(other.servers().await.expect("read"), []);
}

#[tokio::test]
async fn quotas_hold_for_the_backend_and_for_each_project() {
    let user = [network("10.0.0.1", 24)];
    let grants = json!({ "user": user, "most-addresses": 5, "most-addresses-per-project": 3 });
    let networks = backend(&host().await, "nas", grants);
    let of = |project: &str, count| AddressRequest {
        project: Some(project.parse().expect("a project")),
        ..host_request(ShareServerId::random(), count)
    };
    let first = of("p", 3);
    allocate(&networks, &first).await;
    let told = networks.allocate(&of("p", 1), &reason()).await.expect_err("at its quota").to_string();
    assert!(told.contains("project p") && told.contains("most-addresses-per-project"), "{told}");
    allocate(&networks, &of("q", 2)).await;
    let told = networks.allocate(&of("r", 1), &reason()).await.expect_err("at its quota").to_string();
    assert!(told.contains("backend nas have 5 addresses and may have 5"), "{told}");
    allocate(&networks, &of("r", 0)).await;
    release(&networks, first.server).await;
    allocate(&networks, &of("p", 3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_project_that_makes_and_removes_servers_leaves_addresses_for_others() {
    let user = json!([{ "gateway": "10.0.0.1", "mask": 28 }]);
    let host = host().await;
    let grants = json!({ "user": user, "most-addresses-per-project": 2 });
    let networks = backend(&host, "nas", grants.clone());
    let of = |project: &str| AddressRequest {
        project: Some(project.parse().expect("a project")),
        ..host_request(ShareServerId::random(), 1)
    };
    for _ in 0..4 {
        let server = of("busy");
        allocate(&networks, &server).await;
        release(&networks, server.server).await;
    }
    let addresses = AddressBook::open(Arc::clone(&host.store), host.ledger.clone()).await.expect("opened");
    let networks = backend(&TestHost { addresses, ..host }, "nas", grants);
    let told = networks.allocate(&of("busy"), &reason()).await.expect_err("too many rest").to_string();
    assert!(told.contains("4 addresses") && told.contains("most-addresses-per-project"), "{told}");
    allocate(&networks, &of("other")).await;
    tokio::time::advance(REST).await;
    allocate(&networks, &of("busy")).await;
}

fn take_over(request: &AddressRequest, addresses: &[&str]) -> TakeOver {
    TakeOver {
        server: request.server,
        project: request.project.clone().expect("a project"),
        label: request.label,
        subnet: request.subnet.clone(),
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
    }
}

/// Contract N-15. What is reserved or another server's is not taken over; Manila looks at neither.
#[tokio::test]
async fn addresses_of_a_managed_server_are_kept_and_the_rest_is_returned() {
    let networks = backend(&host().await, "nas", json!({ "user": [network("192.168.0.1", 24)] }));
    let server = host_request(ShareServerId::random(), 0);
    let found = take_over(&server, &["192.168.0.11", "192.168.0.12", "fd12::2000", "192.168.0.1"]);
    let left = networks.manage(&found, &reason()).await.expect("taken over");
    let left: BTreeSet<String> = left.iter().map(ToString::to_string).collect();
    assert_eq!(left, BTreeSet::from(["192.168.0.1", "fd12::2000"].map(ToOwned::to_owned)));
    assert_eq!(all(&networks, server.server).await, ["192.168.0.11", "192.168.0.12"]);
    networks.manage(&found, &reason()).await.expect("again");
    assert_eq!(all(&networks, server.server).await.len(), 2);
    let other = host_request(ShareServerId::random(), 0);
    let taken = networks.manage(&take_over(&other, &["192.168.0.13", "192.168.0.12"]), &reason()).await;
    assert!(matches!(taken, Err(AllocationError::KeptForAnother { server: of, .. }) if of == server.server));
    assert_eq!(all(&networks, other.server).await, Vec::<String>::new(), "all or nothing");
}

/// Contract N-16. They are forgotten, but not given to others: the server uses them still.
#[tokio::test(start_paused = true)]
async fn addresses_of_an_unmanaged_server_stay_out_of_use_until_it_is_managed_again_or_they_are_given_back() {
    let host = host().await;
    let grants = json!({ "user": [network("10.0.0.1", 29)] });
    let networks = backend(&host, "nas", grants.clone());
    let server = host_request(ShareServerId::random(), 2);
    allocate(&networks, &server).await;
    networks.let_go(server.server, &reason()).await.expect("let go");
    networks.let_go(server.server, &reason()).await.expect("again");
    assert_eq!(all(&networks, server.server).await, Vec::<String>::new());
    tokio::time::advance(REST * 2).await;
    let next = host_request(ShareServerId::random(), 1);
    assert_eq!(allocate(&networks, &next).await, ["10.0.0.4"]);
    let again = host_request(ShareServerId::random(), 0);
    let left = networks.manage(&take_over(&again, &["10.0.0.2"]), &reason()).await.expect("managed");
    assert!(left.is_empty(), "{left:?}");
    let three: IpAddr = "10.0.0.3".parse().expect("an address");
    assert_eq!(networks.in_use_unmanaged().await.expect("read"), [three]);
    let elsewhere = backend(&host, "other", grants);
    let foreign = elsewhere.give_back(three, GiveBack::InUse, &reason()).await;
    assert!(matches!(foreign, Err(AllocationError::Foreign { .. })), "{foreign:?}");
    assert_eq!(networks.in_use_unmanaged().await.expect("read"), [three]);
    for _ in 0..2 {
        networks.give_back(three, GiveBack::Unmanaged, &reason()).await.expect("given back");
    }
    tokio::time::advance(REST).await;
    assert_eq!(allocate(&networks, &host_request(ShareServerId::random(), 1)).await, ["10.0.0.3"]);
}

/// What another backend let go is in use there: another server may not have its address too.
#[tokio::test]
async fn an_address_of_a_server_that_another_backend_let_go_is_not_taken_over() {
    let host = host().await;
    let grants = json!({ "user": [network("10.0.0.1", 24)] });
    let (networks, elsewhere) = (backend(&host, "nas", grants.clone()), backend(&host, "other", grants));
    let server = host_request(ShareServerId::random(), 1);
    assert_eq!(allocate(&networks, &server).await, ["10.0.0.2"]);
    networks.let_go(server.server, &reason()).await.expect("let go");
    let other = host_request(ShareServerId::random(), 0);
    let taken = elsewhere.manage(&take_over(&other, &["10.0.0.2"]), &reason()).await;
    assert!(
        matches!(taken, Err(AllocationError::KeptForAnother { server: of, .. }) if of == server.server),
        "{taken:?}"
    );
    let two: IpAddr = "10.0.0.2".parse().expect("an address");
    assert_eq!(networks.in_use_unmanaged().await.expect("read"), [two]);
    networks.manage(&take_over(&other, &["10.0.0.2"]), &reason()).await.expect("where it is, it is");
    assert_eq!(all(&networks, other.server).await, ["10.0.0.2"]);
}

/// Contract N-18. Both versions are served, IPv4 first.
#[tokio::test]
async fn a_backend_with_networks_of_both_versions_gives_each_when_asked() {
    let user = [network("2001:db8::1", 64), network("10.0.0.1", 24)];
    let networks = backend(&host().await, "nas", json!({ "user": user }));
    let versions = BTreeSet::from([IpVersion::V4, IpVersion::V6]);
    assert_eq!(networks.ip_versions(AllocationLabel::User), versions);
    assert_eq!(networks.ip_versions(AllocationLabel::Admin), BTreeSet::new());
    let request = host_request(ShareServerId::random(), 1);
    assert_eq!(allocate(&networks, &request).await, ["10.0.0.2"]);
    let six = AddressRequest { version: Some(IpVersion::V6), ..of_driver(&request, "six", 2) };
    for _ in 0..2 {
        assert_eq!(allocate(&networks, &six).await, ["2001:db8::2", "2001:db8::3"]);
    }
    for (version, cidr) in [(None, "10.0.0.0/24"), (six.version, "2001:db8::/64")] {
        let described = networks.describe(&subnet(), version).await.expect("described");
        assert_eq!(described.cidr.to_string(), cidr);
    }
    let four = AddressRequest { version: Some(IpVersion::V4), ..six };
    let told = networks.allocate(&four, &reason()).await;
    assert!(matches!(told, Err(AllocationError::OtherVersion { wanted: IpVersion::V4, .. })), "{told:?}");
    let admin = AddressRequest { label: AllocationLabel::Admin, ..request };
    let told = networks.allocate(&admin, &reason()).await.expect_err("not bound").to_string();
    assert!(told.contains("[[grant.networks.admin]]"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_book_that_is_opened_again_says_the_same_and_lets_addresses_rest_on() {
    let host = host().await;
    let grants = json!({ "user": [network("10.0.0.1", 24)] });
    let networks = backend(&host, "nas", grants.clone());
    let (kept, gone) = (host_request(ShareServerId::random(), 2), host_request(ShareServerId::random(), 1));
    let first = networks.allocate(&kept, &reason()).await.expect("allocated");
    allocate(&networks, &gone).await;
    release(&networks, gone.server).await;
    let addresses = AddressBook::open(Arc::clone(&host.store), host.ledger.clone()).await.expect("opened");
    let again = backend(&TestHost { addresses, ..host }, "nas", grants);
    assert_eq!(again.allocate(&kept, &reason()).await.expect("found"), first);
    assert_eq!(allocate(&again, &host_request(ShareServerId::random(), 1)).await, ["10.0.0.5"]);
    tokio::time::advance(REST).await;
    assert_eq!(allocate(&again, &host_request(ShareServerId::random(), 1)).await, ["10.0.0.4"]);
}

#[tokio::test]
async fn two_books_on_one_store_keep_no_address_twice() {
    let host = host().await;
    let grants = json!({ "user": [network("10.0.0.1", 24)] });
    let addresses = AddressBook::open(Arc::clone(&host.store), host.ledger.clone()).await.expect("opened");
    let other = backend(&TestHost { addresses, ..host.clone() }, "nas", grants.clone());
    let one = backend(&host, "nas", grants);
    assert_eq!(allocate(&one, &host_request(ShareServerId::random(), 2)).await, ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(allocate(&other, &host_request(ShareServerId::random(), 1)).await, ["10.0.0.4"]);
    assert_eq!(allocate(&one, &host_request(ShareServerId::random(), 1)).await, ["10.0.0.5"]);
}

#[tokio::test]
async fn what_servers_had_that_are_not_there_any_more_is_released_after_a_crash() {
    let networks = usual().await;
    let (there, lost) = (host_request(ShareServerId::random(), 1), host_request(ShareServerId::random(), 0));
    allocate(&networks, &there).await;
    allocate(&networks, &lost).await;
    allocate(&networks, &of_driver(&lost, "failover", 3)).await;
    let exists = |server: &ShareServerId| *server == there.server;
    assert_eq!(networks.reconcile(&exists, &reason()).await.expect("reconciled"), [lost.server]);
    assert_eq!(networks.reconcile(&exists, &reason()).await.expect("again"), []);
    assert_eq!(networks.servers().await.expect("read"), [there.server]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_store_and_memory_alike() {
    let host = host().await;
    let networks = backend(&host, "nas", json!({ "user": [network("10.0.0.1", 24)] }));
    for _ in 0..20 {
        let request = host_request(ShareServerId::random(), 2);
        drop(crate::lab::abandoned(networks.allocate(&request, &reason())).await);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let addresses = AddressBook::open(Arc::clone(&host.store), host.ledger.clone()).await.expect("opened");
    let read = backend(&TestHost { addresses, ..host }, "nas", json!({ "user": [network("10.0.0.1", 24)] }));
    let servers = networks.servers().await.expect("read");
    assert_eq!(read.servers().await.expect("read"), servers);
    for server in servers {
        let kept = networks.allocations(server).await.expect("read");
        assert_eq!(read.allocations(server).await.expect("read"), kept);
    }
}

#[tokio::test]
async fn a_full_network_of_65533_addresses_is_used_to_the_last_one_and_says_how_full_it_is() {
    let grants = json!({
        "user": [network("10.1.0.1", 16)], "most-addresses": 100_000, "most-addresses-per-project": 100_000,
    });
    let networks = backend(&host().await, "nas", grants);
    let mut left = 65_533;
    let mut last = None;
    while left > 0 {
        let count = left.min(64);
        let kept = networks.allocate(&host_request(ShareServerId::random(), count), &reason()).await;
        last = kept.expect("allocated").last().map(|one| one.ip_address.to_string());
        left -= count;
    }
    assert_eq!(last.as_deref(), Some("10.1.255.254"));
    let usage = networks.usage().await.expect("read");
    assert_eq!(usage.iter().map(|one| (one.size, one.free)).collect::<Vec<_>>(), [(65_533, 0)]);
    let full = networks.allocate(&host_request(ShareServerId::random(), 1), &reason()).await;
    assert!(matches!(full, Err(AllocationError::Exhausted { free: 0, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_workers_never_have_an_address_twice_and_lose_none() {
    churn(2_000, 14).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; `cargo xtask soak` runs it, the test above is its short form"]
async fn sixteen_workers_never_have_an_address_twice_in_a_hundred_thousand_rounds() {
    churn(100_000, 12).await;
}

/// Each of 16 workers allocates and releases; what it was given is never another's meanwhile, and at the end nothing is kept.
async fn churn(rounds: usize, mask: u8) {
    let grants = json!({
        "user": [network("10.0.0.1", mask)], "most-addresses": 300_000, "most-addresses-per-project": 300_000,
    });
    let networks = Arc::new(backend(&host().await, "nas", grants));
    let in_use = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let count_in = |worker: usize, round: usize| 1 + (worker + round) % 3;
    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let (networks, in_use) = (Arc::clone(&networks), Arc::clone(&in_use));
            tokio::spawn(async move {
                for round in 0..rounds / 16 {
                    let request = host_request(ShareServerId::random(), count_in(worker, round));
                    let kept = networks.allocate(&request, &reason()).await.expect("allocated");
                    for one in &kept {
                        assert!(in_use.lock().expect("a lock").insert(one.ip_address), "{one:?} twice");
                    }
                    tokio::task::yield_now().await;
                    for one in &kept {
                        in_use.lock().expect("a lock").remove(&one.ip_address);
                    }
                    release(&networks, request.server).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("no duplicate");
    }
    assert_eq!(networks.servers().await.expect("read"), []);
    let usage = networks.usage().await.expect("read");
    let given: usize =
        (0..16).flat_map(|worker| (0..rounds / 16).map(move |round| count_in(worker, round))).sum();
    let resting: u128 = usage.iter().map(|one| one.size - one.free).sum();
    let given = u128::try_from(given).expect("a number");
    assert_eq!(resting, given, "what was given out rests, and nothing else");
}
