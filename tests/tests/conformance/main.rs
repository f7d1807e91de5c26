//! The conformance kit itself: it passes drivers that keep the contract, and names the sentence that others break.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: what is not there, or not as expected, fails the test"
)]

mod appliance;
mod calls;
mod drivers;
mod flaws;
mod pupils;
mod recording;
mod sentences;

use bulkhead_tests::programs;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

/// `bulkhead driver check` of a guest, with further words.
fn check(guest: &str, words: &[&str]) -> Output {
    let mut command = Command::new(programs::program("bulkhead").expect("built"));
    command.args(["driver", "check"]).arg(programs::guest(guest).expect("built"));
    command.env("BULKHEAD_CACHE", programs::compiled_code().expect("built"));
    command.args(words).output().expect("started")
}

/// What it reports, and its exit code.
fn report(guest: &str, words: &[&str]) -> (Value, Option<i32>) {
    let output = check(guest, &[words, &["--json"]].concat());
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}

/// The checks with one verdict, each with what was found.
fn with_verdict<'a>(report: &'a Value, verdict: &str) -> Vec<(&'a str, &'a Value)> {
    let checks = report["checks"].as_array().expect("checks");
    let wanted = checks.iter().filter(|check| check["verdict"] == verdict);
    wanted.map(|check| (check["id"].as_str().expect("an id"), check)).collect()
}

fn names<'a>(checks: &[(&'a str, &'a Value)]) -> BTreeSet<&'a str> {
    checks.iter().map(|(id, _)| *id).collect()
}

/// A file for `--config` in `folder`.
fn config(folder: &Path, text: &str) -> String {
    let file = folder.join("lab.toml");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}
