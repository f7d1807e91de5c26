//! The conformance kit against real storage.

use anyhow::{Context, ensure};
use bulkhead_tests::leftovers::Inventory;
use bulkhead_tests::machine::{SERVER, SERVER_V6, isolated};
use bulkhead_tests::pool::Pool;
use bulkhead_tests::programs;
use bulkhead_tests::tenants::ip;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long faults are tried, in seconds: a sample, for every command is a process.
const BUDGET: &str = "60";

/// A directory for the server's configuration.
fn configuration(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let at = folder.join(name);
    fs::create_dir_all(at.join("exports"))?;
    Ok(at)
}

/// What stands in the table `roots` of a backend on `pool` whose replicas come from `peer`.
fn roots(folder: &Path, pool: &Pool, peer: &Pool, name: &str) -> anyhow::Result<String> {
    let [pool_at, kernel, config, peer] =
        [pool.path().to_owned(), pool.kernel()?, configuration(folder, name)?, peer.path().to_owned()];
    Ok(format!("pool = {pool_at:?}\nkernel = {kernel:?}\nconfig = {config:?}\npeer = {peer:?}\n"))
}

#[test]
fn btrfs_ganesha_keeps_the_contract_on_real_pools_also_when_host_calls_fail() -> anyhow::Result<()> {
    isolated(async |folder| {
        let directories = ["shares", "snapshots", "replication"];
        let pools = [
            Pool::make(&folder, "pool1", 16, &directories)?,
            Pool::make(&folder, "pool2", 16, &directories)?,
        ];
        let [pool, peer] = &pools;
        let addresses = format!("export_addresses = [\"{SERVER}\", \"{SERVER_V6}\"]\n");
        let text = format!(
            "replication = \"dr\"\n[options]\n{addresses}[roots]\n{}[peer.options]\nnfs_port = 12049\nmount_port = 12048\n[peer.roots]\n{}",
            roots(&folder, pool, peer, "config1")?,
            roots(&folder, peer, pool, "config2")?
        );
        let lab = folder.join("lab.toml");
        fs::write(&lab, text)?;
        let before = Inventory::take(&folder, &[pool, peer])?;
        let report = judged("btrfs-ganesha", &lab)?;
        expect_held(
            &report,
            &["clone-content", "revert-content", "access-full-sync-removes", "shrink-possible-data-loss"],
        )?;
        Inventory::expect_nothing_since(&before, &folder, &[pool, peer]).await
    })
}

/// Try a driver on what `lab` names; nothing is broken or left behind.
fn judged(driver: &str, lab: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(programs::program("bulkhead")?);
    command.args(["driver", "check"]).arg(programs::guest(driver)?);
    let output = command.args(["--json", "--budget", BUDGET, "--against"]).arg(lab).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| told.clone().into_owned())?;
    let checks = report["checks"].as_array().context("no checks")?;
    let broken: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "broken").collect();
    ensure!(broken.is_empty() && output.status.success(), "{told}\n{broken:#?}");
    ensure!(report["left-behind"].as_array().is_some_and(Vec::is_empty), "{}", report["left-behind"]);
    Ok(report)
}

fn expect_held(report: &Value, ids: &[&str]) -> anyhow::Result<()> {
    let checks = report["checks"].as_array().context("no checks")?;
    let held = |id: &str| checks.iter().any(|check| check["id"] == id && check["verdict"] == "held");
    for id in ids {
        ensure!(held(id), "{id} did not hold: {report:#}");
    }
    Ok(())
}

/// Each check has a server of its own, and addresses rest before they are given out again: the network is a large one.
#[test]
fn btrfs_netns_keeps_the_contract_on_a_real_pool_with_a_share_server_for_each_check() -> anyhow::Result<()> {
    isolated(async |folder| {
        // Named namespaces are the machine's own.
        let output = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ip(&["netns", "add", "trial"])?;
        ip(&["-n", "trial", "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", "trial", "link", "set", "br0", "up"])?;
        let pool = Pool::make(&folder, "pool", 16, &["shares", "snapshots"])?;
        let config = folder.join("config");
        fs::create_dir(&config)?;
        let text = format!(
            "[roots]\npool = {:?}\nkernel = {:?}\nconfig = {config:?}\n[[networks.user]]\ngateway = \"10.91.0.1\"\nmask = 16\n\
             bridge = \"br0\"\nnamespace = \"trial\"\n",
            pool.path(),
            pool.kernel()?,
        );
        let lab = folder.join("lab.toml");
        fs::write(&lab, text)?;
        let before = Inventory::take(&folder, &[&pool])?;
        let report = judged("btrfs-netns", &lab)?;
        expect_held(
            &report,
            &[
                "set-up-server-again",
                "tear-down-server-leaves-nothing",
                "clone-content",
                "access-full-sync-removes",
            ],
        )?;
        Inventory::expect_nothing_since(&before, &folder, &[&pool]).await
    })
}
