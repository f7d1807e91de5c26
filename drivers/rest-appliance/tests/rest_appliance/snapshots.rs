//! Snapshots, shares made from them, and reverts.

use crate::array::Array;
use bulkhead_rest_appliance::RestAppliance;
use bulkhead_sdk::ErrorCode;
use bulkhead_sdk::testing::sample;

#[test]
fn a_snapshot_is_taken_once_and_removed() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 3);
    let snapshot = sample::snapshot(1, &share);
    lab.create_share::<RestAppliance>(&share).expect("made");
    for _ in 0..2 {
        lab.create_snapshot::<RestAppliance>(&snapshot).expect("taken");
    }
    for _ in 0..2 {
        lab.delete_snapshot::<RestAppliance>(&snapshot).expect("removed");
    }
    assert!(array.borrow_mut().snapshots.is_empty());
}

#[test]
fn a_share_goes_back_to_its_snapshot_and_its_size() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 3);
    let snapshot = sample::snapshot(1, &share);
    lab.create_share::<RestAppliance>(&share).expect("made");
    let error = lab.revert_to_snapshot::<RestAppliance>(&snapshot, &[], &[]).expect_err("none");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    lab.create_snapshot::<RestAppliance>(&snapshot).expect("taken");
    lab.extend_share::<RestAppliance>(&share, 7).expect("larger");
    lab.revert_to_snapshot::<RestAppliance>(&snapshot, &[], &[]).expect("reverted");
    assert_eq!(array.borrow_mut().volumes.get(&share.name), Some(&3));
}

#[test]
fn a_snapshot_of_another_volume_under_the_name_is_a_conflict() {
    let array = Array::default();
    let share = sample::share(1, 3);
    let snapshot = sample::snapshot(1, &share);
    array.borrow_mut().snapshots.insert(snapshot.name.clone(), ("other".to_owned(), 1));
    let error = array.lab().create_snapshot::<RestAppliance>(&snapshot).expect_err("another one");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn a_share_made_from_a_snapshot_is_cloned_once_and_from_that_snapshot() {
    let array = Array::default();
    let lab = array.lab();
    let (share, clone) = (sample::share(1, 3), sample::share(2, 3));
    let snapshot = sample::snapshot(1, &share);
    let error = lab.create_share_from_snapshot::<RestAppliance>(&clone, &snapshot).expect_err("none");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    lab.create_share::<RestAppliance>(&share).expect("made");
    lab.create_snapshot::<RestAppliance>(&snapshot).expect("taken");
    array.lose(&lab, "clone-volume");
    let error = lab.create_share_from_snapshot::<RestAppliance>(&clone, &snapshot).expect_err("lost");
    assert_eq!(error.code(), ErrorCode::OutcomeUnknown);
    lab.create_share_from_snapshot::<RestAppliance>(&clone, &snapshot).expect("found");
    let asked: Vec<_> = lab.requests().into_iter().filter(|sent| sent.template() == "clone-volume").collect();
    let sources: Vec<_> = asked.iter().map(|sent| sent.value("source")).collect();
    assert_eq!(
        sources,
        [snapshot.name.as_str(); 2],
        "the first attempt met no snapshot, the second was lost"
    );
    assert_eq!(array.borrow_mut().volumes.get(&clone.name), Some(&3));
}
