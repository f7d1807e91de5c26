//! The drivers of this repository.

use crate::{check, config, names, report, with_verdict};

#[test]
fn the_directory_driver_keeps_the_contract_on_fakes() {
    let (report, code) = report("directory", &["--budget", "600"]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in ["clone-content", "revert-content", "access-full-sync-removes", "revert-converges"] {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
}

#[test]
fn what_a_fake_cannot_know_is_skipped_and_says_what_it_needs() {
    let (report, _) = report("btrfs-ganesha", &["--budget", "0"]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty(), "{broken:?}");
    let needs_more = |check: &&serde_json::Value| {
        check["reason"].as_str().is_some_and(|reason| reason.contains("needs --against"))
    };
    let skipped = with_verdict(&report, "skipped");
    assert!(skipped.iter().any(|(_, check)| needs_more(check)), "{report}");
}

#[test]
fn the_memory_driver_keeps_the_contract_where_its_shares_live_on_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\ndriver_handles_share_servers = true\n");
    let (report, code) = report("memory", &["--budget", "20", "--config", &file]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in ["ip-versions", "create-share", "set-up-server-again", "tear-down-server-converges", "group"] {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
}

#[test]
fn the_memory_driver_keeps_the_contract_where_each_share_has_an_address_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[options]\ndriver_handles_share_servers = true\n[share.extra-specs]\n\"memory:own_address\" = \"True\"\n";
    let file = config(folder.path(), text);
    let (report, code) = report("memory", &["--budget", "20", "--config", &file]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in ["create-share", "create-share-again", "delete-share-leaves-nothing", "create-share-converges"]
    {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
}

#[test]
fn the_memory_driver_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two pools of a backend that knows its name: shares move between them.
    let options =
        "pools = { fast = \"unlimited\", slow = \"unlimited\" }\nbackend_host = \"conformance@lab\"";
    let metadata = "[share.metadata]\ncontent = \"words\"\n";
    let file = config(folder.path(), &format!("{metadata}[options]\n{options}\n"));
    let (report, code) = report("memory", &["--budget", "120", "--config", &file]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in [
        "migration-start-again",
        "migration-continue",
        "migration-complete",
        "migration-complete-again",
        "migration-cancel",
        "mountable-full-sync-removes",
        "replicated-revert-again",
        "group-from-snapshot",
        "promote-replica-again",
        "update-replicated-snapshot",
        "periodic-hook",
        "creation-metadata",
        "metadata-update-converges",
        "migration-complete-converges",
        "replicated-revert-converges",
        "manage-snapshot-converges",
        "mountable-remove-converges",
    ] {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
}

#[test]
fn a_driver_whose_array_takes_its_time_is_followed_until_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\npending_seconds = 1\n");
    let words =
        ["--budget", "0", "--config", &file, "--only", "clone", "--only", "status", "--only", "revert"];
    let (report, code) = report("memory", &words);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in
        ["share-status", "share-status-again", "share-status-after-restart", "clone-again", "revert-again"]
    {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
}

#[test]
fn a_name_that_no_check_has_is_told_before_anything_is_tried() {
    for (name, meant) in [("migration-start-agian", "migration-start-again"), ("nonsense", "names them all")]
    {
        let output = check("memory", &["--only", name]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(name) && told.contains(meant), "{told}");
        assert!(output.stdout.is_empty() && output.status.code() == Some(1), "{output:?}");
    }
}
