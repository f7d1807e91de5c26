//! A driver's answer that it failed.

use super::Breach;
use super::location::{LocationRights, locations_from_wit};
use super::server::details_left_from_wit;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::error::{DriverError, DriverErrorCode, ErrorDetail};
use bulkhead_model::text::GuestText;

macro_rules! codes {
    ($code:expr => $($case:ident)*) => {
        match $code {
            $(wit::ErrorCode::$case => DriverErrorCode::$case,)*
        }
    };
}

fn code_from_wit(code: wit::ErrorCode) -> DriverErrorCode {
    codes!(code =>
        NotImplemented BackendFailed BackendUnreachable OutcomeUnknown Busy Conflict ShareNotFound SnapshotNotFound
        PossibleDataLoss InvalidShare ManageInvalidShare UnmanageInvalidShare ShareTypeMismatch InvalidSnapshot
        ManageInvalidSnapshot UnmanageInvalidSnapshot SnapshotBusy InvalidAccess InvalidAccessLevel InvalidAccessType
        InvalidShareGroup GroupSnapshotNotSupported InvalidShareServer BadNetworkConfiguration PortLimitExceeded
        NoAddressLeft SecurityServiceFailed BadConfiguration InvalidParameter ReplicationFailed CannotTransferWithRules
        CommandFailed Denied NoSpace Internal
    )
}

/// A driver's error: its message cleaned and cut, what was left behind checked as if the call had succeeded; of what a server
/// has that was set up in part, what can be kept is.
pub(crate) fn error_from_wit(rights: &LocationRights, error: wit::Error) -> Result<DriverError, Breach> {
    let code = code_from_wit(error.code);
    let message = GuestText::message(&error.message);
    let detail = match error.detail {
        Some(wit::ErrorDetail::ExportLocations(locations)) => {
            let locations = locations_from_wit(rights, locations).map_err(|Breach(sentence)| {
                Breach(format!("{sentence} (in the detail of error {code:?}: {message})"))
            })?;
            Some(ErrorDetail::ExportLocations(locations))
        }
        Some(wit::ErrorDetail::ServerDetails(details)) => {
            Some(ErrorDetail::ServerDetails(details_left_from_wit(details)))
        }
        None => None,
    };
    Ok(DriverError { code, message, detail })
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;

    fn error(message: &str, detail: Option<wit::ErrorDetail>) -> wit::Error {
        wit::Error { code: wit::ErrorCode::NoSpace, message: message.to_owned(), detail }
    }

    #[test]
    fn a_message_is_cut_and_cleaned() {
        let long = format!("\u{1b}[2J{}", "x".repeat(10_000));
        let found = error_from_wit(&rights(), error(&long, None)).expect("an error is an answer");
        assert_eq!(found.code, DriverErrorCode::NoSpace);
        assert!(found.message.as_str().starts_with("\\u{1b}[2J"));
        assert!(found.message.as_str().len() <= GuestText::MESSAGE_BYTES + '…'.len_utf8());
    }

    #[test]
    fn what_is_left_behind_is_checked_like_a_result() {
        let left = |path| Some(wit::ErrorDetail::ExportLocations(vec![location(path)]));
        assert!(error_from_wit(&rights(), error("full", left("10.0.0.5:/a"))).is_ok());
        let Breach(sentence) =
            error_from_wit(&rights(), error("full", left("10.9.9.9:/a"))).expect_err("foreign");
        assert!(sentence.contains("NoSpace: full"), "{sentence}");
    }
}
