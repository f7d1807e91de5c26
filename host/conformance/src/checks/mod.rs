//! The checks, one file a part of the contract.

pub(crate) mod access;
pub(crate) mod beside;
pub(crate) mod copies;
pub(crate) mod ensure;
pub(crate) mod groups;
pub(crate) mod lifecycle;
pub(crate) mod manage;
pub(crate) mod migration;
pub(crate) mod mountable;
pub(crate) mod moved;
pub(crate) mod pending;
pub(crate) mod replicated;
pub(crate) mod replication;
pub(crate) mod server_updates;
pub(crate) mod servers;
pub(crate) mod shares;
pub(crate) mod sizes;
pub(crate) mod snapshots;

use crate::finding::{Found, require};
use crate::world::Holdings;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;

/// Where a share is found, in an order of its own: two answers with the same places are the same.
pub(crate) fn places(locations: &[ExportLocation]) -> Vec<String> {
    let mut paths: Vec<String> = locations.iter().map(|location| location.path.clone()).collect();
    paths.sort();
    paths
}

/// The answer is a refusal with one of `codes`.
pub(crate) fn require_refusal<T>(
    answer: Result<T, CallError>,
    codes: &[DriverErrorCode],
    what: &str,
) -> Found {
    let words = || {
        let codes: Vec<String> = codes.iter().map(|code| format!("{code:?}")).collect();
        codes.join(" or ")
    };
    match answer {
        Ok(_) => crate::finding::broken(format!("{what} succeeded instead of failing with {}", words())),
        Err(error) => require(error.code().is_some_and(|code| codes.contains(&code)), || {
            let told = crate::finding::told(&error);
            format!("{what} did not fail with {}, but so: {told}", words())
        }),
    }
}

/// Nothing at all changed, not even what the driver keeps of the backend as a whole.
pub(crate) fn require_unchanged(before: &Holdings, after: &Holdings, what: &str) -> Found {
    let changes = before.changes(after);
    require(changes.is_empty(), || format!("{what} changed {}", changes.join(", ")))
}

/// Nothing is held now that was not held before.
pub(crate) fn require_nothing_new(before: &Holdings, after: &Holdings, what: &str) -> Found {
    let left = after.new_since(before);
    require(left.is_empty(), || format!("{what} left behind: {}", left.join(", ")))
}
