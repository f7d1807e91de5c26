//! Creating, deleting and ensuring shares.

use crate::{Site, content, converges, expect_nothing_left, fill, names_in, share_path};
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Moment, sample};
use bulkhead_sdk::{
    AccessLevel, AccessRule, AccessType, AccessUpdate, AfterEnsuring, CapabilityCode, CapabilityError,
    Creation, EnsuredShare, ErrorCode, Health, Protocol, ReplicaState, Share,
};
use std::fs;

fn rule() -> AccessRule {
    sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw)
}

fn allow(site: &Site, share: &Share) {
    let update = AccessUpdate { rules: vec![rule()], ..AccessUpdate::default() };
    site.lab.update_access::<BtrfsGanesha>(share, &update).expect("it is served");
}

fn with_share() -> Site {
    let site = Site::new();
    let share = sample::share(1, 10);
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    fill(&site.share(&share), "data");
    allow(&site, &share);
    site
}

fn ensure(site: &Site, share: &Share) -> EnsuredShare {
    let mut ensured =
        site.lab.ensure_shares::<BtrfsGanesha>(std::slice::from_ref(share)).expect("the backend works");
    assert_eq!(ensured.len(), 1, "{:?}", site.lab.log_lines());
    ensured.remove(0)
}

#[test]
fn a_share_is_a_limited_subvolume_that_is_exported_to_nobody_yet() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.set_option("export_addresses", Value::Texts(vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()]));
    let locations = site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    let paths: Vec<_> = locations.iter().map(|location| location.path.clone()).collect();
    assert_eq!(paths, [format!("10.0.0.1:/{}", share.name), format!("[fd00::1]:/{}", share.name)]);
    assert_eq!(site.btrfs.of(&site.share(&share)).limit, 10 << 30);
    assert_eq!(site.ganesha.clients(&share.name), Some(Vec::new()));
    assert_eq!(site.names("shares"), [share.name]);
}

#[test]
fn a_repeated_create_keeps_data_and_rules_and_another_size_is_a_conflict() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let served = site.ganesha.served();
    site.lab.create_share::<BtrfsGanesha>(&share).expect("it is there");
    assert_eq!(content(&site.share(&share)).as_deref(), Some("data"));
    assert_eq!(site.ganesha.served(), served);
    let error =
        site.lab.create_share::<BtrfsGanesha>(&Share { size_gib: 11, ..share }).expect_err("another size");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn only_nfs_is_served() {
    let (site, share) = (Site::new(), Share { protocol: Protocol::Cifs, ..sample::share(1, 10) });
    let error = site.lab.create_share::<BtrfsGanesha>(&share).expect_err("another protocol");
    assert_eq!(error.code(), ErrorCode::InvalidShare);
    site.expect_nothing_left();
}

#[test]
fn creating_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    converges(
        Site::new,
        |lab| lab.create_share::<BtrfsGanesha>(&share).map(drop),
        |lab, btrfs, ganesha, moment| {
            if moment == Moment::Done {
                assert_eq!(names_in(lab, "shares"), std::slice::from_ref(&share.name));
                assert_eq!(btrfs.of(&share_path(lab, &share)).limit, 10 << 30);
                assert_eq!(ganesha.served().len(), 1);
                assert_eq!(lab.shown("ganesha").len(), 1);
            }
        },
    );
}

#[test]
fn deleting_converges_wherever_it_is_interrupted_and_leaves_nothing() {
    let share = sample::share(1, 10);
    converges(
        with_share,
        |lab| lab.delete_share::<BtrfsGanesha>(&share),
        |lab, _, ganesha, moment| {
            if moment == Moment::Done {
                expect_nothing_left(lab, ganesha);
            }
        },
    );
}

#[test]
fn a_subvolume_that_somebody_made_inside_goes_with_the_share() {
    let (site, share) = (with_share(), sample::share(1, 10));
    fs::create_dir(site.share(&share).join("nested")).expect("a directory");
    site.lab.delete_share::<BtrfsGanesha>(&share).expect("it goes");
    site.expect_nothing_left();
}

