//! A backend's place: who runs its commands, services and jobs, and calls on its buses. The real one speaks to a helper, beside the daemon
//! or on another machine: nothing here is more than text and numbers.

use async_trait::async_trait;
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, FileReply, FilesCall, Finished, GroupKey, JobAnswer, JobCall, PipeFinished,
    Refusal, RootBinding, RunRequest, ServiceAnswer, ServiceCall, SlotArgument, Unreviewed,
};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::CommandTemplate;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;
use tokio::sync::oneshot;

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// The template, granted.
    pub template: CommandTemplate,
    /// The absolute file that the operator bound its program to.
    pub program: String,
    /// Whether the site's ceiling names the program although the reviewed table does not.
    pub unreviewed: Unreviewed,
    /// The roots of its path slots.
    pub roots: BTreeMap<Label, RootBinding>,
    /// The values of its slots, of their types.
    pub slots: BTreeMap<Label, SlotArgument>,
    /// The group in whose namespaces it runs; none: the machine's.
    pub inside: Option<GroupKey>,
    /// How long it may take.
    pub timeout: Duration,
}

impl CommandRequest {
    /// As the helper takes it. Fails if the template has no JSON form, which no parsed one lacks.
    pub(crate) fn to_helper(&self, id: u64) -> Result<RunRequest, serde_json::Error> {
        Ok(RunRequest {
            id,
            template: serde_json::to_string(&self.template)?,
            program: self.program.clone(),
            unreviewed: self.unreviewed,
            roots: self.roots.clone(),
            slots: self.slots.clone(),
            inside: self.inside.clone(),
            timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Why a place has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It was refused: nothing was started.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The helper is not there: nothing was started.
    #[error("the helper cannot be reached: {reason}")]
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
    /// The helper was lost after it was asked: it may have been done, in part or whole. A command runs no more; services and jobs do.
    #[error("the helper was lost before it answered: {reason}")]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
}

impl From<RunError> for CapabilityError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(refusal) => refusal.into(),
            RunError::Unavailable { .. } => Self::new(CapabilityCode::Unavailable, error.to_string()),
            RunError::OutcomeUnknown { .. } => Self::new(CapabilityCode::OutcomeUnknown, error.to_string()),
        }
    }
}

/// Ends when nobody waits for the command any more.
#[derive(Debug)]
pub struct Abandoned(oneshot::Receiver<()>);

/// While this is held, somebody waits for the command.
#[derive(Debug)]
pub struct Waiting(#[expect(dead_code, reason = "held, never read")] oneshot::Sender<()>);

impl Abandoned {
    /// One end for who waits, one for who runs.
    #[must_use]
    pub fn pair() -> (Waiting, Self) {
        let (waiting, abandoned) = oneshot::channel();
        (Waiting(waiting), Self(abandoned))
    }

    /// Resolves when the other end is dropped.
    pub async fn wait(&mut self) {
        let _nothing_is_ever_sent = (&mut self.0).await.is_err();
    }
}

/// Where the directories of a place are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directories {
    /// On this machine: this process opens and holds them.
    Here,
    /// On another machine: the place is asked by [`CommandRunner::files`].
    There,
    /// Nowhere: the place is an array's command line.
    Nowhere,
}

/// Runs commands, and where it can, everything else. A place that runs commands only answers the rest as it stands here.
#[async_trait]
pub trait CommandRunner: Send + Sync + Debug {
    /// Run a command and answer how it ended. When this returns, nothing of the command runs any more, but for
    /// [`Ending::KillPending`](bulkhead_helper::protocol::Ending::KillPending).
    ///
    /// Once `abandoned` resolves, the command is ended; this still returns only when it has. Do not drop the future instead.
    async fn run(&self, request: CommandRequest, abandoned: Abandoned) -> Result<Finished, RunError>;

    /// Run commands that feed each other; else as [`CommandRunner::run`].
    async fn pipe(
        &self,
        stages: Vec<CommandRequest>,
        abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        drop((stages, abandoned));
        Err(commands_only("pipelines"))
    }

    /// Ask about groups and services. What was asked is done even if nobody waits for the answer.
    async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        drop(call);
        Err(commands_only("services"))
    }

    /// Ask about background work. What was asked is done even if nobody waits for the answer.
    async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        drop(call);
        Err(commands_only("jobs"))
    }

    /// Call a method on a group's bus.
    async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        drop(call);
        Err(commands_only("D-Bus calls"))
    }

    /// Where its directories are.
    fn directories(&self) -> Directories {
        Directories::Here
    }

    /// Do something about files and directories, where they are [`Directories::There`]. Once `abandoned` resolves it is let end soon; this
    /// still returns only when it has ended.
    async fn files(&self, call: FilesCall, abandoned: Abandoned) -> Result<FileReply, RunError> {
        drop((call, abandoned));
        Err(commands_only("files"))
    }

    /// Wait until no command of an earlier daemon runs. Recovery begins after that.
    ///
    /// Fails with [`RunError::Unavailable`] if the helper cannot be started or reached; it is tried again meanwhile, so the caller may
    /// wait again.
    async fn wait_until_swept(&self) -> Result<(), RunError>;
}

fn commands_only(what: &str) -> RunError {
    let reason = format!("this backend's place runs commands only, and no {what}");
    RunError::Unavailable { reason }
}
