//! Taking over objects that nobody manages, and letting shares and snapshots go.

use crate::{backend_keys, field, lab, set_pairs, share_in, sums, take_snapshot, thick_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{ErrorCode, ExportLocation, Share, Snapshot};

/// A share as the operator names it: `127.0.0.1:/NAME`.
fn named(number: u32, name: &str) -> Share {
    let export_locations = vec![ExportLocation::new(format!("127.0.0.1:/{name}"))];
    Share { export_locations, ..sample::share(number, 1) }
}

fn old_lab() -> Lab {
    let lab = lab();
    set_pairs(&lab, "existing_shares", &[("old", "7")]);
    set_pairs(&lab, "existing_snapshots", &[("old-snapshot", "old")]);
    lab
}

#[test]
fn an_object_of_an_option_is_taken_over_once() {
    let (lab, share) = (old_lab(), named(1, "old"));
    for _ in 0..2 {
        let managed = lab.manage_existing::<Memory>(&share, &[]).expect("it is there");
        assert_eq!(managed.size_gib, 7);
        assert_eq!(
            managed.export_locations.expect("locations")[0].path,
            format!("127.0.0.1:/{}", share.name)
        );
    }
    let error = lab.manage_existing::<Memory>(&named(2, "old"), &[]).expect_err("somebody has it");
    assert_eq!(error.code(), ErrorCode::ManageInvalidShare);
}

#[test]
fn an_object_that_is_not_there_is_refused_and_nothing_changes() {
    let (lab, share) = (lab(), named(1, "nothing"));
    let error = lab.manage_existing::<Memory>(&share, &[]).expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ManageInvalidShare);
    assert!(backend_keys(&lab).is_empty());
    assert_eq!(field(&lab, &share, "size"), None);
}

#[test]
fn taking_over_converges_wherever_it_is_interrupted() {
    let share = named(1, "old");
    interrupted_everywhere(
        old_lab,
        |lab| lab.manage_existing::<Memory>(&share, &[]),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(field(lab, &share, "known-as").as_deref(), Some("old"));
            }
        },
    );
}

#[test]
fn a_share_that_was_let_go_is_still_counted_and_can_be_taken_over_with_all_it_holds() {
    let (lab, share) = (thick_lab(), share_in("gold", 1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    lab.unmanage::<Memory>(&share).expect("let go");
    assert_eq!(field(&lab, &share, "size"), None, "its private data are forgotten");
    assert_eq!(sums(&lab, "gold"), "sum=10240/10240");
    let again = Share { pool: Some("gold".to_owned()), ..named(2, &share.name) };
    assert_eq!(lab.manage_existing::<Memory>(&again, &[]).expect("it is there").size_gib, 10);
    assert_eq!(field(&lab, &again, "content"), Some(share.share_id));
    assert_eq!(backend_keys(&lab), ["pool/gold"], "nothing lies on the shelf");
    let again = Share { size_gib: 10, ..again };
    lab.delete_share::<Memory>(&again).expect("it is there");
    assert_eq!(sums(&lab, "gold"), "sum=0/0");
}

#[test]
fn taking_over_what_was_let_go_converges_wherever_it_is_interrupted() {
    let share = share_in("gold", 1, 10);
    let again = Share { pool: Some("gold".to_owned()), ..named(2, &share.name) };
    interrupted_everywhere(
        || {
            let lab = thick_lab();
            lab.create_share::<Memory>(&share).expect("made");
            lab.unmanage::<Memory>(&share).expect("let go");
            lab
        },
        |lab| lab.manage_existing::<Memory>(&again, &[]),
        |lab, moment| {
            assert_eq!(sums(lab, "gold"), "sum=10240/10240");
            if moment == Moment::Done {
                assert_eq!(backend_keys(lab), ["pool/gold"]);
            }
        },
    );
}

#[test]
fn a_share_that_is_deleted_after_it_was_half_let_go_is_gone_for_good() {
    let share = share_in("gold", 1, 10);
    interrupted_everywhere(
        || {
            let lab = thick_lab();
            lab.create_share::<Memory>(&share).expect("made");
            lab
        },
        |lab| lab.unmanage::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Interrupted {
                lab.delete_share::<Memory>(&share).expect("whatever is there");
                assert_eq!(backend_keys(lab), ["pool/gold"]);
                assert_eq!(sums(lab, "gold"), "sum=0/0");
            }
        },
    );
}

#[test]
fn what_nobody_manages_is_bounded() {
    let lab = lab();
    let refused = (1..600).find_map(|number| {
        let share = sample::share(number, 1);
        lab.create_share::<Memory>(&share).expect("made");
        lab.unmanage::<Memory>(&share).err()
    });
    assert_eq!(refused.expect("refused at last").code(), ErrorCode::NoSpace);
    assert!(backend_keys(&lab).len() <= 400);
}

#[test]
fn a_snapshot_of_an_option_is_taken_over_for_its_own_share_only() {
    let lab = old_lab();
    let (mine, other) = (named(1, "old"), sample::share(2, 7));
    lab.manage_existing::<Memory>(&mine, &[]).expect("it is there");
    lab.create_share::<Memory>(&other).expect("made");
    let of = |share: &Share, number| Snapshot {
        provider_location: Some("old-snapshot".to_owned()),
        ..sample::snapshot(number, share)
    };
    let error = lab.manage_existing_snapshot::<Memory>(&of(&other, 1), &[]).expect_err("not of this share");
    assert_eq!(error.code(), ErrorCode::ManageInvalidSnapshot);
    for _ in 0..2 {
        let managed = lab.manage_existing_snapshot::<Memory>(&of(&mine, 2), &[]).expect("it is there");
        assert_eq!(managed.size_gib, Some(7));
        assert!(managed.provider_location.expect("a handle").contains("content=old"));
    }
    let error = lab.manage_existing_snapshot::<Memory>(&of(&mine, 3), &[]).expect_err("somebody has it");
    assert_eq!(error.code(), ErrorCode::ManageInvalidSnapshot);
}

#[test]
fn a_snapshot_that_was_let_go_can_be_taken_over_for_its_share() {
    let lab = lab();
    let snapshot = take_snapshot(&lab);
    lab.unmanage_snapshot::<Memory>(&snapshot).expect("let go");
    let again =
        Snapshot { provider_location: Some(snapshot.name.clone()), ..sample::snapshot(2, &snapshot.share) };
    let managed = lab.manage_existing_snapshot::<Memory>(&again, &[]).expect("it is there");
    assert_eq!(managed.provider_location, snapshot.provider_location);
    assert!(backend_keys(&lab).is_empty());
    let error = lab
        .manage_existing_snapshot::<Memory>(
            &Snapshot {
                provider_location: Some("nothing".to_owned()),
                ..sample::snapshot(3, &snapshot.share)
            },
            &[],
        )
        .expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ManageInvalidSnapshot);
}

#[test]
fn a_share_that_was_let_go_and_taken_over_keeps_its_snapshots_that_were_let_go() {
    let lab = lab();
    let snapshot = take_snapshot(&lab);
    lab.unmanage_snapshot::<Memory>(&snapshot).expect("let go");
    lab.unmanage::<Memory>(&snapshot.share).expect("let go");
    let share = named(2, &snapshot.share.name);
    lab.manage_existing::<Memory>(&share, &[]).expect("it is there");
    let again = Snapshot { provider_location: Some(snapshot.name.clone()), ..sample::snapshot(2, &share) };
    lab.manage_existing_snapshot::<Memory>(&again, &[]).expect("it is there");
}
