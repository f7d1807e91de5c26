//! The contract carries more than Rust: a Python component under the default limits.

use crate::make_small_share;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::allow;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_python_driver_of_the_whole_world_keeps_the_contract_under_the_default_limits() {
    let Some(environment) = programs::python() else {
        eprintln!(
            "SKIPPED: BULKHEAD_TEST_PYTHON names no Python environment with componentize-py; use cargo xtask test"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (component, driver) = (folder.path().join("snake.wasm"), folder.path().join("python.wasm"));
    let world = ["-d", "wit", "-d", "tests/guests/python/wit", "-w", "bulkhead:python-guest/guest@0.1.0"];
    let mut compile = Command::new(environment.join("bin/componentize-py"));
    compile
        .args(world)
        .args(["componentize", "--stub-wasi", "-p", "tests/guests/python", "app", "-o"])
        .arg(&component);
    run(compile.env("PYTHONDONTWRITEBYTECODE", "1"));
    let mut embed = Command::new(programs::program("bulkhead").expect("built"));
    embed.args(["driver", "embed"]).arg(&component).args([
        "--manifest",
        "tests/guests/python/driver.toml",
        "--output",
    ]);
    run(embed.arg(&driver));
    let mut check = Command::new(programs::program("bulkhead").expect("built"));
    run(check.args(["driver", "check", "--budget", "20"]).arg(&driver));
    let lab = Lab::new().and_then(|lab| lab.with_package("snake", &driver, "")).expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    // 18 MB compile for a while, on a busy machine for minutes.
    daemon.ready_within(Duration::from_secs(600)).await.expect("ready");
    let share = make_small_share(&daemon.tenant()).await;
    allow(&daemon.tenant(), &share, "10.0.0.0/24", "rw").await.expect("in force");
    let fragment =
        lab.root("snake", "exports").read_dir().expect("a root").flatten().next().expect("a fragment");
    let fragment = std::fs::read_to_string(fragment.path()).expect("a text");
    assert!(fragment.contains(" 10.0.0.0/24("), "{fragment}");
}

fn run(command: &mut Command) {
    let output = command.current_dir(programs::repository()).output().expect("started");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
