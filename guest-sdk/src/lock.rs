//! Named locks of this backend, held until their guard is dropped or the call ends, whichever is first.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use std::time::Duration;

/// A lock that is held. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "a lock that is not kept is given back at once"]
pub struct Guard {
    name: String,
    fence: u64,
}

impl Guard {
    /// The fencing number: it grows each time the lock is taken.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The host frees all locks when the call ends: a release that fails has nobody to be told.
        host().release(&self.name).ok();
    }
}

/// Take the lock `name` (at most 255 bytes), waiting at most `wait`, never past the call's deadline.
///
/// Fails with `invalid-argument` if this call holds it already, `timed-out` if somebody else holds it too long, `limit-exceeded` above
/// 16 locks a call.
pub fn acquire(name: &str, wait: Duration) -> Result<Guard, CapabilityError> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    host().acquire(name, wait_ms).map(|fence| Guard { name: name.to_owned(), fence })
}
