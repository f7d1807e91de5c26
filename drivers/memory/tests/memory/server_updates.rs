//! Servers in service that use another security service, or serve one more subnet.

use crate::servers::{server_lab, set_up};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AllocationUpdate, ErrorCode, SecurityService, SecurityServiceUpdate, ServerNetwork, Share, ShareServer,
    SubnetAddition,
};

fn share_on(lab: &Lab, server: &ShareServer) -> Share {
    let share = sample::on_server(&sample::share(1, 1), server);
    lab.create_share::<Memory>(&share).expect("made");
    share
}

fn service(domain: &str) -> SecurityService {
    SecurityService { domain: Some(domain.to_owned()), ..sample::security_service(1) }
}

fn update(server: &ShareServer, domain: &str) -> SecurityServiceUpdate {
    SecurityServiceUpdate {
        server: server.clone(),
        network: sample::server_network(7, server, 1, 0),
        shares: Vec::new(),
        rules: Vec::new(),
        new_service: service(domain),
        current_service: None,
    }
}

/// The server's network with the one of another tenant number as its second subnet.
fn spread(server: &ShareServer) -> AllocationUpdate {
    let current_network = sample::server_network(7, server, 1, 0);
    let mut networks = current_network.networks.clone();
    networks.extend(sample::server_network(8, server, 1, 0).networks);
    AllocationUpdate {
        server: server.clone(),
        new_network: ServerNetwork { networks, ..current_network.clone() },
        current_network,
        shares: Vec::new(),
        snapshots: Vec::new(),
    }
}

#[test]
fn a_server_joins_another_directory_unless_the_array_refuses_its_domain() {
    let lab = server_lab();
    lab.set_option("refused_domain", Value::Text("closed.example".to_owned()));
    let server = set_up(&lab, 7, &sample::share_server(1));
    let (open, closed) = (update(&server, "open.example"), update(&server, "closed.example"));
    assert_eq!(lab.check_security_service_update::<Memory>(&open), Ok(true));
    for _ in 0..2 {
        assert_eq!(lab.update_security_service::<Memory>(&open), Ok(Vec::new()));
    }
    assert_eq!(lab.check_security_service_update::<Memory>(&closed), Ok(false));
    let refused = lab.update_security_service::<Memory>(&closed).expect_err("refused");
    assert_eq!(refused.code(), ErrorCode::SecurityServiceFailed);
}

#[test]
fn a_server_in_one_more_subnet_has_its_shares_at_an_address_of_each() {
    let lab = server_lab();
    let server = set_up(&lab, 7, &sample::share_server(1));
    let share = share_on(&lab, &server);
    let update = AllocationUpdate { shares: vec![share.clone()], ..spread(&server) };
    for _ in 0..2 {
        let outcome = lab.update_network_allocations::<Memory>(&update).expect("spread");
        let paths: Vec<_> = outcome.shares[0].export_locations.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, [format!("10.7.0.10:/{}", share.name), format!("10.8.0.10:/{}", share.name)]);
    }
    let ensured = lab.ensure_shares::<Memory>(&[Share { server: None, ..share }]).expect("found");
    assert_eq!(ensured[0].export_locations.as_ref().map(Vec::len), Some(2), "it is so from now on");
}

#[test]
fn a_server_has_room_for_four_subnets_and_none_in_a_refused_network() {
    let lab = server_lab();
    let server = set_up(&lab, 7, &sample::share_server(1));
    let mut addition = SubnetAddition {
        server: server.clone(),
        network: sample::server_network(7, &server, 1, 0),
        new_subnet: sample::server_network(8, &server, 1, 0).networks[0].subnet.clone(),
        shares: Vec::new(),
        rules: Vec::new(),
    };
    assert_eq!(lab.check_network_allocations_update::<Memory>(&addition), Ok(true));
    let first = addition.network.networks[0].clone();
    addition.network.networks.extend([first.clone(), first.clone(), first]);
    assert_eq!(lab.check_network_allocations_update::<Memory>(&addition), Ok(false));
    lab.set_option("refused_network", Value::Text("10.8.0.0/24".to_owned()));
    let refused = lab.update_network_allocations::<Memory>(&spread(&server)).expect_err("refused");
    assert_eq!(refused.code(), ErrorCode::BadNetworkConfiguration);
}

#[test]
fn a_server_that_is_spread_converges_wherever_that_is_interrupted() {
    let server = sample::share_server(1);
    interrupted_everywhere(
        || {
            let lab = server_lab();
            set_up(&lab, 7, &server);
            lab
        },
        |lab| lab.update_network_allocations::<Memory>(&spread(&server)),
        |lab, moment| {
            let share = sample::on_server(&sample::share(1, 1), &server);
            let locations = lab.create_share::<Memory>(&share).expect("made");
            assert!(moment == Moment::Interrupted || locations.len() == 2);
        },
    );
}
