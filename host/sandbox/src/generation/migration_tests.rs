//! Answers about migrations of a guest that says as little as it can, or too much.

use crate::Driver as _;
use crate::fixture::{self, Guest, reason};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::CallError;
use bulkhead_model::migration::{Compatibility, FirstPhase, MigrationOutcome};

const ANSWER: &str = "(i32.const 4096)";

/// Contract D-30.
#[tokio::test]
async fn every_function_about_migrations_is_called_and_silence_can_do_nothing() {
    let (_host, generation) = Guest::default().export("migration").generation(DriverLimits::default()).await;
    let (migration, why) = (fixture::migration(), reason());
    let compatible = generation.migration_check_compatibility(&why, &migration).await;
    assert_eq!(compatible, Ok(Compatibility::default()));
    assert_eq!(generation.migration_start(&why, &migration).await, Ok(()));
    assert_eq!(generation.migration_continue(&why, &migration).await, Ok(FirstPhase::InProgress));
    assert_eq!(generation.migration_progress(&why, &migration).await, Ok(0));
    assert_eq!(generation.migration_cancel(&why, &migration).await, Ok(()));
    assert_eq!(generation.migration_complete(&why, &migration).await, Ok(MigrationOutcome::default()));
    // Nowhere to mount from is no connection.
    let nowhere = generation.connection_info(&why, &migration.source).await;
    assert!(matches!(nowhere, Err(CallError::InvalidAnswer { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn more_than_the_whole_is_no_progress() {
    // `ok(200)`.
    let data = r#"(data (i32.const 4096) "\00\00\00\00\c8")"#;
    let guest = Guest::default().export("migration").with(data).body("migration.migration-progress", ANSWER);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let progress = generation.migration_progress(&reason(), &fixture::migration()).await;
    assert!(matches!(progress, Err(CallError::InvalidAnswer { .. })), "{progress:?}");
}

#[tokio::test]
async fn a_driver_that_refuses_to_begin_is_heard() {
    // `err` with the first code of the contract, an empty message and no detail.
    let refusal = r#"(data (i32.const 4096) "\01")"#;
    let guest = Guest::default().export("migration").with(refusal).body("migration.migration-start", ANSWER);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let answer = generation.migration_start(&reason(), &fixture::migration()).await;
    assert!(matches!(answer, Err(CallError::Answered(_))), "{answer:?}");
}

/// Contract D-29.
#[tokio::test]
async fn a_driver_without_migration_cannot_be_asked() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let missing = CallError::NotExported { interface: Ability::Migration.interface() };
    assert!(missing.is_not_implemented());
    let (migration, why) = (fixture::migration(), reason());
    let answer = generation.migration_check_compatibility(&why, &migration).await;
    assert_eq!(answer, Err(missing.clone()));
    assert_eq!(generation.migration_start(&why, &migration).await, Err(missing.clone()));
    assert_eq!(generation.migration_continue(&why, &migration).await, Err(missing.clone()));
    assert_eq!(generation.migration_progress(&why, &migration).await, Err(missing.clone()));
    assert_eq!(generation.migration_cancel(&why, &migration).await, Err(missing.clone()));
    assert_eq!(generation.migration_complete(&why, &migration).await, Err(missing.clone()));
    assert_eq!(generation.connection_info(&why, &migration.source).await, Err(missing));
}
