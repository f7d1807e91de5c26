//! The double of the host takes over and lets go as the host does, and hands a snapshot's rules to templates read only.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    Access, AccessLevel, AccessType, AccessUpdate, Driver, Error, ErrorCode, ExportLocation, Manage,
    ManageSnapshots, ManagedShare, ManagedSnapshot, MountableSnapshots, Result, RuleOutcome, Share,
    ShareUsage, Slots, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate, SnapshotOutcome, Snapshots,
    Statistics, Usage,
};

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares and snapshots are directories in it"
paths = ["{share}", "{snapshot}", "{managed}"]

[[root]]
name = "exports"
use = "config"
reason = "read by a server"
paths = ["{snapshot}.clients"]

[[file]]
name = "clients"
root = "exports"
path = "{snapshot}.clients"
format = "lines"
text = "{clients}"
slots.clients = { type = "access-rules", of = "call", style = "exports5" }
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

impl Access for Directories {
    fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        Ok(Vec::new())
    }
}

impl Snapshots for Directories {
    fn create_snapshot(_: &Snapshot) -> Result<SnapshotOutcome> {
        Ok(SnapshotOutcome::default())
    }

    fn delete_snapshot(_: &Snapshot) -> Result<()> {
        Ok(())
    }
}

fn take_over(destination: &str) -> Result<()> {
    files::rename(&Path::new("pool", "{managed}"), &Path::new("pool", destination))
        .map_err(|error| Error::manage_invalid_share(error.to_string()))
}

impl Manage for Directories {
    fn manage_existing(share: &Share, driver_options: &[(String, String)]) -> Result<ManagedShare> {
        take_over("{share}")?;
        private_data::set(&Owner::Subject, "taken", &driver_options.len().to_string(), Expected::Absent)?;
        Ok(ManagedShare { size_gib: share.size_gib, export_locations: None })
    }
}

impl ManageSnapshots for Directories {
    fn manage_existing_snapshot(_: &Snapshot, _: &[(String, String)]) -> Result<ManagedSnapshot> {
        take_over("{snapshot}")?;
        Ok(ManagedSnapshot::default())
    }
}

impl MountableSnapshots for Directories {
    fn snapshot_update_access(_: &Snapshot, _: &SnapshotAccessUpdate) -> Result<()> {
        Ok(files::write_template("clients", Slots::new())?)
    }
}

impl Usage for Directories {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        Ok(shares
            .iter()
            .map(|share| ShareUsage { id: share.id.clone(), used_gib: 0.5, gathered_at_ms: 1 })
            .collect())
    }
}

bulkhead_sdk::export_driver!(
    Directories: access, snapshots, mountable_snapshots, manage, manage_snapshots, usage
);

fn named(number: u32, path: &str) -> Share {
    Share { export_locations: vec![ExportLocation::new(path)], ..sample::share(number, 3) }
}

#[test]
fn a_share_that_is_let_go_is_taken_over_again_under_another_name() {
    let lab = Lab::new(MANIFEST);
    std::fs::create_dir(lab.root("pool").join("old")).expect("a directory made by hand");
    let share = named(1, "192.0.2.1:/exports/old");
    lab.manage_existing::<Directories>(&share, &[]).expect("taken over");
    assert!(lab.root("pool").join(&share.name).is_dir());
    lab.unmanage::<Directories>(&share).expect("let go");
    assert!(lab.root("pool").join(&share.name).is_dir(), "its data stay");
    let again = named(2, &format!("192.0.2.1:/exports/{}", share.name));
    lab.manage_existing::<Directories>(&again, &[]).expect("taken over again, with private data of its own");
    assert!(lab.root("pool").join(&again.name).is_dir());
}

#[test]
fn what_somebody_owns_is_not_taken_over() {
    let lab = Lab::new(MANIFEST);
    let owner = sample::share(1, 1);
    lab.create_share::<Directories>(&owner).expect("made");
    let thief = named(2, &format!("192.0.2.1:/exports/{}", owner.name));
    let error = lab.manage_existing::<Directories>(&thief, &[]).expect_err("it is owned");
    assert_eq!(error.code(), ErrorCode::ManageInvalidShare);
    assert!(lab.root("pool").join(&owner.name).is_dir());
}

#[test]
fn a_snapshot_is_named_by_its_provider_location() {
    let lab = Lab::new(MANIFEST);
    std::fs::create_dir(lab.root("pool").join("nightly")).expect("a directory made by hand");
    let share = sample::share(1, 1);
    let snapshot =
        Snapshot { provider_location: Some("snapshots/nightly".to_owned()), ..sample::snapshot(1, &share) };
    lab.manage_existing_snapshot::<Directories>(&snapshot, &[]).expect("taken over");
    assert!(lab.root("pool").join(&snapshot.name).is_dir());
    lab.unmanage_snapshot::<Directories>(&snapshot).expect("let go");
}

#[test]
fn the_rules_of_a_snapshot_reach_templates_read_only() {
    let lab = Lab::new(MANIFEST);
    let snapshot = sample::snapshot(1, &sample::share(1, 1));
    let rule = sample::access_rule(1, AccessType::Ip, "10.0.0.7", AccessLevel::Rw);
    let rule = SnapshotAccessRule {
        id: rule.id,
        mapping_id: rule.mapping_id,
        access_type: rule.access_type,
        access_to: rule.access_to,
    };
    let update = SnapshotAccessUpdate { rules: vec![rule.clone()], add: vec![rule], remove: Vec::new() };
    lab.snapshot_update_access::<Directories>(&snapshot, &update).expect("written");
    let clients = std::fs::read_to_string(lab.root("exports").join(format!("{}.clients", snapshot.name)))
        .expect("the file is there");
    assert!(clients.contains("10.0.0.7(ro"), "{clients}");
}

#[test]
fn usage_is_told_of_every_share_that_is_asked_about() {
    let lab = Lab::new(MANIFEST);
    let shares = [sample::share(1, 1), sample::share(2, 1)];
    let usage = lab.share_usage_sizes::<Directories>(&shares).expect("an answer");
    assert_eq!(usage.len(), 2);
}
