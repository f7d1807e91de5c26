//! Everything that needs a good array, on the one that has no disks: no root, no programs, nothing to mount.

use crate::refusal;
use bulkhead_tests::daemon::{Daemon, SETTLE, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::replicas;
use bulkhead_tests::verbs::{
    act, allow, create_group, create_group_snapshot, create_share, create_snapshot, create_type, delete,
    delete_share, delete_share_of_group, delete_snapshot, deny, group_path, group_snapshot_path, location,
    newest_failure, share_path, shares_of_group, snapshot_path, text, until,
};
use serde_json::json;

/// A daemon with one backend of the driver `memory`.
async fn memory_daemon(options: &str) -> (Lab, Daemon) {
    let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "memory", options)).expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    (lab, daemon)
}

async fn small_share(client: &Client) -> String {
    create_share(client, json!({ "share_proto": "NFS", "size": 1 })).await.expect("a share")
}

#[tokio::test]
async fn a_share_lives_its_whole_life_without_anything_to_mount() {
    let (lab, daemon) = memory_daemon("").await;
    let tenant = daemon.tenant();
    let share = small_share(&tenant).await;
    let path = location(&tenant, &share).await.expect("a location");
    assert!(path.starts_with("127.0.0.1:/share-"), "{path}");
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
    drop(daemon);
    assert!(!lab.root("nas1", "shares").exists(), "it has no root");
}

#[tokio::test]
async fn a_share_that_is_full_is_not_shrunk_and_stays_what_it_was() {
    let (_lab, daemon) = memory_daemon("fill_percent = 75\n").await;
    let tenant = daemon.tenant();
    let share = create_share(&tenant, json!({ "share_proto": "CIFS", "size": 4 })).await.expect("a share");
    assert!(location(&tenant, &share).await.expect("a location").starts_with("\\\\127.0.0.1\\share-"));
    let found = act(&tenant, &share, json!({ "shrink": { "new_size": 2 } })).await.expect("at rest");
    assert_eq!(found["size"], 4);
    let failure = newest_failure(&daemon.operator()).await.expect("a failure");
    assert_eq!(failure["code"], "possible-data-loss", "{failure}");
    act(&tenant, &share, json!({ "shrink": { "new_size": 3 } })).await.expect("just enough");
}

#[tokio::test]
async fn a_full_pool_takes_no_share_until_one_goes() {
    let (_lab, daemon) = memory_daemon("pools = { gold = \"5\" }\nthin_provisioning = false\n").await;
    let tenant = daemon.tenant();
    create_share(&tenant, json!({ "share_proto": "NFS", "size": 3 })).await.expect("a share");
    let asked = json!({ "share": { "share_proto": "NFS", "size": 3 } });
    assert_eq!(refusal(&tenant, "POST", "/v2/shares", Some(&asked)).await.0, 503);
    create_share(&tenant, json!({ "share_proto": "NFS", "size": 2 })).await.expect("the rest");
}

#[tokio::test]
async fn what_a_killed_daemon_had_begun_is_finished_and_counted_once() {
    let (lab, mut daemon) = memory_daemon("pools = { gold = \"10\" }\nthin_provisioning = false\n").await;
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    for _ in 0..5 {
        daemon.tenant().post("/v2/shares", &asked).await.expect("taken");
    }
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    let tenant = daemon.tenant();
    until("all are there", SETTLE, async || {
        let listed = tenant.get("/v2/shares/detail?status=available").await?;
        Ok(listed["shares"].as_array().is_some_and(|shares| shares.len() == 5))
    })
    .await
    .expect("finished");
    // Had one been counted twice, the array would refuse the last of these.
    for _ in 0..5 {
        small_share(&tenant).await;
    }
}

#[tokio::test]
async fn snapshots_of_a_group_are_consistent_and_make_another_group() {
    let (_lab, daemon) = memory_daemon("").await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let group = create_group(&tenant, json!({ "name": "papers" })).await.expect("a group");
    let seen = tenant.get(&group_path(&group)).await.expect("the group");
    assert_eq!(seen["share_group"]["consistent_snapshot_support"], "host", "{seen}");
    for _ in 0..2 {
        let asked = json!({ "share_proto": "NFS", "size": 1, "share_group_id": group });
        create_share(&tenant, asked).await.expect("a share");
    }
    let snapshot = create_group_snapshot(&tenant, &group).await.expect("a snapshot");
    let copy = create_group(&tenant, json!({ "source_share_group_snapshot_id": snapshot })).await;
    let copy = copy.expect("a group");
    assert_eq!(shares_of_group(&tenant, &copy).await.expect("its shares").len(), 2);
    delete(&tenant, &group_snapshot_path(&snapshot)).await.expect("gone");
    for group in [&group, &copy] {
        for share in shares_of_group(&tenant, group).await.expect("its shares") {
            delete_share_of_group(&tenant, &share, group).await.expect("gone");
        }
        delete(&tenant, &group_path(group)).await.expect("gone");
    }
    let listed = operator.get("/v1/operations").await.expect("operations");
    let calls = listed["operations"].as_array().expect("a list");
    assert!(calls.iter().all(|operation| operation["failure"].is_null()), "{listed}");
}

