//! Replicas on a second pool: in step by increments, promoted without loss, and back again.

use crate::mount;
use anyhow::ensure;
use bulkhead_tests::daemon::SETTLE;
use bulkhead_tests::leftovers::processes_of;
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::{Client, Writer};
use bulkhead_tests::replicas;
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{
    allow, create_share, create_snapshot, create_type, delete_share, delete_snapshot, until,
};
use serde_json::json;

/// A site of two backends, and a share that may have replicas.
async fn replicated(folder: &std::path::Path) -> anyhow::Result<(Site, String, Client)> {
    let site = Site::start(folder, Plan::PAIR).await?;
    let specs = json!({
        "driver_handles_share_servers": "False", "snapshot_support": "True", "replication_type": "dr",
    });
    create_type(&site.operator(), "replicated", specs).await?;
    let asked = json!({ "share_proto": "NFS", "size": 1, "share_type": "replicated" });
    let share = create_share(&site.tenant(), asked).await?;
    allow(&site.tenant(), &share, CLIENTS[0], "rw").await?;
    let client = mount(&site, &share, CLIENTS[0]).await?;
    Ok((site, share, client))
}

#[test]
fn a_promoted_replica_has_every_byte_and_so_has_the_first_pool_after_the_way_back() -> anyhow::Result<()> {
    isolated(async |folder| {
        let (site, share, mut client) = replicated(&folder).await?;
        let tenant = site.tenant();
        client.fill("large", 64 << 20).await?.1.map_or(Ok(()), Err)?;
        let first = replicas::active(&tenant, &share).await?;
        let second = replicas::create(&tenant, &share).await?;
        for round in 0..3 {
            client.write("letter", format!("round {round}").as_bytes()).await?;
            let target = if round % 2 == 0 { &second } else { &first };
            replicas::promote(&tenant, target).await?;
            ensure!(client.write("letter", b"to the old one").await.is_err(), "two replicas take writes");
            client = mount(&site, &share, CLIENTS[0]).await?;
            ensure!(client.read("letter").await? == format!("round {round}").as_bytes());
            ensure!(client.read("large").await?.len() == 64 << 20);
            let behind = if round % 2 == 0 { &first } else { &second };
            replicas::update(&site.operator(), behind).await?;
        }
        replicas::remove(&tenant, &first).await?;
        delete_share(&tenant, &share).await?;
        for pool in &site.pools {
            let left = pool.subvolumes()?;
            ensure!(left.is_empty(), "left in {}: {left:?}", pool.path().display());
        }
        Ok(())
    })
}

#[test]
fn snapshots_of_a_replicated_share_are_on_both_pools() -> anyhow::Result<()> {
    isolated(async |folder| {
        let (site, share, mut client) = replicated(&folder).await?;
        let tenant = site.tenant();
        client.write("letter", b"before").await?;
        let second = replicas::create(&tenant, &share).await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        client.write("letter", b"after").await?;
        for pool in &site.pools {
            let of_snapshot = pool.subvolumes()?.iter().filter(|path| path.starts_with("snapshots/")).count();
            ensure!(of_snapshot == 1, "{} holds {of_snapshot} snapshots", pool.path().display());
        }
        replicas::promote(&tenant, &second).await?;
        delete_snapshot(&tenant, &snapshot).await?;
        for pool in &site.pools {
            let left = pool.subvolumes()?;
            ensure!(!left.iter().any(|path| path.starts_with("snapshots/")), "{left:?}");
        }
        Ok(())
    })
}

#[test]
fn a_stream_that_broke_off_is_cleaned_and_repeated() -> anyhow::Result<()> {
    isolated(async |folder| {
        let (mut site, share, mut client) = replicated(&folder).await?;
        client.fill("large", 512 << 20).await?.1.map_or(Ok(()), Err)?;
        client.write("letter", b"dear all").await?;
        let asked = json!({ "share_replica": { "share_id": share } });
        let made = site.tenant().post("/v2/share-replicas", &asked).await?;
        let second = bulkhead_tests::verbs::text(&made["share_replica"]["id"])?;
        let mut broken = false;
        for _ in 0..200 {
            if let Some(receiver) = processes_of("btrfs").first() {
                broken = bulkhead_tests::ganesha::kill(*receiver).is_ok();
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        site.restart_daemon().await?;
        until("the replica is in step", SETTLE, async || {
            let found = site.operator().get(&format!("/v2/share-replicas/{second}")).await?;
            if found["share_replica"]["replica_state"] != "in_sync" {
                // As the schedule would, only sooner.
                let path = format!("/v2/share-replicas/{second}/action");
                site.operator().send("POST", &path, Some(&json!({ "resync": null }))).await?;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                return Ok(false);
            }
            Ok(true)
        })
        .await?;
        ensure!(broken, "nothing was sent: no stream could be broken");
        replicas::promote(&site.tenant(), &second).await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("letter").await? == b"dear all");
        ensure!(client.read("large").await?.len() == 512 << 20);
        Ok(())
    })
}

#[test]
fn increments_are_pulled_while_a_client_writes() -> anyhow::Result<()> {
    isolated(async |folder| {
        let (site, share, client) = replicated(&folder).await?;
        let second = replicas::create(&site.tenant(), &share).await?;
        let writer = Writer::start(client)?;
        for _ in 0..5 {
            writer.go_on(10).await?;
            replicas::update(&site.operator(), &second).await?;
        }
        writer.stop().await?.expect_no_failure()?;
        let bases = site.pools[1].subvolumes()?;
        ensure!(bases.len() <= 3, "bases pile up: {bases:?}");
        Ok(())
    })
}
