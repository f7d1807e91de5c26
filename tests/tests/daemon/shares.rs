//! The life of a share.

use crate::{directory_daemon, folder_of, make_share, make_small_share, make_snapshot, refusal};
use bulkhead_tests::daemon::{gone, settle};
use serde_json::json;

#[tokio::test]
async fn a_share_is_made_filled_snapshotted_reverted_copied_and_removed_without_a_trace() {
    let (lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_share(
        &tenant,
        json!({ "share_proto": "nfs", "size": 1, "name": "one", "metadata": { "a": "b" } }),
    )
    .await;
    let folder = folder_of(&tenant, &share).await;
    std::fs::create_dir(folder.join("sub")).expect("made");
    std::fs::write(folder.join("sub/file"), "old").expect("written");
    let snapshot = make_snapshot(&tenant, &share).await;
    std::fs::write(folder.join("sub/file"), "new and longer").expect("written");
    std::fs::write(folder.join("extra"), "x").expect("written");

    let copy = make_share(&tenant, json!({ "share_proto": "NFS", "size": 1, "snapshot_id": snapshot })).await;
    let copied = folder_of(&tenant, &copy).await;
    assert_eq!(std::fs::read_to_string(copied.join("sub/file")).expect("copied"), "old");

    tenant
        .post(&format!("/v2/shares/{share}/action"), &json!({ "revert": { "snapshot_id": snapshot } }))
        .await
        .expect("taken");
    settle(&tenant, &format!("/v2/shares/{share}"), "share", &["available"]).await.expect("reverted");
    assert_eq!(std::fs::read_to_string(folder.join("sub/file")).expect("there"), "old");
    assert!(!folder.join("extra").exists());

    for share in [&copy, &share] {
        if *share == copy {
            tenant.delete(&format!("/v2/snapshots/{snapshot}")).await.expect("taken");
            gone(&tenant, &format!("/v2/snapshots/{snapshot}")).await.expect("gone");
        }
        tenant.delete(&format!("/v2/shares/{share}")).await.expect("taken");
        gone(&tenant, &format!("/v2/shares/{share}")).await.expect("gone");
    }
    for root in ["shares", "exports"] {
        let left: Vec<_> = lab.root("nas1", root).read_dir().expect("a root").collect();
        assert!(left.is_empty(), "{root}: {left:?}");
    }
}

#[tokio::test]
async fn a_shrink_below_what_is_used_changes_nothing() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_share(&tenant, json!({ "share_proto": "NFS", "size": 2 })).await;
    let folder = folder_of(&tenant, &share).await;
    std::fs::File::create(folder.join("large")).and_then(|file| file.set_len((1 << 30) + 1)).expect("sparse");
    let path = format!("/v2/shares/{share}");
    tenant.post(&format!("{path}/action"), &json!({ "shrink": { "new_size": 1 } })).await.expect("taken");
    let found = settle(&tenant, &path, "share", &["available"]).await.expect("available");
    assert_eq!(found["size"], 2);
    std::fs::remove_file(folder.join("large")).expect("removed");
    tenant.post(&format!("{path}/action"), &json!({ "shrink": { "new_size": 1 } })).await.expect("taken");
    let found = settle(&tenant, &path, "share", &["available"]).await.expect("available");
    assert_eq!(found["size"], 1);
}

#[tokio::test]
async fn access_rules_reach_the_exports_fragment_and_leave_it() {
    let (lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let folder = folder_of(&tenant, &share).await;
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let fragment = lab.root("nas1", "exports").join(format!("{name}.exports"));
    let action = format!("/v2/shares/{share}/action");
    let mut rules = Vec::new();
    for (to, level) in [("10.0.0.0/24", "rw"), ("10.0.9.9", "ro")] {
        let rule = json!({ "allow_access": { "access_type": "ip", "access_to": to, "access_level": level } });
        let made = tenant.post(&action, &rule).await.expect("taken");
        let id = made["access"]["id"].as_str().expect("an id").to_owned();
        settle(&tenant, &format!("/v2/share-access-rules/{id}"), "access", &["active"])
            .await
            .expect("active");
        rules.push(id);
    }
    let text = std::fs::read_to_string(&fragment).expect("a fragment");
    assert!(text.contains("10.0.0.0/24(rw") && text.contains("10.0.9.9") && text.contains("(ro"), "{text}");
    // The same once more, and an address that this backend could never let in.
    for (to, expected) in [("10.0.0.0/24", 409), ("2001:db8::/32", 400)] {
        let rule = json!({ "allow_access": { "access_type": "ip", "access_to": to, "access_level": "ro" } });
        let (status, message) = refusal(&tenant, "POST", &action, Some(&rule)).await;
        assert_eq!(status, expected, "{to}: {message}");
    }
    tenant.post(&action, &json!({ "deny_access": { "access_id": rules[0] } })).await.expect("taken");
    gone(&tenant, &format!("/v2/share-access-rules/{}", rules[0])).await.expect("gone");
    let text = std::fs::read_to_string(&fragment).expect("a fragment");
    assert!(!text.contains("10.0.0.0/24"), "{text}");
}

#[tokio::test]
async fn one_request_sent_twice_with_one_key_makes_one_share() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant().header("idempotency-key", "the same");
    let body = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let first = tenant.post("/v2/shares", &body).await.expect("taken");
    let second = tenant.post("/v2/shares", &body).await.expect("taken");
    assert_eq!(first["share"]["id"], second["share"]["id"]);
    let other = json!({ "share": { "share_proto": "NFS", "size": 2 } });
    let (status, message) = refusal(&tenant, "POST", "/v2/shares", Some(&other)).await;
    assert_eq!(status, 409, "{message}");
    let listed = daemon.tenant().get("/v2/shares").await.expect("a list");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn every_host_call_of_the_driver_stands_in_the_ledger() {
    let (_lab, daemon) = directory_daemon().await;
    let share = make_small_share(&daemon.tenant()).await;
    let records = daemon.operator().get("/v1/ledger?most=1000").await.expect("records");
    let text = records["records"].to_string();
    for wanted in ["files.create-directory", "shares.create-share", &share] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}
