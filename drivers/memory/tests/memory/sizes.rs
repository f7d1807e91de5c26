//! Extending, shrinking, usage.

use crate::{field, lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::sample;
use bulkhead_sdk::{ErrorCode, Share};

#[test]
fn a_share_grows_and_shrinks_and_a_repeat_changes_nothing() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    for _ in 0..2 {
        lab.extend_share::<Memory>(&share, 20).expect("room enough");
        assert_eq!(field(&lab, &share, "size").as_deref(), Some("20"));
    }
    for _ in 0..2 {
        lab.shrink_share::<Memory>(&Share { size_gib: 20, ..share.clone() }, 5).expect("nothing is used");
        assert_eq!(field(&lab, &share, "size").as_deref(), Some("5"));
    }
}

#[test]
fn a_share_is_not_shrunk_below_what_it_holds() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.set_option("fill_percent", Value::Integer(60));
    lab.create_share::<Memory>(&share).expect("made");
    let error = lab.shrink_share::<Memory>(&share, 5).expect_err("6 GiB are used");
    assert_eq!(error.code(), ErrorCode::PossibleDataLoss);
    assert_eq!(field(&lab, &share, "size").as_deref(), Some("10"), "nothing has changed");
    lab.shrink_share::<Memory>(&share, 6).expect("just enough");
}

#[test]
fn a_share_larger_than_any_sum_can_hold_is_refused() {
    let (lab, share) = (lab(), sample::share(1, 10));
    let giant = sample::share(2, u64::MAX);
    assert_eq!(lab.create_share::<Memory>(&giant).expect_err("too large").code(), ErrorCode::NoSpace);
    lab.create_share::<Memory>(&share).expect("made");
    let error = lab.extend_share::<Memory>(&share, u64::MAX).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::NoSpace);
}

#[test]
fn resizing_what_is_not_there_says_so() {
    let (lab, share) = (lab(), sample::share(1, 10));
    assert_eq!(lab.extend_share::<Memory>(&share, 20).expect_err("gone").code(), ErrorCode::ShareNotFound);
    assert_eq!(lab.shrink_share::<Memory>(&share, 5).expect_err("gone").code(), ErrorCode::ShareNotFound);
}

#[test]
fn usage_is_told_for_all_that_are_there() {
    let (lab, share, missing) = (lab(), sample::share(1, 10), sample::share(2, 10));
    lab.set_option("fill_percent", Value::Integer(25));
    lab.create_share::<Memory>(&share).expect("made");
    let usage = lab.share_usage_sizes::<Memory>(&[share.clone(), missing]).expect("usage");
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].id, share.id);
    assert!((usage[0].used_gib - 2.5).abs() < 0.001);
}
