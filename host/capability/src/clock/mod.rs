//! Time, waiting and fresh ids: always granted, always bounded by the call's deadline, never recorded.

use crate::call::Call;
use bulkhead_model::time::Timestamp;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long before the deadline a sleep ends, so that the guest can still answer.
const BEFORE_DEADLINE: Duration = Duration::from_secs(1);

static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// The `clock` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'call> {
    call: &'call Call,
}

impl<'call> Clock<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Milliseconds since 1970-01-01 UTC, by the wall clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        Timestamp::now().milliseconds()
    }

    /// Milliseconds on a clock that never goes back.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        milliseconds(START.elapsed())
    }

    /// Milliseconds until the call's deadline; 0 when it has passed.
    #[must_use]
    pub fn time_left_ms(&self) -> u64 {
        milliseconds(self.call.deadline().saturating_duration_since(Instant::now()))
    }

    /// Wait `duration_ms` milliseconds, or until one second before the deadline. Answers how long it waited, in milliseconds.
    pub async fn sleep(&self, duration_ms: u64) -> u64 {
        let begun = Instant::now();
        let most = self.call.deadline().saturating_duration_since(begun).saturating_sub(BEFORE_DEADLINE);
        let wait = Duration::from_millis(duration_ms).min(most);
        if wait.is_zero() {
            return 0;
        }
        tokio::time::sleep(wait).await;
        milliseconds(begun.elapsed())
    }

    /// A fresh random UUID, lower case.
    #[must_use]
    pub fn new_id(&self) -> String {
        Uuid::new_v4().to_string()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
