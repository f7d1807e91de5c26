//! Kills at random moments, many of them: what `cargo xtask soak` runs. Prints seed, counts and time; ends with 1 if anything was lost.

#![expect(clippy::print_stdout, reason = "the soak is read on standard output")]

use anyhow::{Context, bail};
use bulkhead_tests::kills;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (mut daemon_kills, mut helper_kills) = (200, 50);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} wants a number"))?;
        match option.as_str() {
            "--seed" => seed = value.parse()?,
            "--daemon-kills" => daemon_kills = value.parse()?,
            "--helper-kills" => helper_kills = value.parse()?,
            _ => bail!("there is no option {option}; use --seed, --daemon-kills, --helper-kills"),
        }
    }
    println!("seed {seed}: {daemon_kills} kills of the daemon, {helper_kills} of its helper");
    let began = Instant::now();
    let tally = kills::run(seed, daemon_kills, helper_kills).await?;
    println!(
        "{} + {} kills, {} requests taken, 0 lost, 0 doubled, 0 orphaned; at rest within {:.1} s each; {:.0} s in all",
        tally.daemon_kills,
        tally.helper_kills,
        tally.requests,
        tally.longest_rest.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
