//! Effects on their way to the disk: a bounded queue for each chain, written in groups.
//!
//! Whoever hands one over waits only while the queue is full. A timer that the first of a group starts writes it; so does a flush.

use crate::chain::Chain;
use crate::error::LedgerError;
use crate::record::Unplaced;
use bulkhead_model::effect::Effect;
use bulkhead_model::time::Timestamp;
use bulkhead_store::{Transaction, limits};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as TurnMutex, Semaphore};

/// Effects of one chain that may wait; about 10 MiB at their largest.
const QUEUE_LENGTH: usize = 4096;
/// Effects in one commit: all writes but the head's.
const GROUP_LENGTH: usize = limits::WRITES - 1;
/// How long a group gathers. With the flush itself this stays below the promised 100 ms.
const GATHERING: Duration = Duration::from_millis(50);
/// How long to wait when nothing could be written.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Effects {
    room: Semaphore,
    queue: Mutex<Queue>,
    /// Held by the one that writes, so that a flush also waits for what is being written.
    turn: TurnMutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Unplaced>,
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
        Self { room: Semaphore::new(QUEUE_LENGTH), queue: Mutex::default(), turn: TurnMutex::default() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under this lock leaves the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most a group of what waits.
    fn take(&self, most: usize) -> Result<Vec<Unplaced>, LedgerError> {
        let mut queue = self.queue();
        if let Some(failure) = &queue.failure {
            return Err(failure.clone());
        }
        let length = queue.waiting.len().min(GROUP_LENGTH).min(most);
        Ok(queue.waiting.drain(..length).collect())
    }

    fn put_back(&self, group: Vec<Unplaced>) {
        let mut queue = self.queue();
        for effect in group.into_iter().rev() {
            queue.waiting.push_front(effect);
        }
    }
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
        queue.waiting.push_back(effect);
        if queue.timer == Timer::Stopped {
            queue.timer = Timer::Running;
            tokio::spawn(write_in_time(Arc::downgrade(self)));
        }
        Ok(())
    }

    /// What a flush would answer if it had nothing to do; none if it has. Most calls leave no effect, and a task for each would cost as much
    /// as the rest of the call.
    pub(crate) fn at_rest(&self) -> Option<Result<(), LedgerError>> {
        let _turn = self.effects.turn.try_lock().ok()?;
        let queue = self.effects.queue();
        match &queue.failure {
            Some(failure) => Some(Err(failure.clone())),
            None => queue.waiting.is_empty().then_some(Ok(())),
        }
    }

    /// Write what was handed over before; on return it is on the disk.
    pub(crate) async fn flush(&self) -> Result<(), LedgerError> {
        let _turn = self.effects.turn.lock().await;
        let mut left = self.effects.queue().waiting.len();
        loop {
            let group = self.effects.take(left)?;
            if group.is_empty() {
                return Ok(());
            }
            left = left.saturating_sub(group.len());
            if let Err(error) = self.append(&group, Transaction::new()).await {
                self.effects.put_back(group);
                if !error.passes() {
                    self.fail(error.clone());
                }
                return Err(error);
            }
            self.effects.room.add_permits(group.len());
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
        self.effects.room.close();
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
