//! Background work that outlives its call, its daemon and this helper: each job runs under a [`keeper`] process of its own.
//!
//! This module starts keepers, finds them again by what they wrote down, and ends them with everything they started. A keeper that is
//! killed takes its stages with it, as a helper does; then nobody saw the job end, and it is lost.

mod files;
mod keeper;

pub use keeper::{KeepError, keep};

use crate::frame::FrameReader;
use crate::policy::Policy;
use crate::protocol::{
    Ending, EndingMethod, Finished, JobAnswer, JobCall, JobEnd, JobKey, JobState, LARGEST_ANSWER,
    MOST_STAGES, Refusal, StartJob,
};
use crate::tree::{Left, Trees};
use bulkhead_model::error::CapabilityCode;
use files::{Files, Record, words_of};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How many jobs of one backend run at once; more are refused as `busy`.
const MOST_RUNNING: usize = 4;
/// How many jobs of one subject there are, ended ones too; more are refused as `limit-exceeded`.
const MOST_OF_A_SUBJECT: usize = 1000;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;
/// How long a keeper may take to say whether its job began.
const BEGINNING: Duration = Duration::from_secs(60);
/// How long the end of a job may take.
const ENDING: Duration = Duration::from_secs(10);
/// How soon to look again while a job ends.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What came of a call.
pub(crate) type Answer = Result<JobAnswer, Refusal>;

/// What the calls of a connection need of their helper.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'server> {
    pub(crate) runtime: Option<&'server Path>,
    pub(crate) policy: &'server Policy,
    pub(crate) trees: &'server Trees,
}

/// The calls about jobs that wait for something.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    beginning: Vec<Beginning>,
    ending: Vec<Stopping>,
}

/// A keeper that has not said yet whether its job began.
#[derive(Debug)]
struct Beginning {
    id: u64,
    key: JobKey,
    files: Files,
    keeper: Option<OwnedFd>,
    stream: ChildStdout,
    received: FrameReader,
    until: Instant,
}

/// A job that is being ended.
#[derive(Debug)]
struct Stopping {
    id: u64,
    files: Files,
    record: Record,
    keeper: Option<OwnedFd>,
    until: Instant,
}

