//! Shares on share servers.

use crate::{Site, configuration, instance, serves, share_on};
use bulkhead_btrfs_netns::BtrfsNetns;
use bulkhead_sdk::testing::sample;
use bulkhead_sdk::{
    AccessLevel, AccessType, AccessUpdate, AfterEnsuring, CapabilityError, CommandExit, ErrorCode, Share,
};

fn allow(site: &Site, share: &Share) {
    let rule = sample::access_rule(1, AccessType::Ip, "10.0.0.0/8", AccessLevel::Rw);
    let update = AccessUpdate { rules: vec![rule], ..AccessUpdate::default() };
    site.lab.update_access::<BtrfsNetns>(share, &update).expect("it is served");
}

/// Two servers, each with a share that somebody is let into.
fn with_shares() -> (Site, [Share; 2]) {
    let site = Site::with_servers(&[1, 2]);
    let shares = [share_on(1, 1), share_on(2, 2)];
    for share in &shares {
        site.lab.create_share::<BtrfsNetns>(share).expect("room enough");
        allow(&site, share);
    }
    (site, shares)
}

/// As they come in a batch: with the id of their server alone.
fn batch(shares: &[Share]) -> Vec<Share> {
    shares.iter().map(|share| Share { server: None, ..share.clone() }).collect()
}

#[test]
fn each_share_is_served_by_its_own_server_and_shown_to_no_other() {
    let (site, shares) = with_shares();
    for (number, share) in [1, 2].into_iter().zip(&shares) {
        let shown = site.lab.shown_of("ganesha", &instance(number));
        let at: Vec<_> = shown.iter().map(|one| one.at.clone()).collect();
        assert_eq!(at, [format!("/run/exports/{}", share.name)]);
        let file = configuration(&site.lab, number).join("exports").join(format!("{}.conf", share.name));
        assert!(file.is_file(), "{}", file.display());
    }
    assert_eq!(site.ganesha.served().len(), 2);
    for share in &shares {
        site.lab.delete_share::<BtrfsNetns>(share).expect("it goes");
    }
    assert!(site.ganesha.served().is_empty());
}

#[test]
fn a_share_on_a_server_that_was_never_set_up_is_refused() {
    let site = Site::new();
    let failed = site.lab.create_share::<BtrfsNetns>(&share_on(1, 1)).expect_err("nobody serves it");
    assert_eq!(failed.code(), ErrorCode::InvalidShareServer, "{failed}");
    let failed = site.lab.create_share::<BtrfsNetns>(&sample::share(1, 10)).expect_err("it lives nowhere");
    assert_eq!(failed.code(), ErrorCode::InvalidShareServer, "{failed}");
}

#[test]
fn a_server_that_was_killed_is_made_again_by_ensuring_and_the_rules_are_asked_for() {
    let (site, shares) = with_shares();
    site.lab.kill_group("ganesha", &instance(1));
    site.ganesha.forget_all();
    let ensured = site.lab.ensure_shares::<BtrfsNetns>(&batch(&shares)).expect("the backend works");
    assert_eq!(ensured.len(), 2, "{:?}", site.lab.log_lines());
    assert!(serves(&site.lab, 1) && serves(&site.lab, 2));
    assert!(ensured.iter().all(|one| one.access_rules == AfterEnsuring::ReapplyRules));
    assert_eq!(site.ganesha.served().len(), 2);
    let again = site.lab.ensure_shares::<BtrfsNetns>(&batch(&shares)).expect("the backend works");
    assert!(again.iter().all(|one| one.access_rules == AfterEnsuring::KeepRules), "{again:?}");
}

#[test]
fn a_server_that_was_killed_is_made_again_by_the_next_call_that_meets_it() {
    let (site, [share, _]) = with_shares();
    site.lab.kill_group("ganesha", &instance(1));
    allow(&site, &share);
    assert!(serves(&site.lab, 1));
    let next = share_on(3, 1);
    site.lab.kill_group("ganesha", &instance(1));
    site.lab.create_share::<BtrfsNetns>(&next).expect("it is served");
    assert!(serves(&site.lab, 1));
}

#[test]
fn a_server_that_does_not_start_leaves_its_own_shares_out_and_no_others() {
    let (site, shares) = with_shares();
    site.lab.kill_group("ganesha", &instance(1));
    let exit = CommandExit { exit_code: Some(2), ..CommandExit::default() };
    // The other one runs, and is not started.
    site.lab.refuse_service("bus", CapabilityError::command_failed("no such bridge", exit));
    let ensured = site.lab.ensure_shares::<BtrfsNetns>(&batch(&shares)).expect("the backend works");
    let ids: Vec<_> = ensured.iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids, [shares[1].id.clone()]);
}
