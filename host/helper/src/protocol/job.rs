//! Pipelines and jobs, as daemon and helper speak of them.

use super::{Ending, Finished, RunRequest};
use bulkhead_model::id::Label;
use serde::{Deserialize, Serialize};

/// Commands that feed each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeRequest {
    /// Grows with every request of a connection, as for commands.
    pub id: u64,
    /// First to last; at least two, at most [`MOST_STAGES`](super::MOST_STAGES). Their own ids are not looked at, and they read nothing
    /// on standard input but each other. The shortest of their times bounds the whole.
    pub stages: Vec<RunRequest>,
}

/// How a pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeFinished {
    /// Each stage's end, first to last; the last one's standard output is kept, the others' went to the next. When one fails the others
    /// are ended at once, as [`Ending::Cancelled`].
    pub stages: Vec<Finished>,
}

impl PipeFinished {
    /// Whether all ended with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        !self.stages.is_empty() && self.stages.iter().all(|stage| stage.ending == Ending::Exited(0))
    }

    /// The end that says what came of the whole: that of the first stage that failed by itself, else of the first that was ended, else of
    /// the last. None without stages.
    #[must_use]
    pub fn decisive(&self) -> Option<&Finished> {
        let by_itself = |stage: &&Finished| !matches!(stage.ending, Ending::Exited(0) | Ending::Cancelled);
        let ended = |stage: &&Finished| stage.ending != Ending::Exited(0);
        let stages = &self.stages;
        stages.iter().find(by_itself).or_else(|| stages.iter().find(ended)).or_else(|| stages.last())
    }
}

/// Which job of which backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The backend's name.
    pub backend: String,
    /// The host-derived name of the call's subject.
    pub subject: String,
    /// The job's name in the manifest.
    pub job: Label,
    /// The driver's key, at most 255 bytes.
    pub key: String,
}

/// What is asked about jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobCall {
    /// Start one, unless there is one under this key: then its state is the answer; refused with `conflict` if it runs with other words,
    /// with `busy` if 4 of the backend run.
    Start(StartJob),
    /// How it is; refused with `not-found` if there is none.
    Poll(JobKey),
    /// All jobs of a backend's subject, in order of name and key, at most 1,000; without standard output, and with the beginning of
    /// standard error.
    Entries {
        /// The backend's name.
        backend: String,
        /// The host-derived name of the subject.
        subject: String,
    },
    /// End it with everything it started; it is failed afterwards. One that was lost stays so; one that has ended, or none, is passed over.
    Cancel(JobKey),
    /// Forget one that has ended or was lost; refused with `busy` if it runs. None is passed over.
    Forget(JobKey),
}

/// A job to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartJob {
    /// Under which key.
    pub key: JobKey,
    /// One command, or the stages of a pipeline. The shortest of their `timeout_ms` bounds the whole.
    pub stages: Vec<RunRequest>,
    /// Whether the bytes between the first stage and the next are counted.
    pub counts_bytes: bool,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Still at it.
    Running {
        /// Bytes between its stages so far; none if they are not counted.
        bytes_done: Option<u64>,
        /// How long, in milliseconds.
        running_ms: u64,
    },
    /// It ended.
    Ended(JobEnd),
    /// It does not run and nobody saw it end.
    Lost,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Of the first stage that failed, else of the last.
    pub finished: Finished,
    /// Whether all stages ended with exit code 0.
    pub success: bool,
    /// Bytes between its stages; none if they were not counted.
    pub bytes_done: Option<u64>,
}

/// A job of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEntry {
    /// Its key.
    pub key: JobKey,
    /// How it is.
    pub state: JobState,
}

/// What came of a [`JobCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobAnswer {
    /// To `Start` and `Poll`.
    State(JobState),
    /// To `Entries`.
    Entries(Vec<JobEntry>),
    /// To everything else.
    Done,
}
