//! Taking over what somebody made by hand.

use crate::{Site, content, converges, fill, names_in, share_path};
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_btrfs_pool::testing::Access;
use bulkhead_sdk::testing::{Moment, sample};
use bulkhead_sdk::{ErrorCode, ExportLocation, Share, Snapshot};

const GIB: u64 = 1 << 30;

fn named(path: &str) -> Share {
    Share { export_locations: vec![ExportLocation::new(path)], ..sample::share(1, 1) }
}

#[test]
fn a_subvolume_made_by_hand_becomes_the_share_with_its_limit_or_what_it_holds_as_size() {
    for (limit, used, size) in [(7 * GIB, GIB, 7), (0, 2 * GIB + 1, 3), (0, 16384, 1)] {
        let (site, share) = (Site::new(), named("10.0.0.1:/by-hand"));
        let by_hand = site.lab.root("pool").join("shares/by-hand");
        site.btrfs.make(&by_hand);
        site.btrfs.change(&by_hand, |subvolume| subvolume.limit = limit);
        site.btrfs.set_used(&by_hand, used);
        fill(&by_hand, "data");
        let managed = site.lab.manage_existing::<BtrfsGanesha>(&share, &[]).expect("it is fit");
        assert_eq!(managed.size_gib, size);
        assert_eq!(site.lab.manage_existing::<BtrfsGanesha>(&share, &[]), Ok(managed));
        assert_eq!(site.names("shares"), std::slice::from_ref(&share.name));
        assert_eq!(content(&site.share(&share)).as_deref(), Some("data"));
        assert_eq!(site.btrfs.of(&site.share(&share)).limit, size * GIB);
        assert_eq!(site.ganesha.clients(&share.name), Some(Vec::new()));
        site.lab.delete_share::<BtrfsGanesha>(&share).expect("it goes");
        site.expect_nothing_left();
    }
}

#[test]
fn what_cannot_be_a_share_is_left_alone() {
    let site = Site::new();
    let refused = |name: &str| {
        let error = site.lab.manage_existing::<BtrfsGanesha>(&named(name), &[]).expect_err(name);
        assert_eq!(error.code(), ErrorCode::ManageInvalidShare, "{name}: {error}");
    };
    refused("10.0.0.1:/nothing");
    std::fs::create_dir(site.lab.root("pool").join("shares/directory")).expect("a directory");
    refused("10.0.0.1:/directory");
    let frozen = site.lab.root("pool").join("shares/frozen");
    site.btrfs.make(&frozen);
    site.btrfs.change(&frozen, |subvolume| subvolume.access = Access::ReadOnly);
    refused("10.0.0.1:/frozen");
    assert_eq!(site.names("shares"), ["directory", "frozen"]);
}

#[test]
fn a_snapshot_is_taken_over_only_if_it_is_one_of_its_share() {
    let (site, share) = (Site::new(), sample::share(1, 1));
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    let by_hand = site.lab.root("pool").join("snapshots/by-hand");
    site.btrfs.make(&by_hand);
    let snapshot = Snapshot { provider_location: Some("by-hand".to_owned()), ..sample::snapshot(1, &share) };
    let refused = || {
        let error = site.lab.manage_existing_snapshot::<BtrfsGanesha>(&snapshot, &[]).expect_err("unfit");
        assert_eq!(error.code(), ErrorCode::ManageInvalidSnapshot, "{error}");
    };
    refused();
    site.btrfs.change(&by_hand, |subvolume| subvolume.access = Access::ReadOnly);
    refused();
    let id = site.btrfs.of(&site.share(&share)).id;
    site.btrfs.change(&by_hand, |subvolume| subvolume.parent = Some(id));
    site.lab.manage_existing_snapshot::<BtrfsGanesha>(&snapshot, &[]).expect("it is fit");
    site.lab.manage_existing_snapshot::<BtrfsGanesha>(&snapshot, &[]).expect("it is there");
    assert_eq!(site.names("snapshots"), [snapshot.name]);
}

#[test]
fn taking_over_converges_wherever_it_is_interrupted() {
    let share = named("10.0.0.1:/by-hand");
    converges(
        || {
            let site = Site::new();
            let by_hand = site.lab.root("pool").join("shares/by-hand");
            site.btrfs.make(&by_hand);
            fill(&by_hand, "data");
            site
        },
        |lab| lab.manage_existing::<BtrfsGanesha>(&share, &[]),
        |lab, _, ganesha, moment| {
            if moment == Moment::Done {
                assert_eq!(names_in(lab, "shares"), std::slice::from_ref(&share.name));
                assert_eq!(content(&share_path(lab, &share)).as_deref(), Some("data"));
                assert_eq!(ganesha.served().len(), 1);
            }
        },
    );
}
