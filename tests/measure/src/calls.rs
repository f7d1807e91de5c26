//! P1 and P2: a governed call beside one gRPC hop with the same record, and where its time goes.

use crate::child::JsonChild;
use crate::hop::Hop;
use crate::record::{self, ours, peers, reason};
use crate::table::{Line, Samples, render};
use anyhow::Context;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::testing::{TestHost, grant_everything};
use bulkhead_model::access::{AccessOutcome, AccessUpdate};
use bulkhead_model::share::ShareForDriver;
use bulkhead_package::Package;
use bulkhead_sandbox::measure::{Converted, convert, name_target};
use bulkhead_sandbox::{Driver as _, Engine, EngineConfig, Generation};
use bulkhead_tests::programs;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A driver in this process without any sandbox.
trait Native: Send + Sync {
    fn update_access(&self, share: &ShareForDriver, update: &AccessUpdate) -> Vec<AccessOutcome>;
}

struct NativeDriver;

impl Native for NativeDriver {
    fn update_access(&self, _share: &ShareForDriver, update: &AccessUpdate) -> Vec<AccessOutcome> {
        black_box(update.rules.iter().all(|rule| !rule.access_to.to_string().is_empty()));
        Vec::new()
    }
}

/// Time what stands in it into these samples.
macro_rules! timed {
    ($samples:expr, $work:expr) => {{
        let began = Instant::now();
        black_box($work);
        $samples.add(began.elapsed());
    }};
}

#[derive(Default)]
struct All {
    native: Samples,
    naming: Samples,
    conversion: Samples,
    instance: Samples,
    bare_kept: Samples,
    kept: Samples,
    bare_fresh: Samples,
    fresh: Samples,
    hop: Samples,
    lines: Samples,
}

/// Take `rounds` samples of each, one after the other in every round, so that all meet the same machine.
pub(crate) async fn measure(folder: &Path, rounds: u32) -> anyhow::Result<String> {
    let generation = plain().await?;
    let (share, update) = ours()?;
    let mut hop = Hop::start(folder).await?;
    let mut child = JsonChild::start()?;
    let native: Box<dyn Native> = Box::new(NativeDriver);
    let mut kept = generation.instantiate(&reason()).await?;
    let mut governed = generation.instantiate(&reason()).await?;
    let prepared: Converted = convert(&share, &update);
    let mut all = All::default();
    let warm_up = rounds / 10;
    for round in 0..rounds + warm_up {
        if round == warm_up {
            all = All::default();
        }
        timed!(all.native, native.update_access(&share, &update));
        timed!(all.naming, name_target(&share, &update));
        timed!(all.conversion, convert(&share, &update));
        timed!(all.instance, generation.instantiate(&reason()).await?);
        timed!(all.bare_kept, generation.update_access_bare(&mut kept, &prepared).await?);
        timed!(all.kept, generation.update_access_kept(&mut governed, &reason(), &share, &update).await?);
        timed!(all.bare_fresh, {
            let mut fresh = generation.instantiate(&reason()).await?;
            generation.update_access_bare(&mut fresh, &prepared).await?
        });
        timed!(all.fresh, generation.update_access(&reason(), &share, &update).await?);
        timed!(all.hop, hop.call(peers(&share, &update)).await?);
        timed!(all.lines, child.call(&peers(&share, &update)).await?);
    }
    anyhow::ensure!(
        hop.call(peers(&share, &update)).await? == record::Answer::default(),
        "the peer does not answer as the driver does"
    );
    let bytes = serde_json::to_vec(&peers(&share, &update))?.len();
    let title = format!("update-access, a record of {bytes} bytes as JSON");
    let peer = all.hop.median();
    let lines = [
        Line::new("peer: gRPC (tonic) over a unix socket", all.hop),
        Line::new("peer: JSON lines to a long-lived process", all.lines),
        Line::new("floor: native, through a trait object", all.native),
        Line::new("governed, on a kept instance", all.kept).with_goal("P1", 0.15),
        Line::new("governed, in its fresh instance", all.fresh).with_goal("P2", 1.0),
        Line::new("  of it: naming the target", all.naming),
        Line::new("  of it: conversion to the component's words", all.conversion),
        Line::new("  of it: a store and an instance", all.instance),
        Line::new("  of it: the call, on a kept instance", all.bare_kept),
        Line::new("  bare: a fresh instance and the call", all.bare_fresh),
    ];
    Ok(render(&title, peer, &lines))
}

/// The plain driver, granted what it asks for, on a host in memory.
async fn plain() -> anyhow::Result<Generation> {
    let package = Package::open(&programs::guest("plain")?)?;
    let engine = Engine::new(EngineConfig { cache_directory: None, cache_key: [0; 32] })?;
    let host = TestHost::new(Arc::new(FakeRunner::default())).await?;
    let grant = grant_everything(&package.manifest, &BTreeMap::new());
    let backend = host.backend("plain", package.manifest, grant)?;
    let component = engine.load(package.digest, &package.bytes).context("the plain driver")?;
    Ok(Generation::new(&engine, component, backend)?)
}
