//! Creating, deleting and ensuring shares.

use crate::{backend_keys, field, keys, lab, set_pairs, share_in, snapshot_lab, thick_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessLevel, AccessType, AccessUpdate, AfterEnsuring, Creation, ErrorCode, Health, Protocol, Share,
    Snapshot,
};

#[test]
fn a_share_has_a_location_of_its_protocol() {
    let (lab, nfs) = (lab(), sample::share(1, 10));
    let cifs = Share { protocol: Protocol::Cifs, ..sample::share(2, 10) };
    assert_eq!(lab.create_share::<Memory>(&nfs).expect("made")[0].path, format!("127.0.0.1:/{}", nfs.name));
    let made = lab.create_share::<Memory>(&cifs).expect("made");
    assert_eq!(made[0].path, format!("\\\\127.0.0.1\\{}", cifs.name));
    lab.set_option("export_address", Value::Text("fd00::1".to_owned()));
    let made = lab.create_share::<Memory>(&nfs).expect("it is there");
    assert_eq!(made[0].path, format!("[fd00::1]:/{}", nfs.name));
}

#[test]
fn a_protocol_that_is_not_served_is_refused() {
    let (lab, share) = (lab(), Share { protocol: Protocol::Lustre, ..sample::share(1, 10) });
    let error = lab.create_share::<Memory>(&share).expect_err("another protocol");
    assert_eq!(error.code(), ErrorCode::InvalidShare);
    assert_eq!(keys(&lab, &share), 0);
}

#[test]
fn a_repeated_create_changes_nothing_and_another_size_is_a_conflict() {
    let (lab, share) = (lab(), sample::share(1, 10));
    let first = lab.create_share::<Memory>(&share).expect("made");
    assert_eq!(lab.create_share::<Memory>(&share), Ok(first));
    let error = lab.create_share::<Memory>(&Share { size_gib: 11, ..share }).expect_err("another size");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn a_pool_that_no_option_has_is_refused() {
    let lab = lab();
    let error = lab.create_share::<Memory>(&share_in("brass", 1, 10)).expect_err("no such pool");
    assert_eq!(error.code(), ErrorCode::BadConfiguration);
    assert!(error.message().contains("'brass'"), "{error}");
}

#[test]
fn the_pool_of_a_share_is_the_one_it_was_made_in() {
    let (lab, share) = (thick_lab(), share_in("silver", 1, 10));
    assert_eq!(lab.pool_of::<Memory>(&share), Ok(None));
    lab.create_share::<Memory>(&share).expect("made");
    let without = Share { pool: None, ..share };
    assert_eq!(lab.pool_of::<Memory>(&without), Ok(Some("silver".to_owned())));
}

#[test]
fn creating_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    interrupted_everywhere(
        lab,
        |lab| lab.create_share::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(field(lab, &share, "size").as_deref(), Some("10"));
            }
        },
    );
}

#[test]
fn a_deleted_share_leaves_nothing_behind() {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    let rules = vec![sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw)];
    let update = AccessUpdate { rules, ..AccessUpdate::default() };
    lab.update_access::<Memory>(&share, &update).expect("a rule");
    assert_eq!(keys(&lab, &share), 2);
    lab.delete_share::<Memory>(&share).expect("it is there");
    lab.delete_share::<Memory>(&share).expect("it is gone");
    assert_eq!(keys(&lab, &share), 0);
    assert!(backend_keys(&lab).is_empty(), "an endless pool counts nothing");
    lab.create_share::<Memory>(&Share { size_gib: 11, ..share }).expect("its size is forgotten");
}

#[test]
fn a_share_that_was_made_only_in_part_can_be_deleted() {
    let share = share_in("gold", 1, 10);
    interrupted_everywhere(
        thick_lab,
        |lab| lab.create_share::<Memory>(&share),
        |lab, moment| {
            if moment == Moment::Interrupted {
                lab.delete_share::<Memory>(&share).expect("whatever is there");
                assert_eq!(keys(lab, &share), 0);
            }
        },
    );
}

#[test]
fn ensuring_finds_the_sound_and_the_missing_and_tells_where_shares_are_now() {
    let (lab, sound, missing) = (lab(), sample::share(1, 10), sample::share(2, 10));
    lab.create_share::<Memory>(&sound).expect("made");
    lab.set_option("export_address", Value::Text("nas.example.org".to_owned()));
    let ensured = lab.ensure_shares::<Memory>(&[sound.clone(), missing]).expect("both are known");
    assert_eq!((ensured[0].health, ensured[0].access_rules), (Health::Sound, AfterEnsuring::KeepRules));
    let locations = ensured[0].export_locations.as_ref().expect("locations");
    assert_eq!(locations[0].path, format!("nas.example.org:/{}", sound.name));
    assert_eq!(ensured[1].health, Health::Broken);
}

#[test]
fn a_clone_holds_what_the_snapshot_held_and_lives_on_without_it() {
    let (lab, source) = snapshot_lab();
    let clone = sample::share(2, 20);
    let creation = lab.create_share_from_snapshot::<Memory>(&clone, &source).expect("the source is there");
    assert!(matches!(creation, Creation::Available(locations) if locations.len() == 1));
    assert_eq!(field(&lab, &clone, "content"), Some(source.share.share_id.clone()));
    assert_eq!(field(&lab, &clone, "used").as_deref(), Some("5120"));
    lab.delete_snapshot::<Memory>(&source).expect("it is there");
    lab.create_share_from_snapshot::<Memory>(&clone, &source).expect("it is there already");
    assert_eq!(field(&lab, &clone, "size").as_deref(), Some("20"));
}

#[test]
fn a_clone_smaller_than_its_snapshot_is_refused() {
    let (lab, source) = snapshot_lab();
    let small = sample::share(2, 9);
    let error = lab.create_share_from_snapshot::<Memory>(&small, &source).expect_err("too small");
    assert_eq!(error.code(), ErrorCode::InvalidShare);
}

#[test]
fn a_clone_of_a_snapshot_that_was_never_taken_says_so() {
    let lab = lab();
    for handle in [None, Some("size=1 used=x content=y".to_owned())] {
        let source = Snapshot { provider_location: handle, ..sample::snapshot(1, &sample::share(1, 10)) };
        let error = lab
            .create_share_from_snapshot::<Memory>(&sample::share(2, 10), &source)
            .expect_err("there is no such snapshot");
        assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    }
}

#[test]
fn cloning_converges_wherever_it_is_interrupted() {
    let (clone, source) = (sample::share(2, 20), snapshot_lab().1);
    interrupted_everywhere(
        || snapshot_lab().0,
        |lab| lab.create_share_from_snapshot::<Memory>(&clone, &source),
        |lab, moment| {
            let content = field(lab, &clone, "content");
            if content.is_some() || moment == Moment::Done {
                assert_eq!(content, Some(source.share.share_id.clone()), "whole or not there");
            }
        },
    );
}

#[test]
fn a_share_is_still_found_when_its_pool_is_taken_from_the_options() {
    let (lab, share) = (thick_lab(), share_in("silver", 1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    set_pairs(&lab, "pools", &[("gold", "100")]);
    assert_eq!(
        lab.ensure_shares::<Memory>(std::slice::from_ref(&share)).expect("known")[0].health,
        Health::Sound
    );
    lab.delete_share::<Memory>(&share).expect("it is there");
    assert_eq!(keys(&lab, &share), 0);
}
