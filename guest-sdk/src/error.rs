//! How a driver's call fails: one closed code, a message for operators, and what was left behind.
//!
//! `?` turns a capability's failure into the code that says the same to the host; where a driver knows better (a directory that is
//! not there is a share that is not there) it names the code itself.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::capability::{CapabilityCode, CapabilityError};
use crate::share::ExportLocation;
use std::fmt;

/// The longest message the contract carries, in bytes; longer ones are cut.
const MESSAGE_BYTES: usize = 4096;

macro_rules! codes {
    ($($(#[$doc:meta])* $case:ident $constructor:ident,)*) => {
        /// What kind of failure. The host acts on it; see each case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $case,)*
        }

        impl ErrorCode {
            fn into_wit(self) -> wit::ErrorCode {
                match self { $(Self::$case => wit::ErrorCode::$case,)* }
            }
        }

        impl Error {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $constructor(message: impl Into<String>) -> Self {
                    Self::new(ErrorCode::$case, message)
                }
            )*
        }
    };
}

codes!(
    /// This driver does not do this; data, not failure, for the functions that say so.
    NotImplemented not_implemented,
    /// The backend refused or failed. The host ends the operation with its error status.
    BackendFailed backend_failed,
    /// The backend cannot be reached; nothing changed. The host tries again later.
    BackendUnreachable backend_unreachable,
    /// Whether it happened is unknown. The host repeats the operation, which must find the first attempt.
    OutcomeUnknown outcome_unknown,
    /// Too much is going on. The host repeats the call after a pause.
    Busy busy,
    /// What is there contradicts what is asked: an object of the right name with another size or content.
    Conflict conflict,
    /// The share is not there. In `delete_share` the host takes it as done.
    ShareNotFound share_not_found,
    /// The snapshot is not there. In `delete_snapshot` the host takes it as done.
    SnapshotNotFound snapshot_not_found,
    /// The share is used beyond the new size. The host puts it back to `available`.
    PossibleDataLoss possible_data_loss,
    /// The share is unfit.
    InvalidShare invalid_share,
    /// The share cannot be taken over.
    ManageInvalidShare manage_invalid_share,
    /// The share cannot be let go.
    UnmanageInvalidShare unmanage_invalid_share,
    /// The share does not fit its share type.
    ShareTypeMismatch share_type_mismatch,
    /// The snapshot is unfit.
    InvalidSnapshot invalid_snapshot,
    /// The snapshot cannot be taken over.
    ManageInvalidSnapshot manage_invalid_snapshot,
    /// The snapshot cannot be let go.
    UnmanageInvalidSnapshot unmanage_invalid_snapshot,
    /// The snapshot is in use.
    SnapshotBusy snapshot_busy,
    /// The access rule is unfit.
    InvalidAccess invalid_access,
    /// The access rule's level is not served.
    InvalidAccessLevel invalid_access_level,
    /// The access rule's type is not served.
    InvalidAccessType invalid_access_type,
    /// The share group is unfit.
    InvalidShareGroup invalid_share_group,
    /// Groups of this backend cannot be snapshotted.
    GroupSnapshotNotSupported group_snapshot_not_supported,
    /// The share server is unfit.
    InvalidShareServer invalid_share_server,
    /// The network does not fit this backend.
    BadNetworkConfiguration bad_network_configuration,
    /// The network's port quota is used up. The tenant is told so.
    PortLimitExceeded port_limit_exceeded,
    /// The network has no address left. The tenant is told so.
    NoAddressLeft no_address_left,
    /// The security service refused. The tenant is told so.
    SecurityServiceFailed security_service_failed,
    /// An option or the backend's set-up is wrong: the operator has to act.
    BadConfiguration bad_configuration,
    /// An argument makes no sense to the backend.
    InvalidParameter invalid_parameter,
    /// Replication failed.
    ReplicationFailed replication_failed,
    /// A share with access rules cannot change its owner here.
    CannotTransferWithRules cannot_transfer_with_rules,
    /// A command ended badly; the host has its output already.
    CommandFailed command_failed,
    /// A capability was denied; the host knows which line would allow it.
    Denied denied,
    /// The backend is full.
    NoSpace no_space,
    /// The driver met something it has no word for. A fault of the driver.
    Internal internal,
);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: String,
    detail: Option<ErrorDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ErrorDetail {
    ExportLocations(Vec<ExportLocation>),
    ServerDetails(Vec<(String, String)>),
}

