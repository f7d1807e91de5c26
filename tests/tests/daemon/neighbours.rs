//! Bad backends beside a good one: whoever uses the good one does not notice.

use bulkhead_tests::daemon::{Daemon, SETTLE};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::verbs::{delete_share, share_path, text, until};
use serde_json::json;
use std::time::{Duration, Instant};

/// How often each daemon makes a share.
const ROUNDS: usize = 11;
/// How much slower than alone the good backend may be. Both daemons share a machine with other tests: the medians of two that do the same
/// are no further apart than this.
const RATIO: u32 = 4;

/// A daemon in which `nas3` serves, and with it whatever else the lab has.
async fn serving(lab: &Lab) -> Daemon {
    let daemon = Daemon::start(lab).await.expect("a daemon");
    until("the good backend is ready", SETTLE, async || {
        let backends = daemon.operator().get("/v1/backends").await?;
        let ready = |backend: &&serde_json::Value| {
            backend["name"] == "nas3"
                && backend["status"]["state"] == "ready"
                && !backend["statistics"].is_null()
        };
        Ok(backends["backends"].as_array().is_some_and(|all| all.iter().any(|backend| ready(&backend))))
    })
    .await
    .expect("ready");
    daemon
}

/// Make a share, remove it, and tell how long it took until it was available.
async fn timed_share(client: &Client) -> Duration {
    let began = Instant::now();
    let asked = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let made = client.post("/v2/shares", &asked).await.expect("taken");
    let share = text(&made["share"]["id"]).expect("an id");
    loop {
        let found = client.get(&share_path(&share)).await.expect("the share");
        match found["share"]["status"].as_str() {
            Some("available") => break,
            Some("creating") => tokio::time::sleep(Duration::from_millis(1)).await,
            other => panic!("it came to rest as {other:?}"),
        }
    }
    let took = began.elapsed();
    delete_share(client, &share).await.expect("gone");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn shares_are_made_as_fast_beside_a_backend_of_nonsense_and_one_that_always_traps() {
    let alone = Lab::new().and_then(|lab| lab.with_backend("nas3", "memory", "")).expect("a lab");
    let among = Lab::new()
        .and_then(|lab| lab.with_backend("nas1", "hostile", "behaviour = \"nan-capacity@stats\"\n"))
        .and_then(|lab| lab.with_backend("nas2", "hostile", "behaviour = \"trap\"\n"))
        .and_then(|lab| lab.with_backend("nas3", "memory", ""))
        .expect("a lab");
    let (alone, among) = (serving(&alone).await, serving(&among).await);
    let (mut times_alone, mut times_among) = (Vec::new(), Vec::new());
    // In turn, so that what else the machine does slows both down.
    for _ in 0..ROUNDS {
        times_alone.push(timed_share(&alone.tenant()).await);
        times_among.push(timed_share(&among.tenant()).await);
    }
    let (alone_took, among_took) = (median(times_alone), median(times_among));
    assert!(among_took < alone_took * RATIO, "{among_took:?} beside bad backends, {alone_took:?} alone");
    // Both bad ones are still what they are: no share went there, and what is wrong is told.
    let backends = among.operator().get("/v1/backends").await.expect("the backends");
    let told = backends["backends"].to_string();
    assert!(told.contains("nas1") && told.contains("nas2"), "{told}");
    let trapping = backends["backends"].as_array().expect("a list").iter().find(|one| one["name"] == "nas2");
    assert_ne!(
        trapping.expect("listed")["status"]["state"],
        "ready",
        "a driver that only traps serves nobody"
    );
}
