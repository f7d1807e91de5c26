use crate::helper::{Helper, Request, Token};
use crate::pool::Pool;
use bulkhead_helper::protocol::{Ending, FromHelper, SlotArgument};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use serde_json::json;

/// Two pools, and a read-only snapshot in the first one that is to come to the second.
pub(crate) struct Replicas {
    pub(crate) from: Pool,
    pub(crate) to: Pool,
    share: String,
}

impl Replicas {
    pub(crate) fn make() -> Option<Self> {
        let (from, to) = (Pool::make()?, Pool::make()?);
        let share = format!("share-{}", ShareInstanceId::random());
        for pool in [&from, &to] {
            std::fs::create_dir(pool.path("replication")).expect("a directory");
        }
        from.btrfs(&["subvolume", "create"], &[&share]);
        Some(Self { from, to, share })
    }

    /// A file of so many bytes in the share.
    pub(crate) fn write(&self, name: &str, bytes: usize) {
        let content: Vec<u8> = (0..bytes).map(|place| u8::try_from(place % 251).unwrap_or(0)).collect();
        std::fs::write(self.from.path(&self.share).join(name), content).expect("a file");
    }

    /// The share as it is now, to be sent.
    pub(crate) fn freeze(&self, which: &str) {
        self.from.btrfs(&["subvolume", "snapshot", "-r"], &[&self.share, &self.base(which)]);
    }

    pub(crate) fn base(&self, which: &str) -> String {
        format!("replication/{}.{which}", self.share)
    }

    pub(crate) fn send(&self, which: &str) -> Request {
        let request = Request::reviewed("btrfs", "read", &["send", "--quiet", "{base}"]);
        self.base_of(request, which)
    }

    fn send_increment(&self, since: &str, which: &str) -> Request {
        let request = Request::reviewed("btrfs", "read", &["send", "--quiet", "-p", "{since}", "{base}"]);
        let pattern = format!("replication/{{share}}.{since}");
        let request = self.from.slot(request, "peer", ("since", "existing"), (&pattern, &self.base(since)));
        self.base_of(request, which)
    }

    fn base_of(&self, request: Request, which: &str) -> Request {
        let pattern = format!("replication/{{share}}.{which}");
        self.from.slot(request, "peer", ("base", "existing"), (&pattern, &self.base(which)))
    }

    pub(crate) fn receive(&self, which: &str) -> Request {
        let words = ["receive", "--quiet", "-e", "{copy}"];
        let request = Request::reviewed("btrfs", "change", &words).with("creates", json!("copy"));
        let pattern = format!("replication/{{share}}.{which}");
        self.to.slot(request, "pool", ("copy", "new-inside"), (&pattern, &self.base(which)))
    }

    pub(crate) fn copy(&self, which: &str, name: &str) -> std::path::PathBuf {
        self.to.path(&self.base(which)).join(name)
    }
}

#[test]
fn a_snapshot_and_then_an_increment_come_to_another_pool() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    replicas.write("first", 3_000_000);
    replicas.freeze("a");
    let finished = helper.pipe(vec![replicas.send("a"), replicas.receive("a")]).expect("it runs");
    assert!(finished.success(), "{finished:?}");
    replicas.write("second", 1000);
    replicas.freeze("b");
    let finished =
        helper.pipe(vec![replicas.send_increment("a", "b"), replicas.receive("b")]).expect("it runs");
    assert!(finished.success(), "{finished:?}");
    assert_eq!(std::fs::read(replicas.copy("b", "first")).expect("the copy").len(), 3_000_000);
    assert_eq!(std::fs::read(replicas.copy("b", "second")).expect("the copy").len(), 1000);
    let again = helper.pipe(vec![replicas.send("a"), replicas.receive("a")]);
    assert_eq!(again.expect_err("it is there").code, CapabilityCode::AlreadyExists);
}

