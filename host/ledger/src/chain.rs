//! One chain: records appended one after the other, many of them on their way to the disk at once.
//!
//! The place and the hash of a record are decided when it is handed to the store, not when it is on the disk; else every commit of
//! a backend would wait for the flush of the one before it. If a commit fails, those built on it fail by their compare of the head,
//! and are built again on the head that is really there.

use crate::effects::Effects;
use crate::error::LedgerError;
use crate::head::{Head, head_key, record_key};
use crate::key::LedgerKey;
use crate::record::{self, Break, Unplaced};
use bulkhead_model::effect::Chain as ChainName;
use bulkhead_store::{Revision, Store, StoreError, Transaction};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::Mutex;

/// How often a commit is built again because the head had moved. Each time somebody else's failed or, later, another host's won.
const ATTEMPTS: usize = 100;

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: LedgerKey,
    pub(crate) effects: Effects,
    tip: Mutex<Tip>,
}

/// The head that the next record follows.
#[derive(Debug, Default)]
struct Tip {
    /// None if it has to be read from the store.
    head: Option<Head>,
    /// Grows whenever `head` turned out wrong.
    generation: u64,
}

impl Chain {
    pub(crate) fn new(name: ChainName, store: Arc<dyn Store>, key: LedgerKey) -> Arc<Self> {
        Arc::new(Self { name, store, key, effects: Effects::new(), tip: Mutex::default() })
    }

    /// Commit `transaction` together with records of `entries`, which must fit into one commit with it.
    pub(crate) async fn append(
        &self,
        entries: &[Unplaced],
        transaction: Transaction,
    ) -> Result<Revision, LedgerError> {
        let head_key = head_key(&self.name);
        for _ in 0..ATTEMPTS {
            match self.try_append(entries, transaction.clone()).await {
                Err(LedgerError::Store(StoreError::Conflict { key })) if key == head_key => {}
                outcome => return outcome,
            }
        }
        Err(StoreError::Conflict { key: head_key }.into())
    }

    async fn try_append(
        &self,
        entries: &[Unplaced],
        transaction: Transaction,
    ) -> Result<Revision, LedgerError> {
        let mut tip = self.tip.lock().await;
        let generation = tip.generation;
        let head = match tip.head {
            Some(head) => head,
            None => self.stored_head().await?,
        };
        let (transaction, next) = self.with_records(head, entries, transaction)?;
        let mut commit = self.store.commit(transaction);
        // The first poll takes the place in the store's queue; the rest of the wait is not under the lock.
        let first = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        tip.head = Some(next);
        drop(tip);
        let outcome = match first {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => commit.await,
        };
        if outcome.is_err() {
            self.forget_tip(generation).await;
        }
        Ok(outcome?)
    }

    /// The head that was set in `generation` is not in the store.
    async fn forget_tip(&self, generation: u64) {
        let mut tip = self.tip.lock().await;
        if tip.generation == generation {
            *tip = Tip { head: None, generation: generation.wrapping_add(1) };
        }
    }

    /// Compares first on the head: whoever built on a wrong one learns that before any other conflict.
    fn with_records(
        &self,
        head: Head,
        entries: &[Unplaced],
        transaction: Transaction,
    ) -> Result<(Transaction, Head), LedgerError> {
        let head_key = head_key(&self.name);
        let mut whole = match head.sequence {
            0 => Transaction::new().absent(head_key.clone()),
            _ => Transaction::new().holds(head_key.clone(), head.bytes()?),
        };
        whole.compares.extend(transaction.compares);
        whole.writes = transaction.writes;
        let mut next = head;
        for entry in entries {
            let (bytes, after) = record::write(&self.key, &self.name, next, entry)?;
            whole = whole.put(record_key(&self.name, after.sequence), bytes);
            next = after;
        }
        Ok((whole.put(head_key, next.bytes()?), next))
    }

    /// The head as it stands in the store.
    pub(crate) async fn stored_head(&self) -> Result<Head, LedgerError> {
        match self.store.get(&head_key(&self.name)).await? {
            None => Ok(Head::NONE),
            Some(found) => serde_json::from_slice(&found.value).map_err(|_| self.altered(0, Break::Head)),
        }
    }

    /// Whether the newest record is the one that the head names, was written with this key, and has nothing after it. Only while
    /// nobody appends.
    pub(crate) async fn examine(&self) -> Result<(), LedgerError> {
        let head = self.stored_head().await?;
        if head.sequence > 0 {
            let found = self.store.get(&record_key(&self.name, head.sequence)).await?;
            let found = found.ok_or_else(|| self.altered(head.sequence, Break::Missing))?;
            let record = record::check(&self.key, &self.name, head.sequence, &found.value)
                .map_err(|what| self.altered(head.sequence, what))?;
            if record.hash != head.hash {
                return Err(self.altered(head.sequence, Break::Head));
            }
        }
        let after = head.sequence.saturating_add(1);
        match self.store.get(&record_key(&self.name, after)).await? {
            None => Ok(()),
            Some(_) => Err(self.altered(after, Break::Head)),
        }
    }

    pub(crate) fn altered(&self, sequence: u64, what: Break) -> LedgerError {
        LedgerError::Altered { chain: self.name.clone(), sequence, what }
    }
}
