//! The story of a share on a btrfs pool, served by NFS-Ganesha to clients with addresses of their own.

use super::told;
use crate::http;
use crate::leftovers::processes_of;
use crate::machine::CLIENTS;
use crate::nfs::{Client, Failure, Writer};
use crate::replicas;
use crate::site::{Plan, Site};
use crate::verbs::{
    act, allow, create_share, create_snapshot, create_type, delete_share, delete_snapshot, deny, location,
};
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// The share type of what is told about.
const TYPE: &str = "replicated";
/// One GiB.
const GIB: u64 = 1 << 30;
/// What the client writes first: what comes back must be this, byte for byte.
const WORDS: &[u8] = b"the first words\n";

/// Tell it on the machine with this folder.
pub async fn tell(folder: &Path) -> anyhow::Result<()> {
    let since = Instant::now();
    let site = Site::start(folder, Plan::PAIR).await?;
    told(
        since,
        "two btrfs pools on sparse files; the daemon; on each pool a backend with an NFS-Ganesha of its own",
    );
    let mut story = Story::begin(site).await?;
    story.write_and_read().await?;
    story.refuse_others().await?;
    story.only_read().await?;
    story.fill_and_extend().await?;
    story.refuse_to_shrink().await?;
    story.survive_a_kill().await?;
    story.snapshot_change_revert().await?;
    story.clone_from_snapshot().await?;
    story.replicate_and_fail_back().await?;
    story.read_the_ledger().await?;
    let site = story.delete().await?;
    let since = Instant::now();
    site.end().await?;
    told(
        since,
        "the backends are unloaded: no subvolume, mount, export, process, loop device, cgroup or namespace is left",
    );
    Ok(())
}

struct Story {
    site: Site,
    tenant: http::Client,
    share: String,
    client: Client,
    snapshot: String,
}

impl Story {
    async fn begin(site: Site) -> anyhow::Result<Self> {
        let since = Instant::now();
        create_type(&site.operator(), TYPE, json!({
            "driver_handles_share_servers": "False", "snapshot_support": "True", "create_share_from_snapshot_support": "True",
            "revert_to_snapshot_support": "True", "replication_type": "dr",
        }))
        .await?;
        let tenant = site.tenant();
        let asked = json!({ "share_proto": "NFS", "size": 1, "name": "demo", "share_type": TYPE });
        let share = create_share(&tenant, asked).await?;
        told(since, &format!("share create NFS 1: available at {}", location(&tenant, &share).await?));
        let since = Instant::now();
        allow(&tenant, &share, CLIENTS[0], "rw").await?;
        let client =
            site.mount(&share, CLIENTS[0]).await?.context("the client that a rule names is refused")?;
        told(since, &format!("access allow ip {} rw: active; that client mounts the share", CLIENTS[0]));
        Ok(Self { site, tenant, share, client, snapshot: String::new() })
    }

    async fn write_and_read(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.client.write("report.txt", WORDS).await?;
        ensure!(self.client.read("report.txt").await? == WORDS, "another content was read than was written");
        told(since, "it writes report.txt over NFS, and reads it back");
        Ok(())
    }

    async fn refuse_others(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        let refused = self.site.mount(&self.share, CLIENTS[1]).await?;
        ensure!(refused.as_ref().err() == Some(&Failure::AccessDenied), "another address got {refused:?}");
        told(since, &format!("a client at {} is refused: ACCES", CLIENTS[1]));
        Ok(())
    }

    async fn only_read(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let rules = self.tenant.get(&format!("/v2/share-access-rules?share_id={}", self.share)).await?;
        let rule = rules["access_list"][0]["id"].as_str().context("the share has a rule")?;
        deny(&self.tenant, &self.share, rule).await?;
        let rule = allow(&self.tenant, &self.share, CLIENTS[0], "ro").await?;
        let refused = self.client.write("report.txt", b"more").await;
        ensure!(refused == Err(Failure::ReadOnly), "a client that may only read got {refused:?} for a write");
        ensure!(self.client.read("report.txt").await? == WORDS, "it cannot read any more");
        deny(&self.tenant, &self.share, &rule).await?;
        allow(&self.tenant, &self.share, CLIENTS[0], "rw").await?;
        self.client.write("report.txt", WORDS).await?;
        told(since, "the same client as ro: ROFS at its next call, with no remount; as rw again: it writes");
        Ok(())
    }

