//! What operators and tenants do with replicas, each waited for until it has come to rest.

use crate::daemon::{SETTLE, settle};
use crate::http::Client;
use crate::verbs::{delete, text, until};
use serde_json::{Value, json};

fn path(replica: &str) -> String {
    format!("/v2/share-replicas/{replica}")
}

/// Make a replica of a share and wait until it is in step; its id.
pub async fn create(client: &Client, share: &str) -> anyhow::Result<String> {
    let asked = json!({ "share_replica": { "share_id": share } });
    let made = client.post("/v2/share-replicas", &asked).await?;
    let id = text(&made["share_replica"]["id"])?;
    settle(client, &path(&id), "share_replica", &["available"]).await?;
    in_step(client, &id).await?;
    Ok(id)
}

/// Wait until a replica is in step.
pub async fn in_step(client: &Client, replica: &str) -> anyhow::Result<()> {
    until(&format!("{replica} is in step"), SETTLE, async || {
        Ok(client.get(&path(replica)).await?["share_replica"]["replica_state"] == "in_sync")
    })
    .await
}

/// Bring a replica up to date now, and wait until it is.
pub async fn update(operator: &Client, replica: &str) -> anyhow::Result<()> {
    operator.post(&format!("{}/action", path(replica)), &json!({ "resync": null })).await?;
    settle(operator, &path(replica), "share_replica", &["available"]).await?;
    in_step(operator, replica).await
}

/// Make a replica the active one.
pub async fn promote(client: &Client, replica: &str) -> anyhow::Result<()> {
    client.post(&format!("{}/action", path(replica)), &json!({ "promote": null })).await?;
    settle(client, &path(replica), "share_replica", &["available"]).await?;
    until(&format!("{replica} is the active one"), SETTLE, async || {
        Ok(client.get(&path(replica)).await?["share_replica"]["replica_state"] == "active")
    })
    .await
}

/// The replicas of a share.
pub async fn of(client: &Client, share: &str) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(&format!("/v2/share-replicas/detail?share_id={share}")).await?;
    Ok(answer["share_replicas"].as_array().cloned().unwrap_or_default())
}

/// The id of the active replica of a share.
pub async fn active(client: &Client, share: &str) -> anyhow::Result<String> {
    let replicas = of(client, share).await?;
    let active = replicas.iter().find(|replica| replica["replica_state"] == "active");
    text(&active.cloned().unwrap_or_default()["id"])
}

/// Remove a replica.
pub async fn remove(client: &Client, replica: &str) -> anyhow::Result<()> {
    delete(client, &path(replica)).await
}
