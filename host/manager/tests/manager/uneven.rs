//! A store whose commits take time, stop, or fail, as a test says.

use async_trait::async_trait;
use bulkhead_store::{Key, KeyPrefix, MemoryStore, Revision, Store, StoreError, Transaction, Versioned};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What one commit does.
#[derive(Debug)]
pub enum Commit {
    /// It is made.
    Pass,
    /// It writes nothing.
    Fail,
    /// It waits until the test lets it go on.
    Hold(Arc<Semaphore>),
}

#[derive(Debug, Default)]
pub struct UnevenStore {
    pub store: MemoryStore,
    /// How long each commit takes.
    pub delay: Duration,
    /// What the next commits do; those after them pass.
    pub next: Mutex<VecDeque<Commit>>,
}

impl UnevenStore {
    pub fn then(&self, commits: impl IntoIterator<Item = Commit>) {
        self.next.lock().expect("the script").extend(commits);
    }

    pub fn has_done_all(&self) -> bool {
        self.next.lock().expect("the script").is_empty()
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
        let next = self.next.lock().expect("the script").pop_front();
        match next {
            Some(Commit::Fail) => {
                return Err(StoreError::TooLarge { what: "bytes", found: 2, limit: 1 });
            }
            Some(Commit::Hold(released)) => released.acquire().await.expect("the test").forget(),
            Some(Commit::Pass) | None => {}
        }
        self.store.commit(transaction).await
    }
}
