//! Wrong requests get a clear answer and lose nothing.

use crate::{directory_daemon, make_share, make_small_share, make_snapshot, refusal};
use bulkhead_tests::daemon::settle;
use bulkhead_tests::http::Client;
use serde_json::{Value, json};

/// The id of nothing.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

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
        (json!({ "share_proto": "NFS", "size": 1, "share_network_id": "n" }), "share network"),
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
    for path in [
        format!("/v2/shares/{NOBODY}"),
        "/v2/shares/x".to_owned(),
        format!("/v2/snapshots/{NOBODY}"),
        "/v2/nonsense".to_owned(),
    ] {
        assert_eq!(refusal(&tenant, "GET", &path, None).await.0, 404, "{path}");
    }
    let action = json!({ "extend": { "new_size": 2 } });
    assert_eq!(refusal(&tenant, "POST", &format!("/v2/shares/{NOBODY}/action"), Some(&action)).await.0, 404);
    let snapshot = json!({ "snapshot": { "share_id": NOBODY } });
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

/// Requests that must be refused in words; what was not is told all at once.
struct Refusals<'a> {
    client: &'a Client,
    wrong: Vec<String>,
}

impl<'a> Refusals<'a> {
    fn of(client: &'a Client) -> Self {
        Self { client, wrong: Vec::new() }
    }

    async fn expect(&mut self, method: &str, path: &str, body: Option<&Value>, words: &str) {
        let (status, message) = refusal(self.client, method, path, body).await;
        if !(400..500).contains(&status) || !message.contains(words) {
            self.wrong.push(format!("{method} {path} {body:?}: {status} '{message}' without '{words}'"));
        }
    }

