//! Share groups on a driver without an interface for them: snapshots of all shares, and a group made from one.

use crate::mount;
use anyhow::ensure;
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{
    allow, create_group, create_group_snapshot, create_share, delete, delete_share_of_group, group_path,
    group_snapshot_path, shares_of_group,
};
use serde_json::json;

#[test]
fn a_group_made_from_a_group_snapshot_holds_what_each_share_held_then() -> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Site::start(&folder, Plan::ONE).await?;
        let tenant = site.tenant();
        let group = create_group(&tenant, json!({ "name": "papers" })).await?;
        let mut clients = Vec::new();
        for content in ["one", "two"] {
            let asked = json!({ "share_proto": "NFS", "size": 1, "share_group_id": group });
            let share = create_share(&tenant, asked).await?;
            allow(&tenant, &share, CLIENTS[0], "rw").await?;
            let mut client = mount(&site, &share, CLIENTS[0]).await?;
            client.write("file", content.as_bytes()).await?;
            clients.push(client);
        }
        let snapshot = create_group_snapshot(&tenant, &group).await?;
        for client in &mut clients {
            client.write("file", b"changed since").await?;
        }
        site.restart_daemon().await?;
        let tenant = site.tenant();
        let source = json!({ "source_share_group_snapshot_id": snapshot });
        let other = create_group(&tenant, source).await?;
        let made = shares_of_group(&tenant, &other).await?;
        ensure!(made.len() == 2, "{made:?}");
        let mut contents = Vec::new();
        for share in &made {
            ensure!(site.mount(share, CLIENTS[0]).await?.is_err(), "it inherited its origin's rules");
            allow(&tenant, share, CLIENTS[1], "rw").await?;
            let mut client = mount(&site, share, CLIENTS[1]).await?;
            contents.push(String::from_utf8(client.read("file").await?)?);
            client.write("file", b"its own").await?;
        }
        contents.sort();
        ensure!(contents == ["one", "two"], "{contents:?}");
        for client in &mut clients {
            ensure!(client.read("file").await? == b"changed since");
        }
        delete(&tenant, &group_snapshot_path(&snapshot)).await?;
        for group in [&group, &other] {
            for share in shares_of_group(&tenant, group).await? {
                delete_share_of_group(&tenant, &share, group).await?;
            }
            delete(&tenant, &group_path(group)).await?;
        }
        site.end().await
    })
}
