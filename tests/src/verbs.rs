//! What tenants and operators do, each waited for until it has come to rest.

use crate::daemon::{gone, settle};
use crate::http::Client;
use anyhow::Context;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Make a share and wait until it is available; its id.
pub async fn create_share(client: &Client, share: Value) -> anyhow::Result<String> {
    let id = text(&client.post("/v2/shares", &json!({ "share": share })).await?["share"]["id"])?;
    settle(client, &share_path(&id), "share", &["available"]).await?;
    Ok(id)
}

/// Make a snapshot and wait until it is available; its id.
pub async fn create_snapshot(client: &Client, share: &str) -> anyhow::Result<String> {
    let asked = json!({ "snapshot": { "share_id": share } });
    let id = text(&client.post("/v2/snapshots", &asked).await?["snapshot"]["id"])?;
    settle(client, &snapshot_path(&id), "snapshot", &["available"]).await?;
    Ok(id)
}

/// Make a share group and wait until it is available; its id.
pub async fn create_group(client: &Client, group: Value) -> anyhow::Result<String> {
    let made = client.post("/v2/share-groups", &json!({ "share_group": group })).await?;
    let id = text(&made["share_group"]["id"])?;
    settle(client, &group_path(&id), "share_group", &["available"]).await?;
    Ok(id)
}

/// Take a snapshot of a share group and wait until it is available; its id.
pub async fn create_group_snapshot(client: &Client, group: &str) -> anyhow::Result<String> {
    let asked = json!({ "share_group_snapshot": { "share_group_id": group } });
    let id = text(&client.post("/v2/share-group-snapshots", &asked).await?["share_group_snapshot"]["id"])?;
    settle(client, &group_snapshot_path(&id), "share_group_snapshot", &["available"]).await?;
    Ok(id)
}

/// The ids of a group's shares, oldest first.
pub async fn shares_of_group(client: &Client, group: &str) -> anyhow::Result<Vec<String>> {
    let listed = client.get(&format!("/v2/shares?share_group_id={group}")).await?;
    let shares = listed["shares"].as_array().cloned().unwrap_or_default();
    shares.iter().rev().map(|share| text(&share["id"])).collect()
}

/// Remove a share of a group.
pub async fn delete_share_of_group(client: &Client, share: &str, group: &str) -> anyhow::Result<()> {
    client.delete(&format!("{}?share_group_id={group}", share_path(share))).await?;
    gone(client, &share_path(share)).await
}

/// Do something to a share and wait until it is available again; what it is then.
pub async fn act(client: &Client, share: &str, action: Value) -> anyhow::Result<Value> {
    client.post(&format!("{}/action", share_path(share)), &action).await?;
    settle(client, &share_path(share), "share", &["available"]).await
}

/// Let an address or network in; the rule's id, once it is in force.
pub async fn allow(client: &Client, share: &str, to: &str, level: &str) -> anyhow::Result<String> {
    let rule = json!({ "allow_access": { "access_type": "ip", "access_to": to, "access_level": level } });
    let made = client.post(&format!("{}/action", share_path(share)), &rule).await?;
    let id = text(&made["access"]["id"])?;
    settle(client, &format!("/v2/share-access-rules/{id}"), "access", &["active"]).await?;
    Ok(id)
}

/// Take a rule away and wait until it is out of force.
pub async fn deny(client: &Client, share: &str, rule: &str) -> anyhow::Result<()> {
    let asked = json!({ "deny_access": { "access_id": rule } });
    client.post(&format!("{}/action", share_path(share)), &asked).await?;
    gone(client, &format!("/v2/share-access-rules/{rule}")).await
}

/// Remove what stands at `path` and wait until it is gone.
pub async fn delete(client: &Client, path: &str) -> anyhow::Result<()> {
    client.delete(path).await?;
    gone(client, path).await
}

/// Remove a share.
pub async fn delete_share(client: &Client, share: &str) -> anyhow::Result<()> {
    delete(client, &share_path(share)).await
}

/// Remove a snapshot.
pub async fn delete_snapshot(client: &Client, snapshot: &str) -> anyhow::Result<()> {
    delete(client, &snapshot_path(snapshot)).await
}

/// The path of a share's resource.
#[must_use]
pub fn share_path(share: &str) -> String {
    format!("/v2/shares/{share}")
}

/// The path of a snapshot's resource.
#[must_use]
pub fn snapshot_path(snapshot: &str) -> String {
    format!("/v2/snapshots/{snapshot}")
}

/// The path of a share group's resource.
#[must_use]
pub fn group_path(group: &str) -> String {
    format!("/v2/share-groups/{group}")
}

/// The path of a group snapshot's resource.
#[must_use]
pub fn group_snapshot_path(snapshot: &str) -> String {
    format!("/v2/share-group-snapshots/{snapshot}")
}

/// Where clients find a share: all of it.
pub async fn locations(client: &Client, share: &str) -> anyhow::Result<Vec<String>> {
    let answer = client.get(&format!("{}/export_locations", share_path(share))).await?;
    let found = answer["export_locations"].as_array().cloned().unwrap_or_default();
    found.iter().map(|location| text(&location["path"])).collect()
}

/// Where clients find a share: the first.
pub async fn location(client: &Client, share: &str) -> anyhow::Result<String> {
    locations(client, share).await?.into_iter().next().context("the share has no export location")
}

/// Make a share type with these extra specs; its name is `name`.
pub async fn create_type(operator: &Client, name: &str, extra_specs: Value) -> anyhow::Result<()> {
    let asked = json!({ "share_type": { "name": name, "extra_specs": extra_specs, "share_type_access:is_public": true } });
    operator.post("/v2/types", &asked).await.map(drop)
}

/// The failure of the newest operation, as an operator sees it.
pub async fn newest_failure(operator: &Client) -> anyhow::Result<Value> {
    let operations = operator.get("/v1/operations").await?;
    Ok(operations["operations"][0]["failure"].clone())
}

/// A text that must be there.
pub fn text(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("text was expected, not {value}"))
}

/// Look again and again until something holds; fail with `what` if it does not come to hold.
pub async fn until<F>(what: &str, limit: Duration, mut holds: F) -> anyhow::Result<()>
where
    F: AsyncFnMut() -> anyhow::Result<bool>,
{
    let began = Instant::now();
    while !holds().await? {
        anyhow::ensure!(began.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