    fn none_is_wrong(&self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

#[tokio::test]
async fn take_overs_that_make_no_sense_are_refused_in_words_and_to_tenants_altogether() {
    let (_lab, daemon) = directory_daemon().await;
    let (operator, tenant) = (daemon.operator(), daemon.tenant());
    let share = make_small_share(&tenant).await;
    let good = json!({ "protocol": "NFS", "export_path": "127.0.0.1:/exports/old", "service_host": "bulkhead@nas1" });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        json!({ "share": body })
    };
    let of = |share_id: &str, location: Value| json!({ "snapshot": { "share_id": share_id, "provider_location": location } });
    let (shares, snapshots) = ("/v2/shares/manage", "/v2/snapshots/manage");
    let cases: [(&str, Value, &str); 14] = [
        (shares, json!({}), "share"),
        (shares, json!({ "share": [] }), "an object"),
        (shares, json!({ "share": { "protocol": "NFS", "service_host": "nas1" } }), "export_path"),
        (shares, with("protocol", json!("FTP")), "protocol"),
        (shares, with("protocol", json!(1)), "string"),
        (shares, with("service_host", json!("bulkhead@")), "HOST@BACKEND#POOL"),
        (shares, with("service_host", json!("bulkhead@nobody")), "nobody"),
        (shares, with("service_host", json!("bulkhead@nas1#nowhere")), "name a pool"),
        (shares, with("export_path", json!("127.0.0.1:/exports/../..")), "path"),
        (shares, with("driver_options", json!({ "a": 1 })), "strings"),
        (shares, with("share_type", json!("gold")), "does not support taking over"),
        (snapshots, json!({ "snapshot": { "share_id": share } }), "provider_location"),
        (snapshots, of("x", json!("nightly")), "share"),
        (snapshots, of(NOBODY, json!("nightly")), "share"),
    ];
    let mut refusals = Refusals::of(&operator);
    for (path, body, expected) in cases {
        refusals.expect("POST", path, Some(&body), expected).await;
    }
    refusals.none_is_wrong();
    let let_go = json!({ "unmanage": null });
    for (path, body) in [
        (shares, json!({ "share": good })),
        (snapshots, of(&share, json!("nightly"))),
        (&format!("/v2/shares/{share}/action"), let_go.clone()),
    ] {
        let (status, message) = refusal(&tenant, "POST", path, Some(&body)).await;
        assert_eq!(status, 403, "{path}: {message}");
    }
    let snapshot = make_snapshot(&tenant, &share).await;
    let action = format!("/v2/snapshots/{snapshot}/action");
    assert_eq!(refusal(&tenant, "POST", &action, Some(&let_go)).await.0, 403);
    let (status, message) =
        refusal(&operator, "POST", &format!("/v2/shares/{share}/action"), Some(&let_go)).await;
    assert!(matches!(status, 403 | 409) && message.contains("snapshot"), "{status} {message}");
    for path in [format!("/v2/shares/{NOBODY}/action"), format!("/v2/snapshots/{NOBODY}/action")] {
        assert_eq!(refusal(&operator, "POST", &path, Some(&let_go)).await.0, 404, "{path}");
    }
    assert_eq!(tenant.get("/v2/shares").await.expect("a list")["shares"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn rules_of_snapshots_that_cannot_be_mounted_and_rules_that_make_no_sense_are_refused() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let path = format!("/v2/snapshots/{}", make_snapshot(&tenant, &share).await);
    let action = format!("{path}/action");
    let mut refusals = Refusals::of(&tenant);
    for (body, expected) in [
        (json!({ "allow_access": null }), "object"),
        (json!({ "allow_access": { "access_type": "ip" } }), "access_to"),
        (json!({ "allow_access": { "access_type": 1, "access_to": "10.0.0.1" } }), "string"),
        (json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.1/8" } }), "10.0.0.0/8"),
        (json!({ "allow_access": { "access_type": "shadow", "access_to": "x" } }), "ip, user, cert or cephx"),
        (json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.1" } }), "mount"),
        (json!({ "deny_access": {} }), "access_id"),
        (json!({ "deny_access": { "access_id": "x" } }), "access rule"),
        (json!({ "deny_access": { "access_id": NOBODY } }), "access rule"),
        (json!({ "mount": null }), "no action 'mount'"),
        (json!({ "unmanage": null, "force_delete": null }), "one"),
    ] {
        refusals.expect("POST", &action, Some(&body), expected).await;
    }
    refusals.none_is_wrong();
    for (list, key) in
        [("access-list", "snapshot_access_list"), ("export-locations", "share_snapshot_export_locations")]
    {
        assert_eq!(tenant.get(&format!("{path}/{list}")).await.expect("a list")[key], json!([]));
        let missing = format!("/v2/snapshots/{NOBODY}/{list}");
        assert_eq!(refusal(&tenant, "GET", &missing, None).await.0, 404, "{list}");
    }
    assert_eq!(refusal(&tenant, "GET", &format!("{path}/export-locations/x"), None).await.0, 404);
}

#[tokio::test]
async fn changes_and_ensurings_of_backends_that_make_no_sense_are_refused_in_words() {
    let (_lab, daemon) = directory_daemon().await;
    let operator = daemon.operator();
    let mut refusals = Refusals::of(&operator);
    for (method, path, body, expected) in [
        ("POST", "/v1/backends/nobody/ensure", None, "nobody"),
        ("POST", "/v1/backends/UP%20/ensure", None, "backend"),
        ("GET", "/v1/backends/nobody/ensurings/x", None, "nobody"),
        ("GET", "/v1/backends/nas1/ensurings/x", None, "ensuring"),
        ("GET", "/v1/backends/nobody/usage", None, "nobody"),
        ("GET", "/v1/backends/nobody/hook-data", None, "nobody"),
        ("GET", "/v1/backends/nas1/changes/x", None, "change"),
        ("POST", "/v1/backends/nas2/load", Some(json!({})), "file"),
        ("POST", "/v1/backends/nas2/load", Some(json!({ "file": 1 })), "string"),
        ("POST", "/v1/backends/nas2/load", Some(json!({ "file": "nas2.toml" })), "absolute"),
        ("POST", "/v1/backends/nas2/load", Some(json!({ "file": "/x", "force": true })), "force"),
        ("POST", "/v1/backends/host/load", Some(json!({ "file": "/x" })), "host"),
        ("POST", "/v1/backends/nas1/swap", Some(json!({ "driver": "new.wasm" })), "absolute"),
        ("POST", "/v1/backends/nas1/swap", Some(json!([1, 2])), "body"),
        ("POST", "/v1/backends/nobody/swap", Some(json!({})), "nobody"),
        ("POST", "/v1/backends/nas1/rollback", Some(json!({ "to": -1 })), "-1"),
        ("POST", "/v1/backends/nas1/rollback", Some(json!({ "to": 99 })), "99"),
        ("POST", "/v1/backends/nas1/rollback", Some(json!({ "to": "1" })), "u64"),
        ("POST", "/v1/backends/nas1/unload", Some(json!({ "detach": "yes" })), "boolean"),
        ("POST", "/v1/backends/nobody/unload", Some(json!({})), "nobody"),
    ] {
        refusals.expect(method, path, body.as_ref(), expected).await;
    }
    refusals.none_is_wrong();
    let tenant = daemon.tenant();
    for path in ["load", "swap", "rollback", "unload", "ensure"] {
        let path = format!("/v1/backends/nas1/{path}");
        let (status, message) = refusal(&tenant, "POST", &path, Some(&json!({}))).await;
        assert!(matches!(status, 403 | 404), "{path}: {status} {message}");
    }
    assert_eq!(operator.get("/v1/backends/nas1").await.expect("there")["backend"]["name"], "nas1");
}
