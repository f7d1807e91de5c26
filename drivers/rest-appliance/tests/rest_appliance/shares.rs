//! Shares.

use crate::array::Array;
use bulkhead_rest_appliance::RestAppliance;
use bulkhead_sdk::testing::{Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{ErrorCode, Health};

#[test]
fn a_share_is_a_volume_of_its_name_and_found_by_it() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 3);
    let locations = lab.create_share::<RestAppliance>(&share).expect("made");
    assert_eq!(locations[0].path, format!("10.0.0.9:/vol/{}", share.name));
    assert_eq!(array.borrow_mut().volumes.get(&share.name), Some(&3));
    let ensured = lab.ensure_shares::<RestAppliance>(std::slice::from_ref(&share)).expect("ensured");
    assert_eq!(ensured[0].health, Health::Sound);
    lab.delete_share::<RestAppliance>(&share).expect("deleted");
    lab.delete_share::<RestAppliance>(&share).expect("deleted already");
    assert!(array.borrow_mut().volumes.is_empty());
    let ensured = lab.ensure_shares::<RestAppliance>(&[share]).expect("ensured");
    assert_eq!(ensured[0].health, Health::Broken);
}

#[test]
fn what_was_made_although_its_answer_was_lost_is_found_by_the_next_attempt() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 3);
    array.lose(&lab, "create-volume");
    let error = lab.create_share::<RestAppliance>(&share).expect_err("lost");
    assert_eq!(error.code(), ErrorCode::OutcomeUnknown);
    lab.create_share::<RestAppliance>(&share).expect("found");
    assert_eq!(lab.requests().iter().filter(|sent| sent.template() == "create-volume").count(), 1);
}

#[test]
fn a_volume_of_another_size_under_the_name_is_a_conflict() {
    let array = Array::default();
    let share = sample::share(1, 3);
    array.borrow_mut().volumes.insert(share.name.clone(), 9);
    let error = array.lab().create_share::<RestAppliance>(&share).expect_err("another one");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn the_array_is_waited_for_and_what_it_fails_with_is_told() {
    let array = Array::default();
    let lab = array.lab();
    array.borrow_mut().running = 3;
    lab.create_share::<RestAppliance>(&sample::share(1, 3)).expect("made");
    assert_eq!(lab.requests().iter().filter(|sent| sent.template() == "read-job").count(), 4);
    array.borrow_mut().failure = Some("no-space");
    let error = lab.create_share::<RestAppliance>(&sample::share(2, 3)).expect_err("full");
    assert_eq!(error.code(), ErrorCode::NoSpace);
}

#[test]
fn whoever_is_told_to_wait_waits() {
    let array = Array::default();
    let lab = array.lab();
    array.borrow_mut().delays = 3;
    lab.create_share::<RestAppliance>(&sample::share(1, 3)).expect("made");
}

#[test]
fn making_a_share_converges_wherever_it_is_cut_short() {
    let share = sample::share(1, 3);
    let array = std::cell::RefCell::new(Array::default());
    interrupted_everywhere(
        || {
            *array.borrow_mut() = Array::default();
            array.borrow().lab()
        },
        |lab| lab.create_share::<RestAppliance>(&share),
        |_, moment| {
            let array = array.borrow();
            let volumes = &array.borrow_mut().volumes;
            assert!(volumes.keys().all(|name| *name == share.name));
            assert!(moment == Moment::Interrupted || volumes.get(&share.name) == Some(&3));
        },
    );
}

#[test]
fn a_size_is_set_once_and_what_is_used_is_not_cut() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 3);
    lab.create_share::<RestAppliance>(&share).expect("made");
    for _ in 0..2 {
        lab.extend_share::<RestAppliance>(&share, 5).expect("larger");
    }
    assert_eq!(lab.requests().iter().filter(|sent| sent.template() == "resize-volume").count(), 1);
    let error = lab.shrink_share::<RestAppliance>(&share, 1).expect_err("used");
    assert_eq!(error.code(), ErrorCode::PossibleDataLoss);
    let error = lab.extend_share::<RestAppliance>(&sample::share(2, 3), 5).expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}
