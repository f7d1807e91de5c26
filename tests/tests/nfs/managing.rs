//! Subvolumes that somebody made by hand become shares, and shares are let go with all their bytes.

use crate::mount;
use anyhow::ensure;
use bulkhead_tests::daemon::{gone, settle};
use bulkhead_tests::machine::{CLIENTS, SERVER, isolated};
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{allow, share_path, text};
use serde_json::json;

#[test]
fn what_was_made_by_hand_is_taken_over_served_and_let_go_with_every_byte() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let operator = site.operator();
        let by_hand = site.pool()?.directory("shares").join("by-hand");
        site.pool()?.btrfs(&["subvolume", "create"], &by_hand)?;
        site.pool()?.btrfs(&["qgroup", "limit", "2G"], &by_hand)?;
        std::fs::write(by_hand.join("letter"), "dear all")?;
        let asked = json!({ "share": {
            "protocol": "NFS", "export_path": format!("{SERVER}:/by-hand"), "service_host": "bulkhead@nas1#pool",
            "name": "taken-over",
        } });
        let made = operator.post("/v2/shares/manage", &asked).await?;
        let share = text(&made["share"]["id"])?;
        let found = settle(&operator, &share_path(&share), "share", &["available"]).await?;
        ensure!(found["size"] == 2, "{found}");
        allow(&operator, &share, CLIENTS[0], "rw").await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("letter").await? == b"dear all");
        client.write("answer", b"dear you").await?;
        operator.post(&format!("{}/action", share_path(&share)), &json!({ "unmanage": null })).await?;
        gone(&operator, &share_path(&share)).await?;
        let left: Vec<_> = site.pool()?.directory("shares").read_dir()?.flatten().collect();
        ensure!(left.len() == 1, "{left:?}");
        ensure!(std::fs::read(left[0].path().join("answer"))? == b"dear you");
        // It is nobody's now: under the name it has it can be taken over again.
        let name = left[0].file_name().into_string().map_err(|name| anyhow::anyhow!("{name:?}"))?;
        let again = json!({ "share": {
            "protocol": "NFS", "export_path": format!("{SERVER}:/{name}"), "service_host": "nas1#pool",
        } });
        let share = text(&operator.post("/v2/shares/manage", &again).await?["share"]["id"])?;
        settle(&operator, &share_path(&share), "share", &["available"]).await?;
        allow(&operator, &share, CLIENTS[0], "ro").await?;
        let mut client = mount(&site, &share, CLIENTS[0]).await?;
        ensure!(client.read("answer").await? == b"dear you");
        Ok(())
    })
}
