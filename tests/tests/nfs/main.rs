//! Real shares: btrfs pools, NFS-Ganesha, and clients with addresses of their own, each test on a machine of its own.

#![expect(clippy::indexing_slicing, reason = "test code: what is not there fails the test")]

mod access;
mod adopted;
mod by_hand;
mod conformance;
mod cut_off;
mod far;
mod faults;
mod groups;
mod injection;
mod managing;
mod many;
mod replication;
mod share_servers;
mod size;
mod snapshots;
mod story;
mod swap;
mod ten_servers;

use anyhow::Context;
use bulkhead_tests::http;
use bulkhead_tests::machine::CLIENTS;
use bulkhead_tests::nfs::Client;
use bulkhead_tests::site::Site;
use bulkhead_tests::verbs::{allow, create_share};
use serde_json::json;

/// A share of 1 GiB that the first client may write to, mounted by it.
async fn mounted_share(site: &Site) -> anyhow::Result<(String, Client)> {
    let share = small_share(&site.tenant()).await?;
    allow(&site.tenant(), &share, CLIENTS[0], "rw").await?;
    let client = mount(site, &share, CLIENTS[0]).await?;
    Ok((share, client))
}

async fn small_share(tenant: &http::Client) -> anyhow::Result<String> {
    create_share(tenant, json!({ "share_proto": "NFS", "size": 1 })).await
}

async fn mount(site: &Site, share: &str, source: &str) -> anyhow::Result<Client> {
    site.mount(share, source).await?.with_context(|| format!("{source} cannot mount {share}"))
}
