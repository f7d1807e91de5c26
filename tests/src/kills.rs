//! Kills at random moments, and what must hold after each.
//!
//! Clients create, snapshot, revert, resize and delete shares while the daemon or its helper is killed. After the restart every
//! transient resource must come to rest within 30 s, and the backend's directories, read by nobody but this module, must be exactly
//! those of the shares and snapshots that the daemon knows: nothing twice, nothing orphaned, nothing lost that was acknowledged.

use crate::daemon::{Daemon, helper_of};
use crate::http::Client;
use crate::lab::Lab;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Within this every transient resource rests after a start.
const REST: Duration = Duration::from_secs(30);
/// Clients at work at once.
const CLIENTS: u64 = 4;

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
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Kills of the daemon.
    pub daemon_kills: u32,
    /// Kills of the helper.
    pub helper_kills: u32,
    /// Requests that the daemon took.
    pub requests: u64,
    /// The longest it took to come to rest.
    pub longest_rest: Duration,
}

/// Kill `daemon_kills` and `helper_kills` times, in an order and at moments that `seed` decides.
pub async fn run(seed: u64, daemon_kills: u32, helper_kills: u32) -> anyhow::Result<Tally> {
    let lab = Lab::new()?.with_backend("nas1", "directory", "")?;
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let mut daemon = Daemon::start(&lab).await?;
    daemon.ready().await?;
    while tally.daemon_kills < daemon_kills || tally.helper_kills < helper_kills {
        let left =
            u64::from(daemon_kills - tally.daemon_kills) + u64::from(helper_kills - tally.helper_kills);
        let victim = if random.below(left) < u64::from(daemon_kills - tally.daemon_kills) {
            Victim::Daemon
        } else {
            Victim::Helper
        };
        let moment = Duration::from_millis(20 + random.below(900));
        let work = Workload::start(&daemon, &mut random);
        tokio::time::sleep(moment).await;
        match victim {
            Victim::Daemon => {
                daemon.kill()?;
                tally.requests += work.stop().await;
                daemon = Daemon::start(&lab).await?;
                tally.daemon_kills += 1;
            }
            Victim::Helper => {
                kill_helper(daemon.id())?;
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
                tally.requests += work.stop().await;
                tally.helper_kills += 1;
            }
        }
        let rest = rest(&daemon.operator())
            .await
            .with_context(|| format!("after killing the {victim:?}, seed {seed}\n{}", daemon.log_text()))?;
        tally.longest_rest = tally.longest_rest.max(rest);
        judge(&daemon.operator(), &lab)
            .await
            .with_context(|| format!("after killing the {victim:?}, seed {seed}\n{}", daemon.log_text()))?;
    }
    Ok(tally)
}

/// Clients that work until stopped.
struct Workload {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<u64>>,
}

impl Workload {
    fn start(daemon: &Daemon, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS)
            .map(|_| {
                let (client, stop) = (daemon.operator(), Arc::clone(&stop));
                let mut random = Random::new(random.below(u64::MAX >> 1));
                tokio::spawn(async move {
                    let mut taken = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // A refusal is an answer, and a broken connection is what this is about.
                        taken += u64::from(one_request(&client, &mut random).await.is_ok());
                        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
                    }
                    taken
                })
            })
            .collect();
        Self { stop, clients }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut taken = 0;
        for client in self.clients {
            taken += client.await.unwrap_or_default();
        }
        taken
    }
}

async fn one_request(client: &Client, random: &mut Random) -> anyhow::Result<()> {
    let shares = listed(client, "shares").await?;
    let snapshots = listed(client, "snapshots").await?;
    let share = pick(&shares, random);
    let snapshot = pick(&snapshots, random);
    let action = |id: &str| format!("/v2/shares/{id}/action");
    match (random.below(10), share, snapshot) {
        (0, Some(share), _) if shares.len() > 3 => client.delete(&format!("/v2/shares/{}", id(share))).await,
        (1, _, Some(snapshot)) => client.delete(&format!("/v2/snapshots/{}", id(snapshot))).await,
        (2 | 3, Some(share), _) if snapshots.len() < 8 => {
            client.post("/v2/snapshots", &json!({ "snapshot": { "share_id": id(share) } })).await
        }
        (4, _, Some(snapshot)) => {
            let share = snapshot["share_id"].as_str().unwrap_or_default();
            client.post(&action(share), &json!({ "revert": { "snapshot_id": id(snapshot) } })).await
        }
        (5, Some(share), _) => {
            let size = share["size"].as_u64().unwrap_or(1) + 1;
            client.post(&action(id(share)), &json!({ "extend": { "new_size": size } })).await
        }
        (6, Some(share), _) => {
            let size = share["size"].as_u64().unwrap_or(2).saturating_sub(1).max(1);
            client.post(&action(id(share)), &json!({ "shrink": { "new_size": size } })).await
        }
        (7, Some(share), _) => {
            let to = format!("10.0.{}.0/24", random.below(4));
            client.post(&action(id(share)), &json!({ "allow_access": { "access_type": "ip", "access_to": to, "access_level": "rw" } })).await
        }
        (8, _, Some(snapshot)) if shares.len() < 12 => {
            let share = json!({ "share_proto": "NFS", "size": snapshot["size"], "snapshot_id": id(snapshot) });
            client.post("/v2/shares", &json!({ "share": share })).await
        }
        _ if shares.len() < 12 => client.post("/v2/shares", &json!({ "share": { "share_proto": "NFS", "size": 1 } })).await,
        _ => Ok(Value::Null),
    }
    .map(drop)
}

async fn listed(client: &Client, collection: &str) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(&format!("/v2/{collection}/detail?all_tenants=1")).await?;
    Ok(answer[collection].as_array().cloned().unwrap_or_default())
}

fn pick<'a>(resources: &'a [Value], random: &mut Random) -> Option<&'a Value> {
    let count = u64::try_from(resources.len()).ok().filter(|count| *count > 0)?;
    resources.get(usize::try_from(random.below(count)).ok()?)
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

/// Compare what the daemon knows with what stands in the backend's directories.
async fn judge(operator: &Client, lab: &Lab) -> anyhow::Result<()> {
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let snapshots = listed(operator, "snapshots").await?;
    for share in listed(operator, "shares").await? {
        let locations = operator.get(&format!("/v2/shares/{}/export_locations", id(&share))).await?;
        let status = share["status"].as_str().unwrap_or_default();
        ensure!(status == "available", "a share came to rest as '{status}': {share}");
        let path = locations["export_locations"][0]["path"]
            .as_str()
            .context("an available share without export location")?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let own = snapshots.iter().filter(|snapshot| snapshot["share_id"] == share["id"]).count();
        ensure!(expected.insert(name, own).is_none(), "two shares have the path {path}");
    }
    for snapshot in &snapshots {
        ensure!(snapshot["status"] == "available", "a snapshot came to rest otherwise: {snapshot}");
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for name in names(&lab.root("nas1", "shares"))? {
        match name.split_once('@') {
            Some((share, _)) => *found.entry(share.to_owned()).or_default() += 1,
            None => *found.entry(name).or_default() += 0,
        }
    }
    ensure!(
        expected == found,
        "the daemon knows (share, snapshots) {expected:#?}\nthe backend holds {found:#?}"
    );
    let fragments: BTreeSet<_> = names(&lab.root("nas1", "exports"))?.into_iter().collect();
    for fragment in &fragments {
        let share = fragment.trim_end_matches(".exports");
        ensure!(expected.contains_key(share), "an export of a share that is gone: {fragment}");
    }
    Ok(())
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    folder.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
