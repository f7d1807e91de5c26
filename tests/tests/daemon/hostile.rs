//! A hostile build of the directory driver, run by a real daemon: it is stopped, blamed and recorded; nobody else notices.

use crate::{folder_of, make_small_share, make_snapshot};
use bulkhead_tests::daemon::{Daemon, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A daemon whose only backend runs the hostile driver with this behaviour and short deadlines.
async fn hostile_daemon(behaviour: &str, main: &str) -> (Lab, Daemon) {
    let options = format!("behaviour = \"{behaviour}\"\n[limits]\nchange-seconds = 2\naccess-seconds = 2\n");
    let lab = Lab::new()
        .and_then(|lab| lab.with_main(main).with_backend("nas1", "hostile", &options))
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    (lab, daemon)
}

/// Why the newest operation failed.
async fn failure(daemon: &Daemon) -> Value {
    let operations = daemon.operator().get("/v1/operations").await.expect("operations");
    operations["operations"][0]["failure"].clone()
}

async fn create_fails(behaviour: &str) -> Value {
    let (_lab, daemon) = hostile_daemon(&format!("{behaviour}@create-share"), "").await;
    let tenant = daemon.tenant();
    let made = tenant
        .post("/v2/shares", &json!({ "share": { "share_proto": "NFS", "size": 1 } }))
        .await
        .expect("taken");
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    settle(&tenant, &path, "share", &["error"])
        .await
        .unwrap_or_else(|error| panic!("{behaviour}: {error:#}"));
    let failure = failure(&daemon).await;
    assert_eq!(failure["blame"], "driver", "{behaviour}: {failure}");
    // What the driver did is the operator's to know: the tenant sees a status, and a message in words of the host's own.
    let id = made["share"]["id"].as_str().expect("an id");
    let told =
        tenant.get(&format!("/v2/messages?resource_id={id}&resource_type=SHARE")).await.expect("messages");
    let told = told["messages"].as_array().expect("a list").clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["action_id"], &told[0]["message_level"]), (&json!("002"), &json!("ERROR")));
    let shown = format!("/v2/messages/{}", told[0]["id"].as_str().expect("an id"));
    assert_eq!(tenant.get(&shown).await.expect("shown")["message"], told[0]);
    let words = failure["message"].as_str().expect("words");
    assert!(!told[0].to_string().contains(words), "{told:?}");
    assert_eq!(tenant.send("GET", "/healthz", None).await.expect("alive").status, 200);
    // The same driver, in another function, still serves: the share can be removed.
    tenant.delete(&path).await.expect("taken");
    gone(&tenant, &path).await.expect("gone");
    failure
}

#[tokio::test]
async fn a_driver_that_never_ends_is_stopped_at_its_deadline() {
    for behaviour in ["loop", "host-calls", "sleep"] {
        assert_eq!(create_fails(behaviour).await["code"], "deadline-exceeded", "{behaviour}");
    }
}

#[tokio::test]
async fn a_driver_that_traps_or_exhausts_its_memory_or_stack_costs_one_call() {
    for behaviour in ["trap", "memory", "stack"] {
        let failure = create_fails(behaviour).await;
        assert!(
            matches!(failure["code"].as_str(), Some("trapped" | "limit-exceeded")),
            "{behaviour}: {failure}"
        );
    }
}

#[tokio::test]
async fn what_a_driver_panics_with_stands_in_the_log_with_its_place() {
    let (_lab, daemon) = hostile_daemon("trap@create-share", "").await;
    let tenant = daemon.tenant();
    let made = tenant
        .post("/v2/shares", &json!({ "share": { "share_proto": "NFS", "size": 1 } }))
        .await
        .expect("taken");
    let path = format!("/v2/shares/{}", made["share"]["id"].as_str().expect("an id"));
    settle(&tenant, &path, "share", &["error"]).await.expect("failed");
    let log = daemon.log_text();
    let line = log.lines().find(|line| line.contains("told to trap")).expect("a line with the message");
    assert!(line.contains("ERROR") && line.contains("harm.rs:"), "{line}");
}

#[test]
fn who_tries_a_driver_sees_what_it_panics_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = folder.path().join("lab.toml");
    std::fs::write(&lab, "[options]\nbehaviour = \"trap@create-share\"\n").expect("written");
    let output = Command::new(programs::program("bulkhead").expect("built"))
        .args(["driver", "call"])
        .arg(programs::guest("hostile").expect("built"))
        .args(["shares.create-share", "--config"])
        .arg(&lab)
        .output()
        .expect("started");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("ERROR panicked at") && told.contains("told to trap"), "{told}");
}

