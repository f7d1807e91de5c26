//! Set-up, statistics and the fingerprint.

use crate::Site;
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::service::State;
use bulkhead_sdk::{CapabilityError, Capacity, CommandExit, ErrorCode, IpVersion};
use std::fs;

fn refused(site: &Site) -> String {
    let error = site.lab.setup::<BtrfsGanesha>().expect_err("something is wrong");
    assert_eq!(error.code(), ErrorCode::BadConfiguration, "{error}");
    error.message().to_owned()
}

#[test]
fn set_up_starts_the_server_once_and_a_repetition_leaves_it_alone() {
    let site = Site::new();
    let first = site.lab.service("nfs");
    assert_eq!(first.state, State::Ready);
    site.lab.setup::<BtrfsGanesha>().expect("it is set up");
    assert_eq!(site.lab.service("nfs"), first);
    assert_eq!(site.lab.service("nfs4").state, State::Stopped);
    let text = fs::read_to_string(site.lab.root("config").join("ganesha.conf")).expect("it is written");
    assert!(text.contains("Bind_addr = 10.0.0.1;") && text.contains("NFS_Port = 2049;"), "{text}");
}

#[test]
fn nfs_4_alone_needs_no_portmapper() {
    let site = Site::new();
    site.lab.set_option("nfs3", Value::Boolean(false));
    site.lab.setup::<BtrfsGanesha>().expect("it is set up");
    let state = |name| site.lab.service(name).state;
    assert_eq!(
        (state("nfs4"), state("nfs"), state("portmapper")),
        (State::Ready, State::Stopped, State::Stopped)
    );
}

#[test]
fn another_port_starts_the_server_anew() {
    let site = Site::new();
    site.lab.set_option("nfs_port", Value::Integer(12049));
    site.lab.setup::<BtrfsGanesha>().expect("it is set up");
    let text = fs::read_to_string(site.lab.root("config").join("ganesha.conf")).expect("it is written");
    assert!(text.contains("NFS_Port = 12049;"), "{text}");
    assert_eq!(site.lab.service("nfs").state, State::Ready);
}

#[test]
fn what_is_missing_is_named_with_what_to_type() {
    let site = Site::bare();
    fs::write(site.lab.root("kernel").join("qgroups/mode"), "squota\n").expect("a file");
    assert!(refused(&site).contains("btrfs quota enable"));
    fs::remove_file(site.lab.root("kernel").join("qgroups/mode")).expect("it was there");
    assert!(refused(&site).contains("btrfs quota enable"));
    let site = Site::bare();
    fs::remove_dir(site.lab.root("config").join("exports")).expect("it was there");
    assert!(refused(&site).contains("mkdir"));
    let site = Site::bare();
    fs::remove_dir(site.lab.root("pool").join("replication")).expect("it was there");
    assert!(refused(&site).contains("make-pool"));
    let site = Site::bare();
    site.lab.answer("look-at-pool", |_| {
        Ok(bulkhead_sdk::execute::Output { stdout: b"ext2/ext3\n".to_vec(), ..Default::default() })
    });
    assert!(refused(&site).contains("ext2/ext3"));
}

#[test]
fn wrong_options_are_named() {
    for (option, value) in [
        ("export_addresses", Value::Texts(Vec::new())),
        ("export_addresses", Value::Texts(vec!["nas.example".to_owned()])),
        ("export_addresses", Value::Texts(vec!["10.0.0.1:2049".to_owned()])),
        ("listen_address", Value::Text("[::1]".to_owned())),
        ("nfs_port", Value::Integer(0)),
        ("mount_port", Value::Integer(2049)),
        ("reserved_share_percentage", Value::Integer(101)),
    ] {
        let site = Site::bare();
        site.lab.set_option(option, value);
        assert!(refused(&site).contains(option), "{option}");
    }
}

#[test]
fn a_server_that_ends_or_is_started_anew_shows_in_the_fingerprint() {
    let site = Site::new();
    let before = site.lab.backend_info::<BtrfsGanesha>().expect("a fingerprint");
    assert_eq!(site.lab.backend_info::<BtrfsGanesha>(), Ok(before.clone()));
    site.lab.end_service("nfs", CommandExit::default());
    assert_ne!(site.lab.backend_info::<BtrfsGanesha>(), Ok(before));
}

#[test]
fn statistics_are_those_of_the_filesystem_and_versions_those_of_the_addresses() {
    let site = Site::new();
    let statistics = site.lab.stats::<BtrfsGanesha>().expect("statistics");
    assert_eq!(statistics.pools[0].total, Capacity::Gib(100.0));
    assert!(statistics.replication_types.is_empty());
    assert_eq!(site.lab.ip_versions::<BtrfsGanesha>(), Ok(vec![IpVersion::V4]));
    site.lab.set_option("replication_domain", Value::Text("one".to_owned()));
    assert_eq!(site.lab.stats::<BtrfsGanesha>().expect("statistics").replication_types, ["dr"]);
}

#[test]
fn a_server_that_does_not_start_is_named_with_its_port_and_finds_its_exports_next_time() {
    let site = Site::bare();
    let exit = CommandExit { exit_code: Some(2), ..CommandExit::default() };
    site.lab.refuse_service("nfs", CapabilityError::command_failed("ganesha.nfsd ended with 2", exit));
    assert!(refused(&site).contains("10.0.0.1 port 2049"));
    let text = fs::read_to_string(site.lab.root("config").join("exports.conf")).expect("it is written");
    assert!(text.starts_with("%dir \"/"), "{text}");
}