impl Jobs {
    /// Serve a call. None if its answer comes later, from [`Jobs::advance`].
    pub(crate) fn call(&mut self, id: u64, call: JobCall, means: Means<'_>) -> Option<Answer> {
        match self.try_call(id, call, means) {
            Ok(answer) => answer.map(Ok),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    fn try_call(&mut self, id: u64, call: JobCall, means: Means<'_>) -> Result<Option<JobAnswer>, Refusal> {
        let runtime = means.runtime.ok_or_else(|| {
            let message = "this helper keeps no jobs: start it with --runtime DIRECTORY";
            Refusal::new(CapabilityCode::Unavailable, message)
        })?;
        let found = |key: &JobKey| {
            let files = Files::open(runtime, &key.backend)?;
            let record = files.record(key);
            Ok::<_, Refusal>((files, record))
        };
        match call {
            JobCall::Start(start) => self.start(id, start, (runtime, means)),
            JobCall::Poll(key) => match found(&key)? {
                (files, Some(record)) => Ok(Some(JobAnswer::State(files.state(&record)))),
                _ => Err(Refusal::new(CapabilityCode::NotFound, "there is no job under this key")),
            },
            JobCall::Entries { backend, subject } => {
                let files = Files::open(runtime, &backend)?;
                let mut records = files.records();
                records.retain(|record| record.key.subject == subject);
                records.sort_by(|one, other| one.key.cmp(&other.key));
                records.truncate(MOST_OF_A_SUBJECT);
                let entries = records.into_iter().map(|record| files.entry(record)).collect();
                Ok(Some(JobAnswer::Entries(entries)))
            }
            JobCall::Cancel(key) => {
                self.refuse_while_it_begins(&key)?;
                match found(&key)? {
                    (files, Some(record)) => self.stop(id, files, record),
                    _ => Ok(Some(JobAnswer::Done)),
                }
            }
            JobCall::Forget(key) => {
                self.refuse_while_it_begins(&key)?;
                let (files, record) = found(&key)?;
                if record.is_some_and(|record| files.runs(&record)) {
                    return Err(busy("it runs; cancel it first"));
                }
                files.remove(&key)?;
                Ok(Some(JobAnswer::Done))
            }
        }
    }

    fn refuse_while_it_begins(&self, key: &JobKey) -> Result<(), Refusal> {
        let begins = self.beginning.iter().any(|beginning| beginning.key == *key);
        let ends = self.ending.iter().any(|stopping| stopping.record.key == *key);
        if begins || ends { Err(busy("it is just being started or ended")) } else { Ok(()) }
    }

    fn start(
        &mut self,
        id: u64,
        start: StartJob,
        (runtime, means): (&Path, Means<'_>),
    ) -> Result<Option<JobAnswer>, Refusal> {
        if start.key.key.len() > LONGEST_KEY {
            return Err(Refusal::invalid(format!("a job's key is at most {LONGEST_KEY} bytes long")));
        }
        if start.stages.is_empty() || start.stages.len() > MOST_STAGES {
            return Err(Refusal::invalid(format!("a job has 1 to {MOST_STAGES} stages")));
        }
        self.refuse_while_it_begins(&start.key)?;
        let files = Files::open(runtime, &start.key.backend)?;
        if let Some(record) = files.record(&start.key) {
            let state = files.state(&record);
            if matches!(state, JobState::Running { .. }) && record.words != words_of(&start.stages) {
                return Err(Refusal::new(
                    CapabilityCode::Conflict,
                    "a job runs under this key with other words; take another key, or cancel and forget it",
                ));
            }
            return Ok(Some(JobAnswer::State(state)));
        }
        self.check_room(&files, &start.key)?;
        let start = StartJob {
            stages: means.policy.read_stages(start.stages)?.into_iter().map(|(stage, _)| stage).collect(),
            ..start
        };
        self.beginning.push(Beginning::start(id, files, start, (runtime, means.trees.method()))?);
        Ok(None)
    }

    fn check_room(&self, files: &Files, key: &JobKey) -> Result<(), Refusal> {
        let records = files.records();
        let begin = self.beginning.iter().filter(|beginning| beginning.key.backend == key.backend).count();
        let run = records.iter().filter(|record| files.runs(record)).count();
        if run.saturating_add(begin) >= MOST_RUNNING {
            return Err(busy(&format!("{MOST_RUNNING} jobs of this backend run already; try again later")));
        }
        let of_subject = records.iter().filter(|record| record.key.subject == key.subject).count();
        if of_subject >= MOST_OF_A_SUBJECT {
            return Err(Refusal::new(
                CapabilityCode::LimitExceeded,
                format!("there are {MOST_OF_A_SUBJECT} jobs of this subject; forget those that have ended"),
            ));
        }
        Ok(())
    }

    fn stop(&mut self, id: u64, files: Files, record: Record) -> Result<Option<JobAnswer>, Refusal> {
        if matches!(files.state(&record), JobState::Ended(_)) {
            return Ok(Some(JobAnswer::Done));
        }
        let keeper = record.keeper().and_then(|keeper| hold(keeper, &record));
        if let Some(keeper) = &keeper {
            let _has_ended = pidfd_send_signal(keeper, Signal::KILL).is_err();
        }
        self.ending.push(Stopping { id, files, record, keeper, until: soon(ENDING) });
        Ok(None)
    }

    /// Add what waits.
    pub(crate) fn watch<'jobs>(&'jobs self, list: &mut Vec<PollFd<'jobs>>) {
        for beginning in &self.beginning {
            list.push(PollFd::from_borrowed_fd(beginning.stream.as_fd(), PollFlags::IN));
        }
    }

    /// When to look again though nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        let ending = (!self.ending.is_empty()).then(|| soon(LOOK_AGAIN));
        self.beginning.iter().map(|beginning| beginning.until).chain(ending).min()
    }

    /// Go on with each. The answers that have come, by id.
    pub(crate) fn advance(&mut self, trees: &Trees) -> Vec<(u64, Answer)> {
        let mut answers = Vec::new();
        self.beginning.retain_mut(|beginning| match beginning.advance() {
            Some(answer) => {
                answers.push((beginning.id, answer));
                false
            }
            None => true,
        });
        self.ending.retain_mut(|stopping| match stopping.advance(trees) {
            Some(answer) => {
                answers.push((stopping.id, answer));
                false
            }
            None => true,
        });
        answers
    }
}

impl Beginning {
    /// Start a keeper. It is this binary, in a session of its own; it is told its job in a file without a name.
    fn start(
        id: u64,
        files: Files,
        start: StartJob,
        (runtime, method): (&Path, EndingMethod),
    ) -> Result<Self, Refusal> {
        let failed = |error: std::io::Error| Refusal::io("the job's keeper could not be started", error);
        let bytes = postcard::to_stdvec(&start).map_err(|error| Refusal::invalid(error.to_string()))?;
        let told = memfd_create("bulkhead-job", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let mut told = std::fs::File::from(told);
        told.write_all(&bytes).map_err(failed)?;
        seek(&told, SeekFrom::Start(0)).map_err(|error| failed(error.into()))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("--keep-job").arg(runtime).env_clear().current_dir("/");
        if method == EndingMethod::MarkAndSweep {
            command.arg("--without-groups");
        }
        command.stdin(Stdio::from(told)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let stream =
            child.stdout.take().ok_or_else(|| Refusal::io("the job's keeper", "it has no output"))?;
        rustix::io::ioctl_fionbio(&stream, true).map_err(|error| failed(error.into()))?;
        let keeper = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self {
            id,
            key: start.key,
            files,
            keeper: keeper.and_then(|keeper| pidfd_open(keeper, PidfdFlags::empty()).ok()),
            stream,
            received: FrameReader::new(LARGEST_ANSWER),
            until: soon(BEGINNING),
        })
    }

    fn advance(&mut self) -> Option<Answer> {
        let open = self.read();
        match self.received.read::<Result<(), Refusal>>() {
            Ok(Some(Ok(()))) => return Some(self.state()),
            Ok(Some(Err(refusal))) => return Some(Err(refusal)),
            Ok(None) if open && Instant::now() < self.until => return None,
            Ok(None) if open => {}
            // It died, before it wrote the record or behind that.
            _ => return Some(self.state()),
        }
        if let Some(keeper) = &self.keeper {
            let _has_ended = pidfd_send_signal(keeper, Signal::KILL).is_err();
        }
        Some(Err(Refusal::new(
            CapabilityCode::TimedOut,
            "the job did not begin in time; poll before starting it again",
        )))
    }

    /// Whether there may be more.
    fn read(&mut self) -> bool {
        let mut block = Vec::with_capacity(4096);
        loop {
            block.clear();
            match rustix::io::read(&self.stream, spare_capacity(&mut block)) {
                Ok(0) => return false,
                Ok(_) => self.received.extend(&block),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }

    fn state(&self) -> Answer {
        match self.files.record(&self.key) {
            Some(record) => Ok(JobAnswer::State(self.files.state(&record))),
            None => Err(Refusal::io("the job's keeper", "it ended before the job began")),
        }
    }
}

impl Stopping {
    fn advance(&mut self, trees: &Trees) -> Option<Answer> {
        let gone = self.record.keeper().is_none();
        if gone && trees.end_strays() == Left::Nothing {
            return Some(self.end());
        }
        if Instant::now() < self.until {
            return None;
        }
        let message = "something of the job was killed, but the kernel has not let go of it";
        Some(Err(Refusal::new(CapabilityCode::TimedOut, message)))
    }

    /// Nothing of it is left. It is failed, unless it ended by itself at the last moment, or was lost before.
    fn end(&self) -> Answer {
        if self.keeper.is_some() {
            let finished = Finished {
                ending: Ending::Cancelled,
                stdout: Vec::new(),
                stderr: Vec::new(),
                truncated: false,
                duration_ms: self.record.running_ms(),
            };
            let record = self.files.record(&self.record.key);
            let bytes_done = record.as_ref().unwrap_or(&self.record).moved();
            self.files.end(&self.record.key, &JobEnd { finished, success: false, bytes_done })?;
        }
        Ok(JobAnswer::Done)
    }
}

/// Hold a job's keeper: not whoever has its number by now.
fn hold(keeper: Pid, record: &Record) -> Option<OwnedFd> {
    let held = pidfd_open(keeper, PidfdFlags::empty()).ok()?;
    record.keeper().is_some().then_some(held)
}

fn soon(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

fn busy(why: &str) -> Refusal {
    Refusal::new(CapabilityCode::Busy, format!("the job: {why}"))
}
