//! How a host service fails. A denial is a value like every other failure, never a trap.

use std::fmt;

/// What kind of failure; the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CapabilityCode {
    /// The manifest, the grant, the target or a slot type does not allow it. Repeating is useless; the host has recorded the one
    /// declared line that would allow it.
    Denied,
    /// An argument is malformed: an unknown template, slot or option name, a value outside its type. A fault of the driver.
    InvalidArgument,
    /// The thing named is not there.
    NotFound,
    /// The thing named is already there.
    AlreadyExists,
    /// It is there, but no record says that this backend made it for this resource. Nothing was touched.
    NotOwned,
    /// A compare-and-set met another revision: read again, decide again.
    Conflict,
    /// A limit was reached; the message names it and its value.
    LimitExceeded,
    /// The device or root is full.
    NoSpace,
    /// Too many of these are running.
    Busy,
    /// The time of the call or of the template is up. A command was ended with everything it started.
    TimedOut,
    /// The place or the helper cannot be reached; nothing was started.
    Unavailable,
    /// The link broke after the work began: it may or may not have happened. Look before repeating.
    OutcomeUnknown,
    /// A command ended with an unexpected exit code; see [`CapabilityError::exit`].
    CommandFailed,
    /// Reading or writing failed; the message has the reason.
    Io,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandExit {
    /// Its exit code; none when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// What it wrote on standard output, cut at the template's limit.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error, cut at the template's limit, secrets masked.
    pub stderr: String,
}

/// A capability's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityError {
    code: CapabilityCode,
    message: String,
    exit: Option<CommandExit>,
}

impl CapabilityError {
    /// A failure with a message for people. Drivers get these from the host; tests make them to see how a driver copes.
    #[must_use]
    pub fn new(code: CapabilityCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exit: None }
    }

    /// A command that ended badly.
    #[must_use]
    pub fn command_failed(message: impl Into<String>, exit: CommandExit) -> Self {
        Self { code: CapabilityCode::CommandFailed, message: message.into(), exit: Some(exit) }
    }

    /// What kind of failure.
    #[must_use]
    pub fn code(&self) -> CapabilityCode {
        self.code
    }

    /// How the command ended; present with [`CapabilityCode::CommandFailed`].
    #[must_use]
    pub fn exit(&self) -> Option<&CommandExit> {
        self.exit.as_ref()
    }
}

impl fmt::Display for CapabilityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match self.exit.as_ref().map(|exit| exit.stderr.trim()) {
            Some(stderr) if !stderr.is_empty() && !self.message.contains(stderr) => {
                write!(formatter, ": {stderr}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for CapabilityError {}

/// Make of "it is not there" an answer: `Ok(None)`.
pub trait OrAbsent<T> {
    /// `Ok(None)` where the failure is [`CapabilityCode::NotFound`]; every other failure stays one.
    fn or_absent(self) -> Result<Option<T>, CapabilityError>;
}

impl<T> OrAbsent<T> for Result<T, CapabilityError> {
    fn or_absent(self) -> Result<Option<T>, CapabilityError> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.code == CapabilityCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
