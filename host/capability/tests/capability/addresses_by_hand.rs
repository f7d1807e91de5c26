//! What an operator sees of addresses, and gives back by hand.

use crate::network_allocation::{allocate, backend, host, host_request, network, of_driver, reason};
use bulkhead_capability::network_allocation::{
    AllocationError, GiveBack, Holder, NetworkProvider as _, Purpose, REST, Release, Standalone, TakenAddress,
};
use bulkhead_model::effect::LedgerEntry;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::AllocationLabel;
use serde_json::json;
use std::net::IpAddr;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

async fn taken(networks: &Standalone) -> Vec<TakenAddress> {
    networks.taken(None, 100).await.expect("read")
}

#[tokio::test(start_paused = true)]
async fn every_address_that_is_not_free_is_told_with_what_has_it_and_what_for() {
    let host = host().await;
    let grants = json!({ "user": [network("10.0.0.1", 29)] });
    let (networks, beside) = (backend(&host, "nas", grants.clone()), backend(&host, "beside", grants));
    let apart = backend(&host, "apart", json!({ "user": [network("10.1.0.1", 29)] }));
    let server = host_request(ShareServerId::random(), 1);
    allocate(&networks, &server).await;
    allocate(&networks, &of_driver(&server, "data", 1)).await;
    let (other, gone) = (host_request(ShareServerId::random(), 1), host_request(ShareServerId::random(), 1));
    allocate(&beside, &other).await;
    allocate(&networks, &gone).await;
    networks.release(gone.server, &Release::Everything, &reason()).await.expect("released");
    allocate(&apart, &host_request(ShareServerId::random(), 1)).await;
    let all = taken(&networks).await;
    let told: Vec<_> = all.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(told, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
    let network = Some((AllocationLabel::User, "10.0.0.0/29".parse().expect("a network")));
    assert!(all.iter().all(|one| one.network == network), "{all:?}");
    let of = |purpose| Holder::Server {
        server: server.server,
        backend: "nas".parse().expect("a backend"),
        project: "p".parse().expect("a project"),
        purpose,
    };
    assert_eq!(all[0].holder, of(Purpose::Host));
    assert_eq!(all[1].holder, of(Purpose::Driver("data".to_owned())));
    assert!(matches!(&all[2].holder, Holder::Server { backend, .. } if backend.as_str() == "beside"));
    assert!(matches!(all[3].holder, Holder::Resting { .. }), "{all:?}");
    let page = networks.taken(Some(address("10.0.0.3")), 1).await.expect("read");
    assert_eq!(page, all[2..3], "a page of them");
    let of_other = taken(&apart).await;
    assert_eq!(of_other.len(), 1, "{of_other:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_driver_counts_on_goes_back_by_hand_only_if_that_is_meant_and_what_a_server_is_reached_at_never()
 {
    let host = host().await;
    let networks = backend(&host, "nas", json!({ "user": [network("10.0.0.1", 29)] }));
    let server = host_request(ShareServerId::random(), 1);
    allocate(&networks, &server).await;
    allocate(&networks, &of_driver(&server, "data", 2)).await;
    let (own, extra) = (address("10.0.0.2"), address("10.0.0.3"));
    let refused = networks.give_back(extra, GiveBack::Unmanaged, &reason()).await.expect_err("in use");
    assert!(matches!(&refused, AllocationError::InUse { purpose, .. } if purpose == "data"), "{refused}");
    for what in [GiveBack::Unmanaged, GiveBack::InUse] {
        let refused = networks.give_back(own, what, &reason()).await.expect_err("the server's");
        assert!(matches!(refused, AllocationError::OfServer { .. }), "{refused}");
    }
    for what in [GiveBack::InUse, GiveBack::InUse, GiveBack::Unmanaged] {
        networks.give_back(extra, what, &reason()).await.expect("given back, or resting already");
    }
    let left = networks.allocations(server.server).await.expect("read");
    let left: Vec<_> = left.iter().map(|kept| kept.allocation.ip_address).collect();
    assert_eq!(left, [own, address("10.0.0.4")]);
    let next = host_request(ShareServerId::random(), 1);
    assert_eq!(allocate(&networks, &next).await, ["10.0.0.5"], "it rests");
    tokio::time::advance(REST).await;
    assert_eq!(allocate(&networks, &of_driver(&next, "data", 1)).await, ["10.0.0.3"]);
    let nowhere = networks.give_back(address("10.9.9.9"), GiveBack::InUse, &reason()).await;
    assert!(matches!(nowhere, Err(AllocationError::NotGiven { .. })), "{nowhere:?}");
}

#[tokio::test(start_paused = true)]
async fn giving_back_by_hand_stands_in_the_ledger_with_the_server_that_had_it() {
    let host = host().await;
    let networks = backend(&host, "nas", json!({ "user": [network("10.0.0.1", 29)] }));
    let server = host_request(ShareServerId::random(), 1);
    allocate(&networks, &server).await;
    networks.let_go(server.server, &reason()).await.expect("let go");
    networks.give_back(address("10.0.0.2"), GiveBack::Unmanaged, &reason()).await.expect("given back");
    let name = "nas".parse().expect("a backend");
    let newest = host.ledger.tail(Some(&name), 1).await.expect("read").pop().expect("a record");
    let LedgerEntry::StateChange(told) = newest.entry else { panic!("a change of state: {newest:?}") };
    assert_eq!(told.resource, format!("share-server/{}", server.server));
    assert!(told.change.contains("given back by hand: 10.0.0.2"), "{}", told.change);
}
