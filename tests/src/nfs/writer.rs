//! A client that writes and reads back without pause, and remembers everything that went wrong.

use super::Client;
use anyhow::{Context, anyhow, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Files it writes in turn.
const FILES: u64 = 4;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(2);
/// Failures it remembers word for word.
const MOST_WORDS: usize = 10;

/// A client at work until [`Writer::stop`].
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<Tally>,
}

/// What a writer saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Rounds of write and read that were as they should be.
    pub rounds: u64,
    /// What was not.
    pub failures: u64,
    /// The first of it, word for word.
    pub words: Vec<String>,
    /// The longest round.
    pub longest: Duration,
}

impl Writer {
    /// Begin to write small files into the root of `client`, and to read back what was written. In a thread of its own, so that nothing
    /// else this program does makes it wait.
    pub fn start(client: Client) -> anyhow::Result<Self> {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || runtime.block_on(work(client, &stopped, &counted)));
        Ok(Self { stop, rounds, thread })
    }

    /// The names of the files it writes.
    pub fn files() -> impl Iterator<Item = String> {
        (0..FILES).map(file)
    }

    /// Wait until it has done so many more rounds.
    pub async fn go_on(&self, more: u64) -> anyhow::Result<()> {
        let wanted = self.rounds.load(Ordering::Relaxed) + more;
        let began = Instant::now();
        while self.rounds.load(Ordering::Relaxed) < wanted {
            ensure!(!self.thread.is_finished(), "the writer has ended by itself");
            ensure!(began.elapsed() < Duration::from_secs(30), "the writer does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// End it; what it saw.
    pub async fn stop(self) -> anyhow::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = tokio::task::spawn_blocking(|| self.thread.join())
            .await
            .context("nobody waits for the writer")?;
        ended.map_err(|_| anyhow!("the writer panicked"))
    }
}

async fn work(mut client: Client, stop: &AtomicBool, rounds: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let outcome = round(&mut client, number).await;
        tally.longest = tally.longest.max(began.elapsed());
        match outcome {
            Ok(()) => tally.rounds += 1,
            Err(words) => {
                tally.failures += 1;
                if tally.words.len() < MOST_WORDS {
                    tally.words.push(words);
                }
            }
        }
        rounds.store(tally.rounds, Ordering::Relaxed);
        number += 1;
        tokio::time::sleep(PAUSE).await;
    }
    tally
}

fn file(number: u64) -> String {
    format!("writer-{number}")
}

async fn round(client: &mut Client, number: u64) -> Result<(), String> {
    let name = file(number % FILES);
    let content = format!("{number:020}").repeat(200);
    let told = |failure| format!("round {number}: {failure}");
    client.write(&name, content.as_bytes()).await.map_err(told)?;
    if client.read(&name).await.map_err(told)? != content.as_bytes() {
        return Err(format!("round {number}: another content was read than was written"));
    }
    Ok(())
}

impl Tally {
    /// Fail if anything went wrong, or nothing was done at all.
    pub fn expect_no_failure(&self) -> anyhow::Result<()> {
        ensure!(self.failures == 0, "{} failures, the first of them: {:?}", self.failures, self.words);
        ensure!(self.rounds > 0, "nothing was written");
        Ok(())
    }
}
