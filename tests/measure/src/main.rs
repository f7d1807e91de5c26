//! `cargo xtask measure`: what a call, a command and a request cost, each beside its peer in the same run. Only the ratios carry over from
//! one machine to another.

#![expect(clippy::print_stdout, reason = "the tables are read on standard output")]

mod api;
mod calls;
mod child;
mod hop;
mod record;
mod spawn;
mod table;

use anyhow::{Context, bail};

/// How many samples of each.
const ROUNDS: u32 = 2000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-hop", socket] => runtime.block_on(hop::serve_at(socket.into())),
        ["serve-lines"] => child::serve_lines(),
        [] => runtime.block_on(all(ROUNDS)),
        ["--rounds", rounds] => {
            runtime.block_on(all(rounds.parse().context("--rounds wants a number, for example 2000")?))
        }
        other => bail!("there is no {}; use: cargo xtask measure [--rounds N]", other.join(" ")),
    }
}

async fn all(rounds: u32) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("bulkhead-measure-").tempdir()?;
    println!("{}\n", calls::measure(folder.path(), rounds).await.context("calls")?);
    println!("{}\n", spawn::measure(folder.path(), rounds / 4).await.context("commands")?);
    println!("{}", api::measure(rounds / 4).await.context("requests")?);
    Ok(())
}
