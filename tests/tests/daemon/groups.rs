//! Share groups through the doors and by command, on a driver without an interface for them.

use crate::{directory_daemon, folder_of, refusal};
use bulkhead_tests::daemon::{Daemon, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{
    create_group, create_group_snapshot, create_share, create_type, delete, delete_share_of_group,
    group_path, group_snapshot_path, share_path, shares_of_group,
};
use serde_json::{Value, json};
use std::process::Command;

/// The id of nothing.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

async fn share_in(client: &Client, group: &str) -> String {
    let asked = json!({ "share_proto": "NFS", "size": 1, "share_group_id": group });
    create_share(client, asked).await.expect("a share")
}

#[tokio::test]
async fn a_group_is_filled_snapshotted_copied_and_taken_down() {
    let (_lab, daemon) = directory_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let group = create_group(&tenant, json!({ "name": "papers", "description": "all of them" })).await;
    let group = group.expect("a group");
    let shown = tenant.get(&group_path(&group)).await.expect("the group")["share_group"].clone();
    assert_eq!((&shown["name"], &shown["status"]), (&json!("papers"), &json!("available")), "{shown}");
    assert_eq!(shown["consistent_snapshot_support"], Value::Null, "the driver promises none");
    assert!(shown.get("host").is_none(), "where it lives is the operator's to know: {shown}");
    let seen = operator.get(&group_path(&group)).await.expect("the group");
    assert_eq!(seen["share_group"]["host"], "bulkhead@nas1#shares", "{seen}");
    let shares = [share_in(&tenant, &group).await, share_in(&tenant, &group).await];
    let share = tenant.get(&share_path(&shares[0])).await.expect("the share");
    assert_eq!(share["share"]["share_group_id"], json!(group), "{share}");
    for (share, content) in shares.iter().zip(["one", "two"]) {
        std::fs::write(folder_of(&tenant, share).await.join("file"), content).expect("written");
    }
    let snapshot = create_group_snapshot(&tenant, &group).await.expect("a group snapshot");
    let members = tenant.get(&format!("{}/members", group_snapshot_path(&snapshot))).await.expect("members");
    let members = members["share_group_snapshot_members"].as_array().cloned().expect("a list");
    assert_eq!(members.len(), 2);
    assert!(members.iter().all(|member| member["share_protocol"] == "NFS" && member["size"] == 1));
    for share in &shares {
        std::fs::write(folder_of(&tenant, share).await.join("file"), "later").expect("written");
    }
    let other = create_group(&tenant, json!({ "source_share_group_snapshot_id": snapshot })).await;
    let other = other.expect("a group");
    let mut contents = Vec::new();
    for share in shares_of_group(&tenant, &other).await.expect("its shares") {
        contents.push(std::fs::read_to_string(folder_of(&tenant, &share).await.join("file")).expect("there"));
    }
    contents.sort();
    assert_eq!(contents, ["one", "two"]);
    let snapshots = tenant.get("/v2/snapshots").await.expect("the snapshots");
    assert_eq!(snapshots["snapshots"], json!([]), "members are no snapshots");
    delete(&tenant, &group_snapshot_path(&snapshot)).await.expect("gone");
    for group in [&group, &other] {
        for share in shares_of_group(&tenant, group).await.expect("its shares") {
            delete_share_of_group(&tenant, &share, group).await.expect("gone");
        }
        delete(&tenant, &group_path(group)).await.expect("gone");
    }
    let listed = tenant.get("/v2/share-groups/detail").await.expect("the groups");
    assert_eq!(listed, json!({ "share_groups": [] }));
}

#[tokio::test]
async fn who_takes_away_what_a_group_holds_together_is_told_to_think() {
    let (_lab, daemon) = directory_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let group = create_group(&tenant, json!({})).await.expect("a group");
    let share = share_in(&tenant, &group).await;
    let snapshot = create_group_snapshot(&tenant, &group).await.expect("a group snapshot");
    let unnamed = refusal(&tenant, "DELETE", &share_path(&share), None).await;
    assert_eq!(unnamed.0, 400, "{unnamed:?}");
    assert!(unnamed.1.contains(&format!("?share_group_id={group}")), "{unnamed:?}");
    let foreign = format!("{}?share_group_id={NOBODY}", share_path(&share));
    assert_eq!(refusal(&tenant, "DELETE", &foreign, None).await.0, 400);
    let named = format!("{}?share_group_id={group}", share_path(&share));
    let held = refusal(&tenant, "DELETE", &named, None).await;
    assert_eq!(held.0, 409, "{held:?}");
    assert!(held.1.contains("snapshots of the share's group"), "{held:?}");
    let filled = refusal(&tenant, "DELETE", &group_path(&group), None).await;
    assert_eq!(filled.0, 409, "{filled:?}");
    assert!(filled.1.contains("1 shares"), "{filled:?}");
    let let_go = json!({ "unmanage": null });
    let action = format!("{}/action", share_path(&share));
    assert_eq!(refusal(&operator, "POST", &action, Some(&let_go)).await.0, 409);
    let unload = refusal(&operator, "POST", "/v1/backends/nas1/unload", Some(&json!({}))).await;
    assert!(unload.1.contains("1 share groups"), "{unload:?}");
    delete(&tenant, &group_snapshot_path(&snapshot)).await.expect("gone");
    delete_share_of_group(&tenant, &share, &group).await.expect("gone");
    let unload = refusal(&operator, "POST", "/v1/backends/nas1/unload", Some(&json!({}))).await;
    assert_eq!(unload.0, 409, "an empty group lives there still: {unload:?}");
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_in_words() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let cases = [
        ("/v2/share-groups", json!({ "share_group": { "name": "a".repeat(256) } }), 400, "255"),
        ("/v2/share-groups", json!({ "share_group": { "name": "a\u{1b}[31m" } }), 400, "control characters"),
        ("/v2/share-groups", json!({ "share_group": { "colour": "red" } }), 400, "colour"),
        ("/v2/share-groups", json!({ "share_group": { "share_types": "default" } }), 400, "sequence"),
        ("/v2/share-groups", json!({ "share_group": { "share_types": ["gold"] } }), 404, "gold"),
        ("/v2/share-groups", json!({ "share_group": { "share_group_type_id": "gold" } }), 404, "gold"),
        ("/v2/share-groups", json!({ "share_group": { "share_network_id": "n" } }), 404, "share network"),
        (
            "/v2/share-groups",
            json!({ "share_group": { "availability_zone": "z" } }),
            400,
            "availability zone",
        ),
        (
            "/v2/share-groups",
            json!({ "share_group": { "source_share_group_snapshot_id": NOBODY } }),
            404,
            "share group snapshot",
        ),
        (
            "/v2/share-groups",
            json!({ "share_group": { "source_share_group_snapshot_id": NOBODY, "share_types": ["default"] } }),
            400,
            "takes over the types",
        ),
        ("/v2/share-groups", json!({}), 400, "share_group"),
        (
            "/v2/share-group-snapshots",
            json!({ "share_group_snapshot": {} }),
            400,
            "share_group_id is missing",
        ),
        (
            "/v2/share-group-snapshots",
            json!({ "share_group_snapshot": { "share_group_id": NOBODY } }),
            404,
            "share group",
        ),
        (
            "/v2/shares",
            json!({ "share": { "share_proto": "NFS", "size": 1, "share_group_id": NOBODY } }),
            404,
            "share group",
        ),
    ];
    for (path, body, status, words) in cases {
        let refused = refusal(&tenant, "POST", path, Some(&body)).await;
        assert_eq!(refused.0, status, "{body}: {refused:?}");
        assert!(refused.1.contains(words), "{body}: {refused:?}");
    }
}

#[tokio::test]
async fn actions_and_changes_that_make_no_sense_or_are_for_operators_are_refused() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let group = create_group(&tenant, json!({})).await.expect("a group");
    let action = format!("{}/action", group_path(&group));
    for action_body in
        [json!({ "explode": null }), json!({}), json!({ "reset_status": { "status": "blue" } })]
    {
        let refused = refusal(&tenant, "POST", &action, Some(&action_body)).await;
        assert_eq!(refused.0, 400, "{action_body}: {refused:?}");
    }
    for action_body in [json!({ "force_delete": null }), json!({ "reset_status": { "status": "error" } })] {
        assert_eq!(refusal(&tenant, "POST", &action, Some(&action_body)).await.0, 403, "{action_body}");
    }
    let odd = json!({ "share_group": { "status": "available" } });
    assert_eq!(refusal(&tenant, "PUT", &group_path(&group), Some(&odd)).await.0, 400);
    for path in [group_path(NOBODY), group_path("x"), group_snapshot_path(NOBODY), group_snapshot_path("x")] {
        assert_eq!(refusal(&tenant, "GET", &path, None).await.0, 404, "{path}");
        assert_eq!(refusal(&tenant, "DELETE", &path, None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn groups_are_renamed_filtered_and_their_types_told_to_clients_that_know_them() {
    let (_lab, daemon) = directory_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let specs = json!({ "driver_handles_share_servers": "False", "snapshot_support": "True" });
    create_type(&operator, "snapshots", specs).await.expect("made");
    let (one, two) = (json!({ "name": "one" }), json!({ "name": "two", "share_types": ["snapshots"] }));
    let one = create_group(&tenant, one).await.expect("a group");
    create_group(&tenant, two).await.expect("a group");
    assert_eq!(refusal(&operator, "DELETE", "/v2/types/snapshots", None).await.0, 409, "a group has it");
    let renamed = json!({ "share_group": { "name": "first", "description": null } });
    let answer = tenant.send("PUT", &group_path(&one), Some(&renamed)).await.expect("an answer");
    assert_eq!(answer.body["share_group"]["name"], "first", "{}", answer.body);
    for (query, expected) in
        [("name=first", 1), ("name=one", 0), ("name~=t", 2), ("status=error", 0), ("limit=1", 1)]
    {
        let listed = tenant.get(&format!("/v2/share-groups/detail?{query}")).await.expect("a list");
        assert_eq!(listed["share_groups"].as_array().map(Vec::len), Some(expected), "{query}: {listed}");
    }
    let types = tenant.get("/v2/share-group-types").await.expect("the types");
    assert_eq!(types["share_group_types"][0]["share_types"].as_array().map(Vec::len), Some(2), "{types}");
    let default = tenant.get("/v2/share-group-types/default").await.expect("the type");
    assert_eq!(default["share_group_type"]["is_default"], true, "{default}");
    let specs = tenant.get("/v2/share-group-types/default/group-specs").await.expect("its specs");
    assert_eq!(specs, json!({ "group_specs": {} }));
    assert_eq!(refusal(&tenant, "GET", "/v2/share-group-types/gold", None).await.0, 404);
    let version = "x-openstack-manila-api-version";
    for (minor, experimental, status) in
        [("2.30", "True", 404), ("2.54", "False", 404), ("2.31", "True", 200), ("2.55", "False", 200)]
    {
        let client = daemon
            .tenant()
            .header(version, minor)
            .header("x-openstack-manila-api-experimental", experimental);
        for path in ["/v2/share-groups", "/v2/share-group-snapshots", "/v2/share-group-types"] {
            let answer = client.send("GET", path, None).await.expect("an answer");
            assert_eq!(answer.status, status, "{path} {minor} {experimental}");
        }
    }
}

/// Run `bulkhead WORDS` against the daemon; what it says, or what it complains.
fn bulkhead(lab: &Lab, words: &[&str]) -> Result<String, String> {
    let output = Command::new(programs::program("bulkhead").expect("built"))
        .args(words)
        .arg("--state")
        .arg(lab.state())
        .output()
        .expect("started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn groups_are_made_and_removed_by_command() {
    let (lab, daemon) = directory_daemon().await;
    let run = |words: &[&str]| bulkhead(&lab, words).expect("it succeeds");
    let shown = run(&["share-group", "create", "--name", "papers"]);
    assert!(shown.contains("available") && shown.contains("bulkhead@nas1#shares"), "{shown}");
    run(&["share", "create", "NFS", "1", "--name", "a", "--group", "papers"]);
    let snapshot = run(&["share-group", "snapshot", "create", "papers", "--name", "before"]);
    assert!(snapshot.contains("member") && snapshot.contains("available"), "{snapshot}");
    run(&["share-group", "create", "--name", "copy", "--snapshot", "before"]);
    assert!(run(&["share-group", "show", "copy"]).contains("share "), "its share is listed");
    run(&["share-group", "set", "copy", "--name", "second"]);
    let listed = run(&["share-group", "list"]);
    assert!(listed.contains("papers") && listed.contains("second"), "{listed}");
    let operations = run(&["operation", "list"]);
    let group = run(&["share-group", "show", "second", "--json"]);
    let group: Value = serde_json::from_str(&group).expect("JSON");
    let id = group["id"].as_str().expect("an id");
    assert!(
        operations.lines().any(|line| line.contains("create-share-group-from-snapshot") && line.contains(id))
    );
    let audited = run(&["audit", "tail", "--most", "1000"]);
    assert!(audited.contains(&format!("share-group/{id}")), "{audited}");
    let refused = bulkhead(&lab, &["share-group", "delete", "second"]).expect_err("it has a share");
    assert!(refused.contains("1 shares"), "{refused}");
    let shares = shares_of_group(&daemon.operator().header("x-bulkhead-project", "default"), id).await;
    run(&["share", "delete", &shares.expect("its shares")[0]]);
    run(&["share-group", "delete", "second"]);
    run(&["share-group", "snapshot", "reset-status", "before", "error"]);
    run(&["share-group", "snapshot", "delete", "before", "--force"]);
    assert!(!run(&["share-group", "snapshot", "list"]).contains("before"));
    run(&["share-group", "reset-status", "papers", "error"]);
    run(&["share", "delete", "a"]);
    run(&["share-group", "delete", "papers", "--force"]);
    assert!(!run(&["share-group", "list"]).contains("papers"));
}

#[tokio::test]
async fn a_daemon_that_is_killed_goes_on_with_its_groups() {
    let (lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let group = create_group(&tenant, json!({})).await.expect("a group");
    for _ in 0..3 {
        share_in(&tenant, &group).await;
    }
    let asked = json!({ "share_group_snapshot": { "share_group_id": group } });
    let made = tenant.post("/v2/share-group-snapshots", &asked).await.expect("taken");
    let snapshot = made["share_group_snapshot"]["id"].as_str().expect("an id").to_owned();
    let mut daemon = daemon;
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    let tenant = daemon.tenant();
    let path = group_snapshot_path(&snapshot);
    settle(&tenant, &path, "share_group_snapshot", &["available"]).await.expect("taken in the end");
    tenant.delete(&path).await.expect("taken");
    gone(&tenant, &path).await.expect("gone");
}

#[tokio::test]
async fn types_of_groups_are_made_changed_and_removed_through_the_api_and_by_command() {
    let (lab, daemon) = directory_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let asked = json!({ "share_group_type": {
        "name": "gold", "share_types": ["default"], "is_public": true, "group_specs": { "acme:tier": 1 },
    } });
    let (status, _) = refusal(&tenant, "POST", "/v2/share-group-types", Some(&asked)).await;
    assert_eq!(status, 403, "types are the operator's");
    let made = operator.post("/v2/share-group-types", &asked).await.expect("made");
    assert_eq!(made["share_group_type"]["group_specs"], json!({ "acme:tier": "1" }), "{made}");
    let path = "/v2/share-group-types/gold";
    assert_eq!(tenant.get(path).await.expect("everybody reads it"), made);
    let specs = json!({ "group_specs": { "consistent_snapshot_support": "host" } });
    operator.post(&format!("{path}/group-specs"), &specs).await.expect("set");
    let (status, told) =
        refusal(&operator, "PUT", &format!("{path}/group-specs/a:b"), Some(&json!({ "a:c": "d" }))).await;
    assert_eq!((status, told.contains("one key")), (400, true), "{told}");
    let one = format!("{path}/group-specs/consistent_snapshot_support");
    let value = tenant.get(&one).await.expect("its value");
    assert_eq!(value, json!({ "consistent_snapshot_support": "host" }));
    let wanted = json!({ "share_group": { "share_group_type_id": "gold" } });
    assert_eq!(refusal(&tenant, "POST", "/v2/share-groups", Some(&wanted)).await.0, 503, "nobody has it");
    operator.delete(&one).await.expect("taken away");
    assert_eq!(refusal(&tenant, "GET", &one, None).await.0, 404);

    let run = |words: &[&str]| bulkhead(&lab, words).expect("it succeeds");
    run(&["share-group", "create", "--name", "papers", "--group-type", "gold"]);
    let refused = bulkhead(&lab, &["share-group", "type", "delete", "gold"]).expect_err("in use");
    assert!(refused.contains("1 share groups were made with this type"), "{refused}");
    run(&["share-group", "delete", "papers"]);
    run(&["share-group", "type", "delete", "gold"]);
    let spec = "consistent_snapshot_support=pool";
    let shown = run(&["share-group", "type", "create", "silver", "--type", "default", "--spec", spec]);
    assert!(shown.contains("consistent_snapshot_support") && shown.contains("pool"), "{shown}");
    let listed = run(&["share-group", "type", "list"]);
    assert!(listed.contains("silver") && !listed.contains("gold"), "{listed}");
    assert!(run(&["share-group", "type", "show", "silver"]).contains("share type"));
}
