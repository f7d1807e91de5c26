//! A daemon with an array that is managed over HTTPS.

use bulkhead_tests::appliance::{Appliance, PASSWORD, Plan};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{
    act, allow, create_share, create_snapshot, delete_share, delete_snapshot, deny, location, newest_failure,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::{Duration, Instant};

/// A daemon on this array, ready.
async fn started(array: &Appliance) -> (Lab, Daemon) {
    let lab = array.lab().expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    (lab, daemon)
}

async fn small_share(client: &Client) -> String {
    create_share(client, json!({ "share_proto": "NFS", "size": 1 })).await.expect("a share")
}

#[tokio::test]
async fn a_share_of_an_array_lives_its_whole_life_in_one_session() {
    let array = Appliance::start(Plan { is_encrypted: true, ..Plan::default() }, 2).await.expect("an array");
    let (lab, daemon) = started(&array).await;
    let tenant = daemon.tenant();
    let share = small_share(&tenant).await;
    let path = location(&tenant, &share).await.expect("a location");
    assert!(path.starts_with("10.0.0.9:/vol/share-"), "{path}");
    let rule = allow(&tenant, &share, "10.0.0.0/24", "rw").await.expect("in force");
    let snapshot = create_snapshot(&tenant, &share).await.expect("a snapshot");
    let asked = json!({ "share_proto": "NFS", "size": 2, "snapshot_id": snapshot });
    let clone = create_share(&tenant, asked).await.expect("a clone");
    act(&tenant, &share, json!({ "extend": { "new_size": 3 } })).await.expect("extended");
    let reverted = act(&tenant, &share, json!({ "revert": { "snapshot_id": snapshot } })).await;
    assert_eq!(reverted.expect("reverted")["size"], 1, "the snapshot's size");
    deny(&tenant, &share, &rule).await.expect("out of force");
    delete_snapshot(&tenant, &snapshot).await.expect("gone");
    for share in [&share, &clone] {
        delete_share(&tenant, share).await.expect("gone");
    }
    assert!(array.objects().is_empty(), "{:?}", array.objects());
    assert_eq!(array.counts().forged, 0);
    let id = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(id, Signal::TERM).expect("told to end");
    let ended = tokio::task::spawn_blocking(move || daemon.wait()).await.expect("waited");
    assert_eq!(ended.expect("an end"), Some(0));
    assert_eq!(array.sessions(), 0, "a daemon that ends logs out");
    for entry in std::fs::read_dir(lab.state()).expect("a state") {
        let content = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
        let holds = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
        assert!(!holds(PASSWORD.as_bytes()) && !holds(b"session-0000") && !holds(b"csrf-0000"));
    }
}

#[tokio::test]
async fn a_controller_that_goes_in_mid_job_makes_way_for_the_other() {
    let plan = Plan { job_time: Duration::from_secs(2), ..Plan::default() };
    let mut array = Appliance::start(plan, 2).await.expect("an array");
    let (_lab, daemon) = started(&array).await;
    let tenant = daemon.tenant();
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let made = tenant.post("/v2/shares", &asked).await.expect("taken");
    let begun = Instant::now();
    while array.objects().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the array was never asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    array.stop(0);
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    bulkhead_tests::daemon::settle(&tenant, &path, "share", &["available"]).await.expect("available");
    assert_eq!(array.objects().len(), 1, "{:?}", array.objects());
}

#[tokio::test]
async fn what_a_killed_daemon_had_begun_at_the_array_is_finished_once() {
    let plan =
        Plan { job_time: Duration::from_secs(1), session_age: Duration::from_secs(2), ..Plan::default() };
    let array = Appliance::start(plan, 1).await.expect("an array");
    let (lab, mut daemon) = started(&array).await;
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let made = daemon.tenant().post("/v2/shares", &asked).await.expect("taken");
    let begun = Instant::now();
    while array.objects().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the array was never asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    bulkhead_tests::daemon::settle(&daemon.tenant(), &path, "share", &["available"])
        .await
        .expect("available");
    assert_eq!(array.objects().len(), 1, "{:?}", array.objects());
}

/// Let the backend's file name this controller alone, and the daemon make a generation of it.
async fn bind_alone(lab: &Lab, operator: &Client, controller: &str) {
    let file = lab.backend_file("array");
    let text = std::fs::read_to_string(&file).expect("a file");
    let (before, rest) = text.split_once("controllers = [").expect("a binding");
    let (_, after) = rest.split_once(']').expect("its end");
    std::fs::write(&file, format!("{before}controllers = [{controller:?}]{after}")).expect("written");
    change(operator, "swap").await;
}

/// Let the backend change, and wait until it has.
async fn change(operator: &Client, verb: &str) {
    let begun = operator.post(&format!("/v1/backends/array/{verb}"), &json!({})).await.expect("begun");
    let path =
        format!("/v1/backends/array/changes/{}", begun["change"]["request"].as_str().expect("a request"));
    let started = Instant::now();
    loop {
        let change = operator.get(&path).await.expect("a change")["change"].clone();
        if change["state"] != "running" {
            return assert_eq!(change["state"], "done", "{change}");
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{change}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_sessions(array: &Appliance, expected: usize) {
    let begun = Instant::now();
    while array.sessions() != expected {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} sessions, not {expected}", array.sessions());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_swapped_rolled_back_and_unloaded_leaves_no_session_at_an_array_that_has_room_for_two() {
    let plan = Plan { session_age: Duration::from_secs(600), ..Plan::default() };
    let array = Appliance::start(plan, 2).await.expect("an array");
    let (lab, daemon) = started(&array).await;
    let operator = daemon.operator();
    let controllers = array.controllers();
    for controller in controllers.iter().rev().chain(controllers.iter().rev()) {
        bind_alone(&lab, &operator, controller).await;
        until_sessions(&array, 1).await;
    }
    let counts = array.counts();
    assert_eq!(
        (counts.logins, counts.logouts, counts.delayed),
        (5, 4, 0),
        "one for each generation: {counts:?}"
    );
    change(&operator, "rollback").await;
    until_sessions(&array, 1).await;
    assert_eq!(array.counts().logins, 6);
    small_share(&daemon.tenant()).await;
    // The shares are left to their clients, and so is what the backend keeps running.
    let detached = json!({ "detach": true });
    operator.post("/v1/backends/array/unload", &detached).await.expect("unloaded");
    until_sessions(&array, 0).await;
}

#[tokio::test]
async fn an_array_that_refuses_the_password_is_told_and_not_asked_again_and_again() {
    let array = Appliance::start(Plan::default(), 1).await.expect("an array");
    let lab = array.lab().expect("a lab");
    std::fs::write(lab.path().join("array.password"), "another password").expect("written");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    let begun = Instant::now();
    while array.counts().requests == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the array was never asked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(array.counts().requests <= 2, "{:?}", array.counts());
    let backends = daemon.operator().get("/v1/backends").await.expect("backends");
    let told = backends.to_string();
    assert!(told.contains("correct the credentials"), "{told}");
    assert!(!told.contains("another password"));
}

/// 170 shares are made, opened, closed, extended, shrunk and removed, in ten workers: 1,020 calls of the driver. Each worker waits `pause`
/// before each of its shares.
async fn a_thousand_calls(age: Duration, pause: Duration) {
    let plan = Plan { session_age: age, job_time: Duration::from_millis(5), ..Plan::default() };
    let array = Appliance::start(plan, 2).await.expect("an array");
    let (_lab, daemon) = started(&array).await;
    let begun = Instant::now();
    let workers: Vec<_> = (0..10)
        .map(|_| {
            let tenant = daemon.tenant();
            tokio::spawn(async move {
                for _ in 0..17 {
                    tokio::time::sleep(pause).await;
                    let share = create_share(&tenant, json!({ "share_proto": "NFS", "size": 1 })).await?;
                    let rule = allow(&tenant, &share, "10.0.0.0/24", "rw").await?;
                    act(&tenant, &share, json!({ "extend": { "new_size": 3 } })).await?;
                    act(&tenant, &share, json!({ "shrink": { "new_size": 2 } })).await?;
                    deny(&tenant, &share, &rule).await?;
                    delete_share(&tenant, &share).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker").expect("no failure");
    }
    let expiries = begun.elapsed().as_secs() / age.as_secs();
    let counts = array.counts();
    eprintln!("{counts:?} in {:?}: {expiries} expiries", begun.elapsed());
    assert!(counts.requests > 1_000, "{counts:?}");
    assert!(expiries > 0, "no session ended: {:?}", begun.elapsed());
    assert!(counts.logins as u64 <= expiries + 2, "{counts:?} in {:?}", begun.elapsed());
    let failure = newest_failure(&daemon.operator()).await.expect("operations");
    assert!(failure.is_null(), "{failure}");
    assert!(array.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_log_in_once_for_each_session_that_ends_and_none_fails() {
    a_thousand_calls(Duration::from_secs(5), Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `cargo xtask soak` runs it, the test above is its short form"]
async fn a_thousand_calls_outlive_the_twenty_seconds_of_an_arrays_session_again_and_again() {
    a_thousand_calls(Plan::default().session_age, Duration::from_secs(6)).await;
}

#[tokio::test]
async fn doctor_tells_an_endpoint_that_is_not_verified_and_one_that_cannot_be_bound() {
    let array = Appliance::start(Plan::default(), 1).await.expect("an array");
    let lab = array.lab().expect("a lab");
    let configuration = lab.configuration().expect("a configuration");
    let doctor = || {
        let bulkhead = bulkhead_tests::programs::program("bulkhead").expect("built");
        let found =
            std::process::Command::new(bulkhead).args(["doctor", "--config"]).arg(&configuration).output();
        String::from_utf8_lossy(&found.expect("started").stdout).into_owned()
    };
    let found = doctor();
    assert!(found.contains("OPEN     endpoint array is not verified"), "{found}");
    let file = lab.backend_file("array");
    let text =
        std::fs::read_to_string(&file).expect("a file").replace("verify = \"off\"", "ca = \"/nowhere.pem\"");
    std::fs::write(&file, text.replace("http://", "https://")).expect("written");
    let found = doctor();
    assert!(found.contains("LACKS    endpoint array: /nowhere.pem"), "{found}");
}
