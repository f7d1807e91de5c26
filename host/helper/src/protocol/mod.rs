//! What daemon and helper say to each other: frames of [`frame`](crate::frame) that hold one [`ToHelper`] or [`FromHelper`].
//!
//! No descriptor crosses the connection, so that it may be a channel to another machine. The daemon speaks first:
//!
//! ```text
//! Hello -> Hello          versions must be equal, else the helper answers its own and closes
//! Sweep -> Swept          every command of an earlier connection has ended; until then nothing is run
//! Run   -> Started -> Finished     or Refused: nothing was started
//! Pipe  -> Started -> Piped        or Refused: the same for commands that feed each other
//! Cancel                  the command is ended; its Finished comes all the same
//! Service -> Service      groups and services; the answer comes when it is known, others may come first
//! Job   -> Job            background work
//! Dbus  -> Dbus           a call on a group's private bus
//! Files -> Files          files and directories below roots
//! Ping  -> Pong           the helper lives
//! ```
//!
//! When the connection closes, the helper ends every command and then itself; groups, their services and jobs run on.

mod dbus;
mod files;
mod job;
mod secret;
mod service;

pub use dbus::{DbusItem, DbusReply, DbusRequest, DbusValue, LARGEST_REPLY, MOST_ITEMS};
pub use files::{
    Before, Claimed, DirectoryEntry, FileFacts, FileKind, FilePath, FileReply, FileWork, FilesCall, Mounts,
    Readers, RenameKind, RootFacts, Space,
};
pub use job::{JobAnswer, JobCall, JobEnd, JobEntry, JobKey, JobState, PipeFinished, PipeRequest, StartJob};
pub use secret::SecretText;
pub use service::{
    BindRequest, GroupInterface, GroupKey, ServiceAnswer, ServiceCall, ServiceExit, ServiceState,
    ServiceStatus, StartService, StartServices,
};

use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::CommandTemplate;
use bulkhead_model::pattern::RelativePath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version that both sides must speak.
pub const VERSION: u32 = 5;
/// The largest frame to a helper, in bytes: a template, its slots and standard input.
pub const LARGEST_REQUEST: usize = 2 << 20;
/// The largest frame from a helper, in bytes: what is kept of a command's output.
pub const LARGEST_ANSWER: usize = 20 << 20;
/// How many commands one helper runs at once; more are refused as `busy`.
pub const MOST_COMMANDS: usize = 64;
/// The most standard output that is kept, in bytes, whatever the template says.
pub const LARGEST_CAPTURE: u64 = 16 << 20;
/// How much standard error is kept, in bytes.
pub const STANDARD_ERROR_BYTES: u64 = 64 << 10;
/// A command that writes more than this on both streams together is ended.
pub const FLOOD_BYTES: u64 = 64 << 20;
/// The most standard input a command is given, in bytes.
pub const LARGEST_INPUT: usize = 1 << 20;
/// How many stages a pipeline may have.
pub const MOST_STAGES: usize = 8;
/// How many path slots a template may have: each takes a descriptor of the command.
pub const MOST_PATHS: usize = 16;

/// What the daemon says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHelper {
    /// First of all.
    Hello {
        /// The version the daemon speaks.
        version: u32,
    },
    /// Wait until the commands of earlier connections have ended, and end those that their helper left behind.
    Sweep,
    /// Run a command.
    Run(Box<RunRequest>),
    /// Run commands that feed each other.
    Pipe(Box<PipeRequest>),
    /// Do something about groups and services. One that changes something and one group waits for the other.
    Service {
        /// Comes back; grows like those of commands.
        id: u64,
        /// What.
        call: Box<ServiceCall>,
    },
    /// Do something about background work.
    Job {
        /// Comes back; grows like those of commands.
        id: u64,
        /// What.
        call: Box<JobCall>,
    },
    /// Call a method on a group's private bus.
    Dbus {
        /// Comes back; grows like those of commands.
        id: u64,
        /// Which.
        call: Box<DbusRequest>,
    },
    /// Do something about files and directories.
    Files {
        /// Comes back; grows like those of commands.
        id: u64,
        /// What.
        call: Box<FilesCall>,
    },
    /// End a command, or let work on files end soon. Unknown ids and commands that have ended are passed over.
    Cancel {
        /// Which.
        id: u64,
    },
    /// Answer.
    Ping {
        /// Comes back.
        token: u64,
    },
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Grows with every request of a connection; one that does not is refused as a replay.
    pub id: u64,
    /// The template, as the JSON its digest is taken of.
    pub template: String,
    /// The absolute file that the operator bound the program to.
    pub program: String,
    /// Whether the site's ceiling allows a program that the reviewed table does not know.
    pub unreviewed: Unreviewed,
    /// The roots that path slots lie below.
    pub roots: BTreeMap<Label, RootBinding>,
    /// The value of each slot.
    pub slots: BTreeMap<Label, SlotArgument>,
    /// The group in whose namespaces it runs, where its template says `inside`.
    pub inside: Option<GroupKey>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