#[test]
fn each_export_has_a_number_of_its_own_and_gives_it_back() {
    let site = Site::new();
    for number in 1..=3 {
        site.lab.create_share::<BtrfsGanesha>(&sample::share(number, 1)).expect("room enough");
    }
    assert_eq!(site.ganesha.served().keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    site.lab.delete_share::<BtrfsGanesha>(&sample::share(2, 1)).expect("it goes");
    site.lab.create_share::<BtrfsGanesha>(&sample::share(4, 1)).expect("room enough");
    assert_eq!(site.ganesha.served().keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn a_share_from_a_snapshot_has_its_content_and_its_own_size() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let snapshot = sample::snapshot(1, &share);
    site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is taken");
    let copy = sample::share(2, 20);
    let created = site.lab.create_share_from_snapshot::<BtrfsGanesha>(&copy, &snapshot).expect("room enough");
    assert!(matches!(created, Creation::Available(locations) if locations.len() == 1));
    assert_eq!(content(&site.share(&copy)).as_deref(), Some("data"));
    assert_eq!(site.btrfs.of(&site.share(&copy)).limit, 20 << 30);
    assert_eq!(site.ganesha.clients(&copy.name), Some(Vec::new()));
}

#[test]
fn ensuring_what_is_sound_disturbs_nobody() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let calls = site.lab.dbus_calls().len();
    let ensured = ensure(&site, &share);
    assert_eq!((ensured.access_rules, ensured.health), (AfterEnsuring::KeepRules, Health::Sound));
    let asked: Vec<String> =
        site.lab.dbus_calls().split_off(calls).iter().map(|call| call.template().to_owned()).collect();
    assert_eq!(asked, ["display-export"]);
}

#[test]
fn a_server_that_forgot_is_told_again_with_the_rules_that_held() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let before = site.ganesha.served();
    site.ganesha.forget_all();
    // It has forgotten the mountable snapshots too, which only their rules bring back.
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::ReapplyRules);
    assert_eq!(site.ganesha.served(), before);
    site.ganesha.open_by_hand();
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::KeepRules);
    assert_eq!(site.ganesha.served(), before);
}

#[test]
fn after_a_start_of_the_machine_everything_is_served_again() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let before = site.ganesha.served();
    site.lab.restart_machine();
    site.ganesha.forget_all();
    assert_eq!(ensure(&site, &share).health, Health::Sound);
    assert_eq!(site.ganesha.served(), before);
    assert_eq!(site.lab.shown("ganesha").len(), 1);
}

#[test]
fn an_export_file_that_was_edited_or_removed_gets_its_rules_again() {
    let (site, share) = (with_share(), sample::share(1, 10));
    fs::write(site.export_file(&share.name), "EXPORT { }").expect("a file");
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::ReapplyRules);
    allow(&site, &share);
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::KeepRules);
    fs::remove_file(site.export_file(&share.name)).expect("it was there");
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::ReapplyRules);
}

#[test]
fn a_share_whose_subvolume_is_gone_is_broken_and_a_limit_is_put_back() {
    let (site, share) = (with_share(), sample::share(1, 10));
    site.btrfs.change(&site.share(&share), |subvolume| subvolume.limit = 0);
    assert_eq!(ensure(&site, &share).health, Health::Sound);
    assert_eq!(site.btrfs.of(&site.share(&share)).limit, 10 << 30);
    fs::remove_dir_all(site.share(&share)).expect("it was there");
    assert_eq!(ensure(&site, &share).health, Health::Broken);
}

#[test]
fn a_replica_that_is_not_active_is_exported_to_nobody() {
    let (site, share) = (Site::new(), sample::share(1, 10));
    let replica = Share { replica_state: Some(ReplicaState::InSync), ..share };
    assert_eq!(ensure(&site, &replica).health, Health::Sound);
    allow(&site, &replica);
    site.expect_nothing_left();
}

#[test]
fn a_server_that_lost_its_bus_is_started_anew_and_asked_again() {
    let (site, share) = (with_share(), sample::share(1, 10));
    let (ganesha, lost) = (site.ganesha.clone(), std::cell::Cell::new(2));
    site.lab.answer_dbus("display-export", move |call| match lost.get() {
        0 => ganesha.display(call),
        left => {
            lost.set(left - 1);
            Err(CapabilityError::new(CapabilityCode::Unavailable, "nobody has this name on the bus"))
        }
    });
    assert_eq!(ensure(&site, &share).access_rules, AfterEnsuring::KeepRules);
    let warned = |(_, line): &(bulkhead_sdk::log::Level, String)| line.contains("started anew");
    assert!(site.lab.log_lines().iter().any(warned), "{:?}", site.lab.log_lines());
}
