//! Snapshots, and reverting to one.

use crate::{Site, content, converges, fill, names_in, share_path};
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_btrfs_pool::testing::Access;
use bulkhead_sdk::testing::{Moment, sample};
use bulkhead_sdk::{ErrorCode, Reversion, Share, Snapshot};

fn with_snapshot() -> (Site, Snapshot) {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    fill(&site.share(&share), "old");
    let snapshot = sample::snapshot(1, &share);
    site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is taken");
    fill(&site.share(&share), "new");
    (site, snapshot)
}

#[test]
fn a_snapshot_keeps_its_content_is_read_only_and_has_no_limit() {
    let (site, snapshot) = with_snapshot();
    site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is there");
    assert_eq!(content(&site.snapshot(&snapshot)).as_deref(), Some("old"));
    let subvolume = site.btrfs.of(&site.snapshot(&snapshot));
    assert_eq!(subvolume.access, Access::ReadOnly);
    assert_eq!(subvolume.limit, 0);
    site.lab.delete_snapshot::<BtrfsGanesha>(&snapshot).expect("it goes");
    site.lab.delete_snapshot::<BtrfsGanesha>(&snapshot).expect("it is gone");
    assert!(site.names("snapshots").is_empty());
}

#[test]
fn a_mountable_snapshot_is_exported_to_nobody_and_withdrawn_with_it() {
    let site = Site::new();
    let share = Share { mount_snapshot_support: true, ..sample::share(1, 10) };
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    let snapshot = sample::snapshot(1, &share);
    let outcome = site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is taken");
    assert_eq!(outcome.export_locations[0].path, format!("10.0.0.1:/{}", snapshot.name));
    assert_eq!(site.ganesha.clients(&snapshot.name), Some(Vec::new()));
    site.lab.delete_snapshot::<BtrfsGanesha>(&snapshot).expect("it goes");
    assert_eq!(site.ganesha.clients(&snapshot.name), None);
    site.lab.delete_share::<BtrfsGanesha>(&share).expect("it goes");
    site.expect_nothing_left();
}

#[test]
fn a_revert_brings_back_the_old_content_under_the_same_export() {
    let (site, snapshot) = with_snapshot();
    let served = site.ganesha.served();
    let reverted = site.lab.revert_to_snapshot::<BtrfsGanesha>(&snapshot, &[], &[]).expect("it is reverted");
    assert_eq!(reverted, Reversion::Done);
    assert_eq!(content(&site.share(&snapshot.share)).as_deref(), Some("old"));
    assert_eq!(site.btrfs.of(&site.share(&snapshot.share)).limit, 10 << 30);
    assert_eq!(site.btrfs.of(&site.share(&snapshot.share)).access, Access::Writable);
    assert_eq!(site.ganesha.served(), served);
    assert_eq!(site.names("shares").len(), 1);
}

#[test]
fn reverting_converges_wherever_it_is_interrupted_and_never_mixes() {
    let share = sample::share(1, 10);
    let snapshot = sample::snapshot(1, &share);
    converges(
        || with_snapshot().0,
        |lab| lab.revert_to_snapshot::<BtrfsGanesha>(&snapshot, &[], &[]),
        |lab, _, ganesha, moment| {
            let found = content(&share_path(lab, &share));
            match moment {
                Moment::Done => {
                    assert_eq!(found.as_deref(), Some("old"));
                    assert_eq!(ganesha.served().len(), 1);
                    assert_eq!(names_in(lab, "shares"), std::slice::from_ref(&share.name));
                }
                Moment::Interrupted => assert!(matches!(found.as_deref(), Some("old" | "new")), "{found:?}"),
            }
        },
    );
}

#[test]
fn a_revert_to_a_snapshot_that_is_gone_changes_nothing() {
    let (site, snapshot) = with_snapshot();
    site.lab.delete_snapshot::<BtrfsGanesha>(&snapshot).expect("it goes");
    let error = site.lab.revert_to_snapshot::<BtrfsGanesha>(&snapshot, &[], &[]).expect_err("it is gone");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    assert_eq!(content(&site.share(&snapshot.share)).as_deref(), Some("new"));
}

#[test]
fn taking_and_deleting_a_mountable_snapshot_converge_wherever_they_are_interrupted() {
    let share = Share { mount_snapshot_support: true, ..sample::share(1, 10) };
    let snapshot = sample::snapshot(1, &share);
    let with_share = || {
        let site = Site::new();
        site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
        site
    };
    converges(
        with_share,
        |lab| lab.create_snapshot::<BtrfsGanesha>(&snapshot),
        |lab, _, ganesha, moment| {
            if moment == Moment::Done {
                assert_eq!(names_in(lab, "snapshots"), std::slice::from_ref(&snapshot.name));
                assert_eq!(ganesha.clients(&snapshot.name), Some(Vec::new()));
            }
        },
    );
    converges(
        || {
            let site = with_share();
            site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is taken");
            site
        },
        |lab| lab.delete_snapshot::<BtrfsGanesha>(&snapshot),
        |lab, _, ganesha, moment| {
            if moment == Moment::Done {
                assert!(names_in(lab, "snapshots").is_empty());
                assert_eq!(ganesha.clients(&snapshot.name), None);
            }
        },
    );
}
