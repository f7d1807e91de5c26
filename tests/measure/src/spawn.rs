//! P4: a command of a driver beside a spawn of the same program, from a process as large as a daemon may become.

use crate::table::{Line, Samples, render};
use anyhow::Context;
use bulkhead_capability::execute::{CommandRunner, HelperClient, HelperPlace};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::target::CallTarget;
use bulkhead_package::Package;
use bulkhead_tests::{machine, programs};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GIB: usize = 1 << 30;
/// How much memory this process has meanwhile.
const RESIDENT_GIB: usize = 2;
const PAGE: usize = 4096;
/// The command of the plain driver.
const TEMPLATE: &str = "nothing";
const PROGRAM: &str = "true";

/// Take `rounds` samples of each, one after the other in every round.
pub(crate) async fn measure(folder: &Path, rounds: u32) -> anyhow::Result<String> {
    let program = machine::find(PROGRAM).context("there is no program 'true'")?;
    let helper = HelperClient::start(HelperPlace::Beside {
        program: programs::program("bulkhead-helper")?,
        lock: folder.join("helper.lock"),
        runtime: folder.join("helper"),
    });
    helper.wait_until_swept().await?;
    let runner: Arc<dyn CommandRunner> = Arc::new(helper);
    let host = TestHost::new(runner).await?;
    let package = Package::open(&programs::guest("plain")?)?;
    let mut grant = grant_everything(&package.manifest, &BTreeMap::new());
    grant.programs.insert(PROGRAM.to_owned(), program.clone());
    let backend = host.backend("plain", package.manifest, grant)?;
    let resident = resident();
    let (mut spawned, mut executed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let began = Instant::now();
        let status = Command::new(&program).env_clear().status()?;
        spawned.add(began.elapsed());
        anyhow::ensure!(status.success(), "{} ended with {status}", program.display());

        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let call = backend.begin(origin("shares.create-share"), CallTarget::default(), deadline, 0);
        let began = Instant::now();
        call.execute().run(TEMPLATE, &[]).await?;
        executed.add(began.elapsed());
        call.end()?;
    }
    black_box(&resident);
    let peer = spawned.median();
    let title = format!("/bin/true, with {RESIDENT_GIB} GiB resident");
    let lines = [
        Line::new("peer: posix_spawn and wait", spawned),
        Line::new("execute.run through the resident helper, recorded in the ledger", executed)
            .with_goal("P4", 1.5),
    ];
    Ok(render(&title, peer, &lines))
}

/// Memory whose every page was written.
fn resident() -> Vec<u8> {
    let mut memory = vec![0_u8; RESIDENT_GIB * GIB];
    for page in memory.chunks_mut(PAGE) {
        if let Some(first) = page.first_mut() {
            *first = 1;
        }
    }
    memory
}
