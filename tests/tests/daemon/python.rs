//! The contract carries more than Rust: a Python component under the default limits.

use crate::make_small_share;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_python_driver_makes_a_share_under_the_default_limits() {
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
    let lab = Lab::new().and_then(|lab| lab.with_package("snake", &driver, "")).expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    // 18 MB compile for a while, on a busy machine for minutes.
    daemon.ready_within(Duration::from_secs(600)).await.expect("ready");
    make_small_share(&daemon.tenant()).await;
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
