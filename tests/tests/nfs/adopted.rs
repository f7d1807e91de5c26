//! What runs beside the daemon outlives it, comes back when it dies, and is never started twice.

use crate::{mount, mounted_share, small_share};
use anyhow::ensure;
use bulkhead_tests::daemon::{SETTLE, helper_of};
use bulkhead_tests::ganesha::{kill, kill_the};
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::{Patience, Writer};
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{allow, delete_share, until};
use std::time::Duration;

/// The ids of everything that a backend keeps running.
fn services() -> Vec<Vec<u32>> {
    ["ganesha.nfsd", "dbus-daemon", "rpcbind"].into_iter().map(processes_of).collect()
}

/// How long a client waits for a server that was killed.
const HARD: Patience = Patience::Hard(Duration::from_secs(30));

#[test]
fn a_daemon_that_is_killed_and_started_again_costs_a_writing_client_nothing() -> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Site::start(&folder, Plan::ONE).await?;
        let (share, client) = mounted_share(&site).await?;
        let running = services();
        ensure!(running.iter().all(|ids| ids.len() == 1), "{running:?}");
        let writer = Writer::start(client)?;
        for _ in 0..4 {
            writer.go_on(5).await?;
            site.restart_daemon().await?;
            writer.go_on(5).await?;
            // What it adopted it also rules.
            allow(&site.tenant(), &share, CLIENTS[1], "ro").await?;
            mount(&site, &share, CLIENTS[1]).await?.list().await?;
            let rules = site.tenant().get(&format!("/v2/share-access-rules?share_id={share}")).await?;
            for rule in rules["access_list"].as_array().into_iter().flatten() {
                if rule["access_to"] == CLIENTS[1] {
                    let id = rule["id"].as_str().unwrap_or_default();
                    bulkhead_tests::verbs::deny(&site.tenant(), &share, id).await?;
                }
            }
        }
        writer.stop().await?.expect_no_failure()?;
        ensure!(services() == running, "{running:?} ran before, {:?} run now", services());
        Ok(())
    })
}

#[test]
fn a_helper_that_is_killed_costs_a_writing_client_nothing() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (_, client) = mounted_share(&site).await?;
        let running = services();
        let writer = Writer::start(client)?;
        for _ in 0..3 {
            let helper = helper_of(site.daemon.id()).unwrap_or_default();
            kill(helper)?;
            writer.go_on(5).await?;
            until("another helper", SETTLE, async || {
                Ok(helper_of(site.daemon.id()).is_some_and(|other| other != helper))
            })
            .await?;
            let share = small_share(&site.tenant()).await?;
            delete_share(&site.tenant(), &share).await?;
        }
        writer.stop().await?.expect_no_failure()?;
        ensure!(services() == running, "{running:?} ran before, {:?} run now", services());
        Ok(())
    })
}

#[test]
fn a_ganesha_that_is_killed_comes_back_with_all_its_exports() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (first, client) = mounted_share(&site).await?;
        let second = small_share(&site.tenant()).await?;
        allow(&site.tenant(), &second, "10.77.0.0/24", "ro").await?;
        let writer = Writer::start(client.with_patience(HARD))?;
        writer.go_on(5).await?;
        let killed = kill_the("ganesha.nfsd")?;
        writer.go_on(5).await?;
        ensure!(site.ganesha()? != killed);
        mount(&site, &second, CLIENTS[1]).await?.list().await?;
        mount(&site, &first, CLIENTS[0]).await?.list().await?;
        ensure!(site.mount(&first, CLIENTS[1]).await?.is_err(), "it came back without its rules");
        let tally = writer.stop().await?;
        tally.expect_no_failure()?;
        // It is ruled as before.
        allow(&site.tenant(), &first, CLIENTS[1], "rw").await?;
        mount(&site, &first, CLIENTS[1]).await?.write("all is", b"well").await?;
        Ok(())
    })
}

#[test]
fn a_ganesha_that_is_killed_while_no_daemon_runs_comes_back_all_the_same() -> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Site::start(&folder, Plan::ONE).await?;
        let (_, client) = mounted_share(&site).await?;
        site.daemon.kill()?;
        let writer = Writer::start(client.with_patience(HARD))?;
        writer.go_on(5).await?;
        kill_the("ganesha.nfsd")?;
        writer.go_on(5).await?;
        site.restart_daemon().await?;
        writer.go_on(5).await?;
        writer.stop().await?.expect_no_failure()?;
        delete_share(&site.tenant(), &small_share(&site.tenant()).await?).await
    })
}

#[test]
fn a_bus_that_is_gone_comes_back_and_rules_can_be_changed_again() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, client) = mounted_share(&site).await?;
        let writer = Writer::start(client.with_patience(HARD))?;
        kill_the("dbus-daemon")?;
        let mut reached = false;
        for _ in 0..20 {
            if allow(&site.tenant(), &share, CLIENTS[1], "rw").await.is_ok() {
                reached = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        if !reached {
            // The rule itself may have failed while there was no bus; to be in line again is what counts.
            site.operator().post("/v1/backends/nas1/ensure", &serde_json::json!({})).await?;
        }
        until("the rule is in force", SETTLE, async || Ok(site.mount(&share, CLIENTS[1]).await?.is_ok()))
            .await?;
        writer.go_on(5).await?;
        writer.stop().await?.expect_no_failure()
    })
}
