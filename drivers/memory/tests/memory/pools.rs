//! What is given out of pools, counted once whatever happens.

use crate::{free_gib, lab, pool, set_pairs, share_in, sums, take_snapshot, thick_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Fault, Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{CapabilityCode, Capacity, ErrorCode, Share, Support};

const FINISHED: &str = "sum=10240/10240";

#[test]
fn a_pool_without_limit_is_of_unknown_size() {
    let lab = lab();
    lab.create_share::<Memory>(&sample::share(1, 10)).expect("made");
    let pool = pool(&lab, "memory");
    assert_eq!((pool.total, pool.free, pool.provisioned_gib), (Capacity::Unknown, Capacity::Unknown, None));
    assert_eq!(pool.thin_provisioning, Support::Yes);
}

#[test]
fn each_pool_gives_out_its_own() {
    let lab = thick_lab();
    lab.create_share::<Memory>(&share_in("gold", 1, 30)).expect("room enough");
    lab.create_share::<Memory>(&share_in("silver", 2, 50)).expect("all of it");
    assert!((free_gib(&lab, "gold") - 70.0).abs() < 0.01);
    assert!(free_gib(&lab, "silver") < 0.01);
    let error = lab.create_share::<Memory>(&share_in("silver", 3, 1)).expect_err("full");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    lab.delete_share::<Memory>(&share_in("silver", 2, 50)).expect("it is there");
    lab.create_share::<Memory>(&share_in("silver", 3, 1)).expect("room again");
    assert!((free_gib(&lab, "silver") - 49.0).abs() < 0.01);
}

#[test]
fn a_thin_pool_promises_more_than_it_has_up_to_the_ratio() {
    let lab = thick_lab();
    lab.set_option("thin_provisioning", Value::Boolean(true));
    lab.set_option("max_over_subscription_ratio", Value::Float(2.0));
    lab.set_option("fill_percent", Value::Integer(10));
    lab.create_share::<Memory>(&share_in("gold", 1, 150)).expect("promised");
    let gold = pool(&lab, "gold");
    assert_eq!((gold.allocated_gib, gold.provisioned_gib), (Some(15.0), Some(150.0)));
    assert_eq!(gold.thin_provisioning, Support::Yes);
    let error = lab.create_share::<Memory>(&share_in("gold", 2, 51)).expect_err("over 200 GiB");
    assert_eq!(error.code(), ErrorCode::NoSpace);
}

#[test]
fn creating_is_counted_once_wherever_it_is_interrupted() {
    let share = share_in("gold", 1, 10);
    interrupted_everywhere(
        thick_lab,
        |lab| lab.create_share::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(sums(lab, "gold"), FINISHED);
            }
        },
    );
}

#[test]
fn deleting_is_counted_once_wherever_it_is_interrupted() {
    let share = share_in("gold", 1, 10);
    interrupted_everywhere(
        || with_share(&share),
        |lab| lab.delete_share::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(sums(lab, "gold"), "sum=0/0");
            }
        },
    );
}

#[test]
fn a_create_that_was_given_up_is_counted_no_more_once_it_is_deleted() {
    let share = share_in("gold", 1, 10);
    interrupted_everywhere(
        thick_lab,
        |lab| lab.create_share::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Interrupted {
                lab.delete_share::<Memory>(&share).expect("whatever is there");
                let left = sums(lab, "gold");
                assert!(left.is_empty() || left == "sum=0/0", "{left}");
            }
        },
    );
}

#[test]
fn resizing_is_counted_once_wherever_it_is_interrupted() {
    let share = share_in("gold", 1, 20);
    interrupted_everywhere(
        || with_share(&share),
        |lab| {
            lab.extend_share::<Memory>(&share, 40)?;
            lab.shrink_share::<Memory>(&Share { size_gib: 40, ..share.clone() }, 10)
        },
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(sums(lab, "gold"), FINISHED);
            }
        },
    );
}

#[test]
fn a_snapshot_takes_what_its_share_used() {
    let lab = lab();
    set_pairs(&lab, "pools", &[("memory", "100")]);
    let snapshot = take_snapshot(&lab);
    assert!((free_gib(&lab, "memory") - 90.0).abs() < 0.01, "5 GiB of the share, 5 GiB of the snapshot");
    lab.delete_snapshot::<Memory>(&snapshot).expect("it is there");
    assert!((free_gib(&lab, "memory") - 95.0).abs() < 0.01);
}

#[test]
fn somebody_who_changed_the_sum_meanwhile_is_not_overwritten() {
    let (lab, share) = (thick_lab(), share_in("gold", 1, 10));
    // The first write of the sum meets another call's.
    let mut met = 0;
    for at in 1..30 {
        let lab = thick_lab();
        lab.create_share::<Memory>(&share_in("gold", 2, 30)).expect("room enough");
        lab.inject(at, Fault::Refused(CapabilityCode::Conflict));
        let made = lab.create_share::<Memory>(&share);
        lab.heal();
        met += u32::from(made.is_ok());
        lab.create_share::<Memory>(&share).expect("repeated");
        assert_eq!(sums(&lab, "gold"), "sum=40960/40960", "conflict at host call {at}");
    }
    assert!(met > 0);
    lab.create_share::<Memory>(&share).expect("room enough");
}

#[test]
fn a_pool_that_gets_an_end_counts_its_shares_at_the_next_ensuring() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    set_pairs(&lab, "pools", &[("memory", "100")]);
    lab.ensure_shares::<Memory>(std::slice::from_ref(&share)).expect("known");
    assert_eq!(pool(&lab, "memory").provisioned_gib, Some(10.0));
    set_pairs(&lab, "pools", &[("memory", "unlimited")]);
    lab.ensure_shares::<Memory>(std::slice::from_ref(&share)).expect("known");
    assert_eq!(sums(&lab, "memory"), "sum=0/0");
}

#[test]
fn a_pool_that_became_too_small_for_its_shares_breaks_none_of_them() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    lab.set_option("thin_provisioning", Value::Boolean(false));
    set_pairs(&lab, "pools", &[("memory", "5")]);
    let ensured = lab.ensure_shares::<Memory>(std::slice::from_ref(&share)).expect("known");
    assert_eq!(ensured[0].health, bulkhead_sdk::Health::Sound);
    assert!(lab.log_lines().iter().any(|(_, line)| line.contains("is not counted")));
}

#[test]
fn changes_under_way_of_calls_that_were_never_repeated_are_bounded() {
    let lab = thick_lab();
    set_pairs(&lab, "pools", &[("gold", "1000000")]);
    let mut refused = None;
    for number in 1..100 {
        let share = share_in("gold", number, 1);
        // Dies between the sum and the share's own record.
        let mut at = 1;
        while sums(&lab, "gold").matches('+').count() < usize::try_from(number).expect("small") {
            lab.inject(at, Fault::Killed);
            let outcome = lab.create_share::<Memory>(&share);
            lab.heal();
            at += 1;
            if at > 30 {
                refused = outcome.err().or_else(|| lab.create_share::<Memory>(&share).err());
                break;
            }
        }
        if refused.is_some() {
            assert!(number > 12, "room for a dozen at least");
            break;
        }
    }
    assert_eq!(refused.expect("refused at last").code(), ErrorCode::Busy);
    assert!(sums(&lab, "gold").len() <= 1023);
    lab.delete_share::<Memory>(&share_in("gold", 1, 1)).expect("whatever is there");
    lab.create_share::<Memory>(&share_in("gold", 200, 1)).expect("room again");
}

fn with_share(share: &Share) -> Lab {
    let lab = thick_lab();
    lab.create_share::<Memory>(share).expect("room enough");
    lab
}
