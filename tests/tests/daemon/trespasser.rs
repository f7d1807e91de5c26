//! A driver that tries the share servers of another tenant and of another backend: every attempt is denied and recorded, and nothing of
//! theirs changes.

use crate::servers::{network, servers};
use bulkhead_tests::daemon::{Daemon, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{
    allow, create_share, create_type, delete_share, location, newest_failure, share_path, text,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const BACKENDS: [(&str, &str); 2] = [("nas1", "10.77.0.1"), ("nas2", "10.78.0.1")];

/// A daemon with two backends of this driver, each with a type that lets it behave.
async fn two_backends() -> (Lab, Daemon) {
    let lab = Lab::new().expect("a lab");
    let driver = programs::guest("trespasser").expect("the driver");
    for (name, gateway) in BACKENDS {
        let options = "driver_handles_share_servers = true\n";
        let text = lab.backend_text(name, &driver, options, &[]).expect("a backend");
        let bound = format!("\n[[grant.networks.user]]\ngateway = \"{gateway}\"\nmask = 28\n");
        std::fs::write(lab.backend_file(name), text + &bound).expect("written");
    }
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready backends");
    for (name, _) in BACKENDS {
        make_type(&daemon, name, name, &json!({})).await;
    }
    (lab, daemon)
}

async fn make_type(daemon: &Daemon, name: &str, backend: &str, more: &Value) {
    let mut specs = json!({ "driver_handles_share_servers": "True", "share_backend_name": backend });
    let more = more.as_object().expect("specs").clone();
    specs.as_object_mut().expect("specs").extend(more);
    create_type(&daemon.operator(), name, specs).await.expect("a type");
}

fn of_type(name: &str, network: &str) -> Value {
    json!({ "share_proto": "NFS", "size": 1, "share_type": name, "share_network_id": network })
}

/// The operator who acts for a project.
fn tenant(daemon: &Daemon, project: &str) -> Client {
    daemon.operator().header("x-bulkhead-project", project)
}

/// A share of somebody who is to be robbed, and the server it lives on with its address.
async fn victim(daemon: &Daemon, project: &str, backend: &str) -> (String, String) {
    let client = tenant(daemon, project);
    let network = network(&client).await;
    let share = create_share(&client, of_type(backend, &network)).await.expect("a share");
    let at = location(&client, &share).await.expect("a location");
    let all = servers(&daemon.operator()).await;
    let server = all.iter().find(|server| server["project_id"] == project).expect("its server");
    (text(&server["id"]).expect("an id"), at.split(':').next().expect("an address").to_owned())
}

/// What servers have: files, and addresses that are in use.
async fn belongings(lab: &Lab, daemon: &Daemon) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut files, mut addresses) = (BTreeMap::new(), BTreeSet::new());
    for (name, _) in BACKENDS {
        for entry in lab.root(name, "servers").read_dir().expect("a root").flatten() {
            let content = std::fs::read_to_string(entry.path()).expect("a note");
            files.insert(format!("{name}/{}", entry.file_name().display()), content);
        }
        let path = format!("/v1/backends/{name}/addresses");
        let listed = daemon.operator().get(&path).await.expect("addresses");
        let all = listed["addresses"].as_array().expect("a list").clone();
        let in_use = all.iter().filter(|one| one["state"] != "resting");
        addresses.extend(in_use.map(|one| format!("{} {}", one["address"], one["server"])));
    }
    (files, addresses)
}

#[tokio::test]
async fn naming_another_tenants_or_backends_share_server_is_denied_in_every_function_and_recorded() {
    let (lab, daemon) = two_backends().await;
    let victims = [victim(&daemon, "blue", "nas1").await, victim(&daemon, "green", "nas2").await];
    let before = belongings(&lab, &daemon).await;
    assert_eq!((before.0.len(), before.1.len()), (2, 2), "{before:?}");
    let named: Vec<_> = victims.iter().map(|(server, address)| format!("{server} {address}")).collect();
    make_type(&daemon, "nosy", "nas1", &json!({ "trespasser:victims": named.join(", ") })).await;
    let red = tenant(&daemon, "red");
    let network = network(&red).await;
    // The set-up of red's own server, the share, its rule and its end: one breach in any of them and it fails.
    let share = create_share(&red, of_type("nosy", &network)).await.expect("a share, every attempt refused");
    assert!(location(&red, &share).await.expect("a location").starts_with("10.77.0.3:/"));
    allow(&red, &share, "10.77.0.9", "rw").await.expect("in force");
    delete_share(&red, &share).await.expect("gone");
    let after = belongings(&lab, &daemon).await;
    for kept in &before.0 {
        assert_eq!(after.0.get(kept.0), Some(kept.1), "a note changed");
    }
    assert!(after.1.is_superset(&before.1), "{before:?} {after:?}");
    assert_eq!(after.1.len(), before.1.len() + 1, "red's own and no other: {after:?}");
    let listed = daemon.operator().get("/v1/ledger?most=10000").await.expect("records");
    let records = listed["records"].as_array().expect("records");
    for (server, _) in &victims {
        let about = |record: &&Value| record["entry"].to_string().contains(server.as_str());
        let denied: BTreeSet<_> = records
            .iter()
            .filter(|record| record["entry"]["outcome"] == "denied")
            .filter(about)
            .filter_map(|record| record["entry"]["capability"].as_str())
            .collect();
        for capability in [
            "network-allocation.allocate",
            "network-allocation.allocations",
            "network-allocation.release",
            "service.start",
            "service.status",
            "service.stop",
            "files.read",
            "files.write",
            "files.remove",
            "private-data.get",
            "private-data.set",
        ] {
            assert!(denied.contains(capability), "{capability} of {server} is not among {denied:?}");
        }
    }
}

#[tokio::test]
async fn a_share_is_never_at_the_address_nor_on_the_server_of_another_tenant_or_backend() {
    let (_lab, daemon) = two_backends().await;
    let victims = [victim(&daemon, "blue", "nas1").await, victim(&daemon, "green", "nas2").await];
    let red = tenant(&daemon, "red");
    let network = network(&red).await;
    for (number, (server, address)) in victims.iter().enumerate() {
        for (key, value) in [("trespasser:answer", address), ("trespasser:choice", server)] {
            let name = format!("{}-{number}", key.replace(':', "-"));
            make_type(&daemon, &name, "nas1", &json!({ key: value })).await;
            let asked = json!({ "share": of_type(&name, &network) });
            // A server of red's own must be there for the driver to choose at all.
            create_share(&red, of_type("nas1", &network)).await.expect("a share");
            let made = red.post("/v2/shares", &asked).await.expect("taken");
            let share = text(&made["share"]["id"]).expect("an id");
            settle(&red, &share_path(&share), "share", &["error"]).await.expect("refused");
            let failure = newest_failure(&daemon.operator()).await.expect("a failure");
            assert_eq!(failure["code"], "invalid-answer", "{name}: {failure}");
            assert_eq!(failure["blame"], "driver", "{name}: {failure}");
        }
    }
}
