//! Snapshots: taken once, mounted, reverted to, removed.

use crate::{field, lab, snapshot_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::testing::{Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessType, ErrorCode, Reversion, Share, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate,
};

#[test]
fn a_snapshot_keeps_the_size_and_content_of_its_moment() {
    let (lab, snapshot) = snapshot_lab();
    lab.extend_share::<Memory>(&snapshot.share, 20).expect("room enough");
    let outcome = lab.create_snapshot::<Memory>(&snapshot).expect("it is there");
    assert_eq!(outcome.provider_location, snapshot.provider_location);
    assert!(outcome.provider_location.is_some_and(|handle| handle.starts_with("size=10 used=5120 ")));
}

#[test]
fn a_snapshot_of_what_is_not_there_says_so() {
    let (lab, snapshot) = (lab(), sample::snapshot(1, &sample::share(1, 10)));
    let error = lab.create_snapshot::<Memory>(&snapshot).expect_err("no share");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
    let error = lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]).expect_err("no snapshot");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    lab.delete_snapshot::<Memory>(&snapshot).expect("gone is gone");
}

#[test]
fn only_snapshots_of_shares_that_say_so_can_be_mounted() {
    let (lab, snapshot) = snapshot_lab();
    assert!(lab.create_snapshot::<Memory>(&snapshot).expect("there").export_locations.is_empty());
    let mountable =
        Snapshot { share: Share { mount_snapshot_support: true, ..snapshot.share.clone() }, ..snapshot };
    let outcome = lab.create_snapshot::<Memory>(&mountable).expect("there");
    assert_eq!(outcome.export_locations[0].path, format!("127.0.0.1:/{}", mountable.name));
}

#[test]
fn rules_of_a_snapshot_become_what_the_update_says() {
    let (lab, snapshot) = snapshot_lab();
    let rule = |number: u32, access_type, to: &str| {
        let rule = sample::access_rule(number, access_type, to, bulkhead_sdk::AccessLevel::Ro);
        SnapshotAccessRule {
            id: rule.id,
            mapping_id: rule.mapping_id,
            access_type,
            access_to: rule.access_to,
        }
    };
    let update = |rules| SnapshotAccessUpdate { rules, ..SnapshotAccessUpdate::default() };
    let served = rule(1, AccessType::Ip, "10.0.0.1/32");
    lab.snapshot_update_access::<Memory>(&snapshot, &update(vec![served.clone()])).expect("served");
    let refused = update(vec![served, rule(2, AccessType::Cert, "alice")]);
    let error = lab.snapshot_update_access::<Memory>(&snapshot, &refused).expect_err("a certificate");
    assert_eq!(error.code(), ErrorCode::InvalidAccess);
    lab.snapshot_update_access::<Memory>(&snapshot, &update(Vec::new())).expect("nobody");
    lab.delete_snapshot::<Memory>(&snapshot).expect("it is there");
    let error = lab.snapshot_update_access::<Memory>(&snapshot, &update(Vec::new())).expect_err("gone");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
}

#[test]
fn a_revert_brings_back_size_content_and_use() {
    let (lab, snapshot) = snapshot_lab();
    lab.extend_share::<Memory>(&snapshot.share, 20).expect("room enough");
    for _ in 0..2 {
        assert_eq!(lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]), Ok(Reversion::Done));
        assert_eq!(field(&lab, &snapshot.share, "size").as_deref(), Some("10"));
        assert_eq!(field(&lab, &snapshot.share, "used").as_deref(), Some("5120"));
    }
}

#[test]
fn reverting_converges_wherever_it_is_interrupted() {
    let snapshot = snapshot_lab().1;
    interrupted_everywhere(
        || {
            let (lab, snapshot) = snapshot_lab();
            lab.extend_share::<Memory>(&snapshot.share, 20).expect("room enough");
            lab
        },
        |lab| lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]),
        |lab, moment| {
            let size = field(lab, &snapshot.share, "size");
            assert!(["10", "20"].map(|size| Some(size.to_owned())).contains(&size), "the old or the new");
            assert!(moment == Moment::Interrupted || size.as_deref() == Some("10"));
        },
    );
}

#[test]
fn taking_and_removing_a_snapshot_converge_wherever_they_are_interrupted() {
    let snapshot = snapshot_lab().1;
    let share_alone = || {
        let (lab, snapshot) = snapshot_lab();
        lab.delete_snapshot::<Memory>(&snapshot).expect("it is there");
        lab
    };
    interrupted_everywhere(share_alone, |lab| lab.create_snapshot::<Memory>(&snapshot), |_, _| {});
    interrupted_everywhere(
        || snapshot_lab().0,
        |lab| lab.delete_snapshot::<Memory>(&snapshot),
        |lab, moment| {
            if moment == Moment::Done {
                let error = lab.revert_to_snapshot::<Memory>(&snapshot, &[], &[]).expect_err("gone");
                assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
            }
        },
    );
}
