//! Creating, deleting and ensuring shares.

use crate::{content, directory, fill, lab, names, snapshot_directory};
use bulkhead_directory::Directory;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessLevel, AccessType, AccessUpdate, AfterEnsuring, Creation, ErrorCode, Health, Protocol, Share,
};
use std::fs;

#[test]
fn a_share_is_a_directory_at_its_export_location() {
    let (lab, share) = (lab(), sample::share(1, 10));
    let locations = lab.create_share::<Directory>(&share).expect("room enough");
    assert_eq!(locations[0].path, format!("127.0.0.1:{}", directory(&lab, &share).display()));
    assert!(directory(&lab, &share).is_dir());
    assert!(fs::read_dir(lab.root("exports")).expect("the root").next().is_none(), "nobody may mount it yet");
}

#[test]
fn a_repeated_create_keeps_the_data_and_another_size_is_a_conflict() {
    let (lab, share) = (lab(), sample::share(1, 10));
    let first = lab.create_share::<Directory>(&share).expect("room enough");
    fill(&directory(&lab, &share), "data");
    assert_eq!(lab.create_share::<Directory>(&share), Ok(first));
    assert_eq!(content(&directory(&lab, &share)).as_deref(), Some("data"));
    let error = lab.create_share::<Directory>(&Share { size_gib: 11, ..share }).expect_err("another size");
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn only_nfs_is_served() {
    let (lab, share) = (lab(), Share { protocol: Protocol::Cifs, ..sample::share(1, 10) });
    let error = lab.create_share::<Directory>(&share).expect_err("another protocol");
    assert_eq!(error.code(), ErrorCode::InvalidShare);
    assert!(names(&lab).is_empty());
}

#[test]
fn creating_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    interrupted_everywhere(
        lab,
        |lab| lab.create_share::<Directory>(&share),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(names(lab), std::slice::from_ref(&share.name));
            }
        },
    );
}

#[test]
fn deleting_removes_the_share_its_exports_and_its_leftovers() {
    let (lab, share) = (filled_lab(), sample::share(1, 10));
    lab.delete_share::<Directory>(&share).expect("it is there");
    lab.delete_share::<Directory>(&share).expect("it is gone");
    assert!(names(&lab).is_empty());
    assert!(fs::read_dir(lab.root("exports")).expect("the root").next().is_none());
    lab.create_share::<Directory>(&Share { size_gib: 11, ..share }).expect("its size is forgotten");
}

#[test]
fn deleting_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    interrupted_everywhere(
        filled_lab,
        |lab| lab.delete_share::<Directory>(&share),
        |lab, moment| {
            if moment == Moment::Done {
                assert!(names(lab).is_empty());
            }
        },
    );
}

#[test]
fn a_share_that_was_made_only_in_part_can_be_deleted() {
    let share = sample::share(1, 10);
    interrupted_everywhere(
        lab,
        |lab| lab.create_share::<Directory>(&share),
        |lab, moment| {
            if moment == Moment::Interrupted {
                lab.delete_share::<Directory>(&share).expect("whatever is there");
                assert!(names(lab).is_empty());
            }
        },
    );
}

#[test]
fn another_share_is_out_of_reach() {
    let (lab, mine, other) = (lab(), sample::share(1, 10), sample::share(2, 10));
    lab.create_share::<Directory>(&mine).expect("room enough");
    lab.create_share::<Directory>(&other).expect("room enough");
    lab.delete_share::<Directory>(&mine).expect("it is there");
    assert_eq!(names(&lab), [other.name]);
}

#[test]
fn a_directory_that_nobody_recorded_is_left_alone() {
    let (lab, share) = (lab(), sample::share(1, 10));
    fill(&directory(&lab, &share), "foreign");
    let error = lab.create_share::<Directory>(&share).expect_err("somebody else's");
    assert_eq!(error.code(), ErrorCode::Conflict);
    lab.delete_share::<Directory>(&share).expect_err("somebody else's");
    assert_eq!(content(&directory(&lab, &share)).as_deref(), Some("foreign"));
}

#[test]
fn ensuring_finds_the_sound_and_the_broken() {
    let (lab, sound, broken) = (filled_lab(), sample::share(1, 10), sample::share(2, 10));
    lab.create_share::<Directory>(&broken).expect("room enough");
    fs::remove_dir(directory(&lab, &broken)).expect("it is empty");
    let ensured = lab.ensure_shares::<Directory>(&[sound.clone(), broken.clone()]).expect("both are known");
    assert_eq!(ensured[0].id, sound.id);
    assert_eq!((ensured[0].health, ensured[0].access_rules), (Health::Sound, AfterEnsuring::ReapplyRules));
    assert_eq!((ensured[1].health, ensured[1].access_rules), (Health::Broken, AfterEnsuring::KeepRules));
    assert_eq!(lab.ensure_shares::<Directory>(&[]).expect("nothing to do"), []);
}

/// One share with data, a rule, and the leftover of an interrupted revert.
fn filled_lab() -> Lab {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Directory>(&share).expect("room enough");
    fill(&directory(&lab, &share), "data");
    let rules = vec![sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw)];
    lab.update_access::<Directory>(&share, &AccessUpdate { rules, ..AccessUpdate::default() })
        .expect("a rule");
    lab
}

#[test]
fn a_share_from_a_snapshot_has_its_content_and_its_own_life() {
    let (lab, source) = snapshot_lab();
    let share = sample::share(2, 20);
    let creation = lab.create_share_from_snapshot::<Directory>(&share, &source).expect("the source is there");
    assert!(matches!(creation, Creation::Available(locations) if locations.len() == 1));
    assert_eq!(content(&directory(&lab, &share)).as_deref(), Some("then"));
    fill(&directory(&lab, &share), "mine");
    lab.create_share_from_snapshot::<Directory>(&share, &source).expect("it is there already");
    assert_eq!(content(&directory(&lab, &share)).as_deref(), Some("mine"), "a repeat keeps what was written");
    assert_eq!(content(&snapshot_directory(&lab, &source)).as_deref(), Some("then"));
}

#[test]
fn a_share_from_a_snapshot_converges_wherever_it_is_interrupted() {
    let share = sample::share(2, 20);
    let source = sample::snapshot(1, &sample::share(1, 10));
    interrupted_everywhere(
        || snapshot_lab().0,
        |lab| lab.create_share_from_snapshot::<Directory>(&share, &source),
        |lab, moment| {
            let found = directory(lab, &share);
            if found.exists() || moment == Moment::Done {
                assert_eq!(content(&found).as_deref(), Some("then"), "whole or not there");
            }
            if moment == Moment::Done {
                assert_eq!(names(lab).len(), 3, "no leftover: {:?}", names(lab));
            }
        },
    );
}

#[test]
fn a_share_from_a_snapshot_that_is_gone_says_so() {
    let (lab, share) = (lab(), sample::share(2, 10));
    let source = sample::snapshot(1, &sample::share(1, 10));
    let error = lab.create_share_from_snapshot::<Directory>(&share, &source).expect_err("no source");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    lab.delete_share::<Directory>(&share).expect("what was made of it");
    assert!(names(&lab).is_empty());
}

fn snapshot_lab() -> (Lab, bulkhead_sdk::Snapshot) {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Directory>(&share).expect("room enough");
    fill(&directory(&lab, &share), "then");
    let snapshot = sample::snapshot(1, &share);
    lab.create_snapshot::<Directory>(&snapshot).expect("the share is there");
    (lab, snapshot)
}