#[tokio::test]
async fn a_snapshot_that_may_be_mounted_has_a_location_and_rules_of_its_own() {
    let (_lab, daemon) = memory_daemon("").await;
    let tenant = daemon.tenant();
    let specs = json!({
        "driver_handles_share_servers": "False", "snapshot_support": "True", "mount_snapshot_support": "True",
    });
    create_type(&daemon.operator(), "mountable", specs).await.expect("a type");
    let asked = json!({ "share_proto": "NFS", "size": 1, "share_type": "mountable" });
    let share = create_share(&tenant, asked).await.expect("a share");
    let snapshot = create_snapshot(&tenant, &share).await.expect("a snapshot");
    let path = snapshot_path(&snapshot);
    let found = tenant.get(&format!("{path}/export-locations")).await.expect("locations");
    let location = text(&found["share_snapshot_export_locations"][0]["path"]).expect("a path");
    assert!(location.starts_with("127.0.0.1:/share-snapshot-"), "{location}");
    let rule = json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.1" } });
    tenant.post(&format!("{path}/action"), &rule).await.expect("taken");
    until("the rule is active", SETTLE, async || {
        let list = tenant.get(&format!("{path}/access-list")).await?;
        Ok(list["snapshot_access_list"][0]["state"] == "active")
    })
    .await
    .expect("in force");
    delete_snapshot(&tenant, &snapshot).await.expect("gone");
}

#[tokio::test]
async fn objects_that_were_there_before_are_taken_over_let_go_and_taken_over_again() {
    let options = "[options.existing_shares]\nold = \"7\"\n[options.existing_snapshots]\nnightly = \"old\"\n";
    let (_lab, daemon) = memory_daemon(options).await;
    let operator = daemon.operator();
    let asked = |name: &str| {
        json!({ "share": {
            "protocol": "NFS", "export_path": format!("127.0.0.1:/{name}"), "service_host": "nas1#memory",
        } })
    };
    let made = operator.post("/v2/shares/manage", &asked("old")).await.expect("taken");
    let share = text(&made["share"]["id"]).expect("an id");
    let found = settle(&operator, &share_path(&share), "share", &["available"]).await.expect("managed");
    assert_eq!(found["size"], 7);
    let snapshot = json!({ "snapshot": { "share_id": share, "provider_location": "nightly" } });
    let made = operator.post("/v2/snapshots/manage", &snapshot).await.expect("taken");
    let snapshot = text(&made["snapshot"]["id"]).expect("an id");
    let path = snapshot_path(&snapshot);
    settle(&operator, &path, "snapshot", &["available"]).await.expect("managed");
    // A clone of what was there before: its handle is the driver's own by now.
    let clone = json!({ "share_proto": "NFS", "size": 7, "snapshot_id": snapshot });
    create_share(&operator.clone().header("x-bulkhead-project", "default"), clone).await.expect("a clone");
    operator.post(&format!("{path}/action"), &json!({ "unmanage": null })).await.expect("taken");
    gone(&operator, &path).await.expect("let go");
    let name = location(&operator, &share).await.expect("a location").replace("127.0.0.1:/", "");
    operator
        .post(&format!("{}/action", share_path(&share)), &json!({ "unmanage": null }))
        .await
        .expect("taken");
    gone(&operator, &share_path(&share)).await.expect("let go");
    let made = operator.post("/v2/shares/manage", &asked(&name)).await.expect("taken");
    let share = text(&made["share"]["id"]).expect("an id");
    settle(&operator, &share_path(&share), "share", &["available"]).await.expect("managed again");
    let made = operator.post("/v2/shares/manage", &asked("old")).await.expect("taken");
    let other = text(&made["share"]["id"]).expect("an id");
    settle(&operator, &share_path(&other), "share", &["manage_error"]).await.expect("somebody has it");
}

#[tokio::test]
async fn a_replica_on_another_backend_is_promoted_and_the_old_one_follows() {
    let domain = "replication_domain = \"pair\"\nreplication_type = \"dr\"\n";
    let lab = Lab::new()
        .and_then(|lab| lab.with_backend("nas1", "memory", domain))
        .and_then(|lab| lab.with_backend("nas2", "memory", domain))
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready backends");
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let specs = json!({
        "driver_handles_share_servers": "False", "snapshot_support": "True", "replication_type": "dr",
        "create_share_from_snapshot_support": "True",
    });
    create_type(&operator, "replicated", specs).await.expect("a type");
    let asked = json!({ "share_proto": "NFS", "size": 1, "share_type": "replicated" });
    let share = create_share(&tenant, asked).await.expect("a share");
    let first = replicas::active(&tenant, &share).await.expect("active");
    let second = replicas::create(&tenant, &share).await.expect("a replica");
    let snapshot = create_snapshot(&tenant, &share).await.expect("a snapshot on both");
    replicas::promote(&tenant, &second).await.expect("promoted");
    replicas::update(&operator, &first).await.expect("follows");
    // Its content came with the snapshot's handle, also to the backend that did not take it.
    let asked = json!({ "share_proto": "NFS", "size": 1, "snapshot_id": snapshot });
    let clone = create_share(&tenant, asked).await.expect("a clone");
    delete_share(&tenant, &clone).await.expect("gone");
    delete_snapshot(&tenant, &snapshot).await.expect("gone from both");
    replicas::remove(&tenant, &first).await.expect("gone");
    delete_share(&tenant, &share).await.expect("gone");
}
