//! Key/values per resource, kept by the host: what a driver must remember between calls. Durable when the call returns.
//!
//! Keys are at most 255 bytes, values 1,023, 1,024 keys a resource.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use crate::resource::Resource;

/// Whose data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The call's subject.
    Subject,
    /// Another resource of the call.
    Of(Resource),
    /// The backend itself; `driver.toml` must declare `private-data.backend-scope` with its reason.
    Backend,
}

/// A value and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Grows with every change of this key; never 0.
    pub revision: u64,
}

/// What [`set`] expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing under this key.
    Absent,
    /// Exactly this revision.
    Revision(u64),
    /// Whatever is there.
    Anything,
}

/// One value, or none. Reads only. Fails with `denied` if the owner is not of this call, `invalid-argument` if the key is malformed.
pub fn get(owner: &Owner, key: &str) -> Result<Option<Entry>, CapabilityError> {
    host().private_data(owner, key)
}

/// All pairs, in order of keys. Reads only. Fails as [`get`].
pub fn get_all(owner: &Owner) -> Result<Vec<Entry>, CapabilityError> {
    host().all_private_data(owner)
}

/// Set one value if the expectation holds; the new revision.
///
/// Idempotent with [`Expected::Anything`]. Fails with `conflict` if the expectation does not hold, `limit-exceeded`, `denied`.
pub fn set(owner: &Owner, key: &str, value: &str, expected: Expected) -> Result<u64, CapabilityError> {
    host().set_private_data(owner, key, value, expected)
}

/// Remove one key. Idempotent: succeeds if it is not there. Fails with `denied`.
pub fn remove(owner: &Owner, key: &str) -> Result<(), CapabilityError> {
    host().remove_private_data(owner, key)
}

/// Add to a counter of the backend and return the new value; each caller gets another one.
///
/// Not idempotent. Fails with `denied` if `private-data.counters` does not name it, `limit-exceeded` at the end of the range.
pub fn next_number(counter: &str) -> Result<u64, CapabilityError> {
    host().next_number(counter)
}
