//! Starting and ending a daemon, and what stands in the way.

use crate::{directory_daemon, make_small_share};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};

/// Start a daemon that must refuse; what it said.
fn refused(lab: &Lab) -> String {
    let code = Daemon::spawn(lab).expect("started").wait().expect("ended");
    let said = std::fs::read_to_string(lab.path().join("daemon.log")).expect("a log");
    assert!(matches!(code, Some(1 | 2)), "exit code {code:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
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
    daemon.ready().await.expect("the good one");
    make_small_share(&daemon.tenant()).await;
    assert!(daemon.log_text().contains("bad"), "{}", daemon.log_text());
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
