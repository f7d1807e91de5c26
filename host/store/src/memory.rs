//! The store in memory: for simulations and tests. Nothing survives the process.

use crate::Store;
use crate::error::StoreError;
use crate::key::{Key, KeyPrefix};
use crate::transaction::{Revision, Transaction, Versioned, Write};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store that forgets everything with its process. Clones would be stores of their own: share it by `Arc`.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    entries: BTreeMap<Key, Versioned>,
    revision: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing under this lock leaves the contents half changed.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self.contents().entries.get(key).cloned())
    }

    async fn scan_page(
        &self,
        prefix: &KeyPrefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let first = Key::from_stored(prefix.as_str().to_owned());
        let begin = match after {
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        };
        let contents = self.contents();
        let below = contents.entries.range((begin, Bound::Unbounded));
        Ok(below
            .take_while(|(key, _)| prefix.contains(key))
            .take(limit)
            .map(|(key, found)| (key.clone(), found.clone()))
            .collect())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        transaction.check()?;
        let mut contents = self.contents();
        for compare in &transaction.compares {
            let found = contents.entries.get(compare.key());
            if !compare.holds(found.map(|found| (found.revision, found.value.as_slice()))) {
                return Err(StoreError::Conflict { key: compare.key().clone() });
            }
        }
        if !transaction.writes.is_empty() {
            contents.revision += 1;
        }
        let revision = Revision(contents.revision);
        for write in transaction.writes {
            match write {
                Write::Put(key, value) => {
                    contents.entries.insert(key, Versioned { revision, value });
                }
                Write::Delete(key) => {
                    contents.entries.remove(&key);
                }
            }
        }
        Ok(revision)
    }
}
