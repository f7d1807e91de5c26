//! A daemon that dies at its k-th crash point, and what stands around it: a store that dies before or after a commit, and the switch. Every
//! point has a name: `before a commit`, `after create-share`.

use async_trait::async_trait;
use bulkhead_store::{Key, KeyPrefix, MemoryStore, Revision, Store, StoreError, Transaction, Versioned};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Counts crash points and kills at one of them: from then on nothing that passes one goes on.
#[derive(Debug)]
pub struct Death {
    at_step: u64,
    steps: AtomicU64,
    happened: Notify,
    point: OnceLock<String>,
}

impl Death {
    pub fn at_step(at_step: u64) -> Arc<Self> {
        Arc::new(Self { at_step, steps: AtomicU64::new(0), happened: Notify::new(), point: OnceLock::new() })
    }

    pub fn never() -> Arc<Self> {
        Self::at_step(u64::MAX)
    }

    /// A crash point: the last one, or one after it, never returns.
    pub async fn step(&self, when: &'static str, what: &'static str) {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if step >= self.at_step {
            self.point.get_or_init(|| format!("{when} {what}"));
            self.happened.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// How many steps were passed or died at.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    /// The name of the point where it happened; none if it did not.
    pub fn point(&self) -> Option<&str> {
        self.point.get().map(String::as_str)
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
        self.death.step("before", "a commit").await;
        let revision = self.store.commit(transaction).await;
        self.death.step("after", "a commit").await;
        revision
    }
}

/// Tell a story once for each of its crash points, and once to its end. `tell` is given a death to die and the words to say where.
///
/// Prints how many points of each name there were: `cargo xtask soak` shows them.
#[expect(clippy::print_stderr, reason = "what was tried is part of the result")]
pub fn at_every_point(story: &str, least: u64, tell: impl Fn(&Arc<Death>, &dyn Fn() -> String)) {
    let mut points: BTreeMap<String, u32> = BTreeMap::new();
    for at_step in 0.. {
        let death = Death::at_step(at_step);
        tell(&death, &|| format!("{story}, died at step {at_step}, {}", death.point().unwrap_or("nowhere")));
        match death.point() {
            Some(point) => *points.entry(point.to_owned()).or_default() += 1,
            None => {
                assert!(at_step > least, "{story}: the story has steps to die at");
                let list: Vec<_> = points.iter().map(|(point, count)| format!("{point} {count}")).collect();
                eprintln!("{story}: {at_step} crash points: {}", list.join(", "));
                return;
            }
        }
    }
}
