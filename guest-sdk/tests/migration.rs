//! The double of the host lets a call about a migration touch both sides of the share and of its snapshots, and nothing else.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    Driver, ErrorCode, ExportLocation, FirstPhase, Migration, MigrationCompatibility, MigrationOutcome,
    Resource, Result, Share, ShareMigration, SnapshotProgress, SnapshotUpdate, Statistics,
};

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares and snapshots are directories in it"
paths = ["{share}", "{snapshot}"]
"#;

struct Directories;

impl Driver for Directories {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
        files::create_directory(&Path::new("pool", "{share}"))?;
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(files::remove(&Path::new("pool", "{share}"))?)
    }
}

impl Migration for Directories {
    fn migration_check_compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility> {
        assert!(migration.snapshots.is_empty());
        Ok(MigrationCompatibility { compatible: true, preserve_snapshots: true, ..Default::default() })
    }

    fn migration_start(migration: &ShareMigration) -> Result<()> {
        files::create_directory(&Path::new("pool", "{share}").of(&migration.destination_share))?;
        private_data::set(&Owner::Subject, "to", &migration.destination_host, Expected::Anything)?;
        Ok(())
    }

    fn migration_continue(migration: &ShareMigration) -> Result<FirstPhase> {
        for mapping in &migration.snapshots {
            files::create_directory(&Path::new("pool", "{snapshot}").of(&mapping.destination))?;
        }
        Ok(FirstPhase::Done)
    }

    fn migration_complete(migration: &ShareMigration) -> Result<MigrationOutcome> {
        files::remove(&Path::new("pool", "{share}"))?;
        let moved = |one: &bulkhead_sdk::SnapshotMapping| {
            SnapshotUpdate::new(&one.destination.id, SnapshotProgress::Available)
        };
        Ok(MigrationOutcome {
            export_locations: Some(vec![ExportLocation::new("10.0.0.6:/moved")]),
            snapshots: migration.snapshots.iter().map(moved).collect(),
        })
    }

    fn migration_cancel(migration: &ShareMigration) -> Result<()> {
        let destination = Resource::from(&migration.destination_share);
        files::remove(&Path::new("pool", "{share}").of(destination))?;
        Ok(())
    }

    fn migration_progress(_: &ShareMigration) -> Result<u32> {
        Ok(if private_data::get(&Owner::Subject, "to")?.is_some() { 50 } else { 0 })
    }
}

#[test]
fn a_share_moves_with_its_snapshots_to_names_that_the_host_derives() {
    let lab = Lab::new(MANIFEST);
    let share = sample::share(1, 1);
    lab.create_share::<Directories>(&share).expect("made");
    let snapshots = [sample::snapshot(1, &share)];
    let migration = sample::migration(2, &share, "bulkhead@nas#other", &snapshots);
    assert_eq!(migration.destination_share.pool.as_deref(), Some("other"));
    let compatible = lab.migration_check_compatibility::<Directories>(&migration).expect("asked");
    assert!(compatible.compatible && compatible.preserve_snapshots && !compatible.writable);
    assert_eq!(lab.migration_progress::<Directories>(&migration), Ok(0));
    lab.migration_start::<Directories>(&migration).expect("begun");
    assert_eq!(lab.migration_progress::<Directories>(&migration), Ok(50));
    assert_eq!(lab.migration_continue::<Directories>(&migration), Ok(FirstPhase::Done));
    let outcome = lab.migration_complete::<Directories>(&migration).expect("moved");
    assert_eq!(outcome.snapshots[0].snapshot_id, migration.snapshots[0].destination.id);
    let moved = lab.root("pool").join(&migration.destination_share.name);
    assert!(moved.is_dir() && !lab.root("pool").join(&share.name).exists());
    lab.migration_cancel::<Directories>(&migration).expect("gone");
    assert!(!moved.exists());
}

#[test]
fn another_share_is_not_of_a_migration() {
    struct Nosy;

    impl Driver for Nosy {
        fn setup() -> Result<()> {
            Ok(())
        }

        fn stats() -> Result<Statistics> {
            Ok(Statistics::default())
        }

        fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
            Ok(Vec::new())
        }

        fn delete_share(_: &Share) -> Result<()> {
            Ok(())
        }
    }

    impl Migration for Nosy {
        fn migration_check_compatibility(_: &ShareMigration) -> Result<MigrationCompatibility> {
            Ok(MigrationCompatibility::default())
        }

        fn migration_start(_: &ShareMigration) -> Result<()> {
            files::create_directory(&Path::new("pool", "{share}").of(&sample::share(9, 1)))?;
            Ok(())
        }

        fn migration_continue(_: &ShareMigration) -> Result<FirstPhase> {
            Ok(FirstPhase::InProgress)
        }

        fn migration_complete(_: &ShareMigration) -> Result<MigrationOutcome> {
            Ok(MigrationOutcome::default())
        }

        fn migration_cancel(_: &ShareMigration) -> Result<()> {
            Ok(())
        }

        fn migration_progress(_: &ShareMigration) -> Result<u32> {
            Ok(0)
        }
    }

    let lab = Lab::new(MANIFEST);
    let migration = sample::migration(2, &sample::share(1, 1), "bulkhead@other", &[]);
    lab.migration_start::<Nosy>(&migration).expect_err("another share");
    let unsaid = lab.connection_info::<Nosy>(&migration.source_share).expect_err("nothing special");
    assert_eq!(unsaid.code(), ErrorCode::NotImplemented);
}