/// What the functions of a driver return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with a message for operators: what went wrong and what to do. Cut at 4,096 bytes; tenants never see it.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }

    /// Tell the host which export locations a share has that was made only in part: it keeps them.
    #[must_use]
    pub fn with_export_locations(mut self, locations: Vec<ExportLocation>) -> Self {
        self.detail = Some(ErrorDetail::ExportLocations(locations));
        self
    }

    /// Tell the host what a share server has that was set up only in part: tearing it down gets these details.
    #[must_use]
    pub fn with_server_details(mut self, details: Vec<(String, String)>) -> Self {
        self.detail = Some(ErrorDetail::ServerDetails(details));
        self
    }

    /// What kind of failure.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for operators.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_wit(self) -> wit::Error {
        wit::Error {
            code: self.code.into_wit(),
            message: cut(self.message, MESSAGE_BYTES),
            detail: self.detail.map(|detail| match detail {
                ErrorDetail::ExportLocations(locations) => wit::ErrorDetail::ExportLocations(
                    locations.into_iter().map(ExportLocation::into_wit).collect(),
                ),
                ErrorDetail::ServerDetails(details) => {
                    wit::ErrorDetail::ServerDetails(crate::pairs::into_wit(details))
                }
            }),
        }
    }
}

fn cut(mut text: String, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<CapabilityError> for Error {
    fn from(error: CapabilityError) -> Self {
        let code = match error.code() {
            CapabilityCode::Denied => ErrorCode::Denied,
            CapabilityCode::InvalidArgument => ErrorCode::Internal,
            CapabilityCode::AlreadyExists | CapabilityCode::NotOwned => ErrorCode::Conflict,
            // Somebody else changed it meanwhile: the repeated call reads and decides again.
            CapabilityCode::Conflict | CapabilityCode::Busy => ErrorCode::Busy,
            CapabilityCode::NoSpace => ErrorCode::NoSpace,
            // A command that was ended may have done its work or a part of it.
            CapabilityCode::TimedOut | CapabilityCode::OutcomeUnknown => ErrorCode::OutcomeUnknown,
            CapabilityCode::Unavailable => ErrorCode::BackendUnreachable,
            CapabilityCode::CommandFailed => ErrorCode::CommandFailed,
            CapabilityCode::NotFound | CapabilityCode::LimitExceeded | CapabilityCode::Io => {
                ErrorCode::BackendFailed
            }
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = Error::internal("ß".repeat(4000)).into_wit();
        assert_eq!(error.message.len(), MESSAGE_BYTES);
        let odd = Error::internal(format!("x{}", "ß".repeat(4000))).into_wit();
        assert_eq!(odd.message.len(), MESSAGE_BYTES - 1);
    }

    #[test]
    fn a_question_mark_keeps_what_the_host_acts_on() {
        for (given, wanted) in [
            (CapabilityCode::Denied, ErrorCode::Denied),
            (CapabilityCode::NoSpace, ErrorCode::NoSpace),
            (CapabilityCode::TimedOut, ErrorCode::OutcomeUnknown),
            (CapabilityCode::OutcomeUnknown, ErrorCode::OutcomeUnknown),
            (CapabilityCode::Unavailable, ErrorCode::BackendUnreachable),
            (CapabilityCode::Busy, ErrorCode::Busy),
            (CapabilityCode::CommandFailed, ErrorCode::CommandFailed),
        ] {
            assert_eq!(Error::from(CapabilityError::new(given, "x")).code(), wanted, "{given:?}");
        }
    }

    #[test]
    fn export_locations_of_a_half_made_share_reach_the_host() {
        let error = Error::backend_failed("x").with_export_locations(vec![ExportLocation::new("a:/b")]);
        let Some(wit::ErrorDetail::ExportLocations(locations)) = error.into_wit().detail else {
            panic!("no locations");
        };
        assert_eq!(locations.len(), 1);
    }
}
