//! Blocking work of a call: on its own thread, until it is done, the call's time is up or the call is dropped.

use crate::call::Call;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;

/// Asked between any two steps of blocking work.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    until: Instant,
    dropped: Arc<AtomicBool>,
}

impl Watch {
    /// A watch that never ends the work.
    #[cfg(test)]
    pub(super) fn forever() -> Self {
        let until = Instant::now() + std::time::Duration::from_secs(3600);
        Self { until, dropped: Arc::default() }
    }

    /// Fails with `timed-out` once the work has to stop.
    pub(super) fn check(&self) -> Result<(), CapabilityError> {
        if self.dropped.load(Ordering::Relaxed) || Instant::now() >= self.until {
            return Err(CapabilityError::new(
                CapabilityCode::TimedOut,
                "the time of this call is up; what is done stays done, repeat to finish",
            ));
        }
        Ok(())
    }
}

/// The paths that one function changes: nobody else changes them until every clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Alone(#[expect(dead_code, reason = "held, never read")] Arc<Vec<OwnedMutexGuard<()>>>);

impl Alone {
    /// Wait until nobody else changes any of `subjects`. Taken in one order everywhere, so that two never wait for each other.
    ///
    /// Fails with `timed-out` at the call's deadline.
    pub(super) async fn with(call: &Call, mut subjects: Vec<String>) -> Result<Self, CapabilityError> {
        subjects.sort();
        subjects.dedup();
        let mut guards = Vec::with_capacity(subjects.len());
        for subject in subjects {
            guards.push(call.backend().shared().path(&subject, call.deadline()).await?);
        }
        Ok(Self(Arc::new(guards)))
    }
}

/// Run `work` on a thread for blocking work. What it holds of `alone` it holds to its end, even if the call is dropped before.
pub(super) async fn blocking<T: Send + 'static>(
    call: &Call,
    alone: Option<&Alone>,
    work: impl FnOnce(&Watch) -> Result<T, CapabilityError> + Send + 'static,
) -> Result<T, CapabilityError> {
    call.check_time()?;
    let watch = Watch { until: call.deadline().into_std(), dropped: Arc::new(AtomicBool::new(false)) };
    let _stop_when_dropped = StopWhenDropped(Arc::clone(&watch.dropped));
    let alone = alone.cloned();
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&watch);
        drop(alone);
        result
    });
    done.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "blocking work of a call ended abruptly");
        CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
    })?
}

/// How long work of the host's own may take that no call bounds.
const UNBOUNDED: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Run `work` of the host's own, which no call bounds, until it is done or `stop` says that it shall end.
pub(super) async fn unbounded<T: Send + 'static>(
    stop: Arc<AtomicBool>,
    work: impl FnOnce(&Watch) -> Result<T, CapabilityError> + Send + 'static,
) -> Result<T, CapabilityError> {
    let watch = Watch { until: Instant::now() + UNBOUNDED, dropped: stop };
    let done = tokio::task::spawn_blocking(move || work(&watch));
    done.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "blocking work of the host ended abruptly");
        CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
    })?
}

struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
