//! Wrong requests get a clear answer and lose nothing.

use crate::{directory_daemon, make_share, make_small_share, make_snapshot, refusal};
use bulkhead_tests::daemon::settle;
use serde_json::{Value, json};

#[tokio::test]
async fn sizes_names_and_bodies_that_make_no_sense_are_refused_in_words() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let cases: [(Value, &str); 11] = [
        (json!({ "share_proto": "NFS", "size": 0 }), "whole number of GiB"),
        (json!({ "share_proto": "NFS", "size": -1 }), "whole number of GiB"),
        (json!({ "share_proto": "NFS", "size": 9_223_372_036_854_775_808_u64 }), "whole number of GiB"),
        (json!({ "share_proto": "NFS", "size": 1.5 }), "whole number of GiB"),
        (json!({ "share_proto": "NFS" }), "size is missing"),
        (json!({ "size": 1 }), "share_proto is missing"),
        (json!({ "share_proto": "FTP", "size": 1 }), "FTP"),
        (json!({ "share_proto": "NFS", "size": 1, "name": "a\u{1b}[31mb" }), "control characters"),
        (json!({ "share_proto": "NFS", "size": 1, "name": "a".repeat(256) }), "255"),
        (json!({ "share_proto": "NFS", "size": 1, "share_network_id": "n" }), "share_network_id"),
        (json!({ "share_proto": "NFS", "size": 1, "share_type": "gold" }), "gold"),
    ];
    for (share, expected) in cases {
        let (status, message) =
            refusal(&tenant, "POST", "/v2/shares", Some(&json!({ "share": share }))).await;
        assert!(matches!(status, 400 | 404), "{share}: {status} {message}");
        assert!(message.contains(expected), "{share}: {message}");
    }
    for body in ["", "{", "[]", "{\"share\": 1}", "\u{0}", &"[".repeat(20_000)] {
        let answer =
            tenant.send_bytes("POST", "/v2/shares", body.as_bytes().to_vec()).await.expect("an answer");
        assert_eq!(answer.status, 400, "{body:.20}: {}", answer.body);
    }
    let listed = tenant.get("/v2/shares").await.expect("a list");
    assert_eq!(listed["shares"], json!([]));
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_turned_away() {
    let (_lab, daemon) = directory_daemon().await;
    let body = json!({ "share": { "share_proto": "NFS", "size": 1, "name": "a".repeat(10_000_000) } });
    let answer = daemon.tenant().send("POST", "/v2/shares", Some(&body)).await;
    // The daemon may answer before it has read everything; then the client's write breaks off.
    if let Ok(answer) = answer {
        assert_eq!(answer.status, 413, "{}", answer.body);
    }
    assert_eq!(daemon.tenant().get("/v2/shares").await.expect("a list")["shares"], json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for path in [
        format!("/v2/shares/{nobody}"),
        "/v2/shares/x".to_owned(),
        format!("/v2/snapshots/{nobody}"),
        "/v2/nonsense".to_owned(),
    ] {
        assert_eq!(refusal(&tenant, "GET", &path, None).await.0, 404, "{path}");
    }
    let action = json!({ "extend": { "new_size": 2 } });
    assert_eq!(refusal(&tenant, "POST", &format!("/v2/shares/{nobody}/action"), Some(&action)).await.0, 404);
    let snapshot = json!({ "snapshot": { "share_id": nobody } });
    assert_eq!(refusal(&tenant, "POST", "/v2/snapshots", Some(&snapshot)).await.0, 404);
}

#[tokio::test]
async fn rules_for_hosts_host_bits_and_unknown_types_are_refused() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let action = format!("/v2/shares/{share}/action");
    for (kind, to, level, expected) in [
        ("ip", "nas.example.org", "rw", "host names"),
        ("ip", "10.0.0.1/8", "rw", "10.0.0.0/8"),
        ("shadow", "x", "rw", "ip, user, cert or cephx"),
        ("ip", "10.0.0.1", "rwx", "rw or ro"),
        ("ip", "10.0.0.1; id", "rw", "not an IPv4"),
    ] {
        let rule = json!({ "allow_access": { "access_type": kind, "access_to": to, "access_level": level } });
        let (status, message) = refusal(&tenant, "POST", &action, Some(&rule)).await;
        assert_eq!(status, 400, "{to}: {message}");
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[tokio::test]
async fn only_the_newest_snapshot_of_the_share_itself_reverts_it() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let (share, other) = (make_small_share(&tenant).await, make_small_share(&tenant).await);
    let old = make_snapshot(&tenant, &share).await;
    let new = make_snapshot(&tenant, &share).await;
    let foreign = make_snapshot(&tenant, &other).await;
    let action = format!("/v2/shares/{share}/action");
    for snapshot in [&old, &foreign] {
        let (status, message) =
            refusal(&tenant, "POST", &action, Some(&json!({ "revert": { "snapshot_id": snapshot } }))).await;
        assert!(matches!(status, 400 | 409), "{status}: {message}");
    }
    tenant.post(&action, &json!({ "revert": { "snapshot_id": new } })).await.expect("taken");
    settle(&tenant, &format!("/v2/shares/{share}"), "share", &["available"]).await.expect("reverted");
}

#[tokio::test]
async fn a_share_with_snapshots_is_not_removed() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    make_snapshot(&tenant, &share).await;
    let (status, message) = refusal(&tenant, "DELETE", &format!("/v2/shares/{share}"), None).await;
    assert!(matches!(status, 403 | 409), "{status}: {message}");
    assert!(message.contains("snapshot"), "{message}");
    assert_eq!(
        tenant.get(&format!("/v2/shares/{share}")).await.expect("there")["share"]["status"],
        "available"
    );
}

#[tokio::test]
async fn sizes_that_go_the_wrong_way_are_refused() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_share(&tenant, json!({ "share_proto": "NFS", "size": 2 })).await;
    let action = format!("/v2/shares/{share}/action");
    for body in [
        json!({ "extend": { "new_size": 2 } }),
        json!({ "extend": { "new_size": 1 } }),
        json!({ "shrink": { "new_size": 3 } }),
        json!({ "shrink": { "new_size": 0 } }),
    ] {
        assert_eq!(refusal(&tenant, "POST", &action, Some(&body)).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn a_version_beyond_ours_is_not_acceptable_and_says_the_range() {
    let (_lab, daemon) = directory_daemon().await;
    let client = daemon.tenant().header("x-openstack-manila-api-version", "2.999");
    let (status, message) = refusal(&client, "GET", "/v2/shares", None).await;
    assert_eq!(status, 406);
    assert!(message.contains("2.0"), "{message}");
}
