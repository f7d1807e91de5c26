//! Addresses that a driver allocates itself, and what an operator sees of all of them and gives back: in 10.77.0.0/28, on the array that has
//! no disks.

use crate::command_line::{failed, succeeded};
use crate::refusal;
use crate::servers::{network, served, servers};
use bulkhead_tests::daemon::{Daemon, SETTLE, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{create_share, create_type, delete_share, location, share_path, text, until};
use serde_json::{Value, json};
use std::time::Duration;

const ADDRESSES: &str = "/v1/backends/nas1/addresses";
/// The most that a restart takes until the daemon has killed whatever goes on.
const IN_MID_CALL: [u64; 8] = [0, 1, 2, 4, 8, 15, 30, 60];

/// As [`served`], with a type of shares that have an address of their own.
async fn own_addresses(unused_seconds: u32) -> (Lab, Daemon) {
    let (lab, daemon) = served(unused_seconds).await;
    let specs = json!({ "driver_handles_share_servers": "True", "memory:own_address": "True" });
    create_type(&daemon.operator(), "own", specs).await.expect("a type");
    (lab, daemon)
}

fn own(network: &str) -> Value {
    json!({ "share_proto": "NFS", "size": 1, "share_type": "own", "share_network_id": network })
}

/// What is not free, by address.
async fn taken(operator: &Client) -> Vec<(String, Value)> {
    let found = operator.get(ADDRESSES).await.expect("addresses");
    let all = found["addresses"].as_array().expect("a list").clone();
    all.into_iter().map(|one| (text(&one["address"]).expect("an address"), one)).collect()
}

async fn in_use(operator: &Client) -> Vec<String> {
    let all = taken(operator).await.into_iter();
    all.filter(|(_, one)| one["state"] != "resting").map(|(address, _)| address).collect()
}

#[tokio::test]
async fn a_share_is_at_the_address_that_its_driver_allocated_and_the_operator_sees_what_has_which() {
    let (_lab, daemon) = own_addresses(600).await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let network = network(&tenant).await;
    let share = create_share(&tenant, own(&network)).await.expect("a share");
    let at = location(&tenant, &share).await.expect("a location");
    assert!(at.starts_with("10.77.0.3:/share-"), "{at}");
    let found = operator.get(ADDRESSES).await.expect("addresses");
    let bound = json!([{ "label": "user", "cidr": "10.77.0.0/28", "size": "13", "free": "11" }]);
    assert_eq!((&found["networks"], &found["more"]), (&bound, &json!(false)), "{found}");
    let all = taken(&operator).await;
    let [(first, of_server), (second, of_share)] = all.as_slice() else { panic!("two addresses: {all:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("10.77.0.2", "10.77.0.3"));
    for one in [of_server, of_share] {
        assert_eq!((&one["state"], &one["backend"]), (&json!("in-use"), &json!("nas1")), "{one}");
        assert_eq!(one["server"], servers(&operator).await[0]["id"]);
    }
    assert_eq!(of_server["purpose"], Value::Null);
    assert!(at.ends_with(of_share["purpose"].as_str().expect("a purpose")), "{of_share}");
    delete_share(&tenant, &share).await.expect("gone");
    let after = taken(&operator).await;
    let (_, rests) = after.iter().find(|(address, _)| address == "10.77.0.3").expect("it is told still");
    assert_eq!((&rests["state"], &rests["server"]), (&json!("resting"), &Value::Null));
    assert!(rests["until"].is_string(), "{rests}");
}

#[tokio::test]
async fn a_daemon_that_is_killed_in_mid_call_leaves_no_address_that_nobody_gives_back() {
    let (lab, mut daemon) = own_addresses(600).await;
    let network = network(&daemon.tenant()).await;
    for (number, wait) in IN_MID_CALL.into_iter().enumerate() {
        let tenant = daemon.tenant();
        tenant.post("/v2/shares", &json!({ "share": own(&network) })).await.expect("taken");
        // Every other time one goes too.
        if number % 2 == 1 {
            let listed = tenant.get("/v2/shares?status=available").await.expect("shares");
            if let Some(share) = listed["shares"].as_array().expect("a list").first() {
                let path = share_path(&text(&share["id"]).expect("an id"));
                tenant.delete(&path).await.expect("taken");
            }
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        daemon.kill().expect("killed");
        daemon = Daemon::start(&lab).await.expect("started again");
        daemon.ready().await.expect("a ready backend");
    }
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    until("everything rests", SETTLE, async || {
        let listed = tenant.get("/v2/shares/detail").await?;
        Ok(listed["shares"].as_array().is_some_and(|all| all.iter().all(|one| one["status"] == "available")))
    })
    .await
    .expect("finished");
    let listed = tenant.get("/v2/shares").await.expect("shares");
    let shares = listed["shares"].as_array().expect("a list");
    assert_eq!(in_use(&operator).await.len(), shares.len() + 1, "one for each share, and the server's");
    for share in shares {
        delete_share(&tenant, &text(&share["id"]).expect("an id")).await.expect("gone");
    }
    assert_eq!(in_use(&operator).await.len(), 1, "the server's own");
    let server = text(&servers(&operator).await[0]["id"]).expect("an id");
    operator.delete(&format!("/v2/share-servers/{server}")).await.expect("taken");
    gone(&operator, &format!("/v2/share-servers/{server}")).await.expect("gone");
    assert_eq!(in_use(&operator).await, [""; 0]);
}

#[tokio::test]
async fn an_address_goes_back_by_hand_only_if_nobody_counts_on_it_or_the_operator_means_it() {
    let (_lab, daemon) = own_addresses(600).await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let network = network(&tenant).await;
    let share = create_share(&tenant, own(&network)).await.expect("a share");
    let path = |address: &str| format!("{ADDRESSES}/{address}");
    let (status, words) = refusal(&operator, "DELETE", &path("10.77.0.3"), None).await;
    assert!(status == 409 && words.contains("release-address nas1 10.77.0.3 --in-use"), "{status} {words}");
    for query in ["", "?in_use=true"] {
        let (status, words) = refusal(&operator, "DELETE", &(path("10.77.0.2") + query), None).await;
        assert!(status == 409 && words.contains("when that server is deleted"), "{status} {words}");
    }
    assert_eq!(refusal(&operator, "DELETE", &path("10.99.0.1"), None).await.0, 404);
    assert_eq!(refusal(&operator, "DELETE", &path("nonsense"), None).await.0, 404);
    assert_eq!(refusal(&operator, "GET", "/v1/backends/nas9/addresses", None).await.0, 404);
    assert_eq!(refusal(&tenant, "GET", ADDRESSES, None).await.0, 404, "not at the tenants' door");
    operator.delete(&(path("10.77.0.3") + "?in_use=true")).await.expect("given back");
    operator.delete(&path("10.77.0.3")).await.expect("again");
    assert_eq!(in_use(&operator).await, ["10.77.0.2"]);
    // The driver finds out and asks for another one; the old location is none that it could answer.
    operator.post("/v1/backends/nas1/ensure", &json!({})).await.expect("taken");
    until("the share is somewhere else", SETTLE, async || {
        Ok(location(&tenant, &share).await?.starts_with("10.77.0.4:/"))
    })
    .await
    .expect("moved");
}

#[tokio::test]
async fn the_address_of_a_server_that_nobody_manages_any_more_is_seen_and_given_back_by_command() {
    let (lab, daemon) = served(600).await;
    let operator = daemon.operator();
    let network = network(&daemon.tenant()).await;
    let asked = json!({ "share_server": {
        "host": "bulkhead@nas1", "share_network_id": network, "identifier": "svm-old", "driver_options": {},
    } });
    let made = operator.post("/v2/share-servers/manage", &asked).await.expect("taken");
    let path = format!("/v2/share-servers/{}", text(&made["share_server"]["id"]).expect("an id"));
    settle(&operator, &path, "share_server", &["active"]).await.expect("active");
    operator
        .post(&format!("{path}/action"), &json!({ "unmanage": { "force": false } }))
        .await
        .expect("taken");
    gone(&operator, &path).await.expect("let go");
    let shown = succeeded(&lab, &["backend", "addresses", "nas1"]);
    assert!(shown.contains("10.77.0.9") && shown.contains("unmanaged"), "{shown}");
    succeeded(&lab, &["backend", "release-address", "nas1", "10.77.0.9"]);
    let shown = succeeded(&lab, &["backend", "addresses", "nas1", "--json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["addresses"][0]["state"], "resting", "{shown}");
    let told = failed(&lab, &["backend", "release-address", "nas1", "10.99.0.1"]);
    assert!(told.contains("bulkhead backend addresses"), "{told}");
    let audit = succeeded(&lab, &["audit", "tail", "--most", "20"]);
    assert!(audit.contains("given back by hand: 10.77.0.9"), "{audit}");
}
