//! Addresses of their own for shares whose type asks for one: allocated by the driver itself, and given back with the share.

use crate::servers::{server_lab, set_up};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{AllocationLabel, ErrorCode, Share, ShareServer};

const OF_SERVER: &str = "10.7.0.10";

/// A lab with a server and a network of its own addresses.
fn network_lab(cidr: &str) -> (Lab, ShareServer) {
    let lab = server_lab();
    lab.bind_network(AllocationLabel::User, cidr);
    let server = set_up(&lab, 7, &sample::share_server(1));
    (lab, server)
}

/// A share whose type asks for an address of its own.
fn share_on(server: &ShareServer, number: u32) -> Share {
    let extra_specs = vec![("memory:own_address".to_owned(), "<is> True".to_owned())];
    Share { extra_specs, ..sample::on_server(&sample::share(number, 1), server) }
}

fn place(lab: &Lab, share: &Share) -> String {
    lab.create_share::<Memory>(share).expect("made").remove(0).path
}

#[test]
fn a_share_whose_type_asks_for_it_is_at_an_address_of_its_own_also_when_it_is_asked_for_again() {
    let (lab, server) = network_lab("10.9.0.0/24");
    let (first, second) = (share_on(&server, 1), share_on(&server, 2));
    let plain = sample::on_server(&sample::share(3, 1), &server);
    for _ in 0..2 {
        assert_eq!(place(&lab, &first), format!("10.9.0.1:/{}", first.name));
        assert_eq!(place(&lab, &second), format!("10.9.0.2:/{}", second.name));
        assert_eq!(place(&lab, &plain), format!("{OF_SERVER}:/{}", plain.name));
    }
    let ensured = lab.ensure_shares::<Memory>(std::slice::from_ref(&first)).expect("found");
    let found = ensured[0].export_locations.as_ref().expect("said");
    assert_eq!(found[0].path, format!("10.9.0.1:/{}", first.name));
    assert_eq!(lab.addresses(&server.id), [OF_SERVER, "10.9.0.1", "10.9.0.2"]);
}

#[test]
fn the_address_of_a_share_goes_with_it_and_the_others_stay() {
    let (lab, server) = network_lab("10.9.0.0/24");
    let (first, second) = (share_on(&server, 1), share_on(&server, 2));
    place(&lab, &first);
    place(&lab, &second);
    for _ in 0..2 {
        lab.delete_share::<Memory>(&first).expect("gone");
        assert_eq!(lab.addresses(&server.id), [OF_SERVER, "10.9.0.2"]);
    }
    lab.unmanage::<Memory>(&second).expect("let go");
    assert_eq!(lab.addresses(&server.id), [OF_SERVER]);
}

#[test]
fn a_share_that_was_not_made_keeps_no_address() {
    let (lab, server) = network_lab("10.9.0.0/24");
    crate::set_pairs(&lab, "pools", &[("gold", "1")]);
    lab.set_option("thin_provisioning", Value::Boolean(false));
    place(&lab, &share_on(&server, 1));
    let refused = lab.create_share::<Memory>(&share_on(&server, 2)).expect_err("full");
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    let nowhere = lab.manage_existing::<Memory>(&share_on(&server, 3), &[]).expect_err("nothing there");
    assert_eq!(nowhere.code(), ErrorCode::ManageInvalidShare);
    assert_eq!(lab.addresses(&server.id), [OF_SERVER, "10.9.0.1"]);
}

#[test]
fn a_full_network_is_told_as_one() {
    let (lab, server) = network_lab("10.9.0.0/30");
    place(&lab, &share_on(&server, 1));
    place(&lab, &share_on(&server, 2));
    let refused = lab.create_share::<Memory>(&share_on(&server, 3)).expect_err("full");
    assert_eq!(refused.code(), ErrorCode::NoAddressLeft);
    assert_eq!(lab.addresses(&server.id).len(), 3);
}

#[test]
fn making_and_deleting_converge_wherever_they_are_interrupted_and_leave_no_address() {
    let (_, server) = network_lab("10.9.0.0/24");
    let share = share_on(&server, 1);
    interrupted_everywhere(
        || network_lab("10.9.0.0/24").0,
        |lab| lab.create_share::<Memory>(&share),
        |lab, moment| {
            assert!(moment == Moment::Interrupted || lab.addresses(&server.id).len() == 2);
            if moment == Moment::Interrupted {
                // Whoever gives up instead loses nothing either: the share is deleted.
                lab.delete_share::<Memory>(&share).expect("gone");
                assert_eq!(lab.addresses(&server.id), [OF_SERVER]);
            }
        },
    );
    interrupted_everywhere(
        || {
            let (lab, _) = network_lab("10.9.0.0/24");
            lab.create_share::<Memory>(&share).expect("made");
            lab
        },
        |lab| lab.delete_share::<Memory>(&share),
        |lab, moment| {
            assert!(moment == Moment::Interrupted || lab.addresses(&server.id) == [OF_SERVER]);
        },
    );
}
