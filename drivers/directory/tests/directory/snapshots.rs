//! Taking and removing snapshots, and reverting to one.

use crate::{content, directory, fill, lab, names, snapshot_directory};
use bulkhead_directory::Directory;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{CapabilityError, CommandExit, ErrorCode, Reversion, Share, Snapshot};
use std::fs;

fn share() -> Share {
    sample::share(1, 10)
}

fn snapshot() -> Snapshot {
    sample::snapshot(1, &share())
}

/// A share that holds "now", with a snapshot that holds "then".
fn lab_with_snapshot() -> Lab {
    let lab = lab_with_share();
    lab.create_snapshot::<Directory>(&snapshot()).expect("the share is there");
    fill(&directory(&lab, &share()), "now");
    lab
}

fn lab_with_share() -> Lab {
    let lab = lab();
    lab.create_share::<Directory>(&share()).expect("room enough");
    fill(&directory(&lab, &share()), "then");
    lab
}

#[test]
fn a_snapshot_keeps_the_content_of_the_first_time() {
    let lab = lab_with_snapshot();
    lab.create_snapshot::<Directory>(&snapshot()).expect("it is there already");
    assert_eq!(content(&snapshot_directory(&lab, &snapshot())).as_deref(), Some("then"));
    assert_eq!(content(&directory(&lab, &share())).as_deref(), Some("now"));
}

#[test]
fn a_snapshot_is_whole_or_not_there_wherever_it_is_interrupted() {
    interrupted_everywhere(
        lab_with_share,
        |lab| lab.create_snapshot::<Directory>(&snapshot()),
        |lab, moment| {
            let found = snapshot_directory(lab, &snapshot());
            if found.exists() || moment == Moment::Done {
                assert_eq!(content(&found).as_deref(), Some("then"));
            }
            if moment == Moment::Done {
                assert_eq!(names(lab).len(), 2, "no leftover: {:?}", names(lab));
            }
        },
    );
}

#[test]
fn a_copy_that_was_cut_short_is_replaced() {
    let lab = lab_with_share();
    lab.answer("copy-tree", |command| {
        fs::create_dir(command.path("to")).expect("a directory");
        fs::write(command.path("to").join("first"), "th").expect("a file");
        let exit =
            CommandExit { exit_code: Some(1), stderr: "cp: cut short".to_owned(), ..CommandExit::default() };
        Err(CapabilityError::command_failed("copy-tree ended with exit code 1", exit))
    });
    let error = lab.create_snapshot::<Directory>(&snapshot()).expect_err("cp failed");
    assert_eq!(error.code(), ErrorCode::CommandFailed);
    assert!(error.message().contains("cp: cut short"), "{error}");
    lab.run_for_real("copy-tree");
    lab.create_snapshot::<Directory>(&snapshot()).expect("the second attempt");
    assert_eq!(content(&snapshot_directory(&lab, &snapshot())).as_deref(), Some("then"));
}

#[test]
fn a_full_filesystem_is_named_and_what_is_left_can_be_deleted() {
    let lab = lab_with_share();
    lab.answer("copy-tree", |command| {
        fs::create_dir(command.path("to")).expect("a directory");
        let stderr = "cp: error writing 'x': No space left on device".to_owned();
        let exit = CommandExit { exit_code: Some(1), stderr, ..CommandExit::default() };
        Err(CapabilityError::command_failed("copy-tree ended with exit code 1", exit))
    });
    let error = lab.create_snapshot::<Directory>(&snapshot()).expect_err("no room");
    assert_eq!(error.code(), ErrorCode::NoSpace);
    lab.delete_snapshot::<Directory>(&snapshot()).expect("what is left");
    assert_eq!(names(&lab), [share().name]);
}

#[test]
fn a_snapshot_of_a_share_that_is_gone_says_so() {
    let error = lab().create_snapshot::<Directory>(&snapshot()).expect_err("no share");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}

#[test]
fn a_share_that_is_being_reverted_is_busy() {
    let lab = lab_with_share();
    lab.hold_lock(&share().name);
    let error = lab.create_snapshot::<Directory>(&snapshot()).expect_err("somebody else holds it");
    assert_eq!(error.code(), ErrorCode::Busy);
    lab.release_lock(&share().name);
    lab.create_snapshot::<Directory>(&snapshot()).expect("now");
}

#[test]
fn a_deleted_snapshot_is_gone_and_its_share_stays() {
    let lab = lab_with_snapshot();
    lab.delete_snapshot::<Directory>(&snapshot()).expect("it is there");
    lab.delete_snapshot::<Directory>(&snapshot()).expect("it is gone");
    assert_eq!(names(&lab), [share().name]);
}

#[test]
fn deleting_a_snapshot_converges_wherever_it_is_interrupted() {
    interrupted_everywhere(
        lab_with_snapshot,
        |lab| lab.delete_snapshot::<Directory>(&snapshot()),
        |lab, moment| {
            assert_eq!(content(&directory(lab, &share())).as_deref(), Some("now"));
            if moment == Moment::Done {
                assert_eq!(names(lab), [share().name]);
            }
        },
    );
}

#[test]
fn a_revert_brings_back_the_content_and_the_size_and_the_snapshot_survives() {
    let lab = lab_with_snapshot();
    lab.extend_share::<Directory>(&share(), 20).expect("room enough");
    let larger = Snapshot { share: Share { size_gib: 20, ..share() }, ..snapshot() };
    assert_eq!(lab.revert_to_snapshot::<Directory>(&larger, &[], &[]), Ok(Reversion::Done));
    assert_eq!(content(&directory(&lab, &share())).as_deref(), Some("then"));
    assert_eq!(content(&snapshot_directory(&lab, &snapshot())).as_deref(), Some("then"));
    assert_eq!(names(&lab).len(), 2);
    lab.create_share::<Directory>(&share()).expect("10 GiB again");
}

#[test]
fn a_revert_shows_the_old_content_or_the_new_wherever_it_is_interrupted() {
    interrupted_everywhere(
        lab_with_snapshot,
        |lab| lab.revert_to_snapshot::<Directory>(&snapshot(), &[], &[]),
        |lab, moment| {
            let found = content(&directory(lab, &share())).expect("the share is always there");
            assert_eq!(content(&snapshot_directory(lab, &snapshot())).as_deref(), Some("then"));
            match moment {
                Moment::Interrupted => assert!(["now", "then"].contains(&found.as_str()), "{found}"),
                Moment::Done => {
                    assert_eq!(found, "then");
                    assert_eq!(names(lab).len(), 2, "no leftover: {:?}", names(lab));
                }
            }
        },
    );
}

#[test]
fn a_revert_to_a_snapshot_that_is_gone_changes_nothing() {
    let lab = lab_with_share();
    let error = lab.revert_to_snapshot::<Directory>(&snapshot(), &[], &[]).expect_err("no snapshot");
    assert_eq!(error.code(), ErrorCode::SnapshotNotFound);
    assert_eq!(content(&directory(&lab, &share())).as_deref(), Some("then"));
}
