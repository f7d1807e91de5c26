//! Time, waiting and fresh ids, always bounded by the call's deadline.

use crate::host::{Host, host};
use std::time::Duration;

/// Milliseconds since 1970-01-01 UTC by the host's wall clock: for records, never for durations.
#[must_use]
pub fn now_ms() -> u64 {
    host().now_ms()
}

/// Milliseconds on a clock that never goes back; its start is arbitrary.
#[must_use]
pub fn monotonic_ms() -> u64 {
    host().monotonic_ms()
}

/// Time until this call's deadline; zero when it has passed.
#[must_use]
pub fn time_left() -> Duration {
    Duration::from_millis(host().time_left_ms())
}

/// Wait, or until one second before the deadline if that is sooner. Answers how long it waited.
pub fn sleep(duration: Duration) -> Duration {
    let wanted = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(host().sleep(wanted))
}

/// A fresh random UUID, lower case.
#[must_use]
pub fn new_id() -> String {
    host().new_id()
}
