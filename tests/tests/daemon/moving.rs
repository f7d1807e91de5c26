//! A share moved between the pools of an array that does it itself, without a copy.

use crate::refusal;
use bulkhead_tests::daemon::{Daemon, SETTLE, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{
    act, allow, create_share, create_snapshot, delete_share, delete_snapshot, location, share_path, until,
};
use serde_json::{Value, json};

/// A daemon that looks at migrations every second, with an array of two pools that knows itself and takes so long for a move.
async fn two_pools(pending_seconds: u64) -> (Lab, Daemon) {
    let options = format!(
        "pools = {{ gold = \"100\", silver = \"100\" }}\nbackend_host = \"bulkhead@nas1\"\npending_seconds = {pending_seconds}\n"
    );
    let lab = Lab::new()
        .and_then(|lab| {
            lab.with_main("[intervals]\nmigration-seconds = 1\n").with_backend("nas1", "memory", &options)
        })
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    (lab, daemon)
}

fn experimental(client: &Client) -> Client {
    client.clone().header("x-openstack-manila-api-experimental", "True")
}

async fn shown(operator: &Client, share: &str) -> Value {
    operator.get(&share_path(share)).await.expect("the share")["share"].clone()
}

/// The pool that a share is not in, as a host string.
async fn other_pool(operator: &Client, share: &str) -> String {
    let host = shown(operator, share).await["host"].as_str().expect("a host").to_owned();
    if host.ends_with("#gold") { host.replace("#gold", "#silver") } else { host.replace("#silver", "#gold") }
}

async fn start(operator: &Client, share: &str, host: &str) {
    let asked = json!({ "migration_start": {
        "host": host, "writable": true, "preserve_metadata": true, "nondisruptive": false,
        "preserve_snapshots": true,
    } });
    operator.post(&format!("{}/action", share_path(share)), &asked).await.expect("taken");
}

async fn tell(operator: &Client, share: &str, action: &str) {
    let mut asked = serde_json::Map::new();
    asked.insert(action.to_owned(), Value::Null);
    operator.post(&format!("{}/action", share_path(share)), &Value::Object(asked)).await.expect("taken");
}

async fn reaches(operator: &Client, share: &str, state: &str) {
    until(&format!("the migration is at {state}"), SETTLE, async || {
        Ok(shown(operator, share).await["task_state"] == state)
    })
    .await
    .expect("reached");
}

#[tokio::test]
async fn a_share_is_moved_to_another_pool_with_its_rules_and_snapshots() {
    let (_lab, daemon) = two_pools(0).await;
    let (tenant, operator) = (daemon.tenant(), experimental(&daemon.operator()));
    let share = create_share(&tenant, json!({ "share_proto": "NFS", "size": 2 })).await.expect("a share");
    allow(&tenant, &share, "10.0.0.0/24", "rw").await.expect("in force");
    let snapshot = create_snapshot(&tenant, &share).await.expect("a snapshot");
    let (before, host) = (location(&tenant, &share).await.expect("one"), other_pool(&operator, &share).await);
    start(&operator, &share, &host).await;
    reaches(&operator, &share, "migration_driver_phase1_done").await;
    tell(&operator, &share, "migration_complete").await;
    reaches(&operator, &share, "migration_success").await;
    settle(&tenant, &share_path(&share), "share", &["available"]).await.expect("at rest");
    assert_eq!(shown(&operator, &share).await["host"], json!(host));
    assert_ne!(location(&tenant, &share).await.expect("one"), before, "clients mount it elsewhere");
    let rules = tenant.get(&format!("/v2/share-access-rules?share_id={share}")).await.expect("its rules");
    assert_eq!(rules["access_list"][0]["state"], "active", "{rules}");
    // All of it is at the array where the host says it is.
    act(&tenant, &share, json!({ "extend": { "new_size": 3 } })).await.expect("extended");
    let clone = json!({ "share_proto": "NFS", "size": 2, "snapshot_id": snapshot });
    let clone = create_share(&tenant, clone).await.expect("a clone");
    delete_snapshot(&tenant, &snapshot).await.expect("gone");
    for share in [share, clone] {
        delete_share(&tenant, &share).await.expect("gone");
    }
}

#[tokio::test]
async fn a_move_that_takes_long_is_told_in_percent_survives_a_kill_and_can_be_cancelled() {
    let (lab, mut daemon) = two_pools(3600).await;
    let operator = experimental(&daemon.operator());
    let share = create_share(&daemon.tenant(), json!({ "share_proto": "NFS", "size": 1 })).await;
    let share = share.expect("a share");
    let (path, host) = (share_path(&share), other_pool(&operator, &share).await);
    start(&operator, &share, &host).await;
    reaches(&operator, &share, "migration_driver_in_progress").await;
    let action = format!("{path}/action");
    let progress = operator.post(&action, &json!({ "migration_get_progress": null })).await.expect("told");
    assert_eq!(progress["total_progress"], 0, "{progress}");
    let early = refusal(&operator, "POST", &action, Some(&json!({ "migration_complete": null }))).await;
    assert_eq!(early.0, 409, "{early:?}");
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    let operator = experimental(&daemon.operator());
    reaches(&operator, &share, "migration_driver_in_progress").await;
    tell(&operator, &share, "migration_cancel").await;
    reaches(&operator, &share, "migration_cancelled").await;
    settle(&operator, &path, "share", &["available"]).await.expect("as it was");
    assert_ne!(shown(&operator, &share).await["host"], json!(host));
    act(&daemon.tenant(), &share, json!({ "extend": { "new_size": 2 } })).await.expect("extended");
}
