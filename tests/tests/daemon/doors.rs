//! The tenants' door under clients that mean harm, or do not know better.

use crate::{directory_daemon, make_small_share, make_snapshot, refusal};
use bulkhead_tests::daemon::settle;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_keep_the_daemon_from_ending() {
    let (_lab, daemon) = directory_daemon().await;
    let mut slow = TcpStream::connect(daemon.address()).await.expect("connected");
    slow.write_all(b"GET /v2/shares HTTP/1.1\r\nhost: ").await.expect("sent");
    make_small_share(&daemon.tenant()).await;
    let id = Pid::from_raw(i32::try_from(daemon.id()).expect("an id")).expect("an id");
    kill_process(id, Signal::TERM).expect("told");
    assert_eq!(daemon.wait().expect("ended"), Some(0));
    drop(slow);
}

#[tokio::test]
async fn a_wrong_method_is_not_allowed_and_names_the_right_ones() {
    let (_lab, daemon) = directory_daemon().await;
    for (method, path) in
        [("PATCH", "/v2/shares"), ("POST", "/v2/shares/detail"), ("PATCH", "/v2/types/default")]
    {
        let answer = daemon.tenant().send(method, path, None).await.expect("an answer");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.body["badMethod"]["code"], 405, "{}", answer.body);
        assert!(answer.headers["allow"].to_str().is_ok_and(|allowed| allowed.contains("GET")));
    }
}

#[tokio::test]
async fn every_refusal_is_a_fault_that_clients_can_read() {
    let (_lab, daemon) = directory_daemon().await;
    for path in ["/v2/shares/%ff", "/v2/shares?limit=1&limit=2", "/v2/shares?metadata=x", "/v2/quota-sets"] {
        let (status, message) = refusal(&daemon.tenant(), "GET", path, None).await;
        assert!(matches!(status, 400 | 404) && !message.is_empty(), "{path}: {status} {message}");
    }
    let body = json!({ "share": { "share_proto": "N\u{1b}[2J", "size": 1 } });
    let (_, message) = refusal(&daemon.tenant(), "POST", "/v2/shares", Some(&body)).await;
    assert!(message.contains("N\\u{1b}[2J"), "{message}");
}

#[tokio::test]
async fn a_body_that_names_a_key_twice_is_refused() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let action = format!("/v2/shares/{share}/action");
    for (path, body) in [
        ("/v2/shares", r#"{"share":{"share_proto":"NFS","size":1,"metadata":{"a":"1","a":"2"}}}"#),
        ("/v2/shares", r#"{"share":{"share_proto":"NFS","size":1,"size":2}}"#),
        (action.as_str(), r#"{"extend":{"new_size":2},"extend":{"new_size":3}}"#),
    ] {
        let answer = tenant.send_bytes("POST", path, body.into()).await.expect("an answer");
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body["badRequest"]["message"].to_string().contains("stands twice"), "{}", answer.body);
    }
}

#[tokio::test]
async fn two_hundred_creations_with_one_idempotency_key_make_one_share() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant().header("idempotency-key", &"k".repeat(255));
    let body = json!({ "share": { "share_proto": "NFS", "size": 1, "name": "one" } });
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (tenant, body) = (tenant.clone(), body.clone());
        asked.spawn(async move { tenant.post("/v2/shares", &body).await });
    }
    let mut ids = BTreeSet::new();
    while let Some(made) = asked.join_next().await {
        ids.insert(made.expect("joined").expect("taken")["share"]["id"].to_string());
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(tenant.get("/v2/shares").await.expect("a list")["shares"].as_array().map(Vec::len), Some(1));
    let other = json!({ "share": { "share_proto": "NFS", "size": 2, "name": "one" } });
    assert_eq!(refusal(&tenant, "POST", "/v2/shares", Some(&other)).await.0, 409);
    for key in ["k".repeat(256), String::new()] {
        let tenant = tenant.clone().header("idempotency-key", &key);
        assert_eq!(refusal(&tenant, "POST", "/v2/shares", Some(&other)).await.0, 400, "{} bytes", key.len());
    }
}

