//! Copies of whole trees: under a name of their own first, so that a final name never stands on half a copy.

use crate::place;
use bulkhead_sdk::files;
use bulkhead_sdk::{CapabilityCode, CapabilityError, Slots, execute};

/// Copy the tree `from` to `to`, a name for things in the making. What an interrupted attempt left there goes first.
///
/// Fails with `not-found` if `from` is not there, `no-space` if the filesystem filled up. A failed copy stays until the next attempt,
/// or until its share or snapshot is deleted.
pub(crate) fn make(from: &str, to: &str) -> Result<(), CapabilityError> {
    files::remove(&place::path(to))?;
    let slots = Slots::new().path("from", from).path("to", to);
    execute::run("copy-tree", slots).map(drop).map_err(name_full_filesystem)
}

/// `cp` tells a full filesystem from other failures only in words; the host runs it with `LC_ALL=C`.
fn name_full_filesystem(error: CapabilityError) -> CapabilityError {
    let words = ["No space left on device", "Disk quota exceeded"];
    match error.exit() {
        Some(exit) if words.iter().any(|&word| exit.stderr.contains(word)) => CapabilityError::new(
            CapabilityCode::NoSpace,
            "root shares filled up during the copy; free space there",
        ),
        _ => error,
    }
}
