//! Share types and replicas through the doors, as far as a driver that does not replicate lets anybody come.

use crate::{directory_daemon, refusal};
use bulkhead_tests::verbs::{create_share, create_type, delete_share};
use serde_json::{Value, json};

#[tokio::test]
async fn operators_make_types_that_tenants_use_and_nobody_takes_away_from_them() {
    let (_lab, daemon) = directory_daemon().await;
    let (tenant, operator) = (daemon.tenant(), daemon.operator());
    let specs = json!({ "driver_handles_share_servers": "False", "snapshot_support": "True" });
    let asked = json!({ "share_type": { "name": "mine", "extra_specs": specs } });
    assert_eq!(refusal(&tenant, "POST", "/v2/types", Some(&asked)).await.0, 403);
    create_type(&operator, "gold", specs).await.expect("made");
    let types = tenant.get("/v2/types").await.expect("the types");
    let names: Vec<_> =
        types["share_types"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["default", "gold"]);
    let share = create_share(&tenant, json!({ "share_proto": "NFS", "size": 1, "share_type": "gold" }))
        .await
        .expect("a share");
    let found = tenant.get(&format!("/v2/shares/{share}")).await.expect("the share");
    assert_eq!(found["share"]["share_type_name"], "gold");
    assert_eq!(found["share"]["snapshot_support"], true);
    assert_eq!(found["share"]["revert_to_snapshot_support"], false);
    assert_eq!(found["share"]["has_replicas"], false);
    assert_eq!(refusal(&operator, "DELETE", "/v2/types/gold", None).await.0, 409);
    delete_share(&tenant, &share).await.expect("deleted");
    let more = json!({ "extra_specs": { "acme:tier": "1" } });
    operator.post("/v2/types/gold/extra_specs", &more).await.expect("set");
    let shown = tenant.get("/v2/types/gold/extra_specs/acme:tier").await.expect("the spec");
    assert_eq!(shown, json!({ "acme:tier": "1" }));
    operator.delete("/v2/types/gold/extra_specs/acme:tier").await.expect("taken away");
    operator.delete("/v2/types/gold").await.expect("removed");
    assert_eq!(refusal(&tenant, "GET", "/v2/types/gold", None).await.0, 404);
}

#[tokio::test]
async fn types_that_cannot_be_honoured_are_refused_with_the_reason() {
    let (_lab, daemon) = directory_daemon().await;
    let operator = daemon.operator();
    let with = |specs: Value| json!({ "share_type": { "name": "odd", "extra_specs": specs } });
    let bad = [
        json!({}),
        json!({ "driver_handles_share_servers": "perhaps" }),
        json!({ "driver_handles_share_servers": "False", "replication_type": "sync" }),
        json!({ "driver_handles_share_servers": "False", "availability_zones": "a" }),
        json!({ "driver_handles_share_servers": "False", "provisioning:max_share_size": "-1" }),
        json!({ "driver_handles_share_servers": "False", "acme:x": ["a"] }),
        json!({ "driver_handles_share_servers": "False", "acme:x": "a".repeat(10_000) }),
    ];
    for specs in bad {
        let (status, message) = refusal(&operator, "POST", "/v2/types", Some(&with(specs.clone()))).await;
        assert_eq!(status, 400, "{specs}: {message}");
    }
    let private = json!({ "share_type": {
        "name": "odd", "share_type_access:is_public": false,
        "extra_specs": { "driver_handles_share_servers": "False" },
    } });
    assert_eq!(refusal(&operator, "POST", "/v2/types", Some(&private)).await.0, 400);
    assert_eq!(refusal(&operator, "DELETE", "/v2/types/default", None).await.0, 409);
}

#[tokio::test]
async fn replicas_need_a_type_that_promises_them_and_a_client_that_knows_them() {
    let (_lab, daemon) = directory_daemon().await;
    let tenant = daemon.tenant();
    let share = create_share(&tenant, json!({ "share_proto": "NFS", "size": 1 })).await.expect("a share");
    let asked = json!({ "share_replica": { "share_id": share } });
    let (status, message) = refusal(&tenant, "POST", "/v2/share-replicas", Some(&asked)).await;
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("does not offer replicas"), "{message}");
    let listed = tenant.get("/v2/share-replicas/detail").await.expect("the replicas");
    assert_eq!(listed, json!({ "share_replicas": [] }));
    let version = "x-openstack-manila-api-version";
    for (minor, experimental, status) in
        [("2.10", "True", 404), ("2.30", "False", 404), ("2.30", "True", 200), ("2.56", "False", 200)]
    {
        let client = daemon
            .tenant()
            .header(version, minor)
            .header("x-openstack-manila-api-experimental", experimental);
        let answer = client.send("GET", "/v2/share-replicas", None).await.expect("an answer");
        assert_eq!(answer.status, status, "{minor} {experimental}");
    }
    create_type(
        &daemon.operator(),
        "replicated",
        json!({ "driver_handles_share_servers": "False", "replication_type": "dr" }),
    )
    .await
    .expect("made");
    let nowhere = json!({ "share": { "share_proto": "NFS", "size": 1, "share_type": "replicated" } });
    let (_, message) = refusal(&daemon.operator(), "POST", "/v2/shares", Some(&nowhere)).await;
    assert!(message.contains("does not offer replication of type dr"), "{message}");
    let nobody = "/v2/share-replicas/00000000-0000-4000-8000-000000000000";
    assert_eq!(refusal(&tenant, "GET", nobody, None).await.0, 404);
    assert_eq!(refusal(&tenant, "DELETE", nobody, None).await.0, 404);
}
