//! Answers about share groups of a guest that says as little as it can, or too much.

use crate::Driver as _;
use crate::fixture::{self, Guest, reason};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::CallError;
use bulkhead_model::share_group::Consistency;

/// `ok(host)` of `consistency-unit` at 4096.
const HOST: &str = r#"(data (i32.const 4096) "\00\00\00\00\01")"#;
const ANSWER: &str = "(i32.const 4096)";

fn guest() -> Guest {
    Guest::default().export("snapshots").export("share-groups").export("group-snapshots")
}

#[tokio::test]
async fn every_function_about_groups_is_called_and_silence_is_success() {
    let (_host, generation) = guest().generation(DriverLimits::default()).await;
    let snapshot = fixture::group_snapshot();
    let sources = fixture::sources(&snapshot);
    assert_eq!(generation.create_share_group(&reason(), &snapshot.group).await, Ok(()));
    assert_eq!(generation.create_share_group_snapshot(&reason(), &snapshot).await, Ok(Vec::new()));
    let why = reason();
    let made = generation.create_share_group_from_snapshot(&why, &snapshot.group, &snapshot, &sources);
    assert_eq!(made.await, Ok(Vec::new()));
    assert_eq!(generation.delete_share_group_snapshot(&reason(), &snapshot).await, Ok(()));
    assert_eq!(generation.delete_share_group(&reason(), &snapshot.group).await, Ok(()));
    assert_eq!(generation.consistency_unit(&reason()).await, Ok(Some(Consistency::Pool)));
}

#[tokio::test]
async fn the_unit_of_consistency_is_what_the_driver_says() {
    let guest = guest().with(HOST).body("group-snapshots.consistency-unit", ANSWER);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    assert_eq!(generation.consistency_unit(&reason()).await, Ok(Some(Consistency::Host)));
}

#[tokio::test]
async fn a_driver_that_refuses_a_group_is_heard() {
    // `err` with the first code of the contract, an empty message and no detail.
    let refusal = r#"(data (i32.const 4096) "\01")"#;
    let guest = guest().with(refusal).body("share-groups.create-share-group", ANSWER);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let answer = generation.create_share_group(&reason(), &fixture::group_snapshot().group).await;
    assert!(matches!(answer, Err(CallError::Answered(_))), "{answer:?}");
}

#[tokio::test]
async fn where_groups_are_not_exported_they_are_records_and_their_snapshots_the_hosts() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let snapshot = fixture::group_snapshot();
    assert_eq!(generation.create_share_group(&reason(), &snapshot.group).await, Ok(()));
    assert_eq!(generation.delete_share_group(&reason(), &snapshot.group).await, Ok(()));
    assert_eq!(generation.consistency_unit(&reason()).await, Ok(None));
    let missing = CallError::NotExported { interface: Ability::GroupSnapshots.interface() };
    assert_eq!(generation.create_share_group_snapshot(&reason(), &snapshot).await, Err(missing.clone()));
    assert!(missing.is_not_implemented());
    let sources = fixture::sources(&snapshot);
    let why = reason();
    let made = generation.create_share_group_from_snapshot(&why, &snapshot.group, &snapshot, &sources);
    assert!(made.await.expect_err("not exported").is_not_implemented());
}
