//! Pools that are full, cannot be written or are gone, and hands that reach past the daemon: clear words, nothing lost, and a way back.

use crate::{mount, mounted_share, small_share};
use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{SETTLE, settle};
use bulkhead_tests::ganesha::{export_files, export_id, export_manager};
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::{Client, Failure};
use bulkhead_tests::site::{Plan, Site, name};
use bulkhead_tests::verbs::{
    act, allow, create_snapshot, delete_share, delete_snapshot, newest_failure, share_path, text, until,
};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Bring a backend in line now, with all rules that it sends again.
async fn ensure_backend(site: &Site) -> anyhow::Result<()> {
    let operator = site.operator();
    let asked = operator.post("/v1/backends/nas1/ensure", &json!({})).await?;
    let path = format!("/v1/backends/nas1/ensurings/{}", text(&asked["ensuring"]["request"])?);
    until("the backend is in line", SETTLE, async || {
        Ok(!operator.get(&path).await?["ensuring"]["ended_at"].is_null())
    })
    .await?;
    until("no rules are on their way", SETTLE, async || {
        let listed = operator.get("/v2/shares/detail?all_tenants=1").await?;
        let shares = listed["shares"].as_array().context("a list of shares")?;
        Ok(shares.iter().all(|share| share["access_rules_status"] != "syncing"))
    })
    .await
}

/// The subvolume of the only share.
fn only_subvolume(site: &Site) -> anyhow::Result<PathBuf> {
    let entries = site.pool()?.directory("shares").read_dir()?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    ensure!(paths.len() == 1, "{paths:?}");
    paths.pop().context("a share has a subvolume")
}

/// Ask for a share that cannot be made, and wait until that is clear; its path.
async fn failing_share(site: &Site) -> anyhow::Result<String> {
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let made = site.tenant().post("/v2/shares", &asked).await?;
    let path = share_path(&text(&made["share"]["id"])?);
    settle(&site.tenant(), &path, "share", &["error"]).await?;
    Ok(path)
}

#[test]
fn a_full_pool_fails_writers_alone_and_shares_can_still_be_removed() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan { pool_gib: 2, ..Plan::ONE }).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.write("letter", b"dear all").await?;
        let snapshot = create_snapshot(&site.tenant(), &share).await?;
        let hog = site.pool()?.path().join("somebody-elses");
        let mut file = std::fs::File::create(&hog)?;
        let block = vec![0xa5; 1 << 20];
        while file.write_all(&block).and_then(|()| file.sync_data()).is_ok() {}
        let (written, stopped) = client.fill("large", 1 << 30).await?;
        ensure!(stopped == Some(Failure::NoSpace), "{written} bytes, then {stopped:?}");
        ensure!(client.read("letter").await? == b"dear all");
        let other = site
            .tenant()
            .send("POST", "/v2/shares", Some(&json!({ "share": { "share_proto": "NFS", "size": 1 } })))
            .await?;
        ensure!(other.status == 503 || other.status < 300, "{} {}", other.status, other.body);
        delete_snapshot(&site.tenant(), &snapshot).await?;
        delete_share(&site.tenant(), &share).await?;
        drop(file);
        std::fs::remove_file(hog)?;
        Ok(())
    })
}

#[test]
fn a_pool_that_cannot_be_written_fails_the_share_and_recovers_with_it() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (_, mut client) = mounted_share(&site).await?;
        // Not by the client: what the server has open for writing would keep the pool writable.
        std::fs::write(only_subvolume(&site)?.join("letter"), "dear all")?;
        site.pool()?.make_read_only()?;
        let path = failing_share(&site).await?;
        let failure = newest_failure(&site.operator()).await?;
        ensure!(failure["blame"] == "backend", "{failure}");
        ensure!(client.read("letter").await? == b"dear all");
        ensure!(client.write("letter", b"no").await.is_err());
        site.pool()?.make_writable()?;
        bulkhead_tests::verbs::delete(&site.tenant(), &path).await?;
        client.write("letter", b"dear all again").await?;
        delete_share(&site.tenant(), &small_share(&site.tenant()).await?).await
    })
}

#[test]
fn a_pool_that_is_unmounted_under_us_is_noticed_and_nothing_is_written_beside_it() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.write("letter", b"dear all").await?;
        site.pool()?.unmount()?;
        let path = failing_share(&site).await?;
        let beside: Vec<_> = site.pool()?.path().read_dir()?.flatten().map(|entry| entry.path()).collect();
        ensure!(beside.is_empty(), "written where the pool should be: {beside:?}");
        site.pool()?.mount()?;
        ensure_backend(&site).await?;
        bulkhead_tests::verbs::delete(&site.tenant(), &path).await?;
        let other = small_share(&site.tenant()).await?;
        delete_share(&site.tenant(), &other).await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("letter").await? == b"dear all");
        Ok(())
    })
}

