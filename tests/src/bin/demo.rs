//! The story of a share, told by a real daemon with a sandboxed driver on real files: what `cargo xtask demo` shows.

#![expect(clippy::indexing_slicing, reason = "the demo is a test: what is not there fails it")]
#![expect(clippy::print_stdout, reason = "the demo is read on standard output")]

use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{Daemon, gone, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let began = Instant::now();
    println!(
        "The story of a share. Driver: `directory`, a WebAssembly component; shares are directories, clients local."
    );
    println!("What this leaves out: no NFS server is told, and the filesystem enforces no size.\n");
    let lab = Lab::new()?.with_backend("nas1", "directory", "")?;
    let mut story = Story::begin(&lab).await?;
    story.create().await?;
    story.allow().await?;
    story.snapshot_change_revert().await?;
    story.clone_from_snapshot().await?;
    story.resize().await?;
    story.survive_a_kill(&lab).await?;
    story.read_the_ledger().await?;
    story.delete(&lab).await?;
    println!("\nAll of it held, in {:.1} s.", began.elapsed().as_secs_f64());
    Ok(())
}

struct Story {
    daemon: Daemon,
    tenant: Client,
    share: String,
    folder: PathBuf,
    snapshot: String,
    copy: String,
}

/// Print what was done and how long it took.
fn told(since: Instant, what: &str) {
    println!("{:>7.0} ms  {what}", since.elapsed().as_secs_f64() * 1000.0);
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
        let path = format!("/v2/shares/{}/action", self.share);
        let rule = json!({ "allow_access": { "access_type": "ip", "access_to": "10.0.0.0/24", "access_level": "rw" } });
        let rule = self.tenant.post(&path, &rule).await?;
        let id = text(&rule["access"]["id"])?;
        settle(&self.tenant, &format!("/v2/share-access-rules/{id}"), "access", &["active"]).await?;
        told(since, "access allow ip 10.0.0.0/24 rw: active, in the share's exports(5) fragment");
        Ok(())
    }

    async fn snapshot_change_revert(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let asked = json!({ "snapshot": { "share_id": self.share, "name": "before" } });
        self.snapshot = text(&self.tenant.post("/v2/snapshots", &asked).await?["snapshot"]["id"])?;
        settle(&self.tenant, &format!("/v2/snapshots/{}", self.snapshot), "snapshot", &["available"]).await?;
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
        self.tenant.delete(&format!("/v2/snapshots/{}", self.snapshot)).await?;
        gone(&self.tenant, &format!("/v2/snapshots/{}", self.snapshot)).await?;
        delete_share(&self.tenant, &self.share).await?;
        for root in ["shares", "exports"] {
            let left: Vec<_> = names(&lab.root("nas1", root))?;
            ensure!(left.is_empty(), "left behind in {root}: {left:?}");
        }
        told(since, "delete of copy, snapshot and share: nothing is left");
        Ok(())
    }
}

async fn create_share(tenant: &Client, share: Value) -> anyhow::Result<String> {
    let id = text(&tenant.post("/v2/shares", &json!({ "share": share })).await?["share"]["id"])?;
    settle(tenant, &format!("/v2/shares/{id}"), "share", &["available"]).await?;
    Ok(id)
}

async fn act(tenant: &Client, share: &str, action: Value) -> anyhow::Result<Value> {
    tenant.post(&format!("/v2/shares/{share}/action"), &action).await?;
    settle(tenant, &format!("/v2/shares/{share}"), "share", &["available"]).await
}

async fn delete_share(tenant: &Client, share: &str) -> anyhow::Result<()> {
    let path = format!("/v2/shares/{share}");
    tenant.delete(&path).await?;
    gone(tenant, &path).await
}

/// The export location of a share, and the directory behind it.
async fn folder_of(tenant: &Client, share: &str) -> anyhow::Result<(String, PathBuf)> {
    let locations = tenant.get(&format!("/v2/shares/{share}/export_locations")).await?;
    let location = text(&locations["export_locations"][0]["path"])?;
    let (_, path) = location.split_once(':').context("an export location is ADDRESS:PATH")?;
    let path = PathBuf::from(path);
    Ok((location, path))
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    folder.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn text(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("text was expected, not {value}"))
}
