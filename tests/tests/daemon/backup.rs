//! A daemon's state copied while it works, and put back on another machine: here, another folder.

use crate::{directory_daemon, folder_of, make_small_share, make_snapshot};
use bulkhead_tests::daemon::{Daemon, SETTLE, settle};
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{act, create_share, create_type, delete_share, delete_snapshot};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn store(state: &Path, words: &[&str]) -> Output {
    Command::new(programs::program("bulkhead").expect("built"))
        .arg("store")
        .args(words)
        .arg("--state")
        .arg(state)
        .output()
        .expect("started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_copy_of_a_daemon_at_work_is_put_back_and_goes_on_with_its_shares_and_its_ledger() {
    let (lab, mut daemon) = directory_daemon().await;
    let share = make_small_share(&daemon.tenant()).await;
    let checked = store(&lab.state(), &["check", "--json"]);
    assert!(checked.status.success(), "{}", told(&checked));
    let facts: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert!(facts["entries"].as_u64() > Some(3), "{facts}");

    let copy = lab.path().join("copy");
    let copied = store(&lab.state(), &["backup", &copy.display().to_string()]);
    assert!(copied.status.success(), "{}", told(&copied));
    let later = make_small_share(&daemon.tenant()).await;

    let refused = store(&lab.state(), &["restore", &copy.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(told(&refused).contains("in use by another daemon"), "{}", told(&refused));

    daemon.kill().expect("killed");
    std::fs::rename(lab.state(), lab.path().join("lost")).expect("moved");
    let restored = store(&lab.state(), &["restore", &copy.display().to_string()]);
    assert!(restored.status.success(), "{}", told(&restored));
    let daemon = Daemon::start(&lab).await.expect("a daemon on the copy");
    daemon.ready().await.expect("ready");
    let tenant = daemon.tenant();
    assert_eq!(
        tenant.get(&format!("/v2/shares/{share}")).await.expect("there")["share"]["status"],
        "available"
    );
    let missing = tenant.send("GET", &format!("/v2/shares/{later}"), None).await.expect("an answer");
    assert_eq!(missing.status, 404, "it was made after the copy");
    let records = daemon.operator().get("/v1/ledger?most=500").await.expect("a ledger");
    let created = |record: &Value| record.to_string().contains("create-directory");
    assert!(records["records"].as_array().expect("records").iter().any(created), "the old records are there");
}

#[tokio::test]
async fn a_copy_goes_on_at_another_machine_with_all_that_its_driver_keeps_in_it() {
    let memory = || Lab::new().and_then(|lab| lab.with_backend("nas1", "memory", "")).expect("a lab");
    let (here, there) = (memory(), memory());
    let mut daemon = Daemon::start(&here).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    let share = make_small_share(&daemon.tenant()).await;
    let snapshot = make_snapshot(&daemon.tenant(), &share).await;
    let copy = there.path().join("copy");
    let copied = store(&here.state(), &["backup", &copy.display().to_string()]);
    assert!(copied.status.success(), "{}", told(&copied));
    daemon.kill().expect("killed");
    let restored = store(&there.state(), &["restore", &copy.display().to_string()]);
    assert!(restored.status.success(), "{}", told(&restored));
    let daemon = Daemon::start(&there).await.expect("a daemon on the copy");
    daemon.ready().await.expect("ready");
    // The share is at the array as well, which is in the copy: it can be changed, cloned and removed.
    let tenant = daemon.tenant();
    act(&tenant, &share, json!({ "extend": { "new_size": 3 } })).await.expect("extended");
    let clone = json!({ "share_proto": "NFS", "size": 1, "snapshot_id": snapshot });
    let clone = create_share(&tenant, clone).await.expect("a clone");
    delete_snapshot(&tenant, &snapshot).await.expect("gone");
    for share in [share, clone] {
        delete_share(&tenant, &share).await.expect("gone");
    }
}

/// Whether a file can be marked on this filesystem.
fn has_attributes(directory: &Path) -> bool {
    rustix::fs::setxattr(directory, "user.bulkhead.test", b"x", rustix::fs::XattrFlags::empty()).is_ok()
}

/// Why a backend is not loaded, as soon as that is known.
async fn failure_of(daemon: &Daemon, backend: &str) -> String {
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        let shown = daemon.operator().get(&format!("/v1/backends/{backend}")).await.expect("the backend");
        let failure = &shown["backend"]["status"]["failure"];
        if !failure.is_null() {
            return failure.to_string();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    String::new()
}

#[tokio::test]
async fn a_daemon_gives_way_to_a_restored_copy_of_its_state_while_it_runs_and_when_it_starts_again() {
    let (here, mut old) = directory_daemon().await;
    if !has_attributes(here.path()) {
        eprintln!("SKIPPED: the filesystem of temporary files has no extended attributes");
        return;
    }
    let there = Lab::new().expect("a lab");
    std::fs::copy(here.backend_file("nas1"), there.backend_file("nas1")).expect("the same storage");
    let share = make_small_share(&old.tenant()).await;
    let copy = there.path().join("copy");
    assert!(store(&here.state(), &["backup", &copy.display().to_string()]).status.success());
    let restored = store(&there.state(), &["restore", &copy.display().to_string()]);
    assert!(restored.status.success(), "{}", told(&restored));
    let kept = make_small_share(&old.tenant()).await;

    let new = Daemon::start(&there).await.expect("a daemon on the copy");
    new.ready().await.expect("ready");
    delete_share(&new.tenant(), &share).await.expect("it serves");
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let made = old.tenant().post("/v2/shares", &asked).await.expect("the old one does not know yet");
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    settle(&old.tenant(), &path, "share", &["error"]).await.expect("its driver is denied the root");
    let directory = here.root("nas1", "shares");
    let names = std::fs::read_dir(&directory).expect("the shares").count();
    assert_eq!(names, 1, "what the old one made before is there, and nothing of it since");

    old.kill().expect("killed");
    let old = Daemon::start(&here).await.expect("it starts");
    let told = failure_of(&old, "nas1").await;
    assert!(told.contains("restored copy") && told.contains("setfattr"), "{told}");
    new.tenant().send("GET", "/v2/shares", None).await.expect("the new one serves on");
    drop((kept, new));
}

/// A daemon with an array and a directory, and a share on each.
async fn two_backends() -> (Lab, Daemon, [String; 2]) {
    let lab = Lab::new()
        .and_then(|lab| lab.with_backend("nas1", "directory", ""))
        .and_then(|lab| lab.with_backend("array1", "memory", ""))
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    let mut shares = Vec::new();
    for backend in ["nas1", "array1"] {
        let specs = json!({ "driver_handles_share_servers": "False", "share_backend_name": backend });
        create_type(&daemon.operator(), backend, specs).await.expect("a type");
        let share = json!({ "share_proto": "NFS", "size": 1, "share_type": backend });
        shares.push(create_share(&daemon.tenant(), share).await.expect("a share"));
    }
    (lab, daemon, shares.try_into().expect("two"))
}

/// The conformance kit on the directories of a backend, which nobody else uses meanwhile; the names of the checks that hold.
fn conformance(lab: &Lab, storage: &Lab, backend: &str) -> Vec<String> {
    let file = lab.path().join("lab.toml");
    let [shares, exports] = ["shares", "exports"].map(|root| storage.root(backend, root));
    std::fs::write(&file, format!("[roots]\nshares = {shares:?}\nexports = {exports:?}\n")).expect("written");
    let output = Command::new(programs::program("bulkhead").expect("built"))
        .args(["driver", "check", "--json", "--budget", "5", "--against"])
        .arg(&file)
        .arg(programs::guest("directory").expect("built"))
        .env("BULKHEAD_CACHE", programs::compiled_code().expect("built"))
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", told(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["left-behind"], json!([]));
    let checks = report["checks"].as_array().expect("checks").iter();
    let held = checks.filter(|check| check["verdict"] == "held");
    held.map(|check| check["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_copy_restored_at_another_machine_passes_conformance_and_the_old_owner_stays_refused() {
    let (here, mut old, [kept, at_array]) = two_backends().await;
    if !has_attributes(here.path()) {
        eprintln!("SKIPPED: the filesystem of temporary files has no extended attributes");
        return;
    }
    let there = Lab::new().expect("a lab");
    for backend in ["nas1", "array1"] {
        std::fs::copy(here.backend_file(backend), there.backend_file(backend)).expect("the same storage");
    }
    let folder = folder_of(&old.tenant(), &kept).await;
    std::fs::write(folder.join("letter"), "of a tenant").expect("written");
    let copy = there.path().join("copy");
    assert!(store(&here.state(), &["backup", &copy.display().to_string()]).status.success());
    let restored = store(&there.state(), &["restore", &copy.display().to_string()]);
    assert!(restored.status.success(), "{}", told(&restored));

    let mut new = Daemon::start(&there).await.expect("a daemon on the copy");
    new.ready().await.expect("ready");
    act(&new.tenant(), &at_array, json!({ "extend": { "new_size": 2 } })).await.expect("the array serves");
    new.kill().expect("killed");
    // As a vendor would on that machine, before the daemon serves again.
    let held = conformance(&there, &here, "nas1");
    for id in ["create-share-again", "clone-content", "revert-content", "access-full-sync-removes"] {
        assert!(held.iter().any(|one| one == id), "{id} does not hold: {held:?}");
    }

    old.kill().expect("killed");
    let old = Daemon::start(&here).await.expect("it starts");
    let refused = failure_of(&old, "nas1").await;
    assert!(refused.contains("restored copy"), "{refused}");
    let new = Daemon::start(&there).await.expect("it starts again");
    new.ready().await.expect("ready");
    assert_eq!(std::fs::read_to_string(folder.join("letter")).expect("still there"), "of a tenant");
    for share in [kept, at_array] {
        delete_share(&new.tenant(), &share).await.expect("it is the new one's");
    }
    assert!(!folder.exists());
}

#[test]
fn what_is_no_state_or_holds_one_already_is_left_alone_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    for words in [vec!["check"], vec!["backup", "/nonexistent/copy"], vec!["restore", "/nonexistent/copy"]] {
        let refused = store(&nowhere, &words);
        assert_eq!(refused.status.code(), Some(1), "{words:?}");
        assert!(told(&refused).contains("hint:"), "{words:?}: {}", told(&refused));
        assert!(!nowhere.exists(), "{words:?} made something");
    }
}
