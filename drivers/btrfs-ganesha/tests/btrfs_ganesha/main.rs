//! The driver against the double of the host: each function, and each function cut short at every host call. btrfs and the NFS server
//! are played (`btrfs.rs`, `ganesha.rs`); with real ones the end-to-end tests go on.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod access;
mod backend;
mod managed;
mod replicas;
mod shares;
mod sizes;
mod snapshots;

use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_btrfs_pool::testing::{Btrfs, Ganesha};
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere};
use bulkhead_sdk::{Share, Snapshot};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// A host for this driver, with what it runs on.
struct Site {
    lab: Lab,
    btrfs: Btrfs,
    ganesha: Ganesha,
}

impl Site {
    /// A site before `setup`.
    fn bare() -> Self {
        let lab = Lab::new(include_str!("../../driver.toml"));
        for root in ["pool", "peer"] {
            for directory in ["shares", "snapshots", "replication"] {
                fs::create_dir(lab.root(root).join(directory)).expect("a directory");
            }
        }
        fs::create_dir(lab.root("config").join("exports")).expect("a directory");
        lab.set_option("export_addresses", Value::Texts(vec!["10.0.0.1".to_owned()]));
        let btrfs = Btrfs::mount(&lab);
        let ganesha = Ganesha::install(&lab);
        Self { lab, btrfs, ganesha }
    }

    /// A site that is set up.
    fn new() -> Self {
        let site = Self::bare();
        site.lab.setup::<BtrfsGanesha>().expect("it is as it must be");
        site
    }

    fn share(&self, share: &Share) -> PathBuf {
        share_path(&self.lab, share)
    }

    fn snapshot(&self, snapshot: &Snapshot) -> PathBuf {
        self.lab.root("pool").join("snapshots").join(&snapshot.name)
    }

    fn export_file(&self, name: &str) -> PathBuf {
        self.lab.root("config").join("exports").join(format!("{name}.conf"))
    }

    /// The names below a directory of the pool, in order.
    fn names(&self, directory: &str) -> Vec<String> {
        names_in(&self.lab, directory)
    }

    fn expect_nothing_left(&self) {
        expect_nothing_left(&self.lab, &self.ganesha);
    }
}

/// Nothing of any share or snapshot is left.
fn expect_nothing_left(lab: &Lab, ganesha: &Ganesha) {
    for directory in ["shares", "snapshots", "replication"] {
        assert!(names_in(lab, directory).is_empty(), "{directory}: {:?}", names_in(lab, directory));
    }
    assert!(names(&lab.root("config").join("exports")).is_empty(), "export files are left");
    assert!(lab.shown("ganesha").is_empty(), "something is still mounted");
    assert!(ganesha.served().is_empty(), "something is still served: {:?}", ganesha.served());
}

fn share_path(lab: &Lab, share: &Share) -> PathBuf {
    lab.root("pool").join("shares").join(&share.name)
}

fn names_in(lab: &Lab, directory: &str) -> Vec<String> {
    names(&lab.root("pool").join(directory))
}

/// Cut an operation short everywhere; `check` sees the site's btrfs and server as well.
fn converges<T: std::fmt::Debug>(
    prepare: impl Fn() -> Site,
    operation: impl Fn(&Lab) -> bulkhead_sdk::Result<T>,
    check: impl Fn(&Lab, &Btrfs, &Ganesha, Moment),
) {
    let current = RefCell::new(None);
    interrupted_everywhere(
        || {
            let site = prepare();
            current.replace(Some((site.btrfs, site.ganesha)));
            site.lab
        },
        operation,
        |lab, moment| {
            let current = current.borrow();
            let (btrfs, ganesha) = current.as_ref().expect("a site was prepared");
            check(lab, btrfs, ganesha, moment);
        },
    );
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The tenant writes a file.
fn fill(directory: &Path, content: &str) {
    fs::write(directory.join("letter"), content).expect("a file");
}

/// What the tenant finds.
fn content(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join("letter")).ok()
}