#[tokio::test]
async fn of_an_extension_and_a_shrinking_at_once_one_is_told_to_wait() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let made = json!({ "share": { "share_proto": "NFS", "size": 2 } });
    let made = tenant.post("/v2/shares", &made).await.expect("taken");
    let share = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    settle(&tenant, &share, "share", &["available"]).await.expect("available");
    let action = format!("{share}/action");
    let (larger, smaller) = (json!({ "extend": { "new_size": 3 } }), json!({ "shrink": { "new_size": 1 } }));
    let (extended, shrunk) = tokio::join!(
        tenant.send("POST", &action, Some(&larger)),
        tenant.send("POST", &action, Some(&smaller))
    );
    let statuses = [extended.expect("an answer").status, shrunk.expect("an answer").status];
    let size = settle(&tenant, &share, "share", &["available"]).await.expect("at rest")["size"].clone();
    let expected: &[Value] = match statuses {
        [202, 409] => &[json!(3)],
        [409, 202] => &[json!(1)],
        // One was done before the other was asked.
        [202, 202] => &[json!(1), json!(3)],
        other => panic!("{other:?}"),
    };
    assert!(expected.contains(&size), "{statuses:?}: {size}");
}

#[tokio::test]
async fn lists_are_narrowed_as_the_stock_client_asks() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    for (name, value) in [("one", "b"), ("two", "c")] {
        let share =
            json!({ "share": { "share_proto": "NFS", "size": 1, "name": name, "metadata": { "a": value } } });
        tenant.post("/v2/shares", &share).await.expect("taken");
    }
    for (query, expected) in [
        ("name=one", 1),
        ("name~=o", 2),
        ("metadata=%7B%27a%27%3A+%27c%27%7D", 1),
        ("metadata=%7B%27a%27%3A+%27d%27%7D", 0),
        ("share_network_id=x", 0),
        ("host=bulkhead%40nas1%23shares", 0),
        ("export_location_path=nowhere", 0),
        ("project_id=default&is_public=True", 2),
    ] {
        let listed = tenant.get(&format!("/v2/shares/detail?{query}")).await.expect("a list");
        assert_eq!(listed["shares"].as_array().map(Vec::len), Some(expected), "{query}: {listed}");
    }
    assert_eq!(refusal(&tenant, "GET", "/v2/shares?extra_specs=x", None).await.0, 400);
}

/// Contract D-10, D-52.
#[tokio::test]
async fn operators_see_every_base_key_of_a_pools_statistics() {
    let (_lab, daemon) = directory_daemon().await;
    let listed = daemon.operator().get("/v2/scheduler-stats/pools/detail").await.expect("a list");
    let shown = &listed["pools"][0]["capabilities"];
    for (key, value) in [
        ("qos", json!(false)),
        ("driver_version", json!("0.1.0")),
        ("share_backend_name", json!("nas1")),
        ("driver_handles_share_servers", json!(false)),
        ("reserved_percentage", json!(0)),
        ("reserved_snapshot_percentage", json!(0)),
        ("reserved_share_extend_percentage", json!(0)),
        ("storage_protocol", json!(["NFS"])),
        ("snapshot_support", json!(true)),
        ("create_share_from_snapshot_support", json!(true)),
        ("revert_to_snapshot_support", json!(true)),
        ("mount_snapshot_support", json!(false)),
        ("ipv4_support", json!(true)),
        ("ipv6_support", json!(false)),
        ("share_group_stats", json!({ "consistent_snapshot_support": null })),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown}");
    }
    assert!(shown["vendor_name"].is_string(), "{shown}");
    for key in ["total_capacity_gb", "free_capacity_gb"] {
        assert!(shown[key].as_f64().is_some_and(|gib| gib > 0.0), "{key}: {shown}");
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_mounted_has_no_export_locations_and_no_rules() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let snapshot = make_snapshot(&tenant, &share).await;
    let locations =
        tenant.get(&format!("/v2/snapshots/{snapshot}/export-locations")).await.expect("an answer");
    assert_eq!(locations, json!({ "share_snapshot_export_locations": [] }));
    let rules = tenant.get(&format!("/v2/snapshots/{snapshot}/access-list")).await.expect("an answer");
    assert_eq!(rules, json!({ "snapshot_access_list": [] }));
    let nobody = "/v2/snapshots/00000000-0000-4000-8000-000000000000/export-locations";
    assert_eq!(refusal(&tenant, "GET", nobody, None).await.0, 404);
}
