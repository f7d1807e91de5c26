//! The driver against a double of the host: what it asks the array, and how it copes with what the array answers.

mod array;
mod shares;
mod snapshots;

use array::Array;
use bulkhead_rest_appliance::RestAppliance;
use bulkhead_sdk::testing::sample;
use bulkhead_sdk::{AccessLevel, AccessType, AccessUpdate, ErrorCode};

#[test]
fn the_array_is_asked_who_it_is_before_anything_else() {
    let lab = Array::default().lab();
    lab.setup::<RestAppliance>().expect("set up");
    let stats = lab.stats::<RestAppliance>().expect("statistics");
    assert_eq!(stats.pools[0].name, "array");
    let other = Array::default();
    other.borrow_mut().model = "toaster".to_owned();
    let error = other.lab().setup::<RestAppliance>().expect_err("another model");
    assert_eq!(error.code(), ErrorCode::BadConfiguration);
}

#[test]
fn rules_are_handed_over_whole_and_only_addresses_become_active() {
    let array = Array::default();
    let lab = array.lab();
    let share = sample::share(1, 2);
    lab.create_share::<RestAppliance>(&share).expect("made");
    let rules = vec![
        sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw),
        sample::access_rule(2, AccessType::User, "alice", AccessLevel::Ro),
    ];
    let update = AccessUpdate { rules, ..AccessUpdate::default() };
    let outcomes = lab.update_access::<RestAppliance>(&share, &update).expect("updated");
    assert_eq!(outcomes.len(), 2);
    let sent = lab.requests().pop().expect("a request");
    assert_eq!(sent.words()[1], format!("/api/volumes/{}/clients", share.name));
    assert!(
        sent.words()[2].contains(r#"{"type":"ip","to":"10.0.0.0/24","level":"rw"}"#),
        "{:?}",
        sent.words()
    );
}
