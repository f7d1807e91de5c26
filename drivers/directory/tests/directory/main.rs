//! The driver against the double of the host: each function, and each function cut short at every host call.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod access;
mod backend;
mod room;
mod shares;
mod snapshots;

use bulkhead_sdk::testing::Lab;
use bulkhead_sdk::{Share, Snapshot};
use std::fs;
use std::path::PathBuf;

/// A host for this driver, with the real `cp`.
fn lab() -> Lab {
    let lab = Lab::new(include_str!("../../driver.toml"));
    lab.run_for_real("copy-tree");
    lab
}

fn directory(lab: &Lab, share: &Share) -> PathBuf {
    lab.root("shares").join(&share.name)
}

fn snapshot_directory(lab: &Lab, snapshot: &Snapshot) -> PathBuf {
    lab.root("shares").join(format!("{}@{}", snapshot.share.name, snapshot.name))
}

/// The tenant writes two files, so that a mix of two states shows.
fn fill(directory: &std::path::Path, content: &str) {
    fs::create_dir_all(directory.join("below")).expect("a directory");
    fs::write(directory.join("first"), content).expect("a file");
    fs::write(directory.join("below/second"), content).expect("a file");
}

/// What the tenant finds: the content of both files, which must be the same.
fn content(directory: &std::path::Path) -> Option<String> {
    let first = fs::read_to_string(directory.join("first")).ok();
    let second = fs::read_to_string(directory.join("below/second")).ok();
    assert_eq!(first, second, "a mix of two states in {}", directory.display());
    first
}

/// Names in root `shares`, in order.
fn names(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.root("shares")).expect("the root");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