#[test]
fn what_tenants_may_have_made_is_received_too() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    let share = replicas.from.path(&replicas.share);
    std::os::unix::net::UnixListener::bind(share.join("socket")).expect("a socket");
    std::os::unix::fs::symlink("/etc/passwd", share.join("link")).expect("a link");
    let made = std::process::Command::new("mknod").arg(share.join("null")).args(["c", "1", "3"]).status();
    assert!(made.expect("it runs").success());
    std::fs::write(share.join("foreign"), "bytes").expect("a file");
    std::os::unix::fs::chown(share.join("foreign"), Some(1234), Some(5678)).expect("its owner");
    replicas.freeze("a");
    let finished = helper.pipe(vec![replicas.send("a"), replicas.receive("a")]).expect("it runs");
    assert!(finished.success(), "{}", String::from_utf8_lossy(&finished.stages[1].stderr));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(replicas.copy("a", "foreign")).expect("the copy").uid(), 1234);
}

#[test]
fn a_snapshot_is_received_under_no_other_name_than_was_claimed() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    replicas.freeze("a");
    let refused = helper.pipe(vec![replicas.send("a"), replicas.receive("b")]);
    assert_eq!(refused.expect_err("another name").code, CapabilityCode::InvalidArgument);
    let mut foreign = replicas.receive("a");
    foreign.slots[0].1 = SlotArgument::Path("replication/other".parse().expect("a path"));
    let refused = helper.pipe(vec![replicas.send("a"), foreign]);
    assert_eq!(refused.expect_err("no such pattern").code, CapabilityCode::InvalidArgument);
    assert_eq!(std::fs::read_dir(replicas.to.path("replication")).expect("a directory").count(), 0);
}

#[test]
fn what_cannot_be_received_says_so_though_the_sender_breaks_off() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    replicas.write("large", 20_000_000);
    replicas.freeze("a");
    replicas.write("more", 20_000_000);
    replicas.freeze("b");
    // The other pool does not have what the increment builds on.
    let finished =
        helper.pipe(vec![replicas.send_increment("a", "b"), replicas.receive("b")]).expect("it runs");
    assert!(!finished.success());
    let decisive = finished.decisive().expect("a stage");
    assert_eq!(decisive.ending, Ending::Exited(1));
    assert!(String::from_utf8_lossy(&decisive.stderr).contains("parent"), "{finished:?}");
}

#[test]
fn nothing_is_sent_to_the_driver_or_received_from_elsewhere() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    replicas.freeze("a");
    for request in [replicas.send("a"), replicas.receive("a")] {
        assert_eq!(helper.run(request).expect_err("it stands alone").code, CapabilityCode::Denied);
    }
    let from_elsewhere = helper.pipe(vec![Request::victim(&["flood", "1000"]), replicas.receive("a")]);
    assert_eq!(from_elsewhere.expect_err("no stream").code, CapabilityCode::Denied);
    let elsewhere = helper.pipe(vec![replicas.send("a"), Request::victim(&["copy-input"])]);
    assert_eq!(elsewhere.expect_err("no receiver").code, CapabilityCode::Denied);
}

#[test]
fn a_stream_that_breaks_off_is_not_taken_for_a_whole_one() {
    let Some(replicas) = Replicas::make() else { return };
    let mut helper = Helper::start(&[]);
    replicas.write("large", 100_000_000);
    replicas.freeze("a");
    let token = Token::new();
    let sender = replicas.send("a").with("env", token.variable());
    let id = helper.begin_pipe(vec![sender, replicas.receive("a")]);
    assert_eq!(helper.receive(), FromHelper::Started { id });
    token.wait_for(1);
    token.kill();
    let FromHelper::Piped { finished, .. } = helper.receive() else { panic!("no end") };
    let killed = Ending::Signalled(rustix::process::Signal::KILL.as_raw());
    assert_eq!(finished.decisive().expect("a stage").ending, killed);
    assert_eq!(finished.stages[1].ending, Ending::Cancelled);
}
