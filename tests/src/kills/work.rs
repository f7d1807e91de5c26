//! Clients at work while something is killed.

use super::{Random, id, listed};
use crate::daemon::Daemon;
use crate::http::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Clients at work at once.
const CLIENTS: u64 = 4;

/// Clients that work until stopped.
pub(super) struct Workload {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<u64>>,
}

impl Workload {
    pub(super) fn start(daemon: &Daemon, random: &mut Random) -> Self {
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

    pub(super) async fn stop(self) -> u64 {
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

fn pick<'a>(resources: &'a [Value], random: &mut Random) -> Option<&'a Value> {
    let count = u64::try_from(resources.len()).ok().filter(|count| *count > 0)?;
    resources.get(usize::try_from(random.below(count)).ok()?)
}
