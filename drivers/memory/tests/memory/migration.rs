//! Moving shares to another pool of the backend.

use crate::{field, set_pairs, sums, thick_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessType, ErrorCode, FirstPhase, MigrationCompatibility, Share, ShareMigration, Snapshot,
    SnapshotMapping,
};

/// A share of 10 GiB in pool gold, a snapshot of it, and its way to pool silver.
fn migrating_lab() -> (Lab, ShareMigration) {
    let lab = thick_lab();
    lab.set_option("backend_host", Value::Text("bulkhead@nas".to_owned()));
    let in_pool = |pool: &str, number| Share { pool: Some(pool.to_owned()), ..sample::share(number, 10) };
    let (source_share, destination_share) = (in_pool("gold", 1), in_pool("silver", 2));
    lab.create_share::<Memory>(&source_share).expect("made");
    let source = sample::snapshot(1, &source_share);
    let handle = lab.create_snapshot::<Memory>(&source).expect("taken").provider_location;
    let snapshots = vec![SnapshotMapping {
        source: Snapshot { provider_location: handle, ..source },
        destination: sample::snapshot(2, &destination_share),
    }];
    let destination_host = "bulkhead@nas#silver".to_owned();
    (lab, ShareMigration { source_share, destination_share, destination_host, snapshots })
}

/// As [`migrating_lab`], with the first phase done.
fn moved_lab() -> (Lab, ShareMigration) {
    let (lab, migration) = migrating_lab();
    lab.migration_start::<Memory>(&migration).expect("begun");
    (lab, migration)
}

fn elsewhere(migration: &ShareMigration, host: &str) -> ShareMigration {
    ShareMigration { destination_host: host.to_owned(), ..migration.clone() }
}

#[test]
fn only_pools_of_this_backend_are_compatible() {
    let (lab, migration) = migrating_lab();
    let compatible = lab.migration_check_compatibility::<Memory>(&migration).expect("checked");
    assert!(compatible.compatible && compatible.preserve_snapshots && !compatible.nondisruptive);
    for host in ["bulkhead@other#silver", "bulkhead@nas#brass", "bulkhead@nas"] {
        let found = lab.migration_check_compatibility::<Memory>(&elsewhere(&migration, host));
        assert_eq!(found, Ok(MigrationCompatibility::default()), "{host}");
    }
    let error = lab
        .migration_start::<Memory>(&elsewhere(&migration, "bulkhead@other#silver"))
        .expect_err("out of reach");
    assert_eq!(error.code(), ErrorCode::InvalidParameter);
}

#[test]
fn nothing_is_moved_where_the_backend_does_not_know_itself() {
    let (lab, migration) = migrating_lab();
    lab.set_option("backend_host", Value::Text(String::new()));
    let found = lab.migration_check_compatibility::<Memory>(&migration);
    assert_eq!(found, Ok(MigrationCompatibility::default()));
}