impl RunRequest {
    /// The template. Fails with `invalid-argument` if the text is not one.
    pub fn parse_template(&self) -> Result<CommandTemplate, Refusal> {
        serde_json::from_str(&self.template)
            .map_err(|error| Refusal::invalid(format!("the template cannot be read: {error}")))
    }
}

/// Whether a program outside the reviewed table may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreviewed {
    /// Only what the table knows, as it knows it.
    Refused,
    /// This one may, though nobody has reviewed what its words can do.
    Allowed,
}

/// A directory that the operator bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootBinding {
    /// Its absolute path.
    pub path: String,
    /// Which directory the daemon holds open there, where both run on one machine: device and number.
    pub identity: Option<(u64, u64)>,
    /// Whose it has to be, as the text of a tenure: refused once a later term of the same state has it. None: whoever asks has looked.
    pub tenure: Option<String>,
}

/// The value of a slot, checked by the daemon and checked again by the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotArgument {
    /// For `bytes`, `gib` and `port`.
    Unsigned(u64),
    /// For `integer`.
    Signed(i64),
    /// For `enum`, `ip`, `cidr`, `uuid`, `name` and `opaque`.
    Text(String),
    /// For `path`: the way below the slot's root.
    Path(RelativePath),
    /// For `secret`.
    Secret(SecretText),
}

/// What the helper says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromHelper {
    /// To the daemon's hello.
    Hello {
        /// The version the helper speaks.
        version: u32,
        /// Its process.
        process: u32,
        /// How it ends what its commands leave behind.
        ending: EndingMethod,
    },
    /// Nothing of earlier connections runs any more.
    Swept,
    /// The command runs.
    Started {
        /// Which.
        id: u64,
    },
    /// The command and everything it started have ended (but see [`Ending::KillPending`]).
    Finished {
        /// Which.
        id: u64,
        /// How.
        finished: Finished,
    },
    /// The pipeline and everything it started have ended.
    Piped {
        /// Which.
        id: u64,
        /// How.
        finished: PipeFinished,
    },
    /// What came of a call about services.
    Service {
        /// Which call.
        id: u64,
        /// What.
        answer: Result<ServiceAnswer, Refusal>,
    },
    /// What came of a call about jobs.
    Job {
        /// Which call.
        id: u64,
        /// What.
        answer: Result<JobAnswer, Refusal>,
    },
    /// What came of a call on a bus. A refusal with `outcome-unknown` may have had its effect.
    Dbus {
        /// Which call.
        id: u64,
        /// What.
        answer: Result<DbusReply, Refusal>,
    },
    /// What came of work on files. A refusal with `outcome-unknown` may have had its effect.
    Files {
        /// Which call.
        id: u64,
        /// What.
        answer: Result<FileReply, Refusal>,
    },
    /// Nothing was started.
    Refused {
        /// Which.
        id: u64,
        /// Why.
        refusal: Refusal,
    },
    /// To a ping.
    Pong {
        /// What the ping said.
        token: u64,
    },
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// By itself or not.
    pub ending: Ending,
    /// Standard output, cut at the template's `capture`.
    pub stdout: Vec<u8>,
    /// Standard error, cut at [`STANDARD_ERROR_BYTES`].
    pub stderr: Vec<u8>,
    /// Whether either was cut.
    pub truncated: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// By itself or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It left with this code.
    Exited(i32),
    /// This signal ended it, and the helper did not send it.
    Signalled(i32),
    /// It broke its limit of processor time or file size.
    LimitExceeded,
    /// Its time was up.
    TimedOut,
    /// The daemon cancelled it; of a pipeline's stage also: another one failed.
    Cancelled,
    /// It wrote more than [`FLOOD_BYTES`].
    Flooded,
    /// It was killed, but the kernel has not let go of it: a device does not answer. Its place stays taken until it is gone.
    KillPending,
}

/// How a helper ends what a command leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndingMethod {
    /// A cgroup (version 2) for each command, ended as a whole by the kernel.
    ControlGroup,
    /// Every command carries a mark that what it starts inherits; the helper adopts orphans and ends all that carry it.
    MarkAndSweep,
}

impl fmt::Display for EndingMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ControlGroup => "a cgroup for each command",
            Self::MarkAndSweep => "marks and a sweep over /proc (no writable cgroup version 2 here)",
        })
    }
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind.
    pub code: CapabilityCode,
    /// What to do about it.
    pub message: String,
}

impl Refusal {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(code: CapabilityCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The request is malformed.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(CapabilityCode::InvalidArgument, message)
    }

    /// It is not allowed; `line` is what would allow it.
    #[must_use]
    pub fn denied(what: impl fmt::Display, line: impl fmt::Display) -> Self {
        CapabilityError::denied(what, line).into()
    }

    /// The machine failed.
    #[must_use]
    pub fn io(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::new(CapabilityCode::Io, format!("{what}: {error}"))
    }
}

impl From<CapabilityError> for Refusal {
    fn from(error: CapabilityError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<Refusal> for CapabilityError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}
