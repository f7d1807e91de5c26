//! The double of the host calls what drivers answer later or beside a share's life: how far it is, hooks, metadata.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    AccessRule, Driver, Error, ErrorCode, ExportLocation, FinishedShare, HookData, MetadataUpdates,
    PeriodicHook, Resource, Result, Reversion, Revert, Share, ShareProgress, ShareStatus, Snapshot,
    SnapshotAccessRule, Statistics,
};

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares and snapshots are directories in it"
paths = ["{share}", "{snapshot}", "{source-snapshot}"]

[metadata-keys]
supplied = ["mount-options"]
updatable = ["tier"]
"#;

struct Slow;

impl Driver for Slow {
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

impl Revert for Slow {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _: &[AccessRule],
        _: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        let share = Owner::Of(Resource::from(&snapshot.share));
        private_data::set(&share, "snapshot", &snapshot.id, Expected::Anything)?;
        Ok(Reversion::Pending)
    }
}

impl ShareStatus for Slow {
    fn share_status(share: &Share) -> Result<ShareProgress> {
        if let Some(snapshot) = private_data::get(&Owner::Subject, "snapshot")? {
            let snapshot = Resource::Snapshot(snapshot.value);
            files::create_directory(&Path::new("pool", "{snapshot}").of(snapshot))?;
            return Ok(ShareProgress::Pending(1));
        }
        let asked = private_data::get(&Owner::Subject, "asked")?.map_or(0, |entry| entry.value.len());
        private_data::set(&Owner::Subject, "asked", &"x".repeat(asked + 1), Expected::Anything)?;
        match asked {
            0 => {
                files::create_directory(&Path::new("pool", "{share}"))?;
                Ok(ShareProgress::Pending(50))
            }
            1 => Ok(ShareProgress::Available(FinishedShare {
                export_locations: Some(vec![ExportLocation::new(format!("10.0.0.5:/{}", share.name))]),
                size_gib: None,
            })),
            _ => Ok(ShareProgress::Failed),
        }
    }
}

impl PeriodicHook for Slow {
    fn periodic_hook_data(shares: &[Share]) -> Result<Vec<HookData>> {
        let of = |share: &Share| HookData {
            id: share.id.clone(),
            data: vec![("size".to_owned(), share.size_gib.to_string())],
        };
        Ok(shares.iter().map(of).collect())
    }
}

impl MetadataUpdates for Slow {
    fn share_creation_metadata(share: &Share) -> Result<Vec<(String, String)>> {
        Ok(vec![("mount-options".to_owned(), format!("fs={}", share.name))])
    }

    fn update_share_from_metadata(_: &Share, metadata: &[(String, String)]) -> Result<()> {
        for (key, value) in metadata {
            if value != "gold" && value != "silver" {
                return Err(Error::invalid_parameter(format!("there is no {key} {value}")));
            }
            private_data::set(&Owner::Subject, key, value, Expected::Anything)?;
        }
        Ok(())
    }
}

#[test]
fn a_pending_share_is_asked_about_with_its_source_in_reach_until_it_is_ready() {
    let lab = Lab::new(MANIFEST);
    let (share, source) = (sample::share(1, 1), sample::snapshot(2, &sample::share(3, 1)));
    let ask = || lab.share_status_while_creating::<Slow>(&share, &source);
    assert_eq!(ask(), Ok(ShareProgress::Pending(50)));
    let ready = ask().expect("an answer");
    assert!(matches!(ready, ShareProgress::Available(finished) if finished.export_locations.is_some()));
    assert_eq!(ask(), Ok(ShareProgress::Failed));
}

#[test]
fn a_pending_revert_is_asked_about_as_a_matter_of_the_share_which_may_name_the_snapshot() {
    let lab = Lab::new(MANIFEST);
    let snapshot = sample::snapshot(1, &sample::share(2, 1));
    assert_eq!(lab.revert_to_snapshot::<Slow>(&snapshot, &[], &[]), Ok(Reversion::Pending));
    assert_eq!(lab.share_status_while_reverting::<Slow>(&snapshot), Ok(ShareProgress::Pending(1)));
    assert!(lab.root("pool").join(&snapshot.name).is_dir());
}

#[test]
fn hooks_get_what_the_driver_says_of_each_share() {
    let lab = Lab::new(MANIFEST);
    let told = lab.periodic_hook_data::<Slow>(&[sample::share(1, 3), sample::share(2, 4)]).expect("data");
    let sizes: Vec<_> = told.iter().map(|one| one.data[0].1.as_str()).collect();
    assert_eq!(sizes, ["3", "4"]);
}

#[test]
fn metadata_are_supplied_after_creation_and_followed_when_a_tenant_changes_them() {
    let lab = Lab::new(MANIFEST);
    let share = sample::share(1, 1);
    let supplied = lab.share_creation_metadata::<Slow>(&share).expect("metadata");
    assert_eq!(supplied[0].0, "mount-options");
    let change = |value: &str| [("tier".to_owned(), value.to_owned())];
    assert_eq!(lab.update_share_from_metadata::<Slow>(&share, &change("gold")), Ok(()));
    let refused = lab.update_share_from_metadata::<Slow>(&share, &change("paper")).expect_err("refused");
    assert_eq!(refused.code(), ErrorCode::InvalidParameter);
}