#[test]
fn an_export_that_was_removed_or_a_file_that_was_edited_by_hand_is_brought_back_in_line() -> anyhow::Result<()>
{
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.write("letter", b"dear all").await?;
        let configuration = site.lab.root(&name(1), "config");
        let (file, text) = export_files(&configuration)?.pop().context("a share has an export file")?;
        let id = export_id(&text)?;
        // Taken out of the running server.
        export_manager(site.ganesha()?, "RemoveExport", &[format!("uint16:{id}")])?;
        ensure!(client.read("letter").await == Err(Failure::Stale));
        ensure_backend(&site).await?;
        until("the export is back", SETTLE, async || Ok(mount(&site, &share, CLIENTS[0]).await.is_ok()))
            .await?;
        // Opened to everybody, in the file and in the server.
        let opened = text.replace(CLIENTS[0], "*");
        ensure!(opened != text, "{text}");
        std::fs::write(&file, &opened)?;
        let update = [format!("string:{}", file.display()), format!("string:EXPORT(Export_Id={id})")];
        export_manager(site.ganesha()?, "UpdateExport", &update)?;
        ensure!(site.mount(&share, CLIENTS[2]).await?.is_ok(), "the hand reached nothing");
        ensure_backend(&site).await?;
        until("strangers are kept out again", SETTLE, async || {
            Ok(site.mount(&share, CLIENTS[2]).await?.is_err())
        })
        .await?;
        ensure!(std::fs::read_to_string(&file)? == text, "the file is still as the hand left it");
        // Rubbish, before a restart of the server.
        std::fs::write(&file, "EXPORT { this is no export")?;
        ensure_backend(&site).await?;
        until("the file is whole", SETTLE, async || Ok(std::fs::read_to_string(&file)? == text)).await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("letter").await? == b"dear all");
        Ok(())
    })
}

#[test]
fn a_subvolume_that_was_deleted_by_hand_is_noticed_and_its_share_can_be_removed() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, _client) = mounted_share(&site).await?;
        let subvolume = only_subvolume(&site)?;
        let (kept, mut other) = mounted_share(&site).await?;
        other.write("letter", b"dear all").await?;
        site.pool()?.btrfs(&["subvolume", "delete"], &subvolume)?;
        ensure_backend(&site).await?;
        until("the loss shows", SETTLE, async || {
            let found = site.operator().get(&share_path(&share)).await?;
            Ok(found["share"]["status"] == "error")
        })
        .await?;
        ensure!(other.read("letter").await? == b"dear all", "another share was harmed");
        delete_share(&site.tenant(), &share).await?;
        delete_share(&site.tenant(), &kept).await
    })
}

#[test]
fn subvolumes_inside_a_share_do_not_hold_up_snapshots_reverts_or_its_removal() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.write("letter", b"dear all").await?;
        client.make_directory("below").await?;
        let nested = only_subvolume(&site)?.join("below/nested");
        site.pool()?.btrfs(&["subvolume", "create"], &nested)?;
        std::fs::write(nested.join("inner"), "inner")?;
        let snapshot = create_snapshot(&site.tenant(), &share).await?;
        act(&site.tenant(), &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("letter").await? == b"dear all");
        let nested = only_subvolume(&site)?.join("below/another");
        site.pool()?.btrfs(&["subvolume", "create"], &nested)?;
        delete_snapshot(&site.tenant(), &snapshot).await?;
        delete_share(&site.tenant(), &share).await?;
        let left = site.pool()?.subvolumes()?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

#[test]
fn a_share_that_is_full_to_its_last_name_can_still_be_managed() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.fill("large", 2 << 30).await?;
        fill_names(&mut client).await?;
        let tenant = site.tenant();
        allow(&tenant, &share, CLIENTS[1], "ro").await?;
        mount(&site, &share, CLIENTS[1]).await?.list().await?;
        let snapshot = create_snapshot(&tenant, &share).await?;
        act(&tenant, &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        delete_snapshot(&tenant, &snapshot).await?;
        delete_share(&tenant, &share).await
    })
}

/// Make names until metadata are refused too.
async fn fill_names(client: &mut Client) -> anyhow::Result<()> {
    for number in 0..20_000 {
        match client.write(&format!("a-name-that-takes-some-room-{number}"), b"").await {
            Ok(()) => {}
            Err(Failure::QuotaExceeded) => return Ok(()),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

#[test]
fn two_backends_on_one_pool_do_not_touch_each_others_shares() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan { shared_pool: true, ..Plan::PAIR }).await?;
        let (kept, mut client) = mounted_share(&site).await?;
        client.write("letter", b"dear all").await?;
        let mut others = Vec::new();
        for _ in 0..4 {
            others.push(small_share(&site.tenant()).await?);
        }
        for other in others {
            delete_share(&site.tenant(), &other).await?;
        }
        ensure_backend(&site).await?;
        ensure!(client.read("letter").await? == b"dear all");
        delete_share(&site.tenant(), &kept).await
    })
}
