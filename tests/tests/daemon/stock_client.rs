//! The stock OpenStack client, unchanged, as its users type it.

use crate::{directory_daemon, folder_of};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::programs;
use serde_json::Value;
use std::process::Command;

/// Run `openstack WORDS -f json`; its answer.
pub(crate) fn openstack(daemon: &Daemon, words: &[&str]) -> Result<Value, String> {
    let environment = programs::python().expect("checked before");
    let endpoint = format!("http://{}/v2", daemon.address());
    let output = Command::new(environment.join("bin/openstack"))
        .args(["--os-auth-type", "none", "--os-endpoint", &endpoint])
        .args(words)
        .env("no_proxy", "127.0.0.1")
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test]
async fn the_stock_client_creates_lists_shows_shares_resizes_snapshots_and_deletes() {
    if programs::python().is_none() {
        eprintln!(
            "SKIPPED: BULKHEAD_TEST_PYTHON names no Python environment with the stock client; use cargo xtask test"
        );
        return;
    }
    let (_lab, daemon) = directory_daemon().await;
    let run = |words: &[&str]| openstack(&daemon, words).expect("the client succeeds");

    let made =
        run(&["share", "create", "NFS", "1", "--name", "stock", "--property", "a=b", "--wait", "-f", "json"]);
    assert_eq!((&made["status"], &made["size"]), (&Value::from("available"), &Value::from(1)), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    std::fs::write(folder_of(&daemon.tenant(), &id).await.join("file"), "old").expect("written");

    let listed = run(&["share", "list", "-f", "json"]);
    assert_eq!(listed[0]["Name"], "stock", "{listed}");
    let shown = run(&["share", "show", "stock", "-f", "json"]);
    assert!(shown["export_locations"].to_string().contains("share-"), "{shown}");
    assert!(shown["properties"].to_string().contains('b'), "{shown}");

    let rule = run(&[
        "share",
        "access",
        "create",
        "stock",
        "ip",
        "10.0.0.0/24",
        "--access-level",
        "ro",
        "--wait",
        "-f",
        "json",
    ]);
    assert_eq!(rule["access_to"], "10.0.0.0/24", "{rule}");
    let rules = run(&["share", "access", "list", "stock", "-f", "json"]);
    assert_eq!(rules.as_array().map(Vec::len), Some(1), "{rules}");

    let snapshot = run(&["share", "snapshot", "create", "stock", "--name", "before", "--wait", "-f", "json"]);
    assert_eq!(snapshot["status"], "available", "{snapshot}");
    let snapshots = run(&["share", "snapshot", "list", "-f", "json"]);
    assert_eq!(snapshots[0]["Name"], "before", "{snapshots}");

    assert_eq!(run(&["share", "snapshot", "show", "before", "-f", "json"])["status"], "available");
    let none = run(&["share", "list", "--property", "a=c", "-f", "json"]);
    assert_eq!(none.as_array().map(Vec::len), Some(0), "{none}");

    std::fs::write(folder_of(&daemon.tenant(), &id).await.join("file"), "new").expect("written");
    run(&["share", "revert", "before", "--wait"]);
    let content =
        std::fs::read_to_string(folder_of(&daemon.tenant(), &id).await.join("file")).expect("there");
    assert_eq!(content, "old");

    run(&["share", "resize", "stock", "2", "--wait"]);
    assert_eq!(run(&["share", "show", "stock", "-f", "json"])["size"], 2);
    run(&["share", "set", "stock", "--property", "c=d"]);

    let refused = openstack(&daemon, &["share", "delete", "stock"]).expect_err("it has a snapshot");
    assert!(refused.contains("snapshot") || refused.contains("failed to delete"), "{refused}");
    run(&["share", "snapshot", "delete", "before", "--wait"]);
    run(&["share", "access", "delete", "stock", rule["id"].as_str().expect("an id"), "--wait"]);
    run(&["share", "delete", "stock", "--wait"]);
    assert_eq!(run(&["share", "list", "-f", "json"]).as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn the_stock_client_fills_snapshots_copies_and_removes_share_groups() {
    if programs::python().is_none() {
        eprintln!(
            "SKIPPED: BULKHEAD_TEST_PYTHON names no Python environment with the stock client; use cargo xtask test"
        );
        return;
    }
    let (_lab, daemon) = directory_daemon().await;
    let run = |words: &[&str]| openstack(&daemon, words).expect("the client succeeds");
    let types = run(&["share", "group", "type", "list", "-f", "json"]);
    assert_eq!(types[0]["Name"], "default", "{types}");
    let asked = ["--name", "papers", "--share-types", "default", "--wait", "-f", "json"];
    let made = run(&[&["share", "group", "create"], &asked[..]].concat());
    assert_eq!(made["status"], "available", "{made}");
    run(&["share", "create", "NFS", "1", "--name", "a", "--share-group", "papers", "--wait"]);
    let listed = run(&["share", "group", "list", "-f", "json"]);
    assert_eq!(listed[0]["Name"], "papers", "{listed}");
    run(&["share", "group", "set", "papers", "--description", "all of them"]);
    let shown = run(&["share", "group", "show", "papers", "-f", "json"]);
    assert_eq!(shown["description"], "all of them", "{shown}");
    let asked = ["create", "papers", "--name", "before", "--wait", "-f", "json"];
    let snapshot = run(&[&["share", "group", "snapshot"], &asked[..]].concat());
    assert_eq!(snapshot["status"], "available", "{snapshot}");
    let members = run(&["share", "group", "snapshot", "members", "list", "before", "-f", "json"]);
    assert_eq!(members.as_array().map(Vec::len), Some(1), "{members}");
    let asked = ["--name", "copy", "--source-share-group-snapshot", "before", "--wait", "-f", "json"];
    let copy = run(&[&["share", "group", "create"], &asked[..]].concat());
    assert_eq!(copy["status"], "available", "{copy}");
    let copied = run(&["share", "list", "--share-group", "copy", "-f", "json"]);
    let id = copied[0]["ID"].as_str().expect("the share of the copy").to_owned();
    let kept = openstack(&daemon, &["share", "delete", "a", "--share-group", "papers"]);
    kept.expect_err("a group snapshot has it");
    run(&["share", "group", "snapshot", "delete", "before", "--wait"]);
    run(&["share", "delete", &id, "--share-group", "copy", "--wait"]);
    run(&["share", "delete", "a", "--share-group", "papers", "--wait"]);
    for group in ["copy", "papers"] {
        run(&["share", "group", "delete", group, "--wait"]);
    }
    assert_eq!(run(&["share", "group", "list", "-f", "json"]).as_array().map(Vec::len), Some(0));
}
