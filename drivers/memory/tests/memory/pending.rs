//! What the array goes on with by itself, and what tenants and operators are told of shares.

use crate::{field, lab, set_pairs, snapshot_lab, sums};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{Creation, ErrorCode, FinishedShare, Reversion, Share, ShareProgress, Snapshot, clock};
use std::time::Duration;

/// As [`snapshot_lab`], with an array that takes 100 s for a clone or revert.
fn slow_lab() -> (Lab, Snapshot) {
    let (lab, snapshot) = snapshot_lab();
    lab.set_option("pending_seconds", Value::Integer(100));
    lab.extend_share::<Memory>(&snapshot.share, 20).expect("room enough");
    (lab, snapshot)
}

fn wait(lab: &Lab, seconds: u64) {
    lab.taking_over(&sample::share(99, 1), "", || clock::sleep(Duration::from_secs(seconds)));
}

#[test]
fn a_clone_is_pending_until_it_is_due_and_available_ever_after() {
    let (lab, source) = slow_lab();
    let clone = sample::share(2, 20);
    let make = || lab.create_share_from_snapshot::<Memory>(&clone, &source);
    assert_eq!(make(), Ok(Creation::Pending));
    wait(&lab, 40);
    assert_eq!(make(), Ok(Creation::Pending), "a repeat does not begin anew");
    assert_eq!(lab.share_status_while_creating::<Memory>(&clone, &source), Ok(ShareProgress::Pending(40)));
    wait(&lab, 60);
    for _ in 0..2 {
        let progress = lab.share_status_while_creating::<Memory>(&clone, &source).expect("it is there");
        let ShareProgress::Available(FinishedShare { export_locations, size_gib }) = progress else {
            panic!("{progress:?}")
        };
        assert_eq!((export_locations.map(|all| all.len()), size_gib), (Some(1), Some(20)));
    }
    assert!(matches!(make(), Ok(Creation::Available(_))));
}

#[test]
fn a_revert_keeps_the_old_content_until_it_is_due() {
    let (lab, snapshot) = slow_lab();
    let revert = || lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]);
    assert_eq!(revert(), Ok(Reversion::Pending));
    wait(&lab, 50);
    assert_eq!(revert(), Ok(Reversion::Pending), "a repeat does not begin anew");
    assert_eq!(lab.share_status_while_reverting::<Memory>(&snapshot), Ok(ShareProgress::Pending(50)));
    assert_eq!(field(&lab, &snapshot.share, "size").as_deref(), Some("20"));
    wait(&lab, 50);
    let progress = lab.share_status_while_reverting::<Memory>(&snapshot).expect("it is there");
    assert!(matches!(progress, ShareProgress::Available(FinishedShare { size_gib: Some(10), .. })));
    assert_eq!(field(&lab, &snapshot.share, "size").as_deref(), Some("10"));
    assert_eq!(revert(), Ok(Reversion::Done), "it is so already");
}

#[test]
fn the_end_of_a_revert_converges_wherever_it_is_interrupted_and_is_counted_once() {
    let snapshot = slow_lab().1;
    interrupted_everywhere(
        || {
            let (lab, snapshot) = slow_lab();
            set_pairs(&lab, "pools", &[("memory", "100")]);
            lab.ensure_shares::<Memory>(std::slice::from_ref(&snapshot.share)).expect("counted");
            lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]).expect("it goes on");
            wait(&lab, 100);
            lab
        },
        |lab| lab.share_status_while_reverting::<Memory>(&snapshot),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(sums(lab, "memory"), "sum=5120/10240");
            }
        },
    );
}

#[test]
fn progress_of_what_is_not_there_says_so() {
    let source = sample::snapshot(1, &sample::share(1, 10));
    let share = sample::share(2, 10);
    let error = lab().share_status_while_creating::<Memory>(&share, &source).expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn share_lab() -> (Lab, Share) {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    (lab, share)
}

#[test]
fn a_new_share_carries_its_pool_as_metadata() {
    let (lab, share) = share_lab();
    assert_eq!(lab.share_creation_metadata::<Memory>(&share), Ok(pairs(&[("pool", "memory")])));
}

#[test]
fn a_tenant_fills_a_share_by_its_metadata_and_hooks_are_told() {
    let (lab, share) = share_lab();
    let written = pairs(&[("content", "letters"), ("used_gib", "7")]);
    for _ in 0..2 {
        lab.update_share_from_metadata::<Memory>(&share, &written).expect("it makes sense");
    }
    let told = lab.periodic_hook_data::<Memory>(&[share.clone(), sample::share(2, 1)]).expect("told");
    assert_eq!(told.len(), 1, "what is not there is left out");
    assert_eq!(told[0].data, pairs(&[("pool", "memory"), ("used_gib", "7"), ("content", "letters")]));
    let error = lab.shrink_share::<Memory>(&share, 6).expect_err("7 GiB are used");
    assert_eq!(error.code(), ErrorCode::PossibleDataLoss);
}

#[test]
fn metadata_that_make_no_sense_change_nothing() {
    let (lab, share) = share_lab();
    let long = "a".repeat(65);
    for (key, value) in [
        ("used_gib", "11"),
        ("used_gib", "-1"),
        ("content", ""),
        ("content", "two words"),
        ("content", &long),
    ] {
        let metadata = pairs(&[("used_gib", "1"), ("content", "sound"), (key, value)]);
        let error = lab.update_share_from_metadata::<Memory>(&share, &metadata).expect_err("no sense");
        assert_eq!(error.code(), ErrorCode::InvalidParameter, "{key}={value}");
        assert_eq!(field(&lab, &share, "used").as_deref(), Some("0"));
    }
    let foreign = pairs(&[("colour", "red")]);
    lab.update_share_from_metadata::<Memory>(&share, &foreign).expect("the tenant's own");
}
