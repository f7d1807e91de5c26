//! A daemon as a child process.

use crate::http::{Client, Door};
use crate::lab::Lab;
use crate::programs;
use anyhow::{Context, bail};
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest a daemon may take to answer after its start, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// The longest a helper may take to end its commands and itself.
const HELPER_END: Duration = Duration::from_secs(10);
/// The longest a resource may take to come to rest.
pub const SETTLE: Duration = Duration::from_secs(60);

/// A running `bulkhead serve`. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    address: std::net::SocketAddr,
    socket: PathBuf,
}

impl Daemon {
    /// Start one in `lab` and wait until it answers.
    pub async fn start(lab: &Lab) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn(lab)?;
        let started = Instant::now();
        while started.elapsed() < START {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", daemon.log_text());
            }
            if daemon.tenant().send("GET", "/healthz", None).await.is_ok_and(|answer| answer.status == 200)
                && daemon.socket.exists()
            {
                return Ok(daemon);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the daemon does not answer:\n{}", daemon.log_text())
    }

    /// Start one and do not wait.
    pub fn spawn(lab: &Lab) -> anyhow::Result<Self> {
        let log = lab.path().join("daemon.log");
        let writer = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(programs::program("bulkhead")?)
            .arg("serve")
            .arg("--config")
            .arg(lab.configuration()?)
            .envs(lab.environment().iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .context("the daemon cannot be started")?;
        Ok(Self { child, log, address: lab.address(), socket: lab.state().join("operator.sock") })
    }

    /// A client of the tenants' door.
    #[must_use]
    pub fn tenant(&self) -> Client {
        Client::new(Door::Network(self.address))
    }

    /// A client of the operator's door.
    #[must_use]
    pub fn operator(&self) -> Client {
        Client::new(Door::Socket(self.socket.clone()))
    }

    /// The tenants' address.
    #[must_use]
    pub const fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything all daemons of this lab have logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kill it at once, as a power cut would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Wait for it to end by itself; its exit code.
    pub fn wait(mut self) -> anyhow::Result<Option<i32>> {
        let started = Instant::now();
        while started.elapsed() < START {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the daemon does not end:\n{}", self.log_text())
    }

    /// Wait until every backend is set up and has statistics.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.ready_within(START).await
    }

    /// The same, for drivers that take long to compile.
    pub async fn ready_within(&self, limit: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < limit {
            let backends = self.operator().get("/v1/backends").await?;
            let ready =
                |backend: &Value| backend["status"]["state"] == "ready" && !backend["statistics"].is_null();
            if backends["backends"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(ready)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not every backend becomes ready:\n{}", self.log_text())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let helper = helper_of(self.id());
        self.kill().ok();
        // The helper sees the closed connection and ends by itself; until then it writes into the lab's folder.
        let started = Instant::now();
        while helper.is_some_and(is_running) && started.elapsed() < HELPER_END {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The helper of a daemon: the child that is called so. A daemon may start it from any of its threads.
#[must_use]
pub fn helper_of(daemon: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).ok()?;
    let children =
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<u32> = children
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_helper = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/comm"))
            .is_ok_and(|name| name.trim_end() == "bulkhead-helper")
    };
    ids.into_iter().find(is_helper)
}

/// Whether a process runs: one that has ended but was not waited for does not.
fn is_running(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Poll `path` until its `field` of `envelope` is one of `wanted`.
pub async fn settle(client: &Client, path: &str, envelope: &str, wanted: &[&str]) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let body = client.get(path).await?;
        let found = &body[envelope];
        let status = found["status"].as_str().or_else(|| found["state"].as_str()).unwrap_or_default();
        if wanted.contains(&status) {
            return Ok(found.clone());
        }
        let transient = status.ends_with("ing")
            || status.starts_with("queued")
            || matches!(status, "creating_from_snapshot" | "replication_change");
        anyhow::ensure!(transient, "{path} came to rest as '{status}', not as one of {wanted:?}: {found}");
        anyhow::ensure!(started.elapsed() < SETTLE, "{path} stays '{status}'");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Poll `path` until it is gone.
pub async fn gone(client: &Client, path: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let answer = client.send("GET", path, None).await?;
        if answer.status == 404 {
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < SETTLE, "{path} does not go: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
