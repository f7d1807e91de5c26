//! One project never sees, names or changes what is another's.

use crate::{make_small_share, make_snapshot, refusal};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use serde_json::json;

// printf %s blue-token | sha256sum, and so on.
const TOKENS: &str = r#"
[[token]]
sha256 = "BLUE"
project = "blue"
user = "alice"
[[token]]
sha256 = "RED"
project = "red"
user = "bob"
"#;

async fn two_tenants() -> (Lab, Daemon) {
    let tokens = TOKENS.replace("BLUE", &sha256("blue-token")).replace("RED", &sha256("red-token"));
    let lab = Lab::new()
        .and_then(|lab| lab.with_main(&tokens).with_backend("nas1", "directory", ""))
        .expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    (lab, daemon)
}

fn sha256(text: &str) -> String {
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("printf %s {text} | sha256sum"))
        .output()
        .expect("sha256sum");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().expect("a digest").to_owned()
}

#[tokio::test]
async fn without_a_known_token_nobody_gets_in() {
    let (_lab, daemon) = two_tenants().await;
    assert_eq!(refusal(&daemon.tenant(), "GET", "/v2/shares", None).await.0, 401);
    let stranger = daemon.tenant().header("x-auth-token", "guess").header("x-bulkhead-project", "blue");
    assert_eq!(refusal(&stranger, "GET", "/v2/shares", None).await.0, 401);
    // Versions and health are for everybody.
    assert_eq!(daemon.tenant().send("GET", "/", None).await.expect("an answer").status, 300);
    assert_eq!(daemon.tenant().send("GET", "/healthz", None).await.expect("an answer").status, 200);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of all routes")]
async fn what_is_another_projects_is_not_found_by_any_route() {
    let (_lab, daemon) = two_tenants().await;
    let blue = daemon.tenant().header("x-auth-token", "blue-token");
    let red = daemon.tenant().header("x-auth-token", "red-token");
    let share = make_small_share(&blue).await;
    let snapshot = make_snapshot(&blue, &share).await;
    let rule =
        json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.1", "access_level": "rw" } });
    let rule = blue.post(&format!("/v2/shares/{share}/action"), &rule).await.expect("taken")["access"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let own = make_small_share(&red).await;
    let action = format!("/v2/shares/{share}/action");
    let metadata = json!({ "metadata": { "a": "b" } });
    let foreign = [
        ("GET", format!("/v2/shares/{share}"), None),
        ("PUT", format!("/v2/shares/{share}"), Some(json!({ "share": { "display_name": "mine" } }))),
        ("DELETE", format!("/v2/shares/{share}"), None),
        ("POST", action.clone(), Some(json!({ "extend": { "new_size": 2 } }))),
        ("POST", action.clone(), Some(json!({ "shrink": { "new_size": 1 } }))),
        ("POST", action.clone(), Some(json!({ "revert": { "snapshot_id": snapshot } }))),
        ("POST", action.clone(), Some(json!({ "access_list": null }))),
        (
            "POST",
            action.clone(),
            Some(json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.2" } })),
        ),
        ("POST", action.clone(), Some(json!({ "deny_access": { "access_id": rule } }))),
        ("POST", action, Some(json!({ "reset_task_state": { "task_state": null } }))),
        ("POST", format!("/v2/shares/{own}/action"), Some(json!({ "deny_access": { "access_id": rule } }))),
        ("GET", format!("/v2/shares/{share}/export_locations"), None),
        ("GET", format!("/v2/shares/{share}/metadata"), None),
        ("POST", format!("/v2/shares/{share}/metadata"), Some(metadata.clone())),
        ("GET", format!("/v2/snapshots/{snapshot}"), None),
        ("PUT", format!("/v2/snapshots/{snapshot}"), Some(json!({ "snapshot": { "display_name": "mine" } }))),
        ("DELETE", format!("/v2/snapshots/{snapshot}"), None),
        ("POST", format!("/v2/snapshots/{snapshot}/metadata"), Some(metadata)),
        ("POST", "/v2/snapshots".to_owned(), Some(json!({ "snapshot": { "share_id": share } }))),
        (
            "POST",
            "/v2/shares".to_owned(),
            Some(json!({ "share": { "share_proto": "NFS", "size": 1, "snapshot_id": snapshot } })),
        ),
        ("GET", format!("/v2/share-access-rules/{rule}"), None),
        ("GET", format!("/v2/share-access-rules?share_id={share}"), None),
    ];
    for (method, path, body) in foreign {
        let (status, message) = refusal(&red, method, &path, body.as_ref()).await;
        assert_eq!(status, 404, "{method} {path} {body:?}: {message}");
    }
    for list in
        ["/v2/shares?all_tenants=1", "/v2/shares/detail?all_tenants=1", "/v2/snapshots/detail?all_tenants=1"]
    {
        let listed = red.get(list).await.expect("a list").to_string();
        assert!(!listed.contains(&share) && !listed.contains(&snapshot), "{list}: {listed}");
    }
    for operators in ["/v2/services", "/v2/scheduler-stats/pools"] {
        assert_eq!(refusal(&red, "GET", operators, None).await.0, 403, "{operators}");
    }
    assert_eq!(refusal(&red, "GET", "/v1/backends", None).await.0, 404);
    assert_eq!(
        refusal(
            &red,
            "POST",
            &format!("/v2/shares/{own}/action"),
            Some(&json!({ "reset_status": { "status": "error" } }))
        )
        .await
        .0,
        403
    );
    assert_eq!(
        refusal(&red, "POST", &format!("/v2/shares/{own}/action"), Some(&json!({ "force_delete": null })))
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn a_tenant_never_sees_where_a_share_lives() {
    let (_lab, daemon) = two_tenants().await;
    let blue = daemon.tenant().header("x-auth-token", "blue-token");
    let share = make_small_share(&blue).await;
    let seen = blue.get(&format!("/v2/shares/{share}")).await.expect("there");
    assert!(seen["share"].get("host").is_none() && seen["share"].get("share_server_id").is_none(), "{seen}");
    let seen = daemon.operator().get(&format!("/v2/shares/{share}")).await.expect("there");
    assert!(seen["share"]["host"].as_str().is_some_and(|host| host.contains("@nas1")), "{seen}");
}

#[tokio::test]
async fn the_project_in_a_path_must_be_the_tokens() {
    let (_lab, daemon) = two_tenants().await;
    let blue = daemon.tenant().header("x-auth-token", "blue-token");
    assert_eq!(blue.send("GET", "/v2/blue/shares", None).await.expect("an answer").status, 200);
    assert_eq!(refusal(&blue, "GET", "/v2/red/shares", None).await.0, 403);
}

#[tokio::test]
async fn a_web_page_and_a_foreign_name_are_turned_away() {
    let (_lab, daemon) = two_tenants().await;
    let blue = daemon.tenant().header("x-auth-token", "blue-token");
    assert_eq!(
        refusal(&blue.clone().header("origin", "http://evil.example"), "GET", "/v2/shares", None).await.0,
        403
    );
    assert_eq!(refusal(&blue.header("host", "evil.example"), "GET", "/v2/shares", None).await.0, 403);
}
