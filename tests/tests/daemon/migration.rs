//! Moving shares through the doors.

use crate::{folder_of, make_small_share, refusal};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{allow, delete_share};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// A daemon with the backends `nas1` and `nas2` of the driver `directory`, which cannot move shares.
async fn two_backends(grant: &str) -> (Lab, Daemon) {
    let lab = Lab::new().expect("a lab");
    let driver = bulkhead_tests::programs::guest("directory").expect("the driver");
    for name in ["nas1", "nas2"] {
        let text = lab.backend_text(name, &driver, "", &[]).expect("the backend");
        let text = text.replacen("[grant]\n", &format!("[grant]\n{grant}"), 1);
        std::fs::write(lab.backend_file(name), text).expect("written");
    }
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready backends");
    (lab, daemon)
}

fn experimental(client: Client) -> Client {
    client.header("x-openstack-manila-api-experimental", "True")
}

fn start(host: &str) -> Value {
    json!({ "migration_start": {
        "host": host, "writable": false, "preserve_metadata": false, "nondisruptive": false,
        "preserve_snapshots": false,
    } })
}

/// The backend that a share is not at, as a host string.
async fn elsewhere(operator: &Client, share: &str) -> String {
    let found = operator.get(&format!("/v2/shares/{share}")).await.expect("the share");
    let host = found["share"]["host"].as_str().expect("a host");
    if host.contains("nas1") { host.replace("nas1", "nas2") } else { host.replace("nas2", "nas1") }
}

