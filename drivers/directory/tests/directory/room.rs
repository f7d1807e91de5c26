//! Sizes: what is promised, and when it is refused.

use crate::{directory, lab, names};
use bulkhead_directory::Directory;
use bulkhead_sdk::files::Space;
use bulkhead_sdk::testing::{Lab, interrupted_everywhere, sample};
use bulkhead_sdk::{ErrorCode, Share};
use std::fs::File;

fn share() -> Share {
    sample::share(1, 10)
}

fn lab_with_share() -> Lab {
    let lab = lab();
    lab.create_share::<Directory>(&share()).expect("room enough");
    lab
}

/// The tenant writes a file of this length, without using so much of the test's disk.
fn write(lab: &Lab, bytes: u64) {
    let file = File::create(directory(lab, &share()).join("large")).expect("a file");
    file.set_len(bytes).expect("a sparse file");
}

#[test]
fn a_share_larger_than_the_free_space_is_refused_and_leaves_nothing() {
    let lab = lab();
    lab.set_space("shares", Space { total_bytes: 100 << 30, free_bytes: (10 << 30) - 1 });
    let error = lab.create_share::<Directory>(&share()).expect_err("no room");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    assert!(names(&lab).is_empty());
    lab.set_space("shares", Space { total_bytes: 100 << 30, free_bytes: 10 << 30 });
    lab.create_share::<Directory>(&share()).expect("room enough");
}

#[test]
fn a_size_beyond_all_numbers_is_refused() {
    let huge = Share { size_gib: u64::MAX, ..share() };
    let error = lab().create_share::<Directory>(&huge).expect_err("no room");
    assert_eq!(error.code(), ErrorCode::NoSpace);
}

#[test]
fn extending_asks_for_the_difference_only() {
    let lab = lab_with_share();
    lab.set_space("shares", Space { total_bytes: 100 << 30, free_bytes: 5 << 30 });
    let error = lab.extend_share::<Directory>(&share(), 16).expect_err("6 GiB more");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    lab.extend_share::<Directory>(&share(), 15).expect("5 GiB more");
    lab.set_space("shares", Space { total_bytes: 100 << 30, free_bytes: 0 });
    lab.extend_share::<Directory>(&share(), 15).expect("it has this size already");
}

#[test]
fn shrinking_below_what_is_used_is_refused_and_changes_nothing() {
    let lab = lab_with_share();
    write(&lab, (5 << 30) + 1);
    let error = lab.shrink_share::<Directory>(&share(), 5).expect_err("one byte more is used");
    assert_eq!(error.code(), ErrorCode::PossibleDataLoss);
    lab.create_share::<Directory>(&share()).expect("it still has 10 GiB");
    write(&lab, 5 << 30);
    lab.shrink_share::<Directory>(&share(), 5).expect("exactly what is used");
    lab.shrink_share::<Directory>(&share(), 5).expect("it has this size already");
}

#[test]
fn shrinking_a_share_that_is_gone_says_so() {
    let error = lab().shrink_share::<Directory>(&share(), 5).expect_err("no share");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}

#[test]
fn new_sizes_converge_wherever_they_are_interrupted() {
    interrupted_everywhere(lab_with_share, |lab| lab.extend_share::<Directory>(&share(), 20), |_, _| {});
    interrupted_everywhere(lab_with_share, |lab| lab.shrink_share::<Directory>(&share(), 5), |_, _| {});
}
