//! Making and removing share servers.

use crate::{Site, configuration, converges, expect_gone, instance, server, serves, set_up, tear_down};
use bulkhead_btrfs_netns::BtrfsNetns;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::service::State;
use bulkhead_sdk::testing::{Moment, sample};
use bulkhead_sdk::{CapabilityError, CommandExit, ErrorCode, ServerRequest};
use std::fs;

#[test]
fn a_server_is_an_instance_of_the_group_with_files_of_its_own() {
    let site = Site::with_servers(&[1, 2]);
    for number in [1, 2] {
        assert!(serves(&site.lab, number));
        let text =
            fs::read_to_string(configuration(&site.lab, number).join("ganesha.conf")).expect("it is written");
        assert!(
            text.contains(&format!("Bind_addr = 10.{number}.0.10;")) && text.contains("NFS_Port = 2049;"),
            "{text}"
        );
        let own = configuration(&site.lab, number).display().to_string();
        assert!(
            text.contains(&format!("%include \"{own}/exports.conf\""))
                || text.contains(&format!("{own}/exports.conf"))
        );
    }
    assert_ne!(configuration(&site.lab, 1), configuration(&site.lab, 2));
}

#[test]
fn setting_up_again_disturbs_nobody_and_answers_the_same() {
    let site = Site::new();
    let network = sample::server_network(1, &server(1), 1, 0);
    let setup = || site.lab.setup_server::<BtrfsNetns>(&network, &ServerRequest::default());
    let first = setup().expect("it serves");
    assert_eq!(first.backend_details, [("addresses".to_owned(), "10.1.0.10".to_owned())]);
    let since = site.lab.service_of("nfs", &instance(1));
    assert_eq!(setup(), Ok(first));
    assert_eq!(site.lab.service_of("nfs", &instance(1)), since);
}

#[test]
fn administrators_get_an_address_where_the_operator_wants_one() {
    let site = Site::new();
    let counts = || {
        let lab = &site.lab;
        (lab.network_allocations_number::<BtrfsNetns>(), lab.admin_network_allocations_number::<BtrfsNetns>())
    };
    assert_eq!(counts(), (Ok(1), Ok(0)));
    site.lab.set_option("admin_addresses", Value::Integer(1));
    assert_eq!(counts(), (Ok(1), Ok(1)));
    let network = sample::server_network(1, &server(1), 1, 1);
    site.lab.setup_server::<BtrfsNetns>(&network, &ServerRequest::default()).expect("it serves");
    let share = crate::share_on(1, 1);
    let locations = site.lab.create_share::<BtrfsNetns>(&share).expect("room enough");
    let shown: Vec<_> = locations.iter().map(|one| (one.path.as_str(), one.admin_only)).collect();
    let [of_tenant, of_admin] =
        [format!("10.1.0.10:/{}", share.name), format!("10.255.1.10:/{}", share.name)];
    assert_eq!(shown, [(of_tenant.as_str(), false), (of_admin.as_str(), true)]);
    site.lab.set_option("admin_addresses", Value::Integer(2));
    let refused = Site::bare();
    refused.lab.set_option("admin_addresses", Value::Integer(2));
    assert_eq!(
        refused.lab.setup::<BtrfsNetns>().map_err(|error| error.code()),
        Err(ErrorCode::BadConfiguration)
    );
}

#[test]
fn a_server_without_an_address_is_refused_and_one_that_does_not_start_tells_what_there_is() {
    let site = Site::new();
    let setup = |addresses| {
        let network = sample::server_network(1, &server(1), addresses, 0);
        site.lab.setup_server::<BtrfsNetns>(&network, &ServerRequest::default()).expect_err("it cannot")
    };
    assert_eq!(setup(0).code(), ErrorCode::BadNetworkConfiguration);
    let exit = CommandExit { exit_code: Some(2), ..CommandExit::default() };
    site.lab.refuse_service(
        "nfs",
        CapabilityError::command_failed("group 'ganesha' cannot be made: there is no bridge 'br0'", exit),
    );
    let failed = setup(1);
    assert!(failed.message().contains("no bridge 'br0'"), "{failed}");
    tear_down(&site.lab, 1).expect("what there is goes");
    expect_gone(&site.lab, 1);
}

#[test]
fn a_server_that_is_gone_is_torn_down_already() {
    let site = Site::with_servers(&[1, 2]);
    for _ in 0..2 {
        tear_down(&site.lab, 1).expect("it goes, or is gone");
    }
    expect_gone(&site.lab, 1);
    assert!(serves(&site.lab, 2), "the other one goes on");
}

#[test]
fn nfs_4_alone_needs_no_portmapper() {
    let site = Site::new();
    site.lab.set_option("nfs3", Value::Boolean(false));
    set_up(&site.lab, 1).expect("it serves");
    let state = |name| site.lab.service_of(name, &instance(1)).state;
    assert_eq!(
        (state("nfs4"), state("nfs"), state("portmapper")),
        (State::Ready, State::Stopped, State::Stopped)
    );
}

#[test]
fn setting_up_converges_wherever_it_is_interrupted() {
    converges(
        Site::new,
        |lab| set_up(lab, 1),
        |lab, _, moment| {
            if moment == Moment::Done {
                assert!(serves(lab, 1));
                tear_down(lab, 1).expect("it goes");
                expect_gone(lab, 1);
            }
        },
    );
}

#[test]
fn tearing_down_converges_wherever_it_is_interrupted() {
    converges(
        || Site::with_servers(&[1, 2]),
        |lab| tear_down(lab, 1),
        |lab, _, moment| {
            assert!(serves(lab, 2), "the other one is not touched");
            if moment == Moment::Done {
                expect_gone(lab, 1);
            }
        },
    );
}
