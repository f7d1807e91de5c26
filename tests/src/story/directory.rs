//! The story of a share whose driver needs nothing: shares are directories, clients are local.

use super::told;
use crate::daemon::{Daemon, settle};
use crate::http::Client;
use crate::lab::Lab;
use crate::verbs::{
    act, allow, create_share, create_snapshot, delete_share, delete_snapshot, location, text,
};
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tell it.
pub async fn tell() -> anyhow::Result<()> {
    let lab = Lab::new()?.with_backend("nas1", "directory", "")?;
    let mut story = Story::begin(&lab).await?;
    story.create().await?;
    story.allow().await?;
    story.snapshot_change_revert().await?;
    story.clone_from_snapshot().await?;
    story.resize().await?;
    story.survive_a_kill(&lab).await?;
    story.read_the_ledger().await?;
    story.delete(&lab).await
}

struct Story {
    daemon: Daemon,
    tenant: Client,
    share: String,
    folder: PathBuf,
    snapshot: String,
    copy: String,
}

impl Story {
    async fn begin(lab: &Lab) -> anyhow::Result<Self> {
        let since = Instant::now();
        let daemon = Daemon::start(lab).await?;
        daemon.ready().await?;
        told(since, "the daemon runs on an empty store; the driver was inspected, compiled, linked, set up");
        let tenant = daemon.tenant();
        Ok(Self {
            daemon,
            tenant,
            share: String::new(),
            folder: PathBuf::new(),
            snapshot: String::new(),
            copy: String::new(),
        })
    }

    async fn create(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.share =
            create_share(&self.tenant, json!({ "share_proto": "NFS", "size": 1, "name": "demo" })).await?;
        let (location, folder) = folder_of(&self.tenant, &self.share).await?;
        self.folder = folder;
        told(since, &format!("share create NFS 1: available at {location}"));
        let since = Instant::now();
        std::fs::write(self.folder.join("report.txt"), "the first words\n")?;
        told(since, "a client writes report.txt");
        Ok(())
    }

    async fn allow(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        allow(&self.tenant, &self.share, "10.0.0.0/24", "rw").await?;
        told(since, "access allow ip 10.0.0.0/24 rw: active, in the share's exports(5) fragment");
        Ok(())
    }

    async fn snapshot_change_revert(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        self.snapshot = create_snapshot(&self.tenant, &self.share).await?;
        told(since, "snapshot create: available");
        let since = Instant::now();
        std::fs::write(self.folder.join("report.txt"), "second thoughts\n")?;
        std::fs::write(self.folder.join("rubbish.txt"), "rubbish\n")?;
        act(&self.tenant, &self.share, json!({ "revert": { "snapshot_id": self.snapshot } })).await?;
        let report = std::fs::read_to_string(self.folder.join("report.txt"))?;
        ensure!(report == "the first words\n", "the old content is not back: {report:?}");
        ensure!(
            !self.folder.join("rubbish.txt").exists(),
            "what was added after the snapshot is still there"
        );
        told(since, "the client changes and adds files; revert: the old content is back, byte for byte");
        Ok(())
    }

    async fn clone_from_snapshot(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let asked = json!({ "share_proto": "NFS", "size": 1, "name": "copy", "snapshot_id": self.snapshot });
        self.copy = create_share(&self.tenant, asked).await?;
        let (_, folder) = folder_of(&self.tenant, &self.copy).await?;
        let report = std::fs::read_to_string(folder.join("report.txt"))?;
        ensure!(report == "the first words\n", "the copy has other content: {report:?}");
        told(since, "share create from the snapshot: available, with the same content");
        Ok(())
    }

    async fn resize(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        act(&self.tenant, &self.share, json!({ "extend": { "new_size": 2 } })).await?;
        told(since, "extend to 2 GiB");
        let since = Instant::now();
        std::fs::File::create(self.folder.join("large.bin"))?.set_len((1 << 30) + 1)?;
        let share = act(&self.tenant, &self.share, json!({ "shrink": { "new_size": 1 } })).await?;
        ensure!(share["size"] == 2, "the share was shrunk below what it holds: {share}");
        std::fs::remove_file(self.folder.join("large.bin"))?;
        told(since, "shrink below what is used: refused, nothing lost, the share is available");
        Ok(())
    }

    async fn survive_a_kill(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let since = Instant::now();
        let asked = json!({ "share": { "share_proto": "NFS", "size": 1, "name": "caught-in-the-middle" } });
        let id = text(&self.tenant.post("/v2/shares", &asked).await?["share"]["id"])?;
        self.daemon.kill()?;
        self.daemon = Daemon::start(lab).await?;
        settle(&self.tenant, &format!("/v2/shares/{id}"), "share", &["available"]).await?;
        told(
            since,
            "kill -9 of the daemon in the middle of a creation, start again: the creation was finished",
        );
        delete_share(&self.tenant, &id).await
    }

    async fn read_the_ledger(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        let records = self.daemon.operator().get("/v1/ledger?most=1000").await?;
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

    async fn delete(self, lab: &Lab) -> anyhow::Result<()> {
        let since = Instant::now();
        delete_share(&self.tenant, &self.copy).await?;
        delete_snapshot(&self.tenant, &self.snapshot).await?;
        delete_share(&self.tenant, &self.share).await?;
        for root in ["shares", "exports"] {
            let left: Vec<_> = names(&lab.root("nas1", root))?;
            ensure!(left.is_empty(), "left behind in {root}: {left:?}");
        }
        told(since, "delete of copy, snapshot and share: nothing is left");
        Ok(())
    }
}

/// The export location of a share, and the directory behind it.
async fn folder_of(tenant: &Client, share: &str) -> anyhow::Result<(String, PathBuf)> {
    let location = location(tenant, share).await?;
    let (_, path) = location.split_once(':').context("an export location is ADDRESS:PATH")?;
    let path = PathBuf::from(path);
    Ok((location, path))
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    folder.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
