//! What private data may hold. Pure.

use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::text::is_harmless;

/// The longest key, in bytes.
pub const KEY_BYTES: usize = 255;
/// The longest value, in bytes.
pub const VALUE_BYTES: usize = 1023;
/// How many keys one resource, or the backend itself, may have.
pub const KEYS_PER_OWNER: usize = 1024;
/// How much all keys and values of a backend may hold, in bytes.
pub const BACKEND_BYTES: u64 = 64 << 20;

/// A key is 1 to [`KEY_BYTES`] bytes without control characters.
pub(super) fn check_key(key: &str) -> Result<(), CapabilityError> {
    if !key.is_empty() && key.len() <= KEY_BYTES && key.chars().all(is_harmless) {
        return Ok(());
    }
    Err(CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("a key is 1 to {KEY_BYTES} bytes without control characters"),
    ))
}

/// A value is any text of at most [`VALUE_BYTES`].
pub(super) fn check_value(value: &str) -> Result<(), CapabilityError> {
    if value.len() <= VALUE_BYTES {
        return Ok(());
    }
    Err(limit(format!("a value is at most {VALUE_BYTES} bytes, not {}", value.len())))
}

/// How much a backend holds once an entry of `before` bytes has `after`.
pub(super) fn new_total(total: u64, before: u64, after: u64) -> Result<u64, CapabilityError> {
    let new = total.saturating_sub(before).saturating_add(after);
    if after <= before || new <= BACKEND_BYTES {
        return Ok(new);
    }
    Err(limit(format!("the private data of a backend are at most {BACKEND_BYTES} bytes")))
}

/// Whether one more key fits.
pub(super) fn check_count(keys: usize) -> Result<(), CapabilityError> {
    if keys < KEYS_PER_OWNER {
        return Ok(());
    }
    Err(limit(format!("a resource has at most {KEYS_PER_OWNER} keys")))
}

fn limit(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::LimitExceeded, message)
}
