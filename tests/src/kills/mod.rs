//! Kills at random moments, and what must hold after each.
//!
//! Clients create, snapshot, revert, resize and delete shares while the daemon, its helper or the NFS server is killed. After the restart
//! every transient resource must come to rest within 30 s, and what stands at the backend, read by nobody but this module, must be
//! exactly the shares and snapshots that the daemon knows: nothing twice, nothing orphaned, nothing lost that was acknowledged.

mod judge;
mod work;

use crate::daemon::{Daemon, helper_of};
use crate::ganesha;
use crate::http::Client;
use crate::lab::Lab;
use crate::site::{Plan, Site};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use work::Workload;

/// Within this every transient resource rests after a start.
const REST: Duration = Duration::from_secs(30);

/// Random numbers from a seed, the same every time.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers from this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*: good enough to spread moments and choices.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The daemon; its helper ends its commands and itself.
    Daemon,
    /// The helper; the daemon starts another.
    Helper,
    /// The NFS server; its keeper starts another.
    Ganesha,
}

/// How often each is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kills {
    /// The daemon.
    pub daemon: u32,
    /// The helper.
    pub helper: u32,
    /// The NFS server.
    pub ganesha: u32,
}

impl Kills {
    const fn total(self) -> u32 {
        self.daemon + self.helper + self.ganesha
    }

    /// One of those that `wanted` still asks for.
    fn next(self, wanted: Self, random: &mut Random) -> Victim {
        let (daemon, helper) = (wanted.daemon - self.daemon, wanted.helper - self.helper);
        let left = wanted.total() - self.total();
        let drawn = random.below(u64::from(left));
        if drawn < u64::from(daemon) {
            Victim::Daemon
        } else if drawn < u64::from(daemon + helper) {
            Victim::Helper
        } else {
            Victim::Ganesha
        }
    }
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Who was killed.
    pub kills: Kills,
    /// Requests that the daemon took.
    pub requests: u64,
    /// The longest it took to come to rest.
    pub longest_rest: Duration,
}

/// Kill as often as `wanted`, in an order and at moments that `seed` decides. The backend is of plain directories, and has no NFS server.
pub async fn run(seed: u64, wanted: Kills) -> anyhow::Result<Tally> {
    let lab = Lab::new()?.with_backend("nas1", "directory", "")?;
    let mut daemon = Daemon::start(&lab).await?;
    daemon.ready().await?;
    rounds(seed, wanted, &mut daemon, &lab, async |operator| judge::directories(operator, &lab).await).await
}

/// The same with real storage, on the machine with this folder.
pub async fn run_on_storage(folder: &Path, seed: u64, wanted: Kills) -> anyhow::Result<Tally> {
    let site = Site::start(folder, Plan { pool_gib: 400, ..Plan::ONE }).await?;
    let Site { mut daemon, lab, pools, .. } = site;
    let pool = pools.first().context("a site has a pool")?;
    rounds(seed, wanted, &mut daemon, &lab, async |operator| judge::pool(operator, pool, &lab).await).await
}

async fn rounds(
    seed: u64,
    wanted: Kills,
    daemon: &mut Daemon,
    lab: &Lab,
    judge: impl AsyncFn(&Client) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.kills != wanted {
        let victim = tally.kills.next(wanted, &mut random);
        let moment = Duration::from_millis(20 + random.below(900));
        let work = Workload::start(daemon, &mut random);
        tokio::time::sleep(moment).await;
        match victim {
            Victim::Daemon => {
                daemon.kill()?;
                tally.requests += work.stop().await;
                *daemon = Daemon::start(lab).await?;
                tally.kills.daemon += 1;
            }
            Victim::Helper => {
                kill_helper(daemon.id())?;
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
                tally.requests += work.stop().await;
                tally.kills.helper += 1;
            }
            Victim::Ganesha => {
                ganesha::kill_all("ganesha.nfsd")?;
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
                tally.requests += work.stop().await;
                tally.kills.ganesha += 1;
            }
        }
        let told = || format!("after killing the {victim:?}, seed {seed}\n{}", daemon.log_text());
        let rest = rest(&daemon.operator()).await.with_context(told)?;
        tally.longest_rest = tally.longest_rest.max(rest);
        judge(&daemon.operator()).await.with_context(told)?;
    }
    Ok(tally)
}

async fn listed(client: &Client, collection: &str) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(&format!("/v2/{collection}/detail?all_tenants=1")).await?;
    Ok(answer[collection].as_array().cloned().unwrap_or_default())
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or_default()
}

/// Kill the helper of a daemon.
fn kill_helper(daemon: u32) -> anyhow::Result<()> {
    let helper = helper_of(daemon).context("the daemon has no helper")?;
    let id = rustix::process::Pid::from_raw(i32::try_from(helper)?).context("no process id")?;
    rustix::process::kill_process(id, rustix::process::Signal::KILL)?;
    Ok(())
}

/// Wait until nothing is transient and no operation is unfinished; how long it took.
async fn rest(operator: &Client) -> anyhow::Result<Duration> {
    let started = Instant::now();
    loop {
        let unfinished = operator.get("/v1/operations?unfinished=true&most=10000").await?;
        let operations = unfinished["operations"].as_array().cloned().unwrap_or_default();
        let owned: BTreeSet<&str> =
            operations.iter().filter_map(|operation| operation["share"].as_str()).collect();
        let mut restless = operations.len();
        for share in listed(operator, "shares").await? {
            if share["status"].as_str().is_some_and(|status| status.ends_with("ing")) {
                restless += 1;
                // An operation may have ended between the two answers; only one that stays without an owner is lost.
                ensure!(
                    owned.contains(id(&share)) || started.elapsed() < REST,
                    "a share is {} without an operation: {share}",
                    share["status"]
                );
            }
        }
        if restless == 0 {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < REST, "not at rest after {REST:?}: {operations:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
