//! Snapshots: what they hold stays, for revert, for new shares, and for clients that mount them.

use crate::{mount, mounted_share};
use anyhow::ensure;
use bulkhead_tests::daemon::settle;
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::{Client, Failure, Place};
use bulkhead_tests::site::{Plan, Site, ports};
use bulkhead_tests::verbs::{
    act, allow, create_share, create_snapshot, create_type, delete_share, delete_snapshot, snapshot_path,
    text,
};
use serde_json::json;

/// Bytes that no two files share.
fn content(number: u8) -> Vec<u8> {
    (0..200_000_u32).map(|at| u8::try_from((at * 31 + u32::from(number)) % 251).unwrap_or_default()).collect()
}

#[test]
fn a_revert_brings_back_every_byte_and_takes_away_what_came_later() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        for number in 0..5 {
            client.write(&format!("file-{number}"), &content(number)).await?;
        }
        let snapshot = create_snapshot(&site.tenant(), &share).await?;
        client.write("file-0", &content(99)).await?;
        client.remove("file-1").await?;
        client.write("file-9", &content(9)).await?;
        let reverted = act(&site.tenant(), &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        ensure!(reverted["status"] == "available", "{reverted}");
        ensure!(client.read("file-0").await == Err(Failure::Stale), "an old handle must not show new bytes");
        client.remount().await?;
        ensure!(client.list().await? == ["file-0", "file-1", "file-2", "file-3", "file-4"]);
        for number in 0..5 {
            ensure!(
                client.read(&format!("file-{number}")).await? == content(number),
                "file-{number} differs"
            );
        }
        client.write("file-5", &content(5)).await?;
        Ok(())
    })
}

#[test]
fn a_share_from_a_snapshot_is_a_share_of_its_own() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let tenant = site.tenant();
        let (share, mut client) = mounted_share(&site).await?;
        client.write("file", &content(1)).await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        client.write("file", &content(2)).await?;
        let asked = json!({ "share_proto": "NFS", "size": 1, "snapshot_id": snapshot });
        let copy = create_share(&tenant, asked).await?;
        ensure!(site.mount(&copy, CLIENTS[0]).await?.is_err(), "the copy inherited its origin's rules");
        allow(&tenant, &copy, CLIENTS[1], "rw").await?;
        let mut second = mount(&site, &copy, CLIENTS[1]).await?;
        ensure!(second.read("file").await? == content(1));
        second.write("file", &content(3)).await?;
        ensure!(client.read("file").await? == content(2), "writing to the copy changed its origin");
        delete_snapshot(&tenant, &snapshot).await?;
        delete_share(&tenant, &share).await?;
        ensure!(second.read("file").await? == content(3), "the copy went with its origin");
        Ok(())
    })
}

#[test]
fn a_snapshot_that_may_be_mounted_can_be_read_and_never_written() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let tenant = site.tenant();
        create_type(
            &site.operator(),
            "mountable",
            json!({ "driver_handles_share_servers": "False", "snapshot_support": "True", "mount_snapshot_support": "True" }),
        )
        .await?;
        let share =
            create_share(&tenant, json!({ "share_proto": "NFS", "size": 1, "share_type": "mountable" }))
                .await?;
        allow(&tenant, &share, CLIENTS[0], "rw").await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        client.write("file", &content(1)).await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        client.write("file", &content(2)).await?;
        let path = snapshot_path(&snapshot);
        let found = tenant.get(&format!("{path}/export-locations")).await?;
        let location = text(&found["share_snapshot_export_locations"][0]["path"])?;
        let place = |source| Place::of(&location, ports(1), source);
        ensure!(Client::mount(place(CLIENTS[0])?).await.is_err(), "the share's rules are not the snapshot's");
        let rule = json!({ "allow_access": { "access_type": "ip", "access_to": CLIENTS[1] } });
        let made = tenant.post(&format!("{path}/action"), &rule).await?;
        let rule = text(&made["snapshot_access"]["id"])?;
        bulkhead_tests::verbs::until(
            "the snapshot's rule is active",
            bulkhead_tests::daemon::SETTLE,
            async || {
                let list = tenant.get(&format!("{path}/access-list")).await?;
                Ok(list["snapshot_access_list"][0]["state"] == "active")
            },
        )
        .await?;
        let mut reader = Client::mount(place(CLIENTS[1])?).await?;
        ensure!(reader.read("file").await? == content(1));
        ensure!(reader.write("file", b"no").await == Err(Failure::ReadOnly));
        ensure!(reader.remove("file").await == Err(Failure::ReadOnly));
        let asked = json!({ "deny_access": { "access_id": rule } });
        tenant.post(&format!("{path}/action"), &asked).await?;
        bulkhead_tests::verbs::until(
            "the snapshot's rule is gone",
            bulkhead_tests::daemon::SETTLE,
            async || {
                let list = tenant.get(&format!("{path}/access-list")).await?;
                Ok(list["snapshot_access_list"].as_array().is_none_or(Vec::is_empty))
            },
        )
        .await?;
        ensure!(reader.read("file").await == Err(Failure::AccessDenied));
        delete_snapshot(&tenant, &snapshot).await?;
        settle(&tenant, &bulkhead_tests::verbs::share_path(&share), "share", &["available"]).await?;
        Ok(())
    })
}

#[test]
fn a_mounted_snapshot_is_served_again_after_its_server_lost_its_whole_namespace() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let tenant = site.tenant();
        let specs = json!({ "driver_handles_share_servers": "False", "snapshot_support": "True", "mount_snapshot_support": "True" });
        create_type(&site.operator(), "mountable", specs).await?;
        let asked = json!({ "share_proto": "NFS", "size": 1, "share_type": "mountable" });
        let share = create_share(&tenant, asked).await?;
        allow(&tenant, &share, CLIENTS[0], "rw").await?;
        mount(&site, &share, CLIENTS[0]).await?.write("file", &content(1)).await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        let path = snapshot_path(&snapshot);
        let rule = json!({ "allow_access": { "access_type": "ip", "access_to": CLIENTS[1] } });
        tenant.post(&format!("{path}/action"), &rule).await?;
        let found = tenant.get(&format!("{path}/export-locations")).await?;
        let location = text(&found["share_snapshot_export_locations"][0]["path"])?;
        let is_served = async || {
            let place = Place::of(&location, ports(1), CLIENTS[1])?;
            let Ok(mut reader) = Client::mount(place).await else { return Ok(false) };
            Ok(reader.read("file").await.is_ok_and(|read| read == content(1)))
        };
        let limit = bulkhead_tests::daemon::SETTLE;
        bulkhead_tests::verbs::until("the snapshot is served", limit, is_served).await?;
        bulkhead_tests::ganesha::kill(bulkhead_tests::ganesha::keeper_of(site.ganesha()?)?)?;
        site.operator().post("/v1/backends/nas1/ensure", &json!({})).await?;
        bulkhead_tests::verbs::until("the snapshot is served again", limit, is_served).await?;
        delete_snapshot(&tenant, &snapshot).await?;
        delete_share(&tenant, &share).await
    })
}
