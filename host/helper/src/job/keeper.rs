//! The process that keeps one job: it runs the stages as the helper runs commands, and writes down how far they are and how they ended.
//! It belongs to nobody else: call, daemon and helper may end while it goes on.

use super::files::{Files, Record, words_of};
use crate::command::{Command, Counting, Line, Progress};
use crate::frame::encode;
use crate::keeper::{Groups, Runtime};
use crate::protocol::{Finished, JobEnd, LARGEST_ANSWER, PipeFinished, Refusal, StartJob};
use crate::tree::{Trees, reap};
use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often is written down how far a job is.
const NOTED: Duration = Duration::from_millis(500);
/// How often the end is tried to be written where that fails, and how long is waited in between.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Why a keeper gave up. Whoever started it has been told, or is gone.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It was not told what to keep.
    #[error("the job to keep cannot be read from standard input")]
    Unreadable(#[source] std::io::Error),
    /// What it was told is not a job.
    #[error("standard input does not hold a job")]
    Malformed(#[source] postcard::Error),
    /// The kernel failed.
    #[error("the job cannot be waited for")]
    Kernel(#[source] Errno),
    /// Nobody will know how the job ended.
    #[error("the end of the job cannot be written down")]
    Unwritten(#[source] Refusal),
}

/// Keep the job that standard input holds until it has ended, with its record below `runtime`. Answers on standard output whether it
/// began: one frame with `Ok` or the refusal.
pub fn keep(runtime: &Path, trees: &Trees) -> Result<(), KeepError> {
    // Not a leader of its session, and never told again what its terminal says.
    let _leads_already = rustix::process::setsid().is_err();
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(KeepError::Unreadable)?;
    let start: StartJob = postcard::from_bytes(&bytes).map_err(KeepError::Malformed)?;
    let begun = begin(runtime, trees, start);
    answer(begun.as_ref().map(|_| ()));
    match begun {
        Ok(kept) => kept.run(trees),
        Err(_) => Ok(()),
    }
}

/// Say whether the job began, to whoever still listens.
fn answer(begun: Result<(), &Refusal>) {
    if let Ok(frame) = encode(&begun, LARGEST_ANSWER) {
        let _nobody_listens = rustix::io::write(std::io::stdout(), &frame).is_err();
    }
}

/// A job that runs.
struct Kept {
    files: Files,
    record: Record,
    command: Command,
}

fn begin(runtime: &Path, trees: &Trees, start: StartJob) -> Result<Kept, Refusal> {
    let counting = if start.counts_bytes && start.stages.len() > 1 { Counting::Yes } else { Counting::No };
    let files = Files::open(runtime, &start.key.backend)?;
    let record = Record::of_this_process(start.key, words_of(&start.stages), counting)?;
    let templates: Vec<_> =
        start.stages.iter().map(|stage| stage.parse_template()).collect::<Result<_, _>>()?;
    let stages: Vec<_> = start.stages.into_iter().zip(templates).collect();
    let groups = Runtime::open(&runtime.join("groups")).map_err(|error| Refusal::io("the groups", error))?;
    let groups = Groups::new(groups);
    // Before anything runs: what runs without a record would never be found again.
    files.add(&record)?;
    match Command::start(&Line { stages: &stages, counting, groups: &groups }, (0, trees)) {
        Ok(command) => Ok(Kept { files, record, command }),
        Err(refusal) => {
            files.remove(&record.key)?;
            Err(refusal)
        }
    }
}

impl Kept {
    fn run(mut self, trees: &Trees) -> Result<(), KeepError> {
        let mut noted = Instant::now();
        let mut more = false;
        loop {
            let command = &mut self.command;
            let children = reap(|child, status| command.has_ended(child, status));
            let progress = command.advance(trees, children);
            more |= self.record.note(self.command.moved());
            match progress {
                Progress::Going => {}
                Progress::Pending(stages) => self.end(stages)?,
                Progress::Over(stages) => return stages.map_or(Ok(()), |stages| self.end(stages)),
            }
            if more && noted.elapsed() >= NOTED {
                (noted, more) = (Instant::now(), false);
                // A count that cannot be written is only an old one.
                let _stays_old = self.files.update(&self.record).is_err();
            }
            self.wait()?;
        }
    }

    fn wait(&self) -> Result<(), KeepError> {
        let mut watched = Vec::new();
        self.command.watch(&mut watched);
        let left = self.command.due().saturating_duration_since(Instant::now()).min(NOTED);
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut watched, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(KeepError::Kernel(error)),
        }
    }

    fn end(&self, stages: Vec<Finished>) -> Result<(), KeepError> {
        let stages = PipeFinished { stages };
        let Some(finished) = stages.decisive().cloned() else { return Ok(()) };
        let end = JobEnd { finished, success: stages.success(), bytes_done: self.record.moved() };
        let mut tries = 1;
        loop {
            match self.files.end(&self.record.key, &end) {
                Ok(()) => return Ok(()),
                Err(refusal) if tries >= TRIES => return Err(KeepError::Unwritten(refusal)),
                Err(_) => tries += 1,
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }
}
