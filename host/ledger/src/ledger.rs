//! The ledger as others see it.

use crate::chain::Chain;
use crate::cut;
use crate::error::LedgerError;
use crate::head::{all, head_key, record_key, records_of};
use crate::key::LedgerKey;
use crate::record::{self, LedgerRecord, Unplaced};
use crate::verify::Verification;
use bulkhead_model::effect::{Chain as ChainName, Effect, StateChange};
use bulkhead_model::secret::Cleaner;
use bulkhead_model::time::Timestamp;
use bulkhead_store::{Key, Revision, Store, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The chain of what belongs to no backend, by the daemon's custom. No backend may have this name.
pub const HOST_CHAIN: &str = "host";

/// The most records that one question brings; a larger number is cut.
const MOST: usize = 1000;

/// The ledger of a daemon. Clones are the same ledger. Needs a tokio runtime with timers.
///
/// Call [`Ledger::flush_all`] before the last one is dropped: effects that were handed over within the last moments are lost
/// otherwise, and the log says so.
#[derive(Debug, Clone)]
pub struct Ledger {
    parts: Arc<Parts>,
    cleaner: Cleaner,
}

#[derive(Debug)]
struct Parts {
    store: Arc<dyn Store>,
    key: LedgerKey,
    chains: Mutex<BTreeMap<ChainName, Arc<Chain>>>,
}

impl Ledger {
    /// The ledger in `store`. Finds its chains and examines the newest record of each; fails with [`LedgerError::Altered`] if one
    /// was not written with `key`.
    pub async fn open(store: Arc<dyn Store>, key: LedgerKey) -> Result<Self, LedgerError> {
        let parts = Arc::new(Parts { store, key, chains: Mutex::default() });
        let ledger = Self { parts, cleaner: Cleaner::default() };
        let mut after: Option<Key> = None;
        loop {
            let next = ledger.parts.store.scan_page(&all(), after.as_ref(), 1).await?;
            let Some((key, _)) = next.into_iter().next() else { return Ok(ledger) };
            match key.parts().get(1).map(|name| name.parse::<ChainName>()) {
                Some(Ok(name)) => {
                    ledger.chain(&name).examine().await?;
                    after = Some(head_key(&name).max(key));
                }
                // Not ours; nothing below the prefix of the ledger is ever written by others.
                _ => after = Some(key),
            }
        }
    }

    /// The same ledger, where `cleaner` takes secrets out of every change of state.
    #[must_use]
    pub fn cleaned_by(self, cleaner: Cleaner) -> Self {
        Self { cleaner, ..self }
    }

    /// Commit a change of state together with its records in the chain `chain`, in one transaction of the store.
    ///
    /// The transaction, the changes and one write more must fit into one commit ([`bulkhead_store::limits`]). If a compare of
    /// `transaction` does not hold, neither it nor a record is written and [`LedgerError::is_conflict`] says so; that the chain has
    /// grown in the meantime is no conflict. Once polled it runs to its end even if the caller stops waiting.
    ///
    /// On success the effects of this chain that were handed over before are on the disk, and of other chains those of the operations
    /// that `changes` name.
    pub async fn commit(
        &self,
        chain: &ChainName,
        transaction: Transaction,
        changes: Vec<StateChange>,
    ) -> Result<Revision, LedgerError> {
        if changes.is_empty() && matches!(self.reader(chain).at_rest(), Some(Ok(()))) {
            return Ok(self.parts.store.commit(transaction).await?);
        }
        let elsewhere = self.chains_with_effects(chain, &changes);
        let at = Timestamp::now();
        let entries: Vec<_> = changes
            .into_iter()
            .map(|change| Unplaced { at, entry: cut::state_change(change, &self.cleaner) })
            .collect();
        let chain = self.chain(chain);
        to_the_end(async move {
            for other in elsewhere {
                other.flush().await?;
            }
            chain.append(&entries, transaction).await
        })
        .await
    }

    /// Chains beside `own` in which effects wait of an operation that `changes` name: of one that calls drivers of two backends.
    fn chains_with_effects(&self, own: &ChainName, changes: &[StateChange]) -> Vec<Arc<Chain>> {
        let operations: BTreeSet<_> = changes.iter().filter_map(|change| change.operation).collect();
        let waits = |chain: &Chain| operations.iter().any(|operation| chain.effects.wait_of(*operation));
        let known = self.known();
        known.values().filter(|chain| chain.name != *own && waits(chain)).cloned().collect()
    }

    /// Hand over an effect. Returns at once, unless so many wait that it has to wait itself; written within 100 ms.
    ///
    /// Fails if the ledger cannot be written any more. What cannot be recorded must not happen: a host call that gets this error
    /// for its begin is not made.
    pub async fn effect(&self, chain: &ChainName, effect: Effect) -> Result<(), LedgerError> {
        self.chain(chain).hand_over(effect).await
    }

    /// Whether effects of `chain` can still be written: asked at the end of a call, whose effects the next commit carries.
    pub fn sound(&self, chain: &ChainName) -> Result<(), LedgerError> {
        self.reader(chain).sound()
    }

    /// Write the effects of `chain` that were handed over before. On return they are on the disk.
    pub async fn flush(&self, chain: &ChainName) -> Result<(), LedgerError> {
        let chain = self.chain(chain);
        match chain.at_rest() {
            Some(outcome) => outcome,
            None => to_the_end(async move { chain.flush().await }).await,
        }
    }

    /// Write the effects of all chains: before the daemon ends. Tries every chain; the first failure is the answer.
    pub async fn flush_all(&self) -> Result<(), LedgerError> {
        let mut outcome = Ok(());
        for chain in self.chains() {
            outcome = outcome.and(self.flush(&chain).await);
        }
        outcome
    }

    /// The chains that have records or waiting effects.
    #[must_use]
    pub fn chains(&self) -> Vec<ChainName> {
        self.known().keys().cloned().collect()
    }

    /// The last `most` records of a chain, or of all: oldest first, in the order of the chain, chains merged by time. At most
    /// 1,000. Effects appear within 100 ms.
    pub async fn tail(
        &self,
        chain: Option<&ChainName>,
        most: usize,
    ) -> Result<Vec<LedgerRecord>, LedgerError> {
        let most = most.min(MOST);
        let chains = chain.map_or_else(|| self.chains(), |chain| vec![chain.clone()]);
        let mut found: Vec<(Timestamp, LedgerRecord)> = Vec::new();
        for name in chains {
            let head = self.reader(&name).stored_head().await?;
            let first = head.sequence.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
            let mut latest = None;
            for record in self.after(&name, first, most).await? {
                // A clock that was set back must not move a record before an earlier one of its chain.
                let at = latest.map_or(record.at, |latest| record.at.max(latest));
                latest = Some(at);
                found.push((at, record));
            }
            found.sort_by_key(|(at, _)| *at);
            found.drain(..found.len().saturating_sub(most));
        }
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// The first `most` records of a chain after the place `sequence`; at most 1,000. To follow a chain, ask again with the last
    /// one's place.
    pub async fn after(
        &self,
        chain: &ChainName,
        sequence: u64,
        most: usize,
    ) -> Result<Vec<LedgerRecord>, LedgerError> {
        let last = record_key(chain, sequence);
        let page = self.parts.store.scan_page(&records_of(chain), Some(&last), most.min(MOST)).await?;
        let head = head_key(chain);
        (sequence.saturating_add(1)..)
            .zip(page.into_iter().filter(|(key, _)| *key != head))
            .map(|(place, (_, found))| {
                record::read(&found.value).map_err(|what| LedgerError::Altered {
                    chain: chain.clone(),
                    sequence: place,
                    what,
                })
            })
            .collect()
    }

    /// Read a whole chain and name its first record that is not what was written. An unknown chain is sound and empty.
    pub async fn verify(&self, chain: &ChainName) -> Result<Verification, LedgerError> {
        self.reader(chain).verify().await
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ChainName, Arc<Chain>>> {
        self.parts.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain(&self, name: &ChainName) -> Arc<Chain> {
        let mut chains = self.known();
        if let Some(chain) = chains.get(name) {
            return Arc::clone(chain);
        }
        let chain = self.fresh(name);
        chains.insert(name.clone(), Arc::clone(&chain));
        chain
    }

    /// For questions: one about a name that nobody knows leaves nothing behind.
    fn reader(&self, name: &ChainName) -> Arc<Chain> {
        self.known().get(name).map_or_else(|| self.fresh(name), Arc::clone)
    }

    fn fresh(&self, name: &ChainName) -> Arc<Chain> {
        Chain::new(name.clone(), Arc::clone(&self.parts.store), self.parts.key.clone())
    }
}

/// In a task of its own: effects that were taken from their queue must not be lost with a caller that stops waiting.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::spawn(work).await.unwrap_or(Err(LedgerError::Stopped))
}