#[tokio::test]
async fn an_answer_against_the_contract_is_not_believed() {
    for behaviour in
        ["many-locations", "huge-location", "foreign-address", "control-characters", "unlisted-metadata"]
    {
        let failure = create_fails(behaviour).await;
        assert!(
            matches!(failure["code"].as_str(), Some("invalid-answer" | "limit-exceeded")),
            "{behaviour}: {failure}"
        );
    }
}

#[tokio::test]
async fn statistics_that_are_nonsense_place_no_share() {
    for behaviour in ["nan-capacity", "negative-capacity", "duplicate-pools", "bad-percentage"] {
        let options = format!("behaviour = \"{behaviour}@stats\"\n");
        let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "hostile", &options)).expect("a lab");
        let daemon = Daemon::start(&lab).await.expect("a daemon");
        let answer = daemon
            .tenant()
            .send("POST", "/v2/shares", Some(&json!({ "share": { "share_proto": "NFS", "size": 1 } })))
            .await
            .expect("an answer");
        assert_eq!(answer.status, 503, "{behaviour}: {}", answer.body);
        assert_eq!(
            daemon.tenant().send("GET", "/healthz", None).await.expect("alive").status,
            200,
            "{behaviour}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_log_lines_ends_as_one_line_that_counts_it() {
    let (_lab, daemon) = hostile_daemon("log-flood@create-share", "").await;
    make_small_share(&daemon.tenant()).await;
    let log = daemon.log_text();
    assert!(log.len() < 2 << 20, "{} bytes of log", log.len());
    assert!(!log.contains('\u{202e}'), "a direction mark came through");
    assert!(log.contains("suppressed") || log.contains("left out"), "nobody counted what was left out");
}

/// Every file below a folder with its content.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.insert(format!("{}/", path.display()), Vec::new());
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

async fn act(client: &Client, share: &str, action: Value) {
    client.post(&format!("/v2/shares/{share}/action"), &action).await.expect("taken");
    settle(client, &format!("/v2/shares/{share}"), "share", &["available"]).await.expect("available");
}

/// Everything a tenant can have a driver do.
async fn whole_life(client: &Client) {
    let share = make_small_share(client).await;
    let rule =
        json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.0/24", "access_level": "rw" } });
    let rule =
        client.post(&format!("/v2/shares/{share}/action"), &rule).await.expect("taken")["access"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
    settle(client, &format!("/v2/share-access-rules/{rule}"), "access", &["active"]).await.expect("active");
    let snapshot = make_snapshot(client, &share).await;
    let copy = json!({ "share": { "share_proto": "NFS", "size": 1, "snapshot_id": snapshot } });
    let copy = client.post("/v2/shares", &copy).await.expect("taken")["share"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    settle(client, &format!("/v2/shares/{copy}"), "share", &["available"]).await.expect("available");
    act(client, &share, json!({ "extend": { "new_size": 2 } })).await;
    act(client, &share, json!({ "shrink": { "new_size": 1 } })).await;
    act(client, &share, json!({ "revert": { "snapshot_id": snapshot } })).await;
    for path in
        [format!("/v2/shares/{copy}"), format!("/v2/snapshots/{snapshot}"), format!("/v2/shares/{share}")]
    {
        client.delete(&path).await.expect("taken");
        gone(client, &path).await.expect("gone");
    }
}

#[tokio::test]
async fn naming_another_tenants_directory_in_every_call_and_slot_is_denied_and_recorded() {
    for behaviour in ["foreign", "escape"] {
        let tokens = "[[token]]\nsha256 = \"fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9\"\nproject = \"red\"\nuser = \"bob\"\n";
        let (lab, daemon) = hostile_daemon(behaviour, tokens).await;
        // The operator acts for blue, the token `bar` for red.
        let blue = daemon.operator().header("x-bulkhead-project", "blue");
        let red = daemon.tenant().header("x-auth-token", "bar");
        let victim = make_small_share(&blue).await;
        let folder = folder_of(&blue, &victim).await;
        std::fs::write(folder.join("secret.txt"), "blue's").expect("written");
        make_snapshot(&blue, &victim).await;
        let before = (contents(&lab.root("nas1", "shares")), contents(&lab.root("nas1", "exports")));
        whole_life(&red).await;
        let after = (contents(&lab.root("nas1", "shares")), contents(&lab.root("nas1", "exports")));
        assert_eq!(before, after, "{behaviour}: something of blue's changed, or something of red's stayed");
        let records = daemon.operator().get("/v1/ledger?most=1000").await.expect("records");
        let denied = records["records"]
            .as_array()
            .expect("records")
            .iter()
            .filter(|record| record["entry"]["outcome"] == "denied")
            .count();
        assert!(denied > 20, "{behaviour}: only {denied} denials are recorded");
    }
}
