//! A daemon that dies at the k-th step, and what stands around it: a store that dies before or after a commit, and the switch.

use async_trait::async_trait;
use bulkhead_store::{Key, KeyPrefix, MemoryStore, Revision, Store, StoreError, Transaction, Versioned};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Counts steps and kills at one of them: from then on nothing that passes it goes on.
#[derive(Debug)]
pub struct Death {
    at_step: u64,
    steps: AtomicU64,
    happened: Notify,
}

impl Death {
    pub fn at_step(at_step: u64) -> Arc<Self> {
        Arc::new(Self { at_step, steps: AtomicU64::new(0), happened: Notify::new() })
    }

    pub fn never() -> Arc<Self> {
        Self::at_step(u64::MAX)
    }

    /// A step: the last one, or one after it, never returns.
    pub async fn step(&self) {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if step >= self.at_step {
            self.happened.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// How many steps were passed or died at.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    /// Returns once the daemon is dead.
    pub async fn happened(&self) {
        self.happened.notified().await;
    }
}

/// The store of a mortal daemon: each commit has a step before it and one after it.
#[derive(Debug)]
pub struct MortalStore {
    pub store: Arc<MemoryStore>,
    pub death: Arc<Death>,
}

#[async_trait]
impl Store for MortalStore {
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
        self.death.step().await;
        let revision = self.store.commit(transaction).await;
        self.death.step().await;
        revision
    }
}
