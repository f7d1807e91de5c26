//! A site with real storage: pools, a daemon with a backend of `btrfs-ganesha` on each, and clients of its shares.

use crate::daemon::Daemon;
use crate::http;
use crate::lab::Lab;
use crate::leftovers::{Inventory, processes_of};
use crate::machine::{SERVER, SERVER_V6};
use crate::nfs::{self, Failure, Place};
use crate::pool::Pool;
use crate::programs;
use crate::verbs::{location, locations};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};

/// The driver.
pub const DRIVER: &str = "btrfs-ganesha";
/// Directories of a pool.
const DIRECTORIES: &[&str] = &["shares", "snapshots", "replication"];

/// A site. What is declared last goes last: the daemon, then its folder, then the pools.
#[derive(Debug)]
pub struct Site {
    /// The daemon.
    pub daemon: Daemon,
    /// Its place.
    pub lab: Lab,
    /// The pool of each backend: `nas1`, `nas2`.
    pub pools: Vec<Pool>,
    folder: PathBuf,
    backends: usize,
    before: Inventory,
}

/// How many backends, and of what size.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Backends.
    pub backends: usize,
    /// The size of each pool, in GiB.
    pub pool_gib: u64,
    /// Whether all backends use the first pool.
    pub shared_pool: bool,
}

impl Plan {
    /// One backend on a pool of 8 GiB.
    pub const ONE: Self = Self { backends: 1, pool_gib: 8, shared_pool: false };
    /// Two that replicate to each other.
    pub const PAIR: Self = Self { backends: 2, pool_gib: 8, shared_pool: false };
}

impl Site {
    /// Make the pools, start the daemon, and wait until its backends serve.
    pub async fn start(folder: &Path, plan: Plan) -> anyhow::Result<Self> {
        let mut pools = Vec::new();
        let mut lab = Lab::new()?;
        let pool_count = if plan.shared_pool { 1 } else { plan.backends };
        for number in 1..=pool_count {
            pools.push(Pool::make(folder, &format!("pool{number}"), plan.pool_gib, DIRECTORIES)?);
        }
        for number in 1..=plan.backends {
            lab = Self::with_backend(lab, number, &pools, &programs::guest(DRIVER)?)?;
        }
        let before = Inventory::take(folder, &pools.iter().collect::<Vec<_>>())?;
        let daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        Ok(Self { daemon, lab, pools, folder: folder.to_owned(), backends: plan.backends, before })
    }

    fn with_backend(lab: Lab, number: usize, pools: &[Pool], driver: &Path) -> anyhow::Result<Lab> {
        let text = Self::backend_text(&lab, number, pools, driver)?;
        std::fs::write(lab.backend_file(&name(number)), text)?;
        Ok(lab)
    }

    /// What stands in the file of backend `number` (from 1) when this is its driver.
    pub fn backend_text(lab: &Lab, number: usize, pools: &[Pool], driver: &Path) -> anyhow::Result<String> {
        let pool = pools.get(number - 1).or(pools.first()).context("a site has a pool")?;
        let peer = pools.iter().enumerate().find(|(index, _)| index + 1 != number && pools.len() > 1);
        let bound = [
            ("pool", Some(pool.path().to_owned())),
            ("kernel", Some(pool.kernel()?)),
            ("peer", peer.map(|(_, peer)| peer.path().to_owned())),
        ];
        let domain = peer.map_or("", |_| "replication_domain = \"pair\"\n");
        let exports = lab.root(&name(number), "config").join("exports");
        std::fs::create_dir_all(&exports)?;
        lab.backend_text(&name(number), driver, &options(number, domain), &bound)
    }

    /// The tenants' door.
    #[must_use]
    pub fn tenant(&self) -> http::Client {
        self.daemon.tenant()
    }

    /// The operator's door.
    #[must_use]
    pub fn operator(&self) -> http::Client {
        self.daemon.operator()
    }

    /// The first pool.
    pub fn pool(&self) -> anyhow::Result<&Pool> {
        self.pools.first().context("a site has a pool")
    }

    /// The folder of the machine.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Mount a share from `source`.
    pub async fn mount(&self, share: &str, source: &str) -> anyhow::Result<Result<nfs::Client, Failure>> {
        Ok(nfs::Client::mount(self.place(share, source).await?).await)
    }

    /// Where a share is for a client at `source`: at the location of its address family.
    pub async fn place(&self, share: &str, source: &str) -> anyhow::Result<Place> {
        let found = locations(&self.operator(), share).await?;
        let number = self.backend_of(share).await?;
        let modern = source.contains(':');
        let fitting = found.iter().find(|location| location.starts_with('[') == modern);
        let location = match fitting {
            Some(fitting) => fitting.clone(),
            None => location(&self.operator(), share).await?,
        };
        Place::of(&location, ports(number), source)
    }

    /// The number of the backend that a share's active instance is on.
    async fn backend_of(&self, share: &str) -> anyhow::Result<usize> {
        let found = self.operator().get(&format!("/v2/shares/{share}")).await?;
        let host = found["share"]["host"].as_str().unwrap_or_default();
        Ok(if host.contains(&name(2)) { 2 } else { 1 })
    }

    /// The process id of the only Ganesha.
    pub fn ganesha(&self) -> anyhow::Result<u32> {
        let found = processes_of("ganesha.nfsd");
        ensure!(found.len() == 1, "there is not one Ganesha, but {found:?}");
        found.first().copied().context("no Ganesha runs")
    }

    /// Kill the daemon as a power cut would, and start another.
    pub async fn restart_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon.kill()?;
        self.daemon = Daemon::start(&self.lab).await?;
        self.daemon.ready().await
    }

    /// Let the operator end it all, and fail if anything was left behind on the machine.
    pub async fn end(self) -> anyhow::Result<()> {
        for number in 1..=self.backends {
            self.operator()
                .post(&format!("/v1/backends/{}/unload", name(number)), &serde_json::json!({}))
                .await?;
        }
        let pools: Vec<&Pool> = self.pools.iter().collect();
        drop(self.daemon);
        Inventory::expect_nothing_since(&self.before, &self.folder, &pools).await
    }
}

/// The name of backend `number`.
#[must_use]
pub fn name(number: usize) -> String {
    format!("nas{number}")
}

/// Where backend `number` speaks NFS, and the mount protocol.
#[must_use]
pub fn ports(number: usize) -> (u16, u16) {
    if number == 1 { (2049, 20048) } else { (12049, 12048) }
}

/// The options of backend `number`. What listens at several addresses listens at all of the machine's.
fn options(number: usize, domain: &str) -> String {
    let (nfs, mount) = ports(number);
    format!(
        "export_addresses = [\"{SERVER}\", \"{SERVER_V6}\"]\nnfs_port = {nfs}\nmount_port = {mount}\n{domain}"
    )
}
