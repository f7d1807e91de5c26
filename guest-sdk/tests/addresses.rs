//! Addresses that a driver takes for its share servers beside those of the host, against the double.

use bulkhead_sdk::network_allocation::{self, Request};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    AllocationLabel, CapabilityCode, Driver, Error, ExportLocation, IpVersion, NetworkAllocation, Result,
    SecurityService, ServerNetwork, ServerOutcome, ServerRequest, Share, ShareServer, ShareServers,
    Statistics,
};
use std::cell::RefCell;

const MANIFEST: &str = "[driver]\nname = \"servers\"\nversion = \"1.0.0\"\n";

thread_local! {
    /// What the driver does when a server is set up.
    static ASKS: RefCell<fn(&str) -> Result<()>> = const { RefCell::new(|_| Ok(())) };
}

struct Servers;

impl Driver for Servers {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }
}

impl ShareServers for Servers {
    fn network_allocations_number() -> Result<u32> {
        Ok(1)
    }

    fn setup_server(network: &ServerNetwork, _: &ServerRequest) -> Result<ServerOutcome> {
        ASKS.with(|asks| *asks.borrow())(&network.server_id)?;
        Ok(ServerOutcome::default())
    }

    fn teardown_server(_: &ShareServer, _: &[SecurityService]) -> Result<()> {
        Ok(())
    }
}

/// A lab with a server in `10.7.0.0/24` that does `asks` at its set-up.
fn set_up(lab: &Lab, server: &ShareServer, asks: fn(&str) -> Result<()>) -> Result<()> {
    ASKS.with(|current| *current.borrow_mut() = asks);
    let network = sample::server_network(7, server, 1, 0);
    lab.setup_server::<Servers>(&network, &ServerRequest::default()).map(drop)
}

fn code(outcome: Result<Vec<NetworkAllocation>, bulkhead_sdk::CapabilityError>) -> Option<CapabilityCode> {
    outcome.err().map(|error| error.code())
}

#[test]
fn addresses_are_found_again_by_their_purpose_and_go_back_alone() {
    let (lab, server) = (Lab::new(MANIFEST), sample::share_server(1));
    lab.bind_network(AllocationLabel::User, "10.9.0.0/24");
    set_up(&lab, &server, |server| {
        let first = network_allocation::allocate(&Request::new(server, "data").count(2))?;
        let again = network_allocation::allocate(&Request::new(server, "data").count(2))?;
        assert_eq!(first, again);
        let all = network_allocation::allocations(server)?;
        assert_eq!(all.len(), 3, "the host's, and two of its own: {all:?}");
        network_allocation::allocate(&Request::new(server, "spare"))?;
        network_allocation::release(server, "data")?;
        Ok(network_allocation::release(server, "data")?)
    })
    .expect("set up");
    assert_eq!(lab.addresses(&server.id), ["10.7.0.10", "10.9.0.3"]);
    lab.teardown_server::<Servers>(&server, &[]).expect("gone");
    assert!(lab.addresses(&server.id).is_empty());
}

#[test]
fn an_address_that_went_back_is_nobodys_at_once() {
    let (lab, server) = (Lab::new(MANIFEST), sample::share_server(1));
    lab.bind_network(AllocationLabel::User, "10.9.0.0/24");
    set_up(&lab, &server, |server| {
        let first = network_allocation::allocate(&Request::new(server, "data"))?;
        network_allocation::release(server, "data")?;
        assert_ne!(network_allocation::allocate(&Request::new(server, "data"))?, first);
        Ok(())
    })
    .expect("set up");
}

#[test]
fn what_cannot_be_had_is_refused_as_the_host_does() {
    let (lab, server) = (Lab::new(MANIFEST), sample::share_server(1));
    lab.bind_network(AllocationLabel::User, "10.9.0.0/29");
    lab.bind_network(AllocationLabel::User, "fd00:9::/64");
    set_up(&lab, &server, |server| {
        let request = || Request::new(server, "data");
        let foreign = Request::new("99999999-0000-4000-8000-000000000000", "data");
        let cases = [
            (foreign, CapabilityCode::Denied),
            (request().label(AllocationLabel::Admin), CapabilityCode::Denied),
            (request().count(0), CapabilityCode::InvalidArgument),
            (request().count(65), CapabilityCode::InvalidArgument),
            (Request::new(server, ""), CapabilityCode::InvalidArgument),
            (Request::new(server, "a\nb"), CapabilityCode::InvalidArgument),
            (request().count(7), CapabilityCode::NoSpace),
        ];
        for (asked, expected) in cases {
            assert_eq!(code(network_allocation::allocate(&asked)), Some(expected), "{asked:?}");
        }
        let all = network_allocation::allocate(&request().count(6))?;
        assert_eq!(all.first().map(|one| one.ip_address.as_str()), Some("10.9.0.1"));
        assert_eq!(all.last().map(|one| one.ip_address.as_str()), Some("10.9.0.6"));
        assert_eq!(code(network_allocation::allocate(&request())), Some(CapabilityCode::Conflict));
        let next = Request::new(server, "more");
        assert_eq!(code(network_allocation::allocate(&next)), Some(CapabilityCode::NoSpace));
        let other_version = network_allocation::allocate(&next.version(IpVersion::V6))?;
        assert_eq!(other_version.first().map(|one| one.ip_address.as_str()), Some("fd00:9::1"));
        Ok(())
    })
    .expect("set up");
}

#[test]
fn a_call_that_fails_in_trouble_leaves_what_it_got_to_be_found_again() {
    let (lab, server) = (Lab::new(MANIFEST), sample::share_server(1));
    lab.bind_network(AllocationLabel::User, "10.9.0.0/24");
    let asks = |server: &str| {
        network_allocation::allocate(&Request::new(server, "data"))?;
        Err(Error::backend_failed("the array is busy with itself"))
    };
    set_up(&lab, &server, asks).expect_err("it failed");
    let before = lab.addresses(&server.id);
    set_up(&lab, &server, asks).expect_err("it failed again");
    assert_eq!(lab.addresses(&server.id), before);
}
