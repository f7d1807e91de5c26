//! Many at once: life cycles beside each other, exports on one server, kills in between.

use crate::{mount, small_share};
use anyhow::{Context, ensure};
use bulkhead_tests::kills::{self, Kills};
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::Client;
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{act, allow, create_snapshot, delete_share, delete_snapshot};
use serde_json::json;

/// Room for the sizes that many shares promise; the file behind it stays sparse.
const LARGE: Plan = Plan { pool_gib: 400, ..Plan::ONE };

/// One share from its creation to its deletion, with a client that uses it.
async fn life_cycle(site: &Site, number: usize) -> anyhow::Result<()> {
    let tenant = site.tenant();
    let share = small_share(&tenant).await?;
    allow(&tenant, &share, CLIENTS[number % 2], "rw").await?;
    let mut client = mount(site, &share, CLIENTS[number % 2]).await?;
    let words = format!("share {number}");
    client.write("letter", words.as_bytes()).await?;
    let snapshot = create_snapshot(&tenant, &share).await?;
    client.write("letter", b"changed").await?;
    act(&tenant, &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
    client.remount().await?;
    ensure!(client.read("letter").await? == words.as_bytes(), "share {number} holds another's bytes");
    act(&tenant, &share, json!({ "extend": { "new_size": 2 } })).await?;
    delete_snapshot(&tenant, &snapshot).await?;
    delete_share(&tenant, &share).await
}

#[test]
fn a_hundred_whole_life_cycles_eight_beside_each_other_leave_nothing_behind() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, LARGE).await?;
        let ganesha = site.ganesha()?;
        let lane = async |first: usize| {
            for number in (first..100).step_by(8) {
                life_cycle(&site, number).await.with_context(|| format!("life cycle {number}"))?;
            }
            anyhow::Ok(())
        };
        let all = tokio::join!(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7));
        for outcome in [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7] {
            outcome?;
        }
        ensure!(site.ganesha()? == ganesha, "Ganesha was started again");
        site.end().await
    })
}

#[test]
fn two_hundred_exports_stand_on_one_server_and_each_can_be_mounted() -> anyhow::Result<()> {
    isolated(async |folder| {
        let mut site = Site::start(&folder, LARGE).await?;
        let tenant = site.tenant();
        let lane = async |count: usize| {
            let mut shares = Vec::new();
            for _ in 0..count {
                let share = small_share(&tenant).await?;
                allow(&tenant, &share, CLIENTS[0], "rw").await?;
                shares.push(share);
            }
            anyhow::Ok(shares)
        };
        let (first, second, third, fourth) = tokio::join!(lane(50), lane(50), lane(50), lane(50));
        let mut shares: Vec<String> = Vec::new();
        for made in [first, second, third, fourth] {
            shares.extend(made?);
        }
        for share in &shares {
            mount(&site, share, CLIENTS[0]).await?.write("letter", share.as_bytes()).await?;
        }
        let ganesha = site.ganesha()?;
        site.restart_daemon().await?;
        ensure!(site.ganesha()? == ganesha, "Ganesha was started again");
        for share in &shares {
            let mut client = mount(&site, share, CLIENTS[0]).await?;
            ensure!(client.read("letter").await? == share.as_bytes(), "{share} shows another's bytes");
        }
        let place = site.place(&shares[0], CLIENTS[0]).await?;
        let exported = Client::exports(&place).await?;
        ensure!(exported.iter().filter(|path| *path != "/").count() == 200, "{} exports", exported.len());
        Ok(())
    })
}

#[test]
fn nothing_is_lost_doubled_or_orphaned_when_daemon_helper_and_ganesha_are_killed() -> anyhow::Result<()> {
    isolated(async |folder| {
        // A fixed seed: what fails here fails again.
        let wanted = Kills { daemon: 8, helper: 4, ganesha: 4 };
        let tally = kills::run_on_storage(&folder, 20_261_125, wanted).await?;
        ensure!(tally.kills == wanted, "{tally:?}");
        ensure!(tally.requests > 0, "nobody asked for anything");
        Ok(())
    })
}
