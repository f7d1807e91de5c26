//! How many calls of one generation run at once. Set-up, statistics and polling have their own slots, so that they are served beside
//! calls that take minutes. The queue in front of each is bounded: who finds it full is told to come again.

use bulkhead_model::call::CallKind;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

/// Calls of set-up, statistics and polling running at once.
const CHECKS: usize = 4;
/// Calls of set-up, statistics and polling that may wait.
const WAITING_CHECKS: usize = 16;
/// Other calls that may wait.
const WAITING_CALLS: usize = 256;

/// The slots of one generation.
#[derive(Debug)]
pub(crate) struct Slots {
    checks: Lane,
    calls: Lane,
}

impl Slots {
    /// Slots for `concurrent_calls` calls, at least one.
    pub(crate) fn new(concurrent_calls: u32) -> Self {
        let calls =
            usize::try_from(concurrent_calls).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS / 2);
        Self { checks: Lane::new(CHECKS, WAITING_CHECKS), calls: Lane::new(calls, WAITING_CALLS) }
    }

    /// Wait for a slot, at most `most`. Fails with the reason when the queue is full or the wait was too long.
    pub(crate) async fn enter(&self, kind: CallKind, most: Duration) -> Result<SlotGuard<'_>, String> {
        match kind {
            CallKind::Setup | CallKind::Statistics => self.checks.enter(most).await,
            CallKind::Access | CallKind::Change | CallKind::Ensure | CallKind::Server => {
                self.calls.enter(most).await
            }
        }
    }
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct SlotGuard<'lane> {
    _running: SemaphorePermit<'lane>,
    _admitted: SemaphorePermit<'lane>,
}

#[derive(Debug)]
struct Lane {
    running: Semaphore,
    /// One permit for each call that runs or waits.
    admitted: Semaphore,
    slots: usize,
}

impl Lane {
    fn new(slots: usize, waiting: usize) -> Self {
        Self { running: Semaphore::new(slots), admitted: Semaphore::new(slots + waiting), slots }
    }

    async fn enter(&self, most: Duration) -> Result<SlotGuard<'_>, String> {
        let admitted = match self.admitted.try_acquire() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                return Err(format!(
                    "{} calls of this driver run and its queue is full; try again later",
                    self.slots
                ));
            }
        };
        match tokio::time::timeout(most, self.running.acquire()).await {
            Ok(Ok(running)) => Ok(SlotGuard { _running: running, _admitted: admitted }),
            Ok(Err(_)) | Err(_) => Err(format!(
                "{} calls of this driver run, and none ended within {} s; try again later",
                self.slots,
                most.as_secs()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn long_calls_do_not_hold_up_statistics() {
        let slots = Slots::new(1);
        let _running = slots.enter(CallKind::Change, LONG).await.expect("a free slot");
        assert!(slots.enter(CallKind::Statistics, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_ends() {
        let slots = Slots::new(1);
        let _running = slots.enter(CallKind::Change, LONG).await.expect("a free slot");
        let reason = slots.enter(CallKind::Access, Duration::ZERO).await.expect_err("no slot comes free");
        assert!(reason.contains("none ended within 0 s"), "{reason}");
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let lane = Lane::new(1, 1);
        let running = lane.enter(LONG).await.expect("a free slot");
        let waiting = lane.enter(LONG);
        tokio::pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        assert!(lane.enter(LONG).await.is_err_and(|reason| reason.contains("full")));
        drop(running);
        assert!(waiting.await.is_ok());
        assert!(lane.enter(LONG).await.is_ok());
    }
}
