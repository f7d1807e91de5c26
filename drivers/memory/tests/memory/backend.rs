//! Set-up, statistics and what the scheduler is told.

use crate::{backend_keys, lab, set_pairs};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::sample;
use bulkhead_sdk::{Driver, ErrorCode, IpVersion};

#[test]
fn every_option_that_makes_no_sense_is_named_at_set_up() {
    let cases: [(&str, Value); 11] = [
        ("export_address", Value::Text("10.0.0.1:/path".to_owned())),
        ("pools", pairs(&[])),
        ("pools", pairs(&[("gold", "lots")])),
        ("pools", pairs(&[("gold bar", "10")])),
        ("existing_shares", pairs(&[("old", "0")])),
        ("existing_snapshots", pairs(&[("old-snapshot", "nobody")])),
        ("sync_seconds", Value::Integer(-1)),
        ("fill_percent", Value::Integer(101)),
        ("existing_servers", pairs(&[("vserver1", "10.0.0.0/8")])),
        ("server_addresses", Value::Integer(65)),
        ("reserved_share_percentage", Value::Integer(101)),
    ];
    for (option, value) in cases {
        let lab = lab();
        lab.set_option(option, value.clone());
        let error = lab.setup::<Memory>().expect_err("makes no sense");
        assert_eq!(error.code(), ErrorCode::BadConfiguration, "{option} = {value:?}");
        assert!(error.message().contains(option), "{error}");
    }
    lab().setup::<Memory>().expect("the defaults make sense");
}

fn pairs(pairs: &[(&str, &str)]) -> Value {
    Value::Pairs(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn replication_is_reported_in_a_replication_domain_only() {
    let lab = lab();
    assert!(lab.stats::<Memory>().expect("statistics").replication_types.is_empty());
    lab.set_option("replication_domain", Value::Text("twins".to_owned()));
    assert_eq!(lab.stats::<Memory>().expect("statistics").replication_types, ["readable"]);
    lab.set_option("replication_type", Value::Text("dr".to_owned()));
    assert_eq!(lab.stats::<Memory>().expect("statistics").replication_types, ["dr"]);
}

#[test]
fn the_fingerprint_changes_with_what_shares_depend_on() {
    let lab = lab();
    let before = lab.backend_info::<Memory>().expect("a fingerprint");
    assert_eq!(lab.backend_info::<Memory>().as_ref(), Ok(&before));
    set_pairs(&lab, "pools", &[("memory", "100")]);
    assert_ne!(lab.backend_info::<Memory>().expect("a fingerprint"), before);
}

#[test]
fn the_ip_version_is_that_of_the_address() {
    let lab = lab();
    assert_eq!(lab.ip_versions::<Memory>(), Ok(vec![IpVersion::V4]));
    lab.set_option("export_address", Value::Text("::1".to_owned()));
    assert_eq!(lab.ip_versions::<Memory>(), Ok(vec![IpVersion::V6]));
}

#[test]
fn the_scheduler_is_told_to_spread_shares() {
    assert_eq!(Memory::default_filter_function(), Ok(Some("share.size <= 1073741824".to_owned())));
    let goodness = Memory::default_goodness_function().expect("always").expect("there is one");
    assert!(goodness.contains("stats.provisioned_capacity_gb"));
}

#[test]
fn notes_about_objects_that_no_option_has_any_more_are_forgotten() {
    let lab = lab();
    set_pairs(&lab, "existing_shares", &[("old", "5"), ("older", "5")]);
    for (number, name) in [(1, "old"), (2, "older")] {
        let mut share = sample::share(number, 1);
        share.export_locations = vec![bulkhead_sdk::ExportLocation::new(format!("127.0.0.1:/{name}"))];
        lab.manage_existing::<Memory>(&share, &[]).expect("it is there");
    }
    set_pairs(&lab, "existing_shares", &[("old", "5")]);
    lab.setup::<Memory>().expect("sound");
    assert_eq!(backend_keys(&lab), ["taken/left/old"]);
}
