//! A run that was recorded is played where its place is not.

use crate::{check, config, report, with_verdict};
use serde_json::Value;

/// The verdicts of a report, without its times.
fn verdicts(report: &Value) -> Vec<(Value, Value, Value)> {
    let checks = report["checks"].as_array().expect("checks").iter();
    checks
        .map(|check| (check["id"].clone(), check["verdict"].clone(), check["faults"]["tried"].clone()))
        .collect()
}

#[test]
fn a_recording_played_gives_the_same_verdicts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\nflaw = \"creates-once\"\n");
    let tape = folder.path().join("tape").display().to_string();
    let only = ["--only", "share", "--only", "revert"];
    let (recorded, _) =
        report("pupils", &[&["--config", &file, "--record", &tape, "--budget", "5"], &only[..]].concat());
    let (played, code) = report("pupils", &[&["--config", &file, "--replay", &tape], &only[..]].concat());
    assert_eq!(verdicts(&played), verdicts(&recorded));
    assert!(!with_verdict(&played, "broken").is_empty() && code == Some(1));
    assert_eq!(played["place"], "a recording of fakes");
}

#[test]
fn a_driver_that_asks_for_other_things_than_when_it_was_recorded_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("tape").display().to_string();
    let words = ["--only", "create-share", "--budget", "0", "--record", &tape];
    assert!(check("pupils", &words).status.success());
    let output = check("directory", &["--only", "create-share", "--replay", &tape]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the recording does not fit") && told.contains("--record"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\n");
    let output = check("pupils", &["--replay", &file]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("cannot read the recording") && told.contains("lab.toml"), "{told}");
}
