//! Drivers changed under load: nobody notices.

use crate::{mounted_share, small_share};
use anyhow::{Context, ensure};
use bulkhead_tests::http;
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::isolated;
use bulkhead_tests::nfs::Writer;
use bulkhead_tests::programs;
use bulkhead_tests::site::{DRIVER, Plan, Site, name};
use bulkhead_tests::verbs::delete_share;
use std::path::{Path, PathBuf};

/// Another build of the driver: other bytes that do the same.
fn other_build(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut bytes = std::fs::read(programs::guest(DRIVER)?)?;
    // A custom section (0) of 12 bytes: its name's length, its name, its content.
    bytes.extend_from_slice(b"\x00\x0c\x07comment\x01\x02\x03\x04");
    let path = folder.join("other-build.wasm");
    std::fs::write(&path, bytes)?;
    Ok(path)
}

async fn swap(site: &Site, driver: &Path) -> anyhow::Result<()> {
    let output = tokio::process::Command::new(programs::program("bulkhead")?)
        .args(["backend", "--state"])
        .arg(site.lab.state())
        .args(["swap", &name(1), "--driver"])
        .arg(driver)
        .output()
        .await?;
    ensure!(output.status.success(), "the swap failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Make and remove shares until told to stop; how many.
async fn churn(tenant: &http::Client, stop: &std::sync::atomic::AtomicBool) -> anyhow::Result<u32> {
    let mut made = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let share = small_share(tenant).await?;
        delete_share(tenant, &share).await?;
        made += 1;
    }
    Ok(made)
}

#[test]
fn two_hundred_swaps_under_load_cost_no_call_and_no_client_an_error() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan { pool_gib: 400, ..Plan::ONE }).await?;
        let builds = [other_build(&folder)?, programs::guest(DRIVER)?];
        let (_, client) = mounted_share(&site).await?;
        let ganesha = processes_of("ganesha.nfsd");
        let writer = Writer::start(client)?;
        let tenant = site.tenant();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let swaps = async {
            for number in 0..200 {
                swap(&site, &builds[number % 2]).await.with_context(|| format!("swap {number}"))?;
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            anyhow::Ok(())
        };
        let (swapped, first, second) = tokio::join!(swaps, churn(&tenant, &stop), churn(&tenant, &stop));
        swapped?;
        let made = first? + second?;
        ensure!(made > 10, "only {made} shares were made and removed meanwhile");
        writer.stop().await?.expect_no_failure()?;
        ensure!(processes_of("ganesha.nfsd") == ganesha, "the server was started again");
        Ok(())
    })
}