/// Wait until the share's task state is `wanted`; the share.
async fn reaches(operator: &Client, share: &str, wanted: &str) -> Value {
    let began = Instant::now();
    loop {
        let found = operator.get(&format!("/v2/shares/{share}")).await.expect("the share")["share"].clone();
        if found["task_state"] == wanted {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it never is {wanted}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_share_that_neither_its_driver_nor_the_host_may_move_stays_and_the_operation_says_why() {
    let (_lab, daemon) = two_backends("").await;
    let (tenant, operator) = (daemon.tenant(), experimental(daemon.operator()));
    let share = make_small_share(&tenant).await;
    let (path, action) = (format!("/v2/shares/{share}"), format!("/v2/shares/{share}/action"));
    let to = elsewhere(&operator, &share).await;
    operator.post(&action, &start(&to)).await.expect("begun");
    let found = reaches(&operator, &share, "migration_error").await;
    assert_eq!(found["status"], "available");
    let listed = operator.get("/v1/operations?most=1").await.expect("the operations");
    let why = listed["operations"][0]["failure"]["message"].as_str().expect("a reason").to_owned();
    assert!(why.contains("the driver cannot move the share there"), "{why}");
    let progress = operator.post(&action, &json!({ "migration_get_progress": null })).await.expect("known");
    assert_eq!(progress["task_state"], "migration_error");
    let connection = operator.get(&format!("/v1/shares/{share}/connection")).await.expect("how to mount it");
    let mount = connection["connection"]["mount"].as_str().expect("a command").to_owned();
    assert!(mount.starts_with("mount -vt nfs %(options)s ") && mount.ends_with(" %(path)s"), "{mount}");
    assert_eq!(connection["connection"]["access_mapping"], json!({ "ip": ["nfs"] }));
    for verb in ["migration_complete", "migration_cancel"] {
        let (status, message) = refusal(&operator, "POST", &action, Some(&json!({ verb: null }))).await;
        assert_eq!(status, 409, "{message}");
        assert!(message.contains("migration_error"), "{message}");
    }
    // What is so already is no operator's matter: the stock client sends it after every change.
    let same = json!({ "reset_task_state": { "task_state": "migration_error" } });
    tenant.post(&action, &same).await.expect("nothing to do");
    let none = json!({ "reset_task_state": { "task_state": null } });
    assert_eq!(refusal(&tenant, "POST", &action, Some(&none)).await.0, 403);
    operator.post(&action, &none).await.expect("set");
    assert_eq!(tenant.get(&path).await.expect("the share")["share"]["task_state"], Value::Null);
}

#[tokio::test]
async fn migrations_are_for_operators_who_know_that_they_are_an_experiment() {
    let (_lab, daemon) = two_backends("").await;
    let (tenant, operator) = (experimental(daemon.tenant()), experimental(daemon.operator()));
    let share = make_small_share(&tenant).await;
    let action = format!("/v2/shares/{share}/action");
    let to = elsewhere(&operator, &share).await;
    let status = async |client: &Client, body: Value| refusal(client, "POST", &action, Some(&body)).await.0;
    assert_eq!(status(&tenant, start(&to)).await, 403);
    assert_eq!(status(&daemon.operator(), start(&to)).await, 404, "without the header");
    let old = experimental(daemon.operator()).header("x-openstack-manila-api-version", "2.28");
    assert_eq!(status(&old, start(&to)).await, 404, "before 2.29");
    assert_eq!(status(&operator, start("bulkhead@nowhere#pool")).await, 400);
    assert_eq!(status(&operator, start("bulkhead@nas2#nowhere")).await, 400);
    let mut bad = start(&to);
    bad["migration_start"]["writable"] = json!("perhaps");
    assert_eq!(status(&operator, bad).await, 400);
    let mut excluded = start(&to);
    excluded["migration_start"]["writable"] = json!(true);
    excluded["migration_start"]["force_host_assisted_migration"] = json!(true);
    assert_eq!(status(&operator, excluded).await, 400);
    let mut network = start(&to);
    network["migration_start"]["new_share_network_id"] = json!("some");
    assert_eq!(status(&operator, network).await, 400);
    let at_home =
        operator.get(&format!("/v2/shares/{share}")).await.expect("the share")["share"]["host"].clone();
    let home = start(at_home.as_str().expect("a host"));
    let answer = operator.send("POST", &action, Some(&home)).await.expect("an answer");
    assert_eq!(answer.status, 200, "it is there already");
    reaches(&operator, &share, "migration_success").await;
}

#[tokio::test]
async fn the_host_copies_a_share_between_two_backends_whose_grants_allow_it() {
    let (lab, daemon) = two_backends("migration-copy = true\n").await;
    let (tenant, operator) = (daemon.tenant(), experimental(daemon.operator()));
    let share = make_small_share(&tenant).await;
    allow(&tenant, &share, "10.0.0.1", "rw").await.expect("allowed");
    let source = folder_of(&tenant, &share).await;
    std::fs::create_dir(source.join("sub")).expect("made");
    std::fs::write(source.join("sub/file"), "content").expect("written");
    std::fs::hard_link(source.join("sub/file"), source.join("again")).expect("linked");
    std::os::unix::fs::symlink("sub/file", source.join("link")).expect("linked");
    std::fs::set_permissions(source.join("sub/file"), std::fs::Permissions::from_mode(0o640)).expect("set");
    let times = |folder: &Path| {
        let found = std::fs::symlink_metadata(folder.join("sub/file")).expect("there");
        (found.mtime(), found.mtime_nsec(), found.mode(), found.uid(), found.gid(), found.nlink())
    };
    let before = times(&source);

    let action = format!("/v2/shares/{share}/action");
    let to = elsewhere(&operator, &share).await;
    operator.post(&action, &start(&to)).await.expect("begun");
    let moving = reaches(&operator, &share, "data_copying_completed").await;
    assert_eq!(moving["status"], "migrating");
    let progress = operator.post(&action, &json!({ "migration_get_progress": null })).await.expect("known");
    assert_eq!(progress["total_progress"], 100);
    operator.post(&action, &json!({ "migration_complete": null })).await.expect("asked for");
    let moved = reaches(&operator, &share, "migration_success").await;
    assert_eq!((&moved["status"], &moved["host"]), (&json!("available"), &json!(to)));

    let destination = folder_of(&tenant, &share).await;
    assert_ne!(destination, source);
    assert_eq!(std::fs::read_to_string(destination.join("again")).expect("copied"), "content");
    assert_eq!(std::fs::read_link(destination.join("link")).expect("copied"), Path::new("sub/file"));
    assert_eq!(times(&destination), before);
    let (left, taken) = if to.contains("nas2") { ("nas1", "nas2") } else { ("nas2", "nas1") };
    for root in ["shares", "exports"] {
        let count = |backend: &str| lab.root(backend, root).read_dir().expect("a root").count();
        assert_eq!((count(left), count(taken)), (0, 1), "{root}");
    }
    delete_share(&tenant, &share).await.expect("deleted");
    assert_eq!(lab.root(taken, "shares").read_dir().expect("a root").count(), 0);
}
