//! Share servers: made, removed, chosen, taken over and let go.

use crate::{backend_keys, lab, set_pairs};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::private_data::{self, Owner};
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    ErrorCode, IpVersion, Resource, ServerChoiceForGroup, ServerChoiceForShare, ServerRequest, Share,
    ShareGroup, ShareServer,
};

pub(crate) fn server_lab() -> Lab {
    let lab = lab();
    lab.set_option("driver_handles_share_servers", Value::Boolean(true));
    lab
}

pub(crate) fn set_up(lab: &Lab, number: u8, server: &ShareServer) -> ShareServer {
    let network = sample::server_network(number, server, 1, 0);
    let outcome = lab.setup_server::<Memory>(&network, &ServerRequest::default()).expect("made");
    ShareServer { backend_details: outcome.backend_details, ..server.clone() }
}

/// The keys of a server's private data, as a share on it sees them.
fn keys(lab: &Lab, server: &ShareServer) -> Vec<String> {
    let share = sample::on_server(&sample::share(99, 1), server);
    let data = || private_data::get_all(&Owner::Of(Resource::from(server)));
    let entries = lab.taking_over(&share, "", data).expect("the lab answers");
    entries.into_iter().map(|entry| entry.key).collect()
}

#[test]
fn a_server_is_made_with_the_addresses_it_got_and_removed_and_both_may_be_repeated() {
    let (lab, server) = (server_lab(), sample::share_server(1));
    lab.set_option("server_admin_addresses", Value::Integer(1));
    assert_eq!(lab.network_allocations_number::<Memory>(), Ok(1));
    assert_eq!(lab.admin_network_allocations_number::<Memory>(), Ok(1));
    let network = sample::server_network(7, &server, 1, 1);
    for _ in 0..2 {
        let outcome = lab.setup_server::<Memory>(&network, &ServerRequest::default()).expect("made");
        assert_eq!(outcome.identifier, None);
        assert_eq!(outcome.backend_details, [("address".to_owned(), "10.7.0.10".to_owned())]);
    }
    assert_eq!(keys(&lab, &server), ["interface/10.255.7.10", "interface/10.7.0.10", "server"]);
    for _ in 0..2 {
        lab.teardown_server::<Memory>(&server, &[]).expect("gone");
    }
    assert_eq!(keys(&lab, &server), [""; 0]);
}

#[test]
fn a_server_that_is_set_up_again_has_the_new_addresses_only() {
    let (lab, server) = (server_lab(), sample::share_server(1));
    set_up(&lab, 7, &server);
    set_up(&lab, 8, &server);
    assert_eq!(keys(&lab, &server), ["interface/10.8.0.10", "server"]);
}

#[test]
fn set_up_and_tear_down_converge_wherever_they_are_interrupted() {
    let server = sample::share_server(1);
    let network = sample::server_network(7, &server, 2, 1);
    interrupted_everywhere(
        server_lab,
        |lab| lab.setup_server::<Memory>(&network, &ServerRequest::default()),
        |lab, moment| assert!(moment == Moment::Interrupted || keys(lab, &server).len() == 4),
    );
    interrupted_everywhere(
        || {
            let lab = server_lab();
            lab.setup_server::<Memory>(&network, &ServerRequest::default()).expect("made");
            lab
        },
        |lab| lab.teardown_server::<Memory>(&server, &[]),
        |lab, moment| assert!(moment == Moment::Interrupted || keys(lab, &server).is_empty()),
    );
}

#[test]
fn a_set_up_that_the_array_refuses_tells_what_is_left_and_that_is_torn_down() {
    let (lab, server) = (server_lab(), sample::share_server(1));
    lab.set_option("refused_network", Value::Text("10.7.0.0/24".to_owned()));
    let network = sample::server_network(7, &server, 1, 0);
    let refused = lab.setup_server::<Memory>(&network, &ServerRequest::default()).expect_err("refused");
    assert_eq!(refused.code(), ErrorCode::SecurityServiceFailed);
    assert_eq!(keys(&lab, &server), ["interface/10.7.0.10"], "half made");
    lab.teardown_server::<Memory>(&server, &[]).expect("gone");
    assert_eq!(keys(&lab, &server), [""; 0]);
    set_up(&lab, 8, &server);
}

#[test]
fn without_an_address_there_is_no_server() {
    let (lab, server) = (server_lab(), sample::share_server(1));
    let network = sample::server_network(7, &server, 0, 0);
    let refused = lab.setup_server::<Memory>(&network, &ServerRequest::default()).expect_err("no address");
    assert_eq!(refused.code(), ErrorCode::BadNetworkConfiguration);
}

