//! An array that takes its time, and what goes on between it and a share's metadata.

use bulkhead_tests::daemon::{Daemon, SETTLE, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{act, create_share, create_snapshot, newest_failure, share_path, text, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the array takes for a clone.
const ARRAY: Duration = Duration::from_secs(3);

/// A daemon that asks every second, with one backend of the driver `memory`.
async fn slow_daemon() -> (Lab, Daemon) {
    let options = format!("pending_seconds = {}\n", ARRAY.as_secs());
    let lab = Lab::new()
        .and_then(|lab| {
            lab.with_main("[intervals]\nshare-status-seconds = 1\n").with_backend("nas1", "memory", &options)
        })
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    (lab, daemon)
}

/// A snapshot of a new share; its id.
async fn snapshot_of_a_share(client: &Client) -> String {
    let share = create_share(client, json!({ "share_proto": "NFS", "size": 1 })).await.expect("a share");
    create_snapshot(client, &share).await.expect("a snapshot")
}

/// Ask for a clone; its id.
async fn ask_for_clone(client: &Client, snapshot: &str) -> String {
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1, "snapshot_id": snapshot } });
    text(&client.post("/v2/shares", &asked).await.expect("taken")["share"]["id"]).expect("an id")
}

async fn shown(client: &Client, share: &str) -> Value {
    client.get(&share_path(share)).await.expect("the share")["share"].clone()
}

#[tokio::test]
async fn a_clone_is_followed_until_the_array_has_done_it() {
    let (_lab, daemon) = slow_daemon().await;
    let tenant = daemon.tenant();
    let snapshot = snapshot_of_a_share(&tenant).await;
    let began = Instant::now();
    let clone = ask_for_clone(&tenant, &snapshot).await;
    settle(&tenant, &share_path(&clone), "share", &["available"]).await.expect("a clone");
    assert!(began.elapsed() >= ARRAY, "it was there after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_daemon_that_is_killed_meanwhile_goes_on_asking() {
    let (lab, mut daemon) = slow_daemon().await;
    let snapshot = snapshot_of_a_share(&daemon.tenant()).await;
    let clone = ask_for_clone(&daemon.tenant(), &snapshot).await;
    until("the array is at it", SETTLE, async || {
        Ok(shown(&daemon.tenant(), &clone).await["status"] == "creating_from_snapshot")
    })
    .await
    .expect("pending");
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    settle(&daemon.tenant(), &share_path(&clone), "share", &["available"]).await.expect("a clone");
}

#[tokio::test]
async fn a_tenant_who_writes_metadata_fills_a_share_that_then_is_not_shrunk() {
    let (_lab, daemon) = slow_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let share = create_share(&tenant, json!({ "share_proto": "NFS", "size": 4 })).await.expect("a share");
    until("the array has supplied its metadata", SETTLE, async || {
        Ok(shown(&tenant, &share).await["metadata"]["pool"] == "memory")
    })
    .await
    .expect("supplied");
    let metadata = format!("{}/metadata", share_path(&share));
    tenant.post(&metadata, &json!({ "metadata": { "used_gib": "3" } })).await.expect("set");
    until("the array has followed", SETTLE, async || {
        let newest = operator.get("/v1/operations").await?["operations"][0].clone();
        Ok(newest.to_string().contains("update-share-metadata") && newest["state"] == "succeeded")
    })
    .await
    .expect("followed");
    let found = act(&tenant, &share, json!({ "shrink": { "new_size": 2 } })).await.expect("at rest");
    assert_eq!(found["size"], 4, "it was shrunk below what is used");
    let failure = newest_failure(&operator).await.expect("a failure");
    assert_eq!(failure["code"], "possible-data-loss", "{failure}");
}
