//! Why a driver call failed, and who is to blame.

use crate::export::ExportLocation;
use crate::text::GuestText;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Who has to act when something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// Whoever asked: the request makes no sense.
    Caller,
    /// The driver's vendor: it trapped, hung, lied or broke the contract.
    Driver,
    /// The storage or its place: full, unreachable, refusing.
    Backend,
    /// Bulkhead or the machine it runs on.
    Host,
}

impl fmt::Display for Blame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Caller => "caller",
            Self::Driver => "driver",
            Self::Backend => "backend",
            Self::Host => "host",
        })
    }
}

/// The closed code of a driver's error: WIT `error-code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each case is documented where vendors read it: wit/types.wit, error-code")]
pub enum DriverErrorCode {
    NotImplemented,
    BackendFailed,
    BackendUnreachable,
    OutcomeUnknown,
    Busy,
    Conflict,
    ShareNotFound,
    SnapshotNotFound,
    PossibleDataLoss,
    InvalidShare,
    ManageInvalidShare,
    UnmanageInvalidShare,
    ShareTypeMismatch,
    InvalidSnapshot,
    ManageInvalidSnapshot,
    UnmanageInvalidSnapshot,
    SnapshotBusy,
    InvalidAccess,
    InvalidAccessLevel,
    InvalidAccessType,
    InvalidShareGroup,
    GroupSnapshotNotSupported,
    InvalidShareServer,
    BadNetworkConfiguration,
    PortLimitExceeded,
    NoAddressLeft,
    SecurityServiceFailed,
    BadConfiguration,
    InvalidParameter,
    ReplicationFailed,
    CannotTransferWithRules,
    CommandFailed,
    Denied,
    NoSpace,
    Internal,
}

impl DriverErrorCode {
    /// Whether the host repeats the operation instead of ending it: nothing is known to be lost.
    #[must_use]
    pub const fn is_repeated(self) -> bool {
        matches!(self, Self::BackendUnreachable | Self::OutcomeUnknown | Self::Busy)
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::NotImplemented | Self::Denied | Self::Internal => Blame::Driver,
            Self::PossibleDataLoss
            | Self::InvalidAccess
            | Self::InvalidAccessLevel
            | Self::InvalidAccessType
            | Self::InvalidParameter
            | Self::ShareTypeMismatch
            | Self::GroupSnapshotNotSupported
            | Self::CannotTransferWithRules => Blame::Caller,
            _ => Blame::Backend,
        }
    }
}

/// What a failed call leaves behind that the host keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorDetail {
    /// Export locations of a share made in part.
    ExportLocations(Vec<ExportLocation>),
    /// Details of a share server set up in part: handed to its tear-down.
    ServerDetails(BTreeMap<String, String>),
}

/// A driver's answer that it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// What kind.
    pub code: DriverErrorCode,
    /// For operators.
    pub message: GuestText,
    /// What was left behind.
    pub detail: Option<ErrorDetail>,
}

/// Why a call of a driver did not bring a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The driver answered with an error.
    #[error("the driver answered {code:?}", code = .0.code)]
    Answered(#[source] DriverError),
    /// The driver does not export the function.
    #[error("the driver does not export {interface}")]
    NotExported {
        /// The interface.
        interface: &'static str,
    },
    /// The guest trapped.
    #[error("the driver trapped in {function}: {reason}")]
    Trapped {
        /// The exported function.
        function: &'static str,
        /// What the engine says, with the guest's function and line where it knows them.
        reason: String,
    },
    /// The call's time was up.
    #[error("{function} took longer than {limit_ms} ms")]
    DeadlineExceeded {
        /// The exported function.
        function: &'static str,
        /// The deadline that was hit, in milliseconds.
        limit_ms: u64,
    },
    /// Another limit was hit.
    #[error("{function} hit the limit {limit} of {value}")]
    LimitExceeded {
        /// The exported function.
        function: &'static str,
        /// The limit's name in the configuration.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// The answer breaks the contract.
    #[error("{function} answered against the contract: {reason}")]
    InvalidAnswer {
        /// The exported function.
        function: &'static str,
        /// Which sentence of the contract.
        reason: String,
    },
    /// The host could not make the call.
    #[error("the host could not call the driver: {reason}")]
    Host {
        /// What failed.
        reason: String,
    },
}

impl CallError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Answered(error) => error.code.blame(),
            Self::Host { .. } => Blame::Host,
            // A deadline is put down to the driver: what the backend does is the driver's to watch.
            Self::NotExported { .. }
            | Self::Trapped { .. }
            | Self::DeadlineExceeded { .. }
            | Self::LimitExceeded { .. }
            | Self::InvalidAnswer { .. } => Blame::Driver,
        }
    }

    /// The driver's own code, if it answered.
    #[must_use]
    pub const fn code(&self) -> Option<DriverErrorCode> {
        match self {
            Self::Answered(error) => Some(error.code),
            Self::NotExported { .. } => Some(DriverErrorCode::NotImplemented),
            _ => None,
        }
    }

    /// Whether the driver does not do this, one way or the other.
    #[must_use]
    pub fn is_not_implemented(&self) -> bool {
        self.code() == Some(DriverErrorCode::NotImplemented)
    }
}

/// Why a capability did not do what a guest asked: WIT `capability-code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "each case is documented where vendors read it: wit/deps/host/types.wit, capability-code"
)]
pub enum CapabilityCode {
    Denied,
    InvalidArgument,
    NotFound,
    AlreadyExists,
    NotOwned,
    Conflict,
    LimitExceeded,
    NoSpace,
    Busy,
    TimedOut,
    Unavailable,
    OutcomeUnknown,
    CommandFailed,
    Io,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandExit {
    /// Its exit code; none when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, cut.
    pub stdout: Vec<u8>,
    /// Standard error, cut and masked.
    pub stderr: String,
}

/// A capability's failure, as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CapabilityError {
    /// What kind.
    pub code: CapabilityCode,
    /// What to do about it. A denial names the declared line that would allow it.
    pub message: String,
    /// With [`CapabilityCode::CommandFailed`].
    pub exit: Option<CommandExit>,
}

impl CapabilityError {
    /// A failure without a command.
    #[must_use]
    pub fn new(code: CapabilityCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exit: None }
    }

    /// A denial; `line` is the one declared line that would allow it.
    #[must_use]
    pub fn denied(what: impl fmt::Display, line: impl fmt::Display) -> Self {
        Self::new(CapabilityCode::Denied, format!("{what} is not allowed; what would allow it: {line}"))
    }
}