#[test]
fn shares_are_at_the_address_of_their_own_server() {
    let lab = server_lab();
    for (number, tenant) in [(1_u8, 7_u8), (2, 8)] {
        let server = set_up(&lab, tenant, &sample::share_server(u32::from(number)));
        let share = sample::on_server(&sample::share(u32::from(number), 1), &server);
        let locations = lab.create_share::<Memory>(&share).expect("made");
        assert_eq!(locations[0].path, format!("10.{tenant}.0.10:/{}", share.name));
        let ensured = lab.ensure_shares::<Memory>(&[Share { server: None, ..share }]).expect("found");
        assert_eq!(ensured[0].export_locations.as_ref(), Some(&locations));
    }
}

#[test]
fn a_share_on_a_server_that_is_not_there_is_refused() {
    let lab = server_lab();
    let share = sample::on_server(&sample::share(1, 1), &sample::share_server(1));
    let refused = lab.create_share::<Memory>(&share).expect_err("no server");
    assert_eq!(refused.code(), ErrorCode::InvalidShareServer);
    lab.delete_share::<Memory>(&share).expect("deleting is a success all the same");
}

#[test]
fn a_share_goes_to_its_groups_server_else_to_the_first_unless_its_type_wants_one_of_its_own() {
    let lab = server_lab();
    let candidates = vec![sample::share_server(1), sample::share_server(2)];
    let choice = ServerChoiceForShare {
        candidates: candidates.clone(),
        share: sample::share(1, 1),
        source: None,
        share_group: None,
    };
    let chosen = |choice: &ServerChoiceForShare| lab.choose_share_server_for_share::<Memory>(choice);
    assert_eq!(chosen(&choice), Ok(Some(candidates[0].id.clone())));
    let group = ShareGroup { server: Some(candidates[1].clone()), ..sample::share_group(1, &[]) };
    let in_group = ServerChoiceForShare { share_group: Some(group.clone()), ..choice.clone() };
    assert_eq!(chosen(&in_group), Ok(Some(candidates[1].id.clone())));
    let mut alone = choice;
    alone.share.extra_specs = vec![("memory:own_server".to_owned(), "<is> True".to_owned())];
    assert_eq!(chosen(&alone), Ok(None));
    let for_group = ServerChoiceForGroup { candidates: candidates.clone(), share_group: group, source: None };
    assert_eq!(lab.choose_share_server_for_group::<Memory>(&for_group), Ok(Some(candidates[0].id.clone())));
}

#[test]
fn a_server_that_was_there_before_is_taken_over_once_let_go_and_taken_over_again() {
    let lab = server_lab();
    set_pairs(&lab, "existing_servers", &[("vserver1", "10.9.0.5")]);
    let (server, other) = (sample::share_server(1), sample::share_server(2));
    let addresses = lab.share_server_network_info::<Memory>(&server, "vserver1", &[]);
    assert_eq!(addresses, Ok(vec!["10.9.0.5".to_owned()]));
    for _ in 0..2 {
        let outcome = lab.manage_server::<Memory>(&server, "vserver1", &[]).expect("it is there");
        assert_eq!(outcome.identifier.as_deref(), Some("vserver1"));
    }
    let taken = lab.manage_server::<Memory>(&other, "vserver1", &[]).expect_err("somebody has it");
    assert_eq!(taken.code(), ErrorCode::InvalidShareServer);
    let managed = ShareServer { identifier: "vserver1".to_owned(), ..server };
    for _ in 0..2 {
        lab.unmanage_server::<Memory>(&managed, &[]).expect("let go");
    }
    assert!(backend_keys(&lab).contains(&"left-server/vserver1".to_owned()));
    lab.manage_server::<Memory>(&other, "vserver1", &[]).expect("it is there again");
    assert!(!backend_keys(&lab).contains(&"left-server/vserver1".to_owned()));
    let missing = lab.share_server_network_info::<Memory>(&sample::share_server(3), "vserver9", &[]);
    assert_eq!(missing.expect_err("nothing there").code(), ErrorCode::InvalidShareServer);
}

#[test]
fn a_server_is_reached_over_whatever_its_network_has() {
    assert_eq!(server_lab().ip_versions::<Memory>(), Ok(vec![IpVersion::V4, IpVersion::V6]));
}
