//! How a job is, as the guest sees it.

use crate::execute::outcome::clean;
use bulkhead_helper::protocol::{Ending, JobEnd, JobState as PlaceState};
use bulkhead_model::error::CommandExit;

/// The signal that ends what does not end by itself.
const KILL: i32 = 9;

/// How far a job that is running is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobProgress {
    /// Bytes moved; none if they are not counted.
    pub bytes_done: Option<u64>,
    /// How long it has been running, in milliseconds.
    pub running_ms: u64,
}

/// How a job that ended did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobExit {
    /// Its exit; one that was ended by the host was ended by signal 9.
    pub exit: CommandExit,
    /// Bytes moved; none if they were not counted.
    pub bytes_done: Option<u64>,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum JobState {
    /// Still at it.
    Running(JobProgress),
    /// It ended with exit code 0, all stages of a pipeline did.
    Succeeded(JobExit),
    /// It ended otherwise.
    Failed(JobExit),
    /// It does not run and nobody saw it end.
    Lost,
}

impl From<PlaceState> for JobState {
    fn from(state: PlaceState) -> Self {
        match state {
            PlaceState::Running { bytes_done, running_ms } => {
                Self::Running(JobProgress { bytes_done, running_ms })
            }
            PlaceState::Ended(JobEnd { finished, success, bytes_done }) => {
                let (exit_code, signal) = match finished.ending {
                    Ending::Exited(code) => (Some(code), None),
                    Ending::Signalled(signal) => (None, Some(signal)),
                    Ending::LimitExceeded
                    | Ending::TimedOut
                    | Ending::Cancelled
                    | Ending::Flooded
                    | Ending::KillPending => (None, Some(KILL)),
                };
                let stderr = clean(&finished.stderr);
                let exit = CommandExit { exit_code, signal, stdout: finished.stdout, stderr };
                let exit = JobExit { exit, bytes_done, duration_ms: finished.duration_ms };
                if success { Self::Succeeded(exit) } else { Self::Failed(exit) }
            }
            PlaceState::Lost => Self::Lost,
        }
    }
}
