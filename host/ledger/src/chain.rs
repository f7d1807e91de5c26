//! One chain: records appended one after the other, many of them on their way to the disk at once.
//!
//! The place and the hash of a record are decided when it is handed to the store, not when it is on the disk; else every commit of
//! a backend would wait for the flush of the one before it. If a commit fails, those built on it fail by their compare of the head,
//! and are built again on the head that is really there.
//!
//! Every commit carries the effects that wait before its own records: what an operation did is on the disk no later than that it
//! ended, and costs no commit of its own.

use crate::effects::Effects;
use crate::error::LedgerError;
use crate::head::{Head, head_key, record_key};
use crate::key::LedgerKey;
use crate::record::{self, Break, Unplaced};
use bulkhead_model::effect::Chain as ChainName;
use bulkhead_store::{Revision, Store, StoreError, Transaction, limits};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{Mutex, RwLock};

/// How often a commit is built again because the head had moved. Each time somebody else's failed or, later, another host's won.
pub(crate) const ATTEMPTS: usize = 100;
/// The most bytes that a record takes with its key: entries are cut to size.
const RECORD_BYTES: usize = 8192;
/// Effects in a commit of their own: all writes but the head's.
const GROUP_LENGTH: usize = limits::WRITES - 1;

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: LedgerKey,
    pub(crate) effects: Effects,
    tip: Mutex<Tip>,
    /// Shared by all commits on their way. Whoever has it alone knows how each of them ended.
    on_their_way: RwLock<()>,
}

/// The head that the next record follows.
#[derive(Debug, Default)]
struct Tip {
    /// None if it has to be read from the store.
    head: Option<Head>,
    /// How many of all effects that were ever handed over have their place before `head`.
    placed: u64,
    /// Grows whenever `head` turned out wrong.
    generation: u64,
}

/// What a commit is for beside the effects that it carries.
struct Own<'a> {
    entries: &'a [Unplaced],
    transaction: &'a Transaction,
    /// How many of all effects that were ever handed over must have their place before it.
    after: u64,
}

/// What one commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// All that was asked.
    Whole(Revision),
    /// It wrote effects alone: nothing else was asked, or they were too many to go with the rest.
    Effects,
    /// There was nothing to write.
    Nothing,
}

impl Chain {
    pub(crate) fn new(name: ChainName, store: Arc<dyn Store>, key: LedgerKey) -> Arc<Self> {
        let (effects, tip, on_their_way) = (Effects::new(), Mutex::default(), RwLock::default());
        Arc::new(Self { name, store, key, effects, tip, on_their_way })
    }

    /// Commit `transaction` together with records of `entries`, which must fit into one commit with it. The effects that were handed over
    /// before are on the disk when this succeeds.
    pub(crate) async fn append(
        &self,
        entries: &[Unplaced],
        transaction: Transaction,
    ) -> Result<Revision, LedgerError> {
        let own = Own { entries, transaction: &transaction, after: self.effects.handed_over() };
        let head_key = head_key(&self.name);
        for _ in 0..ATTEMPTS {
            self.sound()?;
            match self.try_append(Some(&own)).await {
                Ok(Appended::Whole(revision)) => return Ok(revision),
                Ok(Appended::Effects | Appended::Nothing) => {}
                Err(LedgerError::Store(StoreError::Conflict { key })) if key == head_key => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { key: head_key }.into())
    }

    /// Commit a group of the effects that are not on their way yet.
    pub(crate) async fn append_effects(&self) -> Result<Appended, LedgerError> {
        self.try_append(None).await
    }

    async fn try_append(&self, own: Option<&Own<'_>>) -> Result<Appended, LedgerError> {
        let mut tip = self.tip.lock().await;
        let generation = tip.generation;
        let head = match tip.head {
            Some(head) => head,
            None => {
                // What a commit carried that is about to be known as written would be written twice.
                drop(self.on_their_way.write().await);
                tip.placed = self.effects.written();
                self.stored_head().await?
            }
        };
        let mut carried = self.effects.after(tip.placed, own.map_or(GROUP_LENGTH, Own::room));
        let mut placed = tip.placed.saturating_add(carried.len() as u64);
        // Too many go before it, in commits of their own.
        let own = own.filter(|own| placed >= own.after);
        if own.is_none() {
            carried = self.effects.after(tip.placed, GROUP_LENGTH);
            placed = tip.placed.saturating_add(carried.len() as u64);
            if carried.is_empty() {
                return Ok(Appended::Nothing);
            }
        }
        let (entries, transaction) =
            own.map_or((&[][..], Transaction::new()), |own| (own.entries, own.transaction.clone()));
        let records = carried.iter().map(AsRef::as_ref).chain(entries);
        let (transaction, next) = self.with_records(head, records, transaction)?;
        let on_its_way = self.on_their_way.read().await;
        let mut commit = self.store.commit(transaction);
        // The first poll takes the place in the store's queue; the rest of the wait is not under the lock.
        let first = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        (tip.head, tip.placed) = (Some(next), placed);
        drop(tip);
        let outcome = match first {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => commit.await,
        };
        if outcome.is_ok() {
            // So are all before them: it was built on their records.
            self.effects.are_written(placed);
        }
        drop(on_its_way);
        if outcome.is_err() {
            self.forget_tip(generation).await;
        }
        let revision = outcome?;
        Ok(if own.is_some() { Appended::Whole(revision) } else { Appended::Effects })
    }

    /// The head that was set in `generation` is not in the store.
    async fn forget_tip(&self, generation: u64) {
        let mut tip = self.tip.lock().await;
        if tip.generation == generation {
            *tip = Tip { head: None, generation: generation.wrapping_add(1), ..*tip };
        }
        drop(tip);
        self.effects.wake();
    }

    /// Compares first on the head: whoever built on a wrong one learns that before any other conflict.
    fn with_records<'a>(
        &self,
        head: Head,
        entries: impl Iterator<Item = &'a Unplaced>,
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

impl Own<'_> {
    /// How many effects go with it into one commit, the head beside them.
    fn room(&self) -> usize {
        let records = self.entries.len().saturating_add(1);
        let writes = limits::WRITES.saturating_sub(self.transaction.writes.len());
        let bytes = limits::TRANSACTION_BYTES.saturating_sub(self.transaction.bytes());
        writes.min(bytes / RECORD_BYTES).saturating_sub(records)
    }
}
