//! Drivers that come, change and go in a running daemon: by command, by file, under load, and while it is killed.

use crate::make_small_share;
use bulkhead_tests::daemon::{Daemon, gone};
use bulkhead_tests::http::Client;
use bulkhead_tests::kills::Random;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Another build of a driver: other bytes that do the same.
fn other_build(lab: &Lab, guest: &str, name: &str) -> PathBuf {
    let mut bytes = std::fs::read(programs::guest(guest).expect("built")).expect("read");
    let (content, path) = (name.as_bytes(), lab.path().join(format!("{name}.wasm")));
    // A custom section (0): its length, its name's length, its name, its content.
    bytes.extend([0, u8::try_from(content.len() + 8).expect("short"), 7]);
    bytes.extend(b"comment");
    bytes.extend(content);
    std::fs::write(&path, bytes).expect("written");
    path
}

/// The same build under a name of its own, which can be replaced.
fn own_copy(lab: &Lab, guest: &str, name: &str) -> PathBuf {
    let path = lab.path().join(format!("{name}.wasm"));
    std::fs::copy(programs::guest(guest).expect("built"), &path).expect("copied");
    path
}

fn backend(lab: &Lab, words: &[&str]) -> Output {
    let state = lab.state().display().to_string();
    let command = ["backend", "--state", &state];
    Command::new(programs::program("bulkhead").expect("built"))
        .args(command)
        .args(words)
        .output()
        .expect("started")
}

