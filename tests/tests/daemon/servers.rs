//! Share servers through the doors of a real daemon, on the array that has no disks: each tenant gets a server of its own, and nothing of it
//! is left afterwards.

use crate::networks::bulkhead;
use crate::refusal;
use bulkhead_tests::daemon::{Daemon, SETTLE, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{
    create_share, create_type, delete_share, location, newest_failure, share_path, text, until,
};
use serde_json::{Value, json};

const OPTIONS: &str = "driver_handles_share_servers = true\nexisting_servers = { svm-old = \"10.77.0.9\" }\n";
const NETWORKS: &str = "\n[[grant.networks.user]]\ngateway = \"10.77.0.1\"\nmask = 28\n";

/// A daemon whose backend makes share servers in 10.77.0.0/28, and tears unused ones down after so many seconds.
pub(crate) async fn served(unused_seconds: u32) -> (Lab, Daemon) {
    let lab = Lab::new().expect("a lab");
    let lab = lab.with_main(&format!("[intervals]\nunused-share-server-seconds = {unused_seconds}\n"));
    let driver = programs::guest("memory").expect("the driver");
    let text = lab.backend_text("nas1", &driver, OPTIONS, &[]).expect("a backend");
    std::fs::write(lab.backend_file("nas1"), text + NETWORKS).expect("written");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("a ready backend");
    let specs = json!({ "driver_handles_share_servers": "True", "snapshot_support": "True" });
    create_type(&daemon.operator(), "served", specs).await.expect("a type");
    (lab, daemon)
}

pub(crate) async fn network(client: &Client) -> String {
    let made = client.post("/v2/share-networks", &json!({ "share_network": {} })).await.expect("made");
    text(&made["share_network"]["id"]).expect("an id")
}

fn on(network: &str) -> Value {
    json!({ "share_proto": "NFS", "size": 1, "share_type": "served", "share_network_id": network })
}

pub(crate) async fn servers(operator: &Client) -> Vec<Value> {
    let listed = operator.get("/v2/share-servers").await.expect("a list");
    listed["share_servers"].as_array().expect("servers").clone()
}

#[tokio::test]
async fn each_tenant_has_a_server_of_its_own_that_goes_with_its_last_share() {
    let (_lab, daemon) = served(0).await;
    let (blue, red, operator) =
        (daemon.tenant(), daemon.tenant().header("x-bulkhead-project", "red"), daemon.operator());
    let (of_blue, of_red) = (network(&blue).await, network(&red).await);
    let shares = [
        create_share(&blue, on(&of_blue)).await.expect("a share"),
        create_share(&blue, on(&of_blue)).await.expect("a share"),
    ];
    let foreign = create_share(&red, on(&of_red)).await.expect("a share");
    for share in &shares {
        let at = location(&blue, share).await.expect("a location");
        assert!(at.starts_with("10.77.0.2:"), "{at}");
    }
    let at = location(&red, &foreign).await.expect("a location");
    assert!(at.starts_with("10.77.0.3:"), "{at}");
    let seen = blue.get(&share_path(&shares[0])).await.expect("shown");
    assert_eq!(seen["share"]["share_network_id"], json!(of_blue));
    assert!(seen["share"].get("share_server_id").is_none(), "{seen}");
    let all = servers(&operator).await;
    assert_eq!(all.len(), 2, "{all:?}");
    let of_network =
        operator.get(&format!("/v2/share-servers?share_network_id={of_red}")).await.expect("a list");
    let [server] = of_network["share_servers"].as_array().expect("servers").as_slice() else {
        panic!("one server: {of_network}");
    };
    let id = text(&server["id"]).expect("an id");
    for (query, count) in [(format!("share_network={of_red}"), 1), ("share_network=elsewhere".to_owned(), 0)]
    {
        let listed = operator.get(&format!("/v2/share-servers?{query}")).await.expect("a list");
        assert_eq!(listed["share_servers"].as_array().map(Vec::len), Some(count), "{query}: {listed}");
    }
    let details = operator.get(&format!("/v2/share-servers/{id}/details")).await.expect("shown");
    assert!(details["details"].is_object(), "{details}");
    assert_eq!(refusal(&red, "GET", &format!("/v2/share-servers/{id}"), None).await.0, 403);
    assert_eq!(refusal(&operator, "DELETE", &format!("/v2/share-servers/{id}"), None).await.0, 409);
    let in_use = refusal(&red, "DELETE", &format!("/v2/share-networks/{of_red}"), None).await;
    assert_eq!(in_use.0, 409, "{in_use:?}");
    delete_share(&red, &foreign).await.expect("gone");
    gone(&operator, &format!("/v2/share-servers/{id}")).await.expect("the server is gone");
    red.delete(&format!("/v2/share-networks/{of_red}")).await.expect("removed");
    for share in &shares {
        delete_share(&blue, share).await.expect("gone");
    }
    until("all servers are gone", SETTLE, async || Ok(servers(&operator).await.is_empty()))
        .await
        .expect("gone");
    let pools = operator.get("/v2/scheduler-stats/pools/detail").await.expect("pools");
    assert_eq!(pools["pools"][0]["capabilities"]["driver_handles_share_servers"], json!(true));
}

#[tokio::test]
async fn a_share_in_a_full_network_tells_its_tenant_why_and_nothing_of_servers() {
    let (_lab, daemon) = served(600).await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    // Of 16 addresses three are none to give out.
    for _ in 0..13 {
        let network = network(&tenant).await;
        create_share(&tenant, on(&network)).await.expect("a share");
    }
    let network = network(&tenant).await;
    let made = tenant.post("/v2/shares", &json!({ "share": on(&network) })).await.expect("taken");
    let share = text(&made["share"]["id"]).expect("an id");
    settle(&tenant, &share_path(&share), "share", &["error"]).await.expect("in error");
    let messages = tenant.get("/v2/messages").await.expect("messages");
    let told = messages["messages"].as_array().expect("messages");
    assert_eq!(told.len(), 1, "{messages}");
    assert_eq!((&told[0]["detail_id"], &told[0]["resource_id"]), (&json!("033"), &json!(share)));
    let failure = newest_failure(&operator).await.expect("a failure");
    assert_eq!(failure["code"], "no-address-left", "{failure}");
}

/// Ask until it is known whether servers could follow.
async fn could(client: &Client, action: &str, check: &Value) -> bool {
    let answer = async || client.post(action, check).await.expect("asked")["compatible"].as_bool();
    until("the check is answered", SETTLE, async || Ok(answer().await.is_some())).await.expect("answered");
    answer().await.expect("known")
}

/// The network, once nothing on it changes any more.
async fn active(client: &Client, at: &str) -> Value {
    let network = async || client.get(at).await.expect("shown")["share_network"].clone();
    until("the network is active", SETTLE, async || Ok(network().await["status"] == "active"))
        .await
        .expect("active");
    network().await
}

#[tokio::test]
async fn a_network_in_use_gets_a_security_service_and_a_subnet_which_its_server_follows() {
    let (lab, mut daemon) = served(600).await;
    let tenant = daemon.tenant();
    let network = network(&tenant).await;
    let share = create_share(&tenant, on(&network)).await.expect("a share");
    let (at, action) =
        (format!("/v2/share-networks/{network}"), format!("/v2/share-networks/{network}/action"));
    let service = json!({ "security_service": { "type": "ldap", "domain": "example.org" } });
    let service = tenant.post("/v2/security-services", &service).await.expect("made");
    let service = text(&service["security_service"]["id"]).expect("an id");
    let add = json!({ "add_security_service": { "security_service_id": service } });
    let unasked = refusal(&tenant, "POST", &action, Some(&add)).await;
    assert!(unasked.0 == 409 && unasked.1.contains("_check"), "{unasked:?}");
    let old = daemon.tenant().header("x-openstack-manila-api-version", "2.62");
    assert_eq!(refusal(&old, "POST", &action, Some(&add)).await.0, 409, "it is in use");
    let check = json!({ "add_security_service_check": { "security_service_id": service } });
    let first = tenant.post(&action, &check).await.expect("asked");
    assert!(first.get("compatible").is_some() && first.get("hosts_check_result").is_none(), "{first}");
    assert_eq!(first["requested_operation"]["new_security_service"], json!(service));
    assert_eq!(refusal(&old, "POST", &action, Some(&check)).await.0, 400, "not in 2.62");
    assert!(could(&tenant, &action, &check).await);
    let seen = daemon.operator().post(&action, &check).await.expect("asked");
    assert_eq!(seen["hosts_check_result"], json!({ "bulkhead@nas1": true }), "{seen}");
    tenant.post(&action, &add).await.expect("taken");
    active(&tenant, &at).await;
    let check = json!({ "share_network_subnet_create_check": {} });
    assert!(could(&tenant, &action, &check).await);
    // The command asks by itself.
    let create = ["share-network", "subnet", "create", &network];
    assert!(bulkhead(&lab, &[&create[..], &["--check-only"]].concat(), "").contains("true"));
    bulkhead(&lab, &create, "");
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("started again");
    daemon.ready().await.expect("a ready backend");
    let tenant = daemon.tenant();
    let shown = active(&tenant, &at).await;
    assert_eq!(shown["share_network_subnets"].as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(shown["network_allocation_update_support"], json!(true));
    let found = tenant.get(&format!("{}/export_locations", share_path(&share))).await.expect("locations");
    let paths: Vec<_> =
        found["export_locations"].as_array().expect("a list").iter().map(|one| text(&one["path"])).collect();
    assert_eq!(paths.len(), 2, "one in each subnet: {found}");
    let all = servers(&daemon.operator()).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["share_network_subnet_ids"].as_array().map(Vec::len), Some(2), "{all:?}");
}

#[tokio::test]
async fn an_operator_takes_a_server_over_lets_it_go_and_survives_a_kill_in_between() {
    let (lab, mut daemon) = served(0).await;
    let network = network(&daemon.tenant()).await;
    let asked = json!({ "share_server": {
        "host": "bulkhead@nas1", "share_network_id": network, "identifier": "svm-old", "driver_options": {},
    } });
    let made = daemon.operator().post("/v2/share-servers/manage", &asked).await.expect("taken");
    let id = text(&made["share_server"]["id"]).expect("an id");
    daemon.kill().expect("killed");
    let daemon = Daemon::start(&lab).await.expect("started again");
    daemon.ready().await.expect("a ready backend");
    let operator = daemon.operator();
    let path = format!("/v2/share-servers/{id}");
    let found = settle(&operator, &path, "share_server", &["active"]).await.expect("active");
    assert_eq!((&found["identifier"], &found["is_auto_deletable"]), (&json!("svm-old"), &json!(false)));
    let share = create_share(&daemon.tenant(), on(&network)).await.expect("a share");
    assert!(location(&daemon.tenant(), &share).await.expect("a location").starts_with("10.77.0.9:"));
    let action = format!("{path}/action");
    let unmanage = json!({ "unmanage": { "force": false } });
    assert_eq!(refusal(&operator, "POST", &action, Some(&unmanage)).await.0, 409);
    delete_share(&daemon.tenant(), &share).await.expect("gone");
    operator.post(&action, &unmanage).await.expect("taken");
    gone(&operator, &path).await.expect("let go");
    let old = daemon.operator().header("x-openstack-manila-api-version", "2.48");
    assert_eq!(refusal(&old, "POST", "/v2/share-servers/manage", Some(&asked)).await.0, 404);
    assert_eq!(refusal(&daemon.tenant(), "POST", "/v2/share-servers/manage", Some(&asked)).await.0, 403);
    assert_eq!(refusal(&daemon.tenant(), "GET", "/v2/share-servers", None).await.0, 403);
}
