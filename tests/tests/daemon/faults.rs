//! Storage that is full, or cannot be written: clear words, nothing lost. Needs root, for filesystems of its own.

use crate::{folder_of, make_small_share, make_snapshot};
use bulkhead_tests::daemon::{Daemon, gone, settle};
use bulkhead_tests::lab::Lab;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A filesystem in memory, unmounted when dropped.
struct MemoryFilesystem(PathBuf);

impl MemoryFilesystem {
    /// Mount one of `mebibytes` at `path`; none, said loudly, where this is not allowed.
    fn mount(path: &Path, mebibytes: u64) -> Option<Self> {
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "bulkhead-test"]).arg(path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        eprintln!("SKIPPED: a filesystem of its own cannot be mounted here; run the tests as root");
        None
    }

    fn make_read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().expect("mount");
        assert!(done.success());
    }

    fn make_writable(&self) {
        let done = Command::new("mount").args(["-o", "remount,rw"]).arg(&self.0).status().expect("mount");
        assert!(done.success());
    }
}

impl Drop for MemoryFilesystem {
    fn drop(&mut self) {
        // Lazily: a daemon that is just being killed may still hold it open.
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

/// A daemon whose shares stand on a filesystem of this size. What is made last goes first: the daemon, its filesystem, the folder.
async fn daemon_on(mebibytes: u64) -> Option<(Lab, MemoryFilesystem, Daemon)> {
    let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "directory", "")).expect("a lab");
    let filesystem = MemoryFilesystem::mount(&lab.root("nas1", "shares"), mebibytes)?;
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    Some((lab, filesystem, daemon))
}

#[tokio::test]
async fn a_backend_without_room_takes_no_share_and_says_why() {
    let Some((_lab, _filesystem, daemon)) = daemon_on(16).await else { return };
    let body = json!({ "share": { "share_proto": "NFS", "size": 1000 } });
    let answer = daemon.operator().send("POST", "/v2/shares", Some(&body)).await.expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.to_string().contains("nas1"), "{}", answer.body);
    // Names and room of backends are the operator's to know.
    let answer = daemon.tenant().send("POST", "/v2/shares", Some(&body)).await.expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(!answer.body.to_string().contains("nas1"), "{}", answer.body);
}

#[tokio::test]
async fn a_snapshot_on_a_full_root_fails_alone_and_can_be_removed() {
    let Some((lab, _filesystem, daemon)) = daemon_on(1200).await else { return };
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let folder = folder_of(&tenant, &share).await;
    std::fs::write(folder.join("large"), vec![7; 700 << 20]).expect("written");
    let made =
        tenant.post("/v2/snapshots", &json!({ "snapshot": { "share_id": share } })).await.expect("taken");
    let path = format!("/v2/snapshots/{}", made["snapshot"]["id"].as_str().expect("an id"));
    settle(&tenant, &path, "snapshot", &["error"]).await.expect("it failed");
    let operations = daemon.operator().get("/v1/operations").await.expect("operations");
    let failure = &operations["operations"][0]["failure"];
    assert_eq!(failure["blame"], "backend", "{failure}");
    let found = tenant.get(&format!("/v2/shares/{share}")).await.expect("there");
    assert_eq!(found["share"]["status"], "available");
    tenant.delete(&path).await.expect("taken");
    gone(&tenant, &path).await.expect("gone");
    std::fs::remove_file(folder.join("large")).expect("removed");
    make_snapshot(&tenant, &share).await;
    let left: Vec<_> = lab
        .root("nas1", "shares")
        .read_dir()
        .expect("a root")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 2, "a share and a snapshot, and nothing half made: {left:?}");
}

#[tokio::test]
async fn a_root_that_cannot_be_written_fails_the_share_and_recovers_with_it() {
    let Some((_lab, filesystem, daemon)) = daemon_on(4096).await else { return };
    let tenant = daemon.tenant();
    filesystem.make_read_only();
    let made = tenant
        .post("/v2/shares", &json!({ "share": { "share_proto": "NFS", "size": 1 } }))
        .await
        .expect("taken");
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    settle(&tenant, &path, "share", &["error"]).await.expect("it failed");
    filesystem.make_writable();
    tenant.delete(&path).await.expect("taken");
    gone(&tenant, &path).await.expect("gone");
    make_small_share(&tenant).await;
}
