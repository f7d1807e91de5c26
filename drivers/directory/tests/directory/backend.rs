//! Set-up and statistics.

use crate::lab;
use bulkhead_directory::Directory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::files::Space;
use bulkhead_sdk::testing::sample;
use bulkhead_sdk::{Capacity, ErrorCode, IpVersion, Support};

#[test]
fn a_backend_with_both_roots_is_usable() {
    lab().setup::<Directory>().expect("both roots are there");
}

#[test]
fn an_export_address_that_is_none_is_named() {
    for text in ["", "10.0.0.5:/x", "a b", "http://nas", "nas\n"] {
        let lab = lab();
        lab.set_option("export_address", Value::Text(text.to_owned()));
        let error = lab.setup::<Directory>().expect_err(text);
        assert_eq!(error.code(), ErrorCode::BadConfiguration);
        assert!(error.message().contains("export_address"), "{error}");
    }
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.set_option("export_address", Value::Text("2001:db8::5".to_owned()));
    let locations = lab.create_share::<Directory>(&share).expect("room enough");
    assert!(locations[0].path.starts_with("[2001:db8::5]:/"), "{}", locations[0].path);
    assert_eq!(lab.ip_versions::<Directory>(), Ok(vec![IpVersion::V6]));
}

#[test]
fn the_pool_is_the_filesystem_below_the_root() {
    let lab = lab();
    lab.set_space("shares", Space { total_bytes: 100 << 30, free_bytes: 3 << 29 });
    lab.set_option("reserved_share_percentage", Value::Integer(5));
    let pools = lab.stats::<Directory>().expect("the root is there").pools;
    assert_eq!(pools.len(), 1);
    assert_eq!((pools[0].total, pools[0].free), (Capacity::Gib(100.0), Capacity::Gib(1.5)));
    assert_eq!((pools[0].thin_provisioning, pools[0].allocated_gib), (Support::Yes, None));
    assert_eq!(pools[0].reserved_percentage, 5);
}

#[test]
fn the_fingerprint_changes_with_the_address() {
    let lab = lab();
    let before = lab.backend_info::<Directory>().expect("it reads only");
    lab.set_option("export_address", Value::Text("10.0.0.5".to_owned()));
    assert_ne!(lab.backend_info::<Directory>(), Ok(before));
}
