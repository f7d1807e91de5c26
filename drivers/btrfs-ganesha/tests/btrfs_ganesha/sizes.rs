//! Growing, shrinking, and how full things are.

use crate::Site;
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_btrfs_pool::testing::fails;
use bulkhead_sdk::ErrorCode;
use bulkhead_sdk::testing::sample;

const GIB: u64 = 1 << 30;

#[test]
fn a_size_is_a_limit_and_shrinking_below_what_is_used_changes_nothing() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    let at = site.share(&share);
    site.lab.extend_share::<BtrfsGanesha>(&share, 20).expect("it grows");
    assert_eq!(site.btrfs.of(&at).limit, 20 * GIB);
    site.btrfs.set_used(&at, 5 * GIB + 1);
    let error = site.lab.shrink_share::<BtrfsGanesha>(&share, 5).expect_err("more is used");
    assert_eq!(error.code(), ErrorCode::PossibleDataLoss);
    assert_eq!(site.btrfs.of(&at).limit, 20 * GIB);
    site.lab.shrink_share::<BtrfsGanesha>(&share, 6).expect("it fits");
    site.lab.shrink_share::<BtrfsGanesha>(&share, 6).expect("it has this size");
    assert_eq!(site.btrfs.of(&at).limit, 6 * GIB);
}

#[test]
fn a_full_pool_is_no_space_and_a_share_that_is_not_there_is_not_found() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.answer("create-subvolume", |_| fails("cannot create subvolume: No space left on device"));
    let error = site.lab.create_share::<BtrfsGanesha>(&share).expect_err("the pool is full");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    let error = site.lab.extend_share::<BtrfsGanesha>(&share, 20).expect_err("it is not there");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}

#[test]
fn a_kernel_root_of_another_filesystem_is_noticed_at_the_first_share() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.answer("subvolume-id", |_| {
        Ok(bulkhead_sdk::execute::Output { stdout: b"99999\n".to_vec(), ..Default::default() })
    });
    let error = site.lab.create_share::<BtrfsGanesha>(&share).expect_err("another filesystem");
    assert_eq!(error.code(), ErrorCode::BadConfiguration);
    assert!(error.message().contains("/sys/fs/btrfs/UUID"), "{error}");
}

#[test]
fn ensuring_with_an_old_list_takes_no_extension_back() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    site.lab.extend_share::<BtrfsGanesha>(&share, 20).expect("it grows");
    site.lab.ensure_shares::<BtrfsGanesha>(std::slice::from_ref(&share)).expect("the backend works");
    assert_eq!(site.btrfs.of(&site.share(&share)).limit, 20 * GIB);
}
