//! What `cargo xtask demo` shows: the story of a share on real storage where that can be had, else on plain directories.

#![expect(clippy::print_stdout, reason = "the demo is read on standard output")]

use anyhow::{Context, bail};
use bulkhead_tests::machine::{self, Machine};
use bulkhead_tests::story;
use std::path::Path;
use std::time::Instant;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(folder) = machine::inside() {
        return real(&folder).await;
    }
    let began = Instant::now();
    match machine::lacking() {
        None => {
            let machine = Machine::make()?;
            let status = machine.command(&[])?.status().context("the machine cannot be started")?;
            if !status.success() {
                bail!("the story broke off ({status})");
            }
        }
        Some(reason) => directories(&reason).await?,
    }
    println!("\nAll of it held, in {:.1} s.", began.elapsed().as_secs_f64());
    Ok(())
}

async fn real(folder: &Path) -> anyhow::Result<()> {
    println!(
        "The story of a share. Driver: `btrfs-ganesha`, a WebAssembly component; shares are btrfs subvolumes with quotas,"
    );
    println!(
        "served by NFS-Ganesha to clients of NFSv3. All in namespaces of its own; this machine's network and mounts stay as they are.\n"
    );
    machine::prepare(folder)?;
    story::nfs::tell(folder).await
}

async fn directories(reason: &str) -> anyhow::Result<()> {
    println!(
        "The story of a share. Driver: `directory`, a WebAssembly component; shares are directories, clients local."
    );
    println!(
        "What this leaves out: no NFS server is told, the filesystem enforces no size, and nothing is replicated."
    );
    println!("Why: {reason}.\n");
    story::directory::tell().await
}