#[test]
fn a_share_is_moved_with_its_content_and_snapshots_and_counted_where_it_is() {
    let (lab, migration) = moved_lab();
    assert_eq!(
        (sums(&lab, "gold"), sums(&lab, "silver")),
        ("sum=10240/10240".into(), "sum=10240/10240".into())
    );
    assert_eq!(lab.migration_continue::<Memory>(&migration), Ok(FirstPhase::Done));
    // What clients write in the first phase moves along.
    let written = [("content".to_owned(), "letters".to_owned())];
    lab.update_share_from_metadata::<Memory>(&migration.source_share, &written).expect("written");
    for _ in 0..2 {
        let outcome = lab.migration_complete::<Memory>(&migration).expect("completed");
        let locations = outcome.export_locations.expect("locations");
        assert_eq!(locations[0].path, format!("127.0.0.1:/{}", migration.destination_share.name));
        assert_eq!(outcome.snapshots.len(), 1);
        assert_eq!(outcome.snapshots[0].provider_location, migration.snapshots[0].source.provider_location);
    }
    assert_eq!(field(&lab, &migration.source_share, "size"), None);
    assert_eq!(field(&lab, &migration.destination_share, "content").as_deref(), Some("letters"));
    assert_eq!((sums(&lab, "gold"), sums(&lab, "silver")), ("sum=0/0".into(), "sum=10240/10240".into()));
    let error = lab.migration_cancel::<Memory>(&migration).expect_err("too late");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn the_first_phase_takes_as_long_as_the_array_needs() {
    let (lab, migration) = migrating_lab();
    lab.set_option("pending_seconds", Value::Integer(100));
    lab.migration_start::<Memory>(&migration).expect("begun");
    let sleep = |seconds| {
        lab.taking_over(&sample::share(99, 1), "", || {
            bulkhead_sdk::clock::sleep(std::time::Duration::from_secs(seconds))
        })
    };
    sleep(30);
    lab.migration_start::<Memory>(&migration).expect("begun already");
    assert_eq!(lab.migration_progress::<Memory>(&migration), Ok(30));
    assert_eq!(lab.migration_continue::<Memory>(&migration), Ok(FirstPhase::InProgress));
    sleep(70);
    assert_eq!(lab.migration_continue::<Memory>(&migration), Ok(FirstPhase::Done));
    assert_eq!(lab.migration_progress::<Memory>(&migration), Ok(100));
}

#[test]
fn a_migration_that_is_cancelled_or_never_began_leaves_the_source_as_it_was() {
    let (lab, migration) = migrating_lab();
    lab.migration_cancel::<Memory>(&migration).expect("it never began");
    lab.migration_start::<Memory>(&migration).expect("begun");
    for _ in 0..2 {
        lab.migration_cancel::<Memory>(&migration).expect("cancelled");
    }
    assert_eq!(field(&lab, &migration.destination_share, "size"), None);
    assert_eq!(field(&lab, &migration.source_share, "size").as_deref(), Some("10"));
    assert_eq!(sums(&lab, "silver"), "sum=0/0");
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let (lab, migration) = migrating_lab();
    set_pairs(&lab, "pools", &[("gold", "100"), ("silver", "5")]);
    let error = lab.migration_start::<Memory>(&migration).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    assert_eq!(field(&lab, &migration.destination_share, "size"), None);
}

#[test]
fn every_step_of_a_migration_converges_wherever_it_is_interrupted() {
    let migration = migrating_lab().1;
    interrupted_everywhere(
        || migrating_lab().0,
        |lab| lab.migration_start::<Memory>(&migration),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(sums(lab, "silver"), "sum=10240/10240");
            }
        },
    );
    interrupted_everywhere(
        || moved_lab().0,
        |lab| lab.migration_complete::<Memory>(&migration),
        |lab, moment| {
            assert!(
                field(lab, &migration.destination_share, "size").is_some(),
                "one of both is always there"
            );
            if moment == Moment::Done {
                assert_eq!(
                    (sums(lab, "gold"), sums(lab, "silver")),
                    ("sum=0/0".into(), "sum=10240/10240".into())
                );
            }
        },
    );
    interrupted_everywhere(
        || moved_lab().0,
        |lab| lab.migration_cancel::<Memory>(&migration),
        |lab, moment| {
            assert!(field(lab, &migration.source_share, "size").is_some());
            if moment == Moment::Done {
                assert_eq!(sums(lab, "silver"), "sum=0/0");
            }
        },
    );
}

#[test]
fn the_host_is_told_how_it_would_mount_a_share() {
    let (lab, migration) = migrating_lab();
    let connection = lab.connection_info::<Memory>(&migration.source_share).expect("told");
    assert_eq!(connection.mount_export, format!("127.0.0.1:/{}", migration.source_share.name));
    assert_eq!(connection.access_mapping[0].access_type, AccessType::Ip);
}
