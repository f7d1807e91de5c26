//! Kills at random moments, many of them: what `cargo xtask soak` runs. Prints seed, counts and time; ends with 1 if anything was lost.
//!
//! First on plain directories, then, where that can be had, on real storage, where the NFS server is killed too.

#![expect(clippy::print_stdout, reason = "the soak is read on standard output")]

use anyhow::{Context, bail};
use bulkhead_tests::kills::{self, Kills, Tally};
use bulkhead_tests::machine::{self, Machine};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut directories = Kills { daemon: 650, helper: 150, ganesha: 0 };
    let mut storage = Kills { daemon: 100, helper: 50, ganesha: 50 };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut arguments = words.iter();
    while let Some(option) = arguments.next() {
        let value: u64 = arguments.next().with_context(|| format!("{option} wants a number"))?.parse()?;
        let count = u32::try_from(value);
        match option.as_str() {
            "--seed" => seed = value,
            "--daemon-kills" => directories.daemon = count?,
            "--helper-kills" => directories.helper = count?,
            "--storage-daemon-kills" => storage.daemon = count?,
            "--storage-helper-kills" => storage.helper = count?,
            "--storage-ganesha-kills" => storage.ganesha = count?,
            _ => bail!(
                "there is no option {option}; use --seed, --daemon-kills, --helper-kills, --storage-daemon-kills, \
                 --storage-helper-kills, --storage-ganesha-kills"
            ),
        }
    }
    if let Some(folder) = machine::inside() {
        machine::prepare(&folder)?;
        return told(seed, "real storage", storage, kills::run_on_storage(&folder, seed, storage)).await;
    }
    told(seed, "plain directories", directories, kills::run(seed, directories)).await?;
    match machine::lacking() {
        None => on_a_machine(seed, &words).await,
        Some(reason) => {
            println!("LEFT OUT: real storage: {reason}");
            Ok(())
        }
    }
}

/// Run this program once more on a machine of its own, with the same seed.
async fn on_a_machine(seed: u64, words: &[String]) -> anyhow::Result<()> {
    let seed = seed.to_string();
    let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--seed", seed.as_str()]).collect();
    let machine = Machine::make()?;
    let mut command = machine.command(&arguments)?;
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    if status.success() { Ok(()) } else { bail!("the soak on real storage failed ({status})") }
}

async fn told(
    seed: u64,
    ground: &str,
    wanted: Kills,
    run: impl Future<Output = anyhow::Result<Tally>>,
) -> anyhow::Result<()> {
    println!("seed {seed}, {ground}: {wanted:?}");
    let began = Instant::now();
    let tally = run.await?;
    println!(
        "{:?}, {} requests taken, 0 lost, 0 doubled, 0 orphaned; at rest within {:.1} s each; {:.0} s in all",
        tally.kills,
        tally.requests,
        tally.longest_rest.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
