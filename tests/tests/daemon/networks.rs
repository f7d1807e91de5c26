//! Share networks and security services through the doors of a real daemon: the API in its microversions, the command line, the stock client.

use crate::stock_client::openstack;
use crate::{directory_daemon, refusal};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A password that must be found nowhere.
const CANARY: &str = "canary-52d1c0ffee";

async fn network(client: &Client) -> String {
    let asked = json!({ "share_network": { "name": "blue", "description": "ours" } });
    let made = client.post("/v2/share-networks", &asked).await.expect("made");
    made["share_network"]["id"].as_str().expect("an id").to_owned()
}

async fn service(client: &Client) -> String {
    let asked = json!({ "security_service": {
        "type": "active_directory", "name": "ad", "domain": "example.org", "user": "joiner", "password": CANARY,
    } });
    let made = client.post("/v2/security-services", &asked).await.expect("made");
    assert_eq!(made["security_service"]["password"], "***", "{made}");
    made["security_service"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_network_gains_and_loses_subnets_and_security_services_and_survives_a_kill() {
    let (lab, mut daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let (network, service) = (network(&tenant).await, service(&tenant).await);
    let at = format!("/v2/share-networks/{network}");
    let action = format!("{at}/action");
    let asked = json!({ "add_security_service": { "security_service_id": service } });
    tenant.post(&action, &asked).await.expect("added");
    let of_network = format!("/v2/security-services?share_network_id={network}");
    let listed = tenant.get(&of_network).await.expect("listed");
    assert_eq!(listed["security_services"][0]["id"], json!(service), "{listed}");
    let made =
        tenant.post(&format!("{at}/subnets"), &json!({ "share-network-subnet": {} })).await.expect("added");
    let subnet = made["share_network_subnet"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(made["share_network_subnet"]["share_network_name"], "blue", "{made}");

    daemon.kill().expect("killed");
    let daemon = bulkhead_tests::daemon::Daemon::start(&lab).await.expect("started again");
    let tenant = daemon.tenant();
    let shown = tenant.get(&at).await.expect("there");
    assert_eq!(shown["share_network"]["share_network_subnets"].as_array().map(Vec::len), Some(2), "{shown}");
    let (status, _) = refusal(&tenant, "DELETE", &format!("/v2/security-services/{service}"), None).await;
    assert_eq!(status, 409, "a network has it");
    tenant.delete(&format!("{at}/subnets/{subnet}")).await.expect("removed");
    let asked = json!({ "remove_security_service": { "security_service_id": service } });
    tenant.post(&action, &asked).await.expect("removed");
    tenant.delete(&format!("/v2/security-services/{service}")).await.expect("removed");
    tenant.delete(&at).await.expect("removed");
    let (status, _) = refusal(&tenant, "GET", &at, None).await;
    assert_eq!(status, 404);
}

/// The names of what a list has, in their order.
async fn names(client: &Client, path: &str, kind: &str) -> Vec<String> {
    let listed = client.get(path).await.expect("a list");
    let found = listed[kind].as_array().expect("a list").iter();
    let mut names: Vec<_> = found.map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn lists_of_networks_and_services_are_narrowed_by_every_filter_that_the_stock_client_sends() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let (blue, service) = (network(&tenant).await, service(&tenant).await);
    tenant.post("/v2/share-networks", &json!({ "share_network": { "name": "plain" } })).await.expect("made");
    let other = json!({ "security_service": { "type": "ldap", "name": "tree", "server": "10.0.0.9" } });
    tenant.post("/v2/security-services", &other).await.expect("made");
    let asked = json!({ "add_security_service": { "security_service_id": service } });
    tenant.post(&format!("/v2/share-networks/{blue}/action"), &asked).await.expect("added");

    let of = format!("security_service_id={service}");
    for (query, expected) in [
        (of.as_str(), &["blue"][..]),
        ("created_since=2020-01-01&created_before=2120-01-01T00:00:00", &["blue", "plain"]),
        ("created_since=2120-01-01", &[]),
        ("created_before=2020-01-01", &[]),
        ("network_type=vlan", &[]),
        ("cidr=10.0.0.0/24", &[]),
        ("neutron_net_id=7", &[]),
    ] {
        for list in ["/v2/share-networks", "/v2/share-networks/detail"] {
            let found = names(&tenant, &format!("{list}?{query}"), "share_networks").await;
            assert_eq!(found, expected, "{list}?{query}");
        }
    }
    for (query, expected) in [
        ("type=ldap", &["tree"][..]),
        ("domain=example.org", &["ad"]),
        ("user=joiner&type=ldap", &[]),
        ("server=10.0.0.9", &["tree"]),
    ] {
        let found = names(&tenant, &format!("/v2/security-services?{query}"), "security_services").await;
        assert_eq!(found, expected, "{query}");
    }
    let (status, why) = refusal(&tenant, "GET", "/v2/share-networks?created_since=yesterday", None).await;
    assert!(status == 400 && why.contains("2026-11-22"), "{status}: {why}");
}

#[tokio::test]
async fn a_network_is_shown_in_the_form_of_the_clients_microversion() {
    let (_lab, daemon) = directory_daemon().await;
    let id = network(&daemon.tenant()).await;
    let fields = async |version: &str| {
        let client = daemon.tenant().header("x-openstack-manila-api-version", version);
        let shown = client.get(&format!("/v2/share-networks/{id}")).await.expect("shown");
        let fields = shown["share_network"].as_object().expect("a network").clone();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    let oldest = fields("2.10").await;
    for (field, is_there) in [("nova_net_id", true), ("cidr", true), ("gateway", false), ("status", false)] {
        assert_eq!(oldest.iter().any(|name| name == field), is_there, "{field} in {oldest:?}");
    }
    let flat = fields("2.50").await;
    assert!(flat.contains(&"gateway".to_owned()) && flat.contains(&"mtu".to_owned()), "{flat:?}");
    assert!(!flat.contains(&"nova_net_id".to_owned()), "{flat:?}");
    let newest = fields("2.73").await;
    for field in ["share_network_subnets", "status", "security_service_update_support"] {
        assert!(newest.iter().any(|name| name == field), "{field} in {newest:?}");
    }
    assert!(!newest.contains(&"cidr".to_owned()), "{newest:?}");
    let old = daemon.tenant().header("x-openstack-manila-api-version", "2.50");
    let (status, message) = refusal(&old, "GET", &format!("/v2/share-networks/{id}/subnets"), None).await;
    assert!(status == 404 && message.contains("2.51"), "{status} {message}");
}

#[tokio::test]
async fn odd_networks_and_services_are_refused_in_words() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let id = network(&tenant).await;
    let at = format!("/v2/share-networks/{id}");
    for (method, path, body, words) in [
        ("POST", "/v2/share-networks", json!({ "share_network": { "availability_zone": "east" } }), "zone"),
        (
            "POST",
            "/v2/share-networks",
            json!({ "share_network": { "neutron_net_id": "n" } }),
            "neutron_subnet_id",
        ),
        ("POST", "/v2/share-networks", json!({ "share_network": { "surprise": 1 } }), "surprise"),
        ("POST", "/v2/share-networks", json!({ "share_network": { "name": "a\u{1b}[2J" } }), "control"),
        ("PUT", at.as_str(), json!({ "share_network": { "status": "error" } }), "status"),
        ("POST", "/v2/security-services", json!({ "security_service": { "type": "nis" } }), "kerberos"),
        (
            "POST",
            "/v2/security-services",
            json!({ "security_service": {
            "type": "ldap", "server": "a", "default_ad_site": "b" } }),
            "not both",
        ),
    ] {
        let (status, message) = refusal(&tenant, method, path, Some(&body)).await;
        assert!(status == 400 && message.contains(words), "{body}: {status} {message}");
    }
    let action = format!("{at}/action");
    let unknown = json!({ "add_security_service": { "security_service_id": id } });
    assert_eq!(refusal(&tenant, "POST", &action, Some(&unknown)).await.0, 404);
    let surprise = json!({ "explode": null });
    assert_eq!(refusal(&tenant, "POST", &action, Some(&surprise)).await.0, 400);
    let by_tenant = json!({ "reset_status": { "status": "error" } });
    assert_eq!(refusal(&tenant, "POST", &action, Some(&by_tenant)).await.0, 403);
}

#[tokio::test]
async fn a_password_is_neither_shown_nor_found_in_what_the_daemon_writes() {
    let (lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let service = service(&tenant).await;
    let at = format!("/v2/security-services/{service}");
    // One that no driver could be handed is no password.
    let short = json!({ "security_service": { "type": "ldap", "password": "short" } });
    let (status, told) = refusal(&tenant, "POST", "/v2/security-services", Some(&short)).await;
    assert!(
        status == 400 && told.contains("at least 6 bytes") && !told.contains("short\""),
        "{status}: {told}"
    );
    // What was shown, written back, is no new password.
    let asked = json!({ "security_service": { "password": "***", "name": "renamed" } });
    let changed = tenant.send("PUT", &at, Some(&asked)).await.expect("changed").body;
    assert_eq!(changed["security_service"]["name"], "renamed", "{changed}");
    for path in [at.as_str(), "/v2/security-services/detail"] {
        let shown = tenant.get(path).await.expect("shown");
        assert!(!shown.to_string().contains(CANARY) && shown.to_string().contains("***"), "{shown}");
    }
    let state = lab.state();
    let mut searched = 0;
    for entry in std::fs::read_dir(&state).expect("the state") {
        let path = entry.expect("an entry").path();
        if let Ok(bytes) = std::fs::read(&path) {
            searched += 1;
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{} holds the password", path.display());
        }
    }
    assert!(searched > 1, "nothing was searched");
    assert!(!daemon.log_text().contains(CANARY));
}

pub(crate) fn bulkhead(lab: &Lab, words: &[&str], input: &str) -> String {
    let mut child = Command::new(programs::program("bulkhead").expect("built"))
        .args(words)
        .args(["--state", &lab.state().display().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{words:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn networks_and_services_are_made_changed_and_removed_by_command() {
    let (lab, _daemon) = directory_daemon().await;
    let run = |words: &[&str]| bulkhead(&lab, words, "");
    let made = run(&["share-network", "create", "--name", "blue", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["status"], "active", "{made}");
    let words = ["security-service", "create", "ldap", "--name", "people", "--user", "u", "--password-stdin"];
    let shown = bulkhead(&lab, &words, &format!("{CANARY}\n"));
    assert!(shown.contains("***") && !shown.contains(CANARY), "{shown}");
    run(&["share-network", "set", "blue", "--security-service", "people", "--description", "ours"]);
    let shown = run(&["share-network", "show", "blue"]);
    assert!(shown.contains("people (") && shown.contains("ours"), "{shown}");
    let subnet = run(&["share-network", "subnet", "create", "blue", "--json"]);
    let subnet: Value = serde_json::from_str(&subnet).expect("JSON");
    run(&["share-network", "subnet", "delete", "blue", subnet["id"].as_str().expect("an id")]);
    run(&["security-service", "set", "people", "--domain", "example.org"]);
    assert!(run(&["security-service", "list"]).contains("example.org"));
    // A program that should have told the password failed: the old one stays.
    let mut without = std::process::Command::new(programs::program("bulkhead").expect("built"));
    without.args(["security-service", "set", "people", "--password-stdin", "--state"]).arg(lab.state());
    let without = without.stdin(std::process::Stdio::null()).output().expect("started");
    assert!(
        !without.status.success() && String::from_utf8_lossy(&without.stderr).contains("nothing was changed")
    );
    assert!(run(&["security-service", "show", "people"]).contains("***"));
    run(&["share-network", "unset", "blue", "--security-service", "people"]);
    run(&["security-service", "delete", "people"]);
    run(&["share-network", "delete", "blue"]);
    assert_eq!(run(&["share-network", "list", "--json"]).trim(), "[]");
}

#[tokio::test]
async fn the_stock_client_makes_joins_shows_and_removes_networks_and_services() {
    if programs::python().is_none() {
        eprintln!(
            "SKIPPED: BULKHEAD_TEST_PYTHON names no Python environment with the stock client; use cargo xtask test"
        );
        return;
    }
    let (_lab, daemon) = directory_daemon().await;
    let run = |words: &[&str]| openstack(&daemon, words).expect("the client succeeds");
    let made = run(&["share", "network", "create", "--name", "blue", "-f", "json"]);
    assert_eq!(made["name"], "blue", "{made}");
    let subnets = format!("/v2/share-networks/{}/subnets", made["id"].as_str().expect("an id"));
    let asked = ["--name", "people", "--domain", "example.org", "--password", CANARY, "-f", "json"];
    let made = run(&[&["share", "security", "service", "create", "ldap"], &asked[..]].concat());
    assert!(made["type"] == "ldap" && !made.to_string().contains(CANARY), "{made}");
    run(&["share", "network", "set", "blue", "--new-security-service", "people", "--description", "ours"]);
    let shown = run(&["share", "network", "show", "blue", "-f", "json"]);
    assert!(shown.to_string().contains("people") && shown.to_string().contains("ours"), "{shown}");
    // Below microversion 2.78 the client's own `subnet create` fails before it asks anybody.
    let asked = json!({ "share-network-subnet": {} });
    let made = daemon.tenant().post(&subnets, &asked).await.expect("added");
    let made = &made["share_network_subnet"];
    let subnet = made["id"].as_str().expect("an id").to_owned();
    run(&["share", "network", "subnet", "show", "blue", &subnet, "-f", "json"]);
    run(&["share", "network", "subnet", "delete", "blue", &subnet]);
    let listed = run(&["share", "network", "list", "-f", "json"]);
    assert_eq!(listed[0]["Name"], "blue", "{listed}");
    run(&["share", "security", "service", "set", "people", "--user", "u"]);
    let listed = run(&["share", "security", "service", "list", "-f", "json"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    run(&["share", "network", "unset", "blue", "--security-service", "people"]);
    run(&["share", "security", "service", "delete", "people"]);
    run(&["share", "network", "delete", "blue"]);
    assert_eq!(run(&["share", "network", "list", "-f", "json"]).as_array().map(Vec::len), Some(0));
}
