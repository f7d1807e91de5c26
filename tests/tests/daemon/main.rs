//! A real daemon with real drivers, through its doors: what newcomers, tenants and operators meet.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code: what is not there, or not as expected, fails the test"
)]

mod addresses;
mod appliance;
mod backup;
mod bad_input;
mod command_line;
mod doctor;
mod doors;
mod faults;
mod filer;
mod golden;
mod groups;
mod hostile;
mod hot_load;
mod lateness;
mod make_pool;
mod memory;
mod migration;
mod moving;
mod neighbours;
mod networks;
mod places;
mod python;
mod recovery;
mod replicas;
mod secrets;
mod servers;
mod shares;
mod start;
mod stock_client;
mod tenants;
mod trespasser;
mod vendor;

use bulkhead_tests::daemon::{Daemon, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A daemon with one backend `nas1` of the driver `directory`, ready.
async fn directory_daemon() -> (Lab, Daemon) {
    let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "directory", "")).expect("a lab");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    (lab, daemon)
}

/// Make a share and wait until it is available; its id.
async fn make_share(client: &Client, share: Value) -> String {
    let made = client.post("/v2/shares", &json!({ "share": share })).await.expect("taken");
    let id = made["share"]["id"].as_str().expect("an id").to_owned();
    settle(client, &format!("/v2/shares/{id}"), "share", &["available"]).await.expect("available");
    id
}

/// A small share.
async fn make_small_share(client: &Client) -> String {
    make_share(client, json!({ "share_proto": "NFS", "size": 1 })).await
}

/// Make a snapshot and wait until it is available; its id.
async fn make_snapshot(client: &Client, share: &str) -> String {
    let made =
        client.post("/v2/snapshots", &json!({ "snapshot": { "share_id": share } })).await.expect("taken");
    let id = made["snapshot"]["id"].as_str().expect("an id").to_owned();
    settle(client, &format!("/v2/snapshots/{id}"), "snapshot", &["available"]).await.expect("available");
    id
}

/// The directory behind a share.
async fn folder_of(client: &Client, share: &str) -> PathBuf {
    let locations = client.get(&format!("/v2/shares/{share}/export_locations")).await.expect("locations");
    let path = locations["export_locations"][0]["path"].as_str().expect("a path").to_owned();
    PathBuf::from(path.split_once(':').expect("ADDRESS:PATH").1)
}

/// The status code and the message of a refusal.
async fn refusal(client: &Client, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
    let answer = client.send(method, path, body).await.expect("an answer");
    let fault = answer.body.as_object().and_then(|fault| fault.values().next().cloned()).unwrap_or_default();
    (answer.status, fault["message"].as_str().unwrap_or_default().to_owned())
}
