//! A store for tests of this crate's users: in memory, and its commits take time, stop or fail as a test says.

use crate::{Key, KeyPrefix, MemoryStore, Revision, Store, StoreError, Transaction, Versioned};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What becomes of one commit.
#[derive(Debug)]
pub enum Commit {
    /// It is made.
    Pass,
    /// It writes nothing and fails so.
    Fail(StoreError),
    /// It waits for a permit, and then does what comes next.
    Hold(Arc<Semaphore>),
}

/// A store whose commits follow a script, and those after its end pass.
#[derive(Debug, Default)]
pub struct UnevenStore {
    store: MemoryStore,
    /// How long each commit takes.
    delay: Duration,
    next: Mutex<VecDeque<Commit>>,
    passed: AtomicUsize,
}

impl UnevenStore {
    /// An empty store whose commits take so long.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Let the next commits do this, after what the script holds already.
    pub fn then(&self, commits: impl IntoIterator<Item = Commit>) {
        self.script().extend(commits);
    }

    /// Whether the script is at its end: its last commit has begun to do what it says.
    #[must_use]
    pub fn has_done_all(&self) -> bool {
        self.script().is_empty()
    }

    /// How many commits passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    fn script(&self) -> MutexGuard<'_, VecDeque<Commit>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn play(&self) -> Result<(), StoreError> {
        loop {
            let next = self.script().pop_front();
            match next {
                Some(Commit::Fail(error)) => return Err(error),
                Some(Commit::Hold(released)) => {
                    if let Ok(permit) = released.acquire().await {
                        permit.forget();
                    }
                }
                Some(Commit::Pass) | None => return Ok(()),
            }
        }
    }
}

#[async_trait]
impl Store for UnevenStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.store.get(key).await
    }

    async fn scan_page(
        &self,
        prefix: &KeyPrefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.store.scan_page(prefix, after, limit).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.play().await?;
        self.passed.fetch_add(1, Ordering::SeqCst);
        self.store.commit(transaction).await
    }
}
