//! When blocking work has to stop.

use bulkhead_model::error::{CapabilityCode, CapabilityError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Asked between any two steps of blocking work.
#[derive(Debug, Clone)]
pub struct Watch {
    until: Instant,
    stopped: Arc<AtomicBool>,
}

impl Watch {
    /// Ends the work at `until`, or once `stopped` is set.
    #[must_use]
    pub const fn new(until: Instant, stopped: Arc<AtomicBool>) -> Self {
        Self { until, stopped }
    }

    /// A watch that never ends the work.
    #[cfg(test)]
    pub(super) fn forever() -> Self {
        Self::new(Instant::now() + std::time::Duration::from_secs(3600), Arc::default())
    }

    /// Fails with `timed-out` once the work has to stop.
    pub(super) fn check(&self) -> Result<(), CapabilityError> {
        if self.stopped.load(Ordering::Relaxed) || Instant::now() >= self.until {
            return Err(CapabilityError::new(
                CapabilityCode::TimedOut,
                "the time of this call is up; what is done stays done, repeat to finish",
            ));
        }
        Ok(())
    }
}
