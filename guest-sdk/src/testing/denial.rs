//! Failures as the double words them.

use crate::capability::{CapabilityCode, CapabilityError};

pub(super) type Answer<T> = Result<T, CapabilityError>;

pub(super) fn fail<T>(code: CapabilityCode, message: impl Into<String>) -> Answer<T> {
    Err(CapabilityError::new(code, message))
}

/// A denial says which declared line would allow it.
pub(super) fn deny<T>(what: &str, line: &str) -> Answer<T> {
    fail(CapabilityCode::Denied, format!("{what}; driver.toml would allow it with: {line}"))
}

pub(super) fn invalid<T>(message: impl Into<String>) -> Answer<T> {
    fail(CapabilityCode::InvalidArgument, message)
}

pub(super) fn io(error: std::io::Error) -> CapabilityError {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => CapabilityCode::NotFound,
        std::io::ErrorKind::AlreadyExists => CapabilityCode::AlreadyExists,
        std::io::ErrorKind::StorageFull => CapabilityCode::NoSpace,
        _ => CapabilityCode::Io,
    };
    CapabilityError::new(code, error.to_string())
}
