//! The driver against the double of the host: what it does for share servers, and each step cut short at every host call. btrfs and the NFS
//! servers are played; with real ones the end-to-end tests go on.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod servers;
mod shares;

use bulkhead_btrfs_netns::BtrfsNetns;
use bulkhead_btrfs_pool::testing::{Btrfs, Ganesha};
use bulkhead_sdk::service::{Instance, State};
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{Resource, ServerRequest, Share, ShareServer};
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

/// A host for this driver, with what it runs on.
struct Site {
    lab: Lab,
    btrfs: Btrfs,
    ganesha: Ganesha,
}

impl Site {
    /// A site that is set up and has no share server yet.
    fn new() -> Self {
        let site = Self::bare();
        site.lab.setup::<BtrfsNetns>().expect("it is as it must be");
        site
    }

    /// A site before `setup`.
    fn bare() -> Self {
        let lab = Lab::new(include_str!("../../driver.toml"));
        for directory in ["shares", "snapshots"] {
            fs::create_dir(lab.root("pool").join(directory)).expect("a directory");
        }
        let (btrfs, ganesha) = (Btrfs::mount(&lab), Ganesha::install(&lab));
        Self { lab, btrfs, ganesha }
    }

    /// A site with these share servers.
    fn with_servers(numbers: &[u8]) -> Self {
        let site = Self::new();
        for number in numbers {
            set_up(&site.lab, *number).expect("it serves");
        }
        site
    }
}

fn server(number: u8) -> ShareServer {
    sample::share_server(u32::from(number))
}

/// The share `number`, on the server `of`.
fn share_on(number: u32, of: u8) -> Share {
    sample::on_server(&sample::share(number, 10), &server(of))
}

fn set_up(lab: &Lab, number: u8) -> bulkhead_sdk::Result<()> {
    let network = sample::server_network(number, &server(number), 1, 0);
    lab.setup_server::<BtrfsNetns>(&network, &ServerRequest::default()).map(drop)
}

fn tear_down(lab: &Lab, number: u8) -> bulkhead_sdk::Result<()> {
    lab.teardown_server::<BtrfsNetns>(&server(number), &[])
}

fn instance(number: u8) -> Instance {
    Instance::Of(Resource::from(&server(number)))
}

fn configuration(lab: &Lab, number: u8) -> PathBuf {
    lab.root("config").join(format!("share-server-{}", server(number).id))
}

fn serves(lab: &Lab, number: u8) -> bool {
    lab.service_of("nfs", &instance(number)).state == State::Ready
}

/// Nothing of a server is left.
fn expect_gone(lab: &Lab, number: u8) {
    assert_eq!(lab.service_of("nfs", &instance(number)).state, State::Stopped);
    assert_eq!(lab.service_of("bus", &instance(number)).state, State::Stopped);
    assert!(!configuration(lab, number).exists(), "its files are left");
    assert!(lab.shown_of("ganesha", &instance(number)).is_empty(), "something is still mounted");
}

/// Cut an operation short everywhere; `check` sees the site's servers as well.
fn converges<T: std::fmt::Debug>(
    prepare: impl Fn() -> Site,
    operation: impl Fn(&Lab) -> bulkhead_sdk::Result<T>,
    check: impl Fn(&Lab, &Ganesha, Moment),
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
            let (_, ganesha) = current.as_ref().expect("a site was prepared");
            check(lab, ganesha, moment);
        },
    );
}
