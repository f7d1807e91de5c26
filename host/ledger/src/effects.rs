//! Effects on their way to the disk: a bounded queue for each chain, written in groups.
//!
//! Whoever hands one over waits only while the queue is full. The next commit of the chain carries what waits; so does a flush, and a
//! timer that the first of a group starts. An effect leaves the queue once it is known to be on the disk, so that what a failed commit
//! carried is carried again by the next, in its order.

use crate::chain::{ATTEMPTS, Appended, Chain};
use crate::error::LedgerError;
use crate::record::Unplaced;
use bulkhead_model::effect::{Effect, LedgerEntry};
use bulkhead_model::id::OperationId;
use bulkhead_model::time::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Effects of one chain that may wait; about 10 MiB at their largest.
const QUEUE_LENGTH: usize = 4096;
/// How long a group gathers. With the commit itself this stays below the promised 100 ms.
const GATHERING: Duration = Duration::from_millis(50);
/// How long to wait when nothing could be written.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Effects {
    room: Semaphore,
    queue: Mutex<Queue>,
    /// Told of every commit that ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Those that are not known to be on the disk, in their order.
    waiting: VecDeque<Arc<Unplaced>>,
    /// How many there were before the first of them.
    written: u64,
    timer: Timer,
    /// After this nothing more is written.
    failure: Option<LedgerError>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Timer {
    #[default]
    Stopped,
    Running,
}

impl Effects {
    pub(crate) fn new() -> Self {
        Self { room: Semaphore::new(QUEUE_LENGTH), queue: Mutex::default(), ended: Notify::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under this lock leaves the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are on the disk, of all that were ever handed over.
    pub(crate) fn written(&self) -> u64 {
        self.queue().written
    }

    /// How many were ever handed over.
    pub(crate) fn handed_over(&self) -> u64 {
        let queue = self.queue();
        queue.written.saturating_add(length(&queue.waiting))
    }

    /// Whether any of those that wait is of `operation`.
    pub(crate) fn wait_of(&self, operation: OperationId) -> bool {
        let of = |effect: &Arc<Unplaced>| match &effect.entry {
            LedgerEntry::Effect(effect) => effect.origin.operation == Some(operation),
            LedgerEntry::StateChange(_) => false,
        };
        self.queue().waiting.iter().any(of)
    }

    /// At most `most` of those that wait, without the first `placed` of all that were ever handed over.
    pub(crate) fn after(&self, placed: u64, most: usize) -> Vec<Arc<Unplaced>> {
        let queue = self.queue();
        let first = usize::try_from(placed.saturating_sub(queue.written)).unwrap_or(usize::MAX);
        queue.waiting.iter().skip(first).take(most).cloned().collect()
    }

    /// The first `placed` of all that were ever handed over are on the disk.
    pub(crate) fn are_written(&self, placed: u64) {
        let mut queue = self.queue();
        let new = usize::try_from(placed.saturating_sub(queue.written)).unwrap_or(usize::MAX);
        let new = new.min(queue.waiting.len());
        let written = queue.waiting.drain(..new).count();
        queue.written = queue.written.saturating_add(written as u64);
        drop(queue);
        self.room.add_permits(written);
        self.wake();
    }

    /// A commit has ended: whoever waits looks again.
    pub(crate) fn wake(&self) {
        self.ended.notify_waiters();
    }
}

/// A length as a number of effects.
fn length(waiting: &VecDeque<Arc<Unplaced>>) -> u64 {
    waiting.len() as u64
}

impl Chain {
    /// Put an effect into the queue. Fails if the ledger has failed.
    pub(crate) async fn hand_over(self: &Arc<Self>, effect: Effect) -> Result<(), LedgerError> {
        let effect = Unplaced { at: Timestamp::now(), entry: crate::cut::effect(effect) };
        // Closed by a failure only.
        if let Ok(permit) = self.effects.room.acquire().await {
            permit.forget();
        }
        let mut queue = self.effects.queue();
        if let Some(failure) = &queue.failure {
            return Err(failure.clone());
        }
        queue.waiting.push_back(Arc::new(effect));
        if queue.timer == Timer::Stopped {
            queue.timer = Timer::Running;
            tokio::spawn(write_in_time(Arc::downgrade(self)));
        }
        Ok(())
    }

    /// Whether the chain can still be written; else why not.
    pub(crate) fn sound(&self) -> Result<(), LedgerError> {
        self.effects.queue().failure.clone().map_or(Ok(()), Err)
    }

    /// What a flush would answer if it had nothing to do; none if it has. Most of the time nothing waits, and a task for each flush would
    /// cost more than the rest of it.
    pub(crate) fn at_rest(&self) -> Option<Result<(), LedgerError>> {
        let queue = self.effects.queue();
        match &queue.failure {
            Some(failure) => Some(Err(failure.clone())),
            None => queue.waiting.is_empty().then_some(Ok(())),
        }
    }

    /// Write what was handed over before; on return it is on the disk.
    pub(crate) async fn flush(&self) -> Result<(), LedgerError> {
        let handed_over = self.effects.handed_over();
        let mut conflicts = 0;
        loop {
            // Before the look: what ends after it is not missed.
            let ended = self.effects.ended.notified();
            self.sound()?;
            if self.effects.written() >= handed_over {
                return Ok(());
            }
            match self.append_effects().await {
                // All of them are on their way, in commits of others.
                Ok(Appended::Nothing) => ended.await,
                Ok(_) => {}
                // Somebody else's commit was first: once more on the head that is there now.
                Err(error) if error.is_conflict() && conflicts < ATTEMPTS => conflicts += 1,
                Err(error) => {
                    if !error.passes() {
                        self.fail(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Refuse every effect from now on; those that wait are lost, and the log says so.
    fn fail(&self, error: LedgerError) {
        let mut queue = self.effects.queue();
        tracing::error!(
            ledger.chain = %self.name,
            effects.lost = queue.waiting.len(),
            error = %error,
            "the ledger has failed: no further effect is allowed until the daemon is started again"
        );
        queue.waiting.clear();
        queue.failure = Some(error);
        drop(queue);
        self.effects.room.close();
        self.effects.wake();
    }

    /// Whether nothing waits any more; the timer stops with the last.
    fn stop_timer(&self) -> bool {
        let mut queue = self.effects.queue();
        if queue.waiting.is_empty() {
            queue.timer = Timer::Stopped;
        }
        queue.waiting.is_empty()
    }
}

/// Weak, so that a group that gathers does not keep the store open.
async fn write_in_time(chain: Weak<Chain>) {
    let mut pause = GATHERING;
    loop {
        tokio::time::sleep(pause).await;
        let Some(chain) = chain.upgrade() else { return };
        match chain.flush().await {
            Ok(()) => pause = GATHERING,
            Err(error) => {
                // A failure for good was logged by the one that met it.
                if pause == GATHERING && error.passes() {
                    tracing::error!(ledger.chain = %chain.name, error = %error, "effects wait: nothing can be written");
                }
                pause = RETRY;
            }
        }
        if chain.stop_timer() {
            return;
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let lost = self.effects.queue().waiting.len();
        if lost > 0 {
            tracing::error!(
                ledger.chain = %self.name,
                effects.lost = lost,
                "the ledger was dropped before its effects were flushed"
            );
        }
    }
}
