//! The double of the host lets a call about a group touch the group, its new shares and its members, and nothing else.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    Consistency, CreatedShare, Creation, Driver, Error, ErrorCode, ExportLocation, GroupShareSource,
    GroupSnapshots, Resource, Result, Share, ShareGroup, ShareGroupSnapshot, ShareGroups, SnapshotProgress,
    SnapshotUpdate, Statistics,
};

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares and snapshots are directories in it"
paths = ["{share}", "{snapshot}", "{source-snapshot}"]
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

impl ShareGroups for Directories {
    fn create_share_group(group: &ShareGroup) -> Result<()> {
        private_data::set(&Owner::Subject, "name", &group.id, Expected::Anything)?;
        Ok(())
    }

    fn delete_share_group(group: &ShareGroup) -> Result<()> {
        let owner = Owner::Of(Resource::from(group));
        let kept = private_data::get(&owner, "name")?.map(|entry| entry.value);
        if kept.as_ref() != Some(&group.id) {
            return Err(Error::invalid_share_group("it was never made"));
        }
        Ok(private_data::remove(&owner, "name")?)
    }

    fn create_share_group_from_snapshot(
        _: &ShareGroup,
        snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>> {
        let mut made = Vec::new();
        for GroupShareSource { share, member } in sources {
            assert_eq!(member.snapshot_id, snapshot.id);
            let of = |pattern| Path::new("pool", pattern).of(share);
            files::status(&of("{source-snapshot}"))?;
            files::create_directory(&of("{share}"))?;
            made.push(CreatedShare { share_id: share.id.clone(), creation: Creation::Available(Vec::new()) });
        }
        Ok(made)
    }
}

impl GroupSnapshots for Directories {
    fn consistency_unit() -> Result<Consistency> {
        Ok(Consistency::Host)
    }

    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
        let mut taken = Vec::new();
        for member in &snapshot.members {
            files::create_directory(&Path::new("pool", "{snapshot}").of(member))?;
            taken.push(SnapshotUpdate::new(&member.id, SnapshotProgress::Available));
        }
        Ok(taken)
    }

    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
        for member in &snapshot.members {
            files::remove(&Path::new("pool", "{snapshot}").of(member))?;
        }
        Ok(())
    }
}

#[test]
fn a_group_has_private_data_of_its_own() {
    let lab = Lab::new(MANIFEST);
    let (one, other) = (sample::share_group(1, &[]), sample::share_group(2, &[]));
    lab.create_share_group::<Directories>(&one).expect("made");
    let unmade = lab.delete_share_group::<Directories>(&other).expect_err("never made");
    assert_eq!(unmade.code(), ErrorCode::InvalidShareGroup);
    lab.delete_share_group::<Directories>(&one).expect("gone");
    assert_eq!(lab.consistency_unit::<Directories>(), Ok(Consistency::Host));
}

#[test]
fn each_share_of_a_new_group_reads_its_own_member() {
    let lab = Lab::new(MANIFEST);
    let shares = [sample::share(1, 1), sample::share(2, 1)];
    for share in &shares {
        lab.create_share::<Directories>(share).expect("made");
    }
    let group = sample::share_group(1, &shares);
    let snapshot = sample::share_group_snapshot(1, &group);
    let taken = lab.create_share_group_snapshot::<Directories>(&snapshot).expect("taken");
    assert_eq!(taken.len(), 2);
    let sources: Vec<_> = (3..)
        .zip(&snapshot.members)
        .map(|(number, member)| GroupShareSource { share: sample::share(number, 1), member: member.clone() })
        .collect();
    let other = sample::share_group(2, &[]);
    let made = lab
        .create_share_group_from_snapshot::<Directories>(&other, &snapshot, &sources)
        .expect("both members are there");
    assert_eq!(made.len(), 2);
    std::fs::remove_dir(lab.root("pool").join(&snapshot.members[1].name)).expect("there");
    let odd: Vec<_> = (5..)
        .zip(&snapshot.members)
        .map(|(number, member)| GroupShareSource { share: sample::share(number, 1), member: member.clone() })
        .collect();
    lab.create_share_group_from_snapshot::<Directories>(&other, &snapshot, &odd).expect_err("one is gone");
    lab.delete_share_group_snapshot::<Directories>(&snapshot).expect("gone");
}

#[test]
fn a_share_outside_the_group_is_not_of_the_call() {
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

    impl GroupSnapshots for Nosy {
        fn consistency_unit() -> Result<Consistency> {
            Ok(Consistency::Pool)
        }

        fn create_share_group_snapshot(_: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
            files::create_directory(&Path::new("pool", "{share}").of(&sample::share(9, 1)))?;
            Ok(Vec::new())
        }

        fn delete_share_group_snapshot(_: &ShareGroupSnapshot) -> Result<()> {
            files::create_directory(&Path::new("pool", "{share}"))?;
            Ok(())
        }
    }

    let lab = Lab::new(MANIFEST);
    let group = sample::share_group(1, &[sample::share(1, 1)]);
    let snapshot = sample::share_group_snapshot(1, &group);
    lab.create_share_group_snapshot::<Nosy>(&snapshot).expect_err("another share");
    lab.delete_share_group_snapshot::<Nosy>(&snapshot).expect_err("a group is no share");
}
