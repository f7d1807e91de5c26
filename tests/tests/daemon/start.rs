//! Starting and ending a daemon, and what stands in the way.

use crate::{directory_daemon, make_small_share};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::Duration;

/// Start a daemon that must refuse; what it said.
fn refused(lab: &Lab) -> String {
    let code = Daemon::spawn(lab).expect("started").wait().expect("ended");
    let said = std::fs::read_to_string(lab.path().join("daemon.log")).expect("a log");
    assert!(matches!(code, Some(1 | 2)), "exit code {code:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Wait until a backend is in `state`; what is shown of it then.
async fn in_state(daemon: &Daemon, backend: &str, state: &str) -> Value {
    shown_when(daemon, backend, |shown| shown["status"]["state"] == state).await
}

/// The backend, as soon as it is shown so.
async fn shown_when(daemon: &Daemon, backend: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let shown = daemon.operator().get(&format!("/v1/backends/{backend}")).await.expect("the backend");
            if is_meant(&shown["backend"]) {
                return shown["backend"].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.unwrap_or_else(|_| panic!("{backend} does not become what is waited for:\n{}", daemon.log_text()))
}

#[tokio::test]
async fn a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on() {
    let (lab, daemon) = directory_daemon().await;
    let said = refused(&lab);
    assert!(said.contains("another") && said.contains("state"), "{said}");
    make_small_share(&daemon.tenant()).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let lab = Lab::new().expect("a lab");
    let _listener = std::net::TcpListener::bind(lab.address()).expect("the port");
    let said = refused(&lab);
    assert!(said.contains(&lab.address().to_string()) && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn a_truncated_state_file_is_told_and_left_alone() {
    let (lab, mut daemon) = directory_daemon().await;
    make_small_share(&daemon.tenant()).await;
    daemon.kill().expect("killed");
    let store = lab.state().join("store");
    let file = std::fs::read_dir(&store)
        .expect("a store")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.metadata().is_ok_and(|metadata| metadata.len() >= 4096)
                && !path.to_string_lossy().ends_with("-wal")
        })
        .find(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")))
        .expect("a database");
    for leftover in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{leftover}", file.display())).ok();
    }
    std::fs::write(&file, "this is no database, it was cut short").expect("damaged");
    let said = refused(&lab);
    assert!(said.contains("restore") || said.contains("backup"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "this is no database, it was cut short");
}

#[tokio::test]
async fn a_configuration_mistake_is_told_with_its_line() {
    let lab = Lab::new().expect("a lab").with_main("lissten = '127.0.0.1:1'\n");
    let said = refused(&lab);
    assert!(said.contains("bulkhead.toml:4") && said.contains("did you mean 'listen'?"), "{said}");
}

#[tokio::test]
async fn a_backend_whose_driver_is_text_is_told_and_stops_nobody_else() {
    let lab = Lab::new().and_then(|lab| lab.with_backend("good", "directory", "")).expect("a lab");
    std::fs::write(lab.path().join("text.wasm"), "(component)").expect("written");
    std::fs::write(lab.backend_file("bad"), "driver = '../text.wasm'\n").expect("written");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    in_state(&daemon, "good", "ready").await;
    make_small_share(&daemon.tenant()).await;
    let bad = in_state(&daemon, "bad", "unusable").await;
    let failure = &bad["status"]["failure"];
    assert_eq!(
        (failure["code"].as_str(), failure["blame"].as_str()),
        (Some("driver-invalid"), Some("driver"))
    );
    let message = failure["message"].as_str().expect("a message");
    assert!(message.contains("text.wasm is not usable: this is not a component"), "{message}");
    assert!(bad["driver"].is_null() && bad["status"]["next_attempt_at"].is_string(), "{bad}");
    let listed = daemon.operator().get("/v1/backends").await.expect("a list");
    assert_eq!(listed["backends"].as_array().map(Vec::len), Some(2), "{listed}");
    assert!(daemon.log_text().contains("backend bad cannot be loaded"), "{}", daemon.log_text());
}

#[tokio::test]
async fn a_backend_whose_root_comes_later_is_loaded_by_itself_and_its_generation_survives_restarts() {
    let lab = Lab::new().and_then(|lab| lab.with_backend("late", "directory", "")).expect("a lab");
    let root = std::fs::read_dir(lab.path().join("roots/late"))
        .expect("roots")
        .flatten()
        .next()
        .expect("a root")
        .path();
    std::fs::remove_dir(&root).expect("taken away");
    let mut daemon = Daemon::start(&lab).await.expect("a daemon");
    let failed = in_state(&daemon, "late", "unusable").await;
    assert_eq!(failed["status"]["failure"]["code"], "root-unusable", "{failed}");
    let share = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let refused = daemon.operator().post("/v2/shares", &share).await.expect_err("no backend").to_string();
    assert!(refused.contains("cannot be loaded; see 'bulkhead backend show late'"), "{refused}");
    assert!(!refused.contains(&root.display().to_string()), "{refused}");
    std::fs::create_dir(&root).expect("mounted");
    assert_eq!(in_state(&daemon, "late", "ready").await["generation"], 1);
    daemon.kill().expect("killed");
    let file = lab.backend_file("late");
    let text = std::fs::read_to_string(&file).expect("a backend");
    std::fs::write(&file, format!("{text}\n[limits]\nmemory-mib = 65\n")).expect("changed");
    let mut daemon = Daemon::start(&lab).await.expect("a daemon");
    // The recorded generation serves first; the file's is taken in beside it.
    shown_when(&daemon, "late", |shown| shown["status"]["state"] == "ready" && shown["generation"] == 2)
        .await;
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    assert_eq!(in_state(&daemon, "late", "ready").await["generation"], 2);
}

#[tokio::test]
async fn a_terminated_daemon_drains_and_leaves_nothing_running() {
    let (lab, daemon) = directory_daemon().await;
    make_small_share(&daemon.tenant()).await;
    let id = Pid::from_raw(i32::try_from(daemon.id()).expect("an id")).expect("an id");
    kill_process(id, Signal::TERM).expect("terminated");
    assert_eq!(daemon.wait().expect("ended"), Some(0));
    let again = Daemon::start(&lab).await.expect("a daemon");
    assert_eq!(
        again.tenant().get("/v2/shares").await.expect("a list")["shares"].as_array().map(Vec::len),
        Some(1)
    );
}