    async fn fill_and_extend(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let (written, stopped) = self.client.fill("large.bin", 2 * GIB).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded), "{written} bytes, then {stopped:?}");
        ensure!(written <= GIB && written > GIB / 2, "{written} bytes were taken");
        told(since, &format!("it writes past the size: DQUOT after {} MiB of 1024", written >> 20));
        let since = Instant::now();
        act(&self.tenant, &self.share, json!({ "extend": { "new_size": 2 } })).await?;
        self.client.fill("more.bin", 64 << 20).await?.1.map_or(Ok(()), Err)?;
        told(since, "extend to 2 GiB: it goes on writing");
        Ok(())
    }

    async fn refuse_to_shrink(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let share = act(&self.tenant, &self.share, json!({ "shrink": { "new_size": 1 } })).await?;
        ensure!(share["size"] == 2, "the share was shrunk below what it holds: {share}");
        for name in ["large.bin", "more.bin"] {
            self.client.remove(name).await?;
        }
        told(since, "shrink below what is used: refused, nothing lost, the share is available");
        Ok(())
    }

    async fn survive_a_kill(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let servers = processes_of("ganesha.nfsd");
        let writer = Writer::start(self.site.mount(&self.share, CLIENTS[0]).await??)?;
        writer.go_on(10).await?;
        self.site.restart_daemon().await?;
        self.tenant = self.site.tenant();
        writer.go_on(10).await?;
        let tally = writer.stop().await?;
        tally.expect_no_failure()?;
        ensure!(processes_of("ganesha.nfsd") == servers, "the NFS servers were started again");
        for name in Writer::files() {
            self.client.remove(&name).await?;
        }
        told(
            since,
            &format!(
                "kill -9 of the daemon while a client writes, start again: {} rounds, 0 errors, the same NFS servers",
                tally.rounds
            ),
        );
        Ok(())
    }

    async fn snapshot_change_revert(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.snapshot = create_snapshot(&self.tenant, &self.share).await?;
        told(since, "snapshot create: available");
        let since = Instant::now();
        self.client.write("report.txt", b"second thoughts\n").await?;
        self.client.write("rubbish.txt", b"rubbish\n").await?;
        act(&self.tenant, &self.share, json!({ "revert": { "snapshot_id": self.snapshot } })).await?;
        self.client.remount().await?;
        ensure!(self.client.read("report.txt").await? == WORDS, "the old content is not back");
        ensure!(
            self.client.list().await? == ["report.txt"],
            "what was added after the snapshot is still there"
        );
        told(since, "the client changes and adds files; revert: the old content is back, byte for byte");
        Ok(())
    }

    async fn clone_from_snapshot(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        let asked = json!({ "share_proto": "NFS", "size": 2, "name": "copy", "snapshot_id": self.snapshot, "share_type": TYPE });
        let copy = create_share(&self.tenant, asked).await?;
        allow(&self.tenant, &copy, "10.77.0.0/24", "rw").await?;
        let mut client = self.site.mount(&copy, CLIENTS[1]).await?.context("the copy cannot be mounted")?;
        ensure!(client.read("report.txt").await? == WORDS, "the copy has other content");
        client.write("report.txt", b"the copy's own\n").await?;
        delete_share(&self.tenant, &copy).await?;
        told(since, "share create from the snapshot: the same content, writable for 10.77.0.0/24; deleted");
        Ok(())
    }

    async fn replicate_and_fail_back(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let first = replicas::active(&self.tenant, &self.share).await?;
        let second = replicas::create(&self.tenant, &self.share).await?;
        told(since, "replica create: on the other pool, in sync");
        let since = Instant::now();
        self.client.write("report.txt", b"written before the promotion\n").await?;
        replicas::promote(&self.tenant, &second).await?;
        self.client = self.mount_again().await?;
        ensure!(
            self.client.read("report.txt").await? == b"written before the promotion\n",
            "the last write is lost"
        );
        self.client.write("return.txt", WORDS).await?;
        told(since, "promote: the client mounts the replica, finds its last write, and writes on");
        let since = Instant::now();
        replicas::update(&self.site.operator(), &first).await?;
        replicas::promote(&self.tenant, &first).await?;
        self.client = self.mount_again().await?;
        ensure!(self.client.read("return.txt").await? == WORDS, "what was written on the replica is lost");
        ensure!(
            self.client.read("report.txt").await? == b"written before the promotion\n",
            "what both replicas held has changed"
        );
        replicas::remove(&self.tenant, &second).await?;
        told(since, "fail back to the first pool: bytes equal; the replica is removed");
        Ok(())
    }

    async fn mount_again(&self) -> anyhow::Result<Client> {
        self.site.mount(&self.share, CLIENTS[0]).await?.context("the promoted replica cannot be mounted")
    }

    async fn read_the_ledger(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        let records = self.site.operator().get("/v1/ledger?most=1000").await?;
        let count = records["records"].as_array().map_or(0, Vec::len);
        ensure!(count > 20, "the ledger holds only {count} records");
        told(
            since,
            &format!(
                "the ledger holds {count} records: every host call of the driver, every change of state"
            ),
        );
        Ok(())
    }

    async fn delete(self) -> anyhow::Result<Site> {
        let since = Instant::now();
        delete_snapshot(&self.tenant, &self.snapshot).await?;
        delete_share(&self.tenant, &self.share).await?;
        let left = Client::exports(self.client.place()).await?;
        ensure!(left.iter().all(|path| path == "/"), "still exported: {left:?}");
        told(since, "delete of snapshot and share");
        Ok(self.site)
    }
}