fn succeeded(lab: &Lab, words: &[&str]) -> String {
    let output = backend(lab, words);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {notes}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(lab: &Lab, words: &[&str]) -> String {
    let output = backend(lab, words);
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {notes}");
    notes
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

async fn generations(daemon: &Daemon) -> Vec<Value> {
    let listed = daemon.operator().get("/v1/backends/nas1/generations").await.expect("generations");
    listed["generations"].as_array().expect("a list").clone()
}

/// The number of the one current generation, which is also the one that serves.
async fn current(daemon: &Daemon) -> u64 {
    let recorded: Vec<_> = generations(daemon)
        .await
        .iter()
        .filter(|one| one["state"] == "current")
        .map(|one| one["generation"].as_u64().expect("a number"))
        .collect();
    let shown = shown(daemon).await;
    assert_eq!(shown["status"]["state"], "ready", "{shown}");
    assert_eq!(recorded, [shown["generation"].as_u64().expect("a number")]);
    recorded[0]
}

async fn shown(daemon: &Daemon) -> Value {
    daemon.operator().get("/v1/backends/nas1").await.expect("the backend")["backend"].clone()
}

async fn until(daemon: &Daemon, what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}:\n{}", daemon.log_text());
}

async fn until_serves(daemon: &Daemon, generation: u64) {
    let what = format!("generation {generation} serves");
    until(daemon, &what, async || {
        let listed = daemon.operator().get("/v1/backends").await.expect("backends");
        let all = listed["backends"].as_array().expect("a list").clone();
        all.iter().any(|one| {
            one["name"] == "nas1" && one["generation"] == generation && one["status"]["state"] == "ready"
        })
    })
    .await;
}

/// Ask for a swap and wait for its end; how it ended.
async fn swap(operator: &Client, package: &Path) -> anyhow::Result<Value> {
    let body = json!({ "driver": package });
    let begun = operator.post("/v1/backends/nas1/swap", &body).await?;
    let request = begun["change"]["request"].as_str().expect("a request").to_owned();
    loop {
        let change = operator.get(&format!("/v1/backends/nas1/changes/{request}")).await?;
        if change["change"]["state"] != "running" {
            return Ok(change["change"].clone());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn directory() -> (Lab, Daemon) {
    crate::directory_daemon().await
}

/// Make and remove shares until told to stop; how many. Any refusal or failure ends the test.
async fn churn(client: Client, stop: Arc<AtomicBool>) -> u32 {
    let mut made = 0;
    while !stop.load(Ordering::Relaxed) {
        let share = make_small_share(&client).await;
        let path = format!("/v2/shares/{share}");
        client.delete(&path).await.expect("taken");
        gone(&client, &path).await.expect("gone");
        made += 1;
    }
    made
}

#[tokio::test]
async fn two_hundred_swaps_under_load_fail_no_call() {
    let (lab, daemon) = directory().await;
    let builds = [other_build(&lab, "directory", "other"), programs::guest("directory").expect("built")];
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3).map(|_| tokio::spawn(churn(daemon.tenant(), Arc::clone(&stop)))).collect();
    let operator = daemon.operator();
    for number in 0..200 {
        let change = swap(&operator, &builds[number % 2]).await.expect("answered");
        assert_eq!(change["state"], "done", "swap {number}: {change}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut made = 0;
    for client in clients {
        made += client.await.expect("no call failed");
    }
    assert!(made > 20, "only {made} shares were made and removed meanwhile");
    assert_eq!(current(&daemon).await, 201);
    let operations = daemon.operator().get("/v1/operations?most=10000").await.expect("operations");
    for operation in operations["operations"].as_array().expect("a list") {
        assert_eq!(
            (&operation["state"], &operation["attempts"]),
            (&json!("succeeded"), &json!(1)),
            "{operation}"
        );
    }
    let kept = std::fs::read_dir(lab.state().join("packages")).expect("packages").count();
    assert_eq!((generations(&daemon).await.len(), kept), (6, 2));
}

#[tokio::test]
async fn a_build_that_traps_hangs_or_lies_while_it_is_set_up_never_becomes_current() {
    let lab = Lab::new().expect("a lab");
    let package = programs::guest("hostile").expect("built");
    let file = lab.path().join("hostile.toml");
    let write = |behaviour: &str| {
        let options =
            format!("behaviour = \"{behaviour}\"\n[limits]\nsetup-seconds = 1\nstatistics-seconds = 1\n");
        let written = lab.backend_text("nas1", &package, &options, &[]).expect("a backend");
        std::fs::write(&file, written).expect("written");
    };
    write("none");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    succeeded(&lab, &["load", "nas1", text(&file)]);
    make_small_share(&daemon.tenant()).await;
    let cases = [
        ("trap@setup", "setup", "trapped"),
        ("loop@setup", "setup", "deadline-exceeded"),
        ("sleep@setup", "setup", "deadline-exceeded"),
        ("memory@setup", "setup", ""),
        ("trap@ip-versions", "setup", "trapped"),
        ("many-answers@ip-versions", "setup", ""),
        ("trap@stats", "statistics", "trapped"),
        ("loop@stats", "statistics", "deadline-exceeded"),
        ("nan-capacity@stats", "statistics", "invalid-answer"),
        ("duplicate-pools@stats", "statistics", "invalid-answer"),
        ("many-pools@stats", "statistics", ""),
    ];
    let before = shown(&daemon).await["statistics"].clone();
    for (behaviour, step, code) in cases {
        write(behaviour);
        let told = refused(&lab, &["swap", "nas1"]);
        assert!(
            told.contains(&format!("generation 1 goes on serving: {step} failed")),
            "{behaviour}: {told}"
        );
        assert!(told.contains(code) && told.contains("blame: driver"), "{behaviour}: {told}");
        assert_eq!(current(&daemon).await, 1, "{behaviour}");
        let shown = shown(&daemon).await;
        assert_eq!(shown["last_change"]["step"], step, "{behaviour}: {shown}");
        assert_eq!(
            shown["statistics"]["pools"][0]["name"], before["pools"][0]["name"],
            "{behaviour}: {shown}"
        );
        make_small_share(&daemon.tenant()).await;
    }
    assert!(succeeded(&lab, &["show", "nas1"]).contains("change failure"));
    assert!(backend(&lab, &["generations", "nas1"]).status.success());
    assert_eq!(generations(&daemon).await.iter().filter(|one| one["state"] == "failed").count(), 5);
    write("none@setup");
    assert_eq!(succeeded(&lab, &["swap", "nas1"]).trim(), "13");
}

#[tokio::test]
async fn killed_at_random_moments_of_swaps_the_recorded_generation_is_current_after_the_restart() {
    let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "directory", "")).expect("a lab");
    let builds = [other_build(&lab, "directory", "other"), programs::guest("directory").expect("built")];
    let mut random = Random::new(20_261_125);
    let mut highest = 0;
    // A machine at work swaps slowly: the moments lie within as long as a few swaps take it.
    let mut few_swaps = Duration::ZERO;
    for round in 0..12 {
        let mut daemon = Daemon::start(&lab).await.expect("a daemon");
        daemon.ready().await.expect("ready");
        let serves = current(&daemon).await;
        let listed = generations(&daemon).await;
        assert!(listed.iter().all(|one| one["state"] != "prepared"), "round {round}: {listed:?}");
        highest =
            listed.iter().filter_map(|one| one["generation"].as_u64()).max().expect("some").max(highest);
        assert!(serves <= highest, "round {round}");
        let share = make_small_share(&daemon.tenant()).await;
        daemon.tenant().delete(&format!("/v2/shares/{share}")).await.expect("taken");
        let operator = daemon.operator();
        let began = Instant::now();
        swap(&operator, &builds[0]).await.expect("swapped");
        few_swaps = few_swaps.max(began.elapsed() * 4);
        let paths = builds.clone();
        let swapping = tokio::spawn(async move {
            for number in 0.. {
                if swap(&operator, &paths[number % 2]).await.is_err() {
                    return;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(
            random.below(u64::try_from(few_swaps.as_millis()).expect("seconds")),
        ))
        .await;
        daemon.kill().expect("killed");
        swapping.await.expect("the client saw the daemon go");
    }
    assert!(highest > 6, "only {highest} generations: nothing was killed in the middle of a swap");
}

#[tokio::test]
async fn the_way_back_works_when_the_vendors_files_are_gone_also_after_a_restart() {
    let lab = Lab::new().expect("a lab");
    let first = own_copy(&lab, "directory", "first");
    let lab = lab.with_package("nas1", &first, "").expect("a backend");
    let second = other_build(&lab, "directory", "second");
    let mut daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    assert_eq!(succeeded(&lab, &["swap", "nas1", "--driver", text(&second)]).trim(), "2");
    for gone in [&first, &second] {
        std::fs::remove_file(gone).expect("removed");
    }
    assert_eq!(succeeded(&lab, &["rollback", "nas1"]).trim(), "1");
    assert_eq!(current(&daemon).await, 1);
    assert_eq!(succeeded(&lab, &["rollback", "nas1", "--to", "2"]).trim(), "2");
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    assert_eq!(current(&daemon).await, 2, "what a command made current wins over the unchanged file");
    make_small_share(&daemon.tenant()).await;
    assert_eq!(succeeded(&lab, &["rollback", "nas1"]).trim(), "1");
}

#[tokio::test]
async fn a_kept_package_that_was_tampered_with_is_not_run() {
    let (lab, mut daemon) = directory().await;
    daemon.kill().expect("killed");
    let kept =
        std::fs::read_dir(lab.state().join("packages")).expect("packages").flatten().next().expect("one");
    let other = other_build(&lab, "directory", "other");
    std::fs::copy(other, kept.path()).expect("tampered");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    until(&daemon, "it is unusable", async || {
        shown(&daemon).await["status"]["failure"]["code"] == "package-lost"
    })
    .await;
    let told = succeeded(&lab, &["show", "nas1"]);
    assert!(told.contains("lost or damaged") && told.contains("swap"), "{told}");
    succeeded(&lab, &["swap", "nas1"]);
    daemon.ready().await.expect("healed");
}

#[tokio::test]
async fn files_of_backends_appear_change_break_and_go_in_the_running_daemon() {
    let lab = Lab::new().expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    let file = lab.backend_file("nas1");
    let package = programs::guest("directory").expect("built");
    let whole = lab.backend_text("nas1", &package, "", &[]).expect("a backend");
    std::fs::write(&file, &whole).expect("appeared");
    until_serves(&daemon, 1).await;
    let share = make_small_share(&daemon.tenant()).await;

    std::fs::write(&file, format!("{whole}\n[limits]\nmemory-mib = 65\n")).expect("changed");
    until_serves(&daemon, 2).await;

    for broken in ["driver = ", "drivr = 'x.wasm'\n", "driver = 'nothing.wasm'\n", ""] {
        std::fs::write(&file, broken).expect("broken");
        until(&daemon, "the problem is shown", async || {
            let change = shown(&daemon).await["last_change"].clone();
            change["state"] == "failed" && change["asked"] == "configuration"
        })
        .await;
        assert_eq!(current(&daemon).await, 2, "{broken:?}");
        // Back to what serves: nothing is wrong and nothing changes.
        std::fs::write(&file, format!("{whole}\n[limits]\nmemory-mib = 65\n")).expect("mended");
        let id = Pid::from_raw(i32::try_from(daemon.id()).expect("an id")).expect("an id");
        kill_process(id, Signal::HUP).expect("told");
        until(&daemon, "the problem is gone", async || {
            shown(&daemon).await["last_change"]["state"] != "failed"
        })
        .await;
    }
    assert!(daemon.log_text().contains("did you mean 'driver'?"), "{}", daemon.log_text());

    std::fs::remove_file(&file).expect("removed");
    until(&daemon, "it is told", async || {
        daemon.log_text().contains("the configuration of backend nas1 is gone")
    })
    .await;
    assert_eq!(current(&daemon).await, 2);
    let told = refused(&lab, &["unload", "nas1"]);
    assert!(told.contains("holds 1 shares") && told.contains("--detach"), "{told}");
    let path = format!("/v2/shares/{share}");
    daemon.tenant().delete(&path).await.expect("taken");
    gone(&daemon.tenant(), &path).await.expect("gone");
    succeeded(&lab, &["unload", "nas1"]);
    assert_eq!(succeeded(&lab, &["list", "--json"]).trim(), "[]");
    std::fs::write(&file, &whole).expect("back");
    until_serves(&daemon, 3).await;
}

#[tokio::test]
async fn a_file_that_changed_while_the_daemon_was_down_counts_at_its_start_and_a_bad_one_stops_nobody() {
    let (lab, mut daemon) = directory().await;
    let file = lab.backend_file("nas1");
    let whole = std::fs::read_to_string(&file).expect("a backend");
    daemon.kill().expect("killed");
    std::fs::write(&file, "driver = ").expect("broken");
    let mut daemon = Daemon::start(&lab).await.expect("a daemon");
    until_serves(&daemon, 1).await;
    assert_eq!(shown(&daemon).await["last_change"]["failure"]["code"], "configuration-invalid");
    daemon.kill().expect("killed");
    std::fs::write(&file, format!("{whole}\n[limits]\nmemory-mib = 65\n")).expect("changed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    until_serves(&daemon, 2).await;
}

#[tokio::test]
async fn a_driver_that_declares_other_things_than_were_granted_is_refused_with_every_line_to_change() {
    let (lab, daemon) = directory().await;
    let hostile = programs::guest("hostile").expect("built");
    let file = lab.backend_file("nas1");
    let pinned = std::fs::read_to_string(&file).expect("a backend");
    // Pins of another driver in two places.
    let wrong = format!("sha256:{}", "0".repeat(64));
    let changed: String = pinned
        .lines()
        .map(|line| match line.split_once("sha256:") {
            Some((head, tail)) => format!("{head}{wrong}{}\n", tail.get(64..).unwrap_or_default()),
            None => format!("{line}\n"),
        })
        .collect();
    let elsewhere = lab.path().join("elsewhere.toml");
    std::fs::write(&elsewhere, changed).expect("written");
    let told = refused(&lab, &["load", "other", text(&elsewhere)]);
    assert!(told.contains("verify failed") && told.contains("pins-changed"), "{told}");
    let lines = told.lines().filter(|line| line.trim_start().starts_with("grant.")).count();
    assert_eq!(lines, pinned.matches("sha256:").count(), "{told}");
    assert_eq!(
        daemon.operator().get("/v1/backends").await.expect("a list")["backends"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(
        refused(&lab, &["swap", "nas1", "--driver", "/nothing.wasm"]).contains("cannot read /nothing.wasm")
    );
    assert!(refused(&lab, &["swap", "nas1", "--driver", "/dev/zero"]).contains("not a regular file"));
    assert!(refused(&lab, &["rollback", "nas1", "--to", "77"]).contains("77"));
    assert!(refused(&lab, &["swap", "nobody"]).contains("backend list"));
    assert!(refused(&lab, &["load", "nas1", text(&file)]).contains("swap nas1"));
    assert_eq!(current(&daemon).await, 1);
    // One that fits what was granted, under another name, is a swap like any other.
    let change = swap(&daemon.operator(), &hostile).await.expect("answered");
    assert!(matches!(change["state"].as_str(), Some("done" | "failed")), "{change}");
}
