//! The book of addresses: what all backends of this process keep, in the store and in memory.
//!
//! One change at a time, planned on what memory says and committed on the condition that the store says the same; memory follows the commit
//! in the task that makes it, so that a caller who hangs up leaves both alike. Should somebody else have written meanwhile, memory is read
//! anew and the plan made again.

use super::AllocationError;
use super::memory::{Edit, Memory};
use super::rows::{self, Claim, ServerRow};
use crate::service::standing;
use bulkhead_helper::protocol::GroupKey;
use bulkhead_ledger::Ledger;
use bulkhead_model::call::CallReason;
use bulkhead_model::effect::StateChange;
use bulkhead_model::id::{BackendName, ShareServerId};
use bulkhead_store::{Key, KeyPrefix, Store, StoreError, Transaction, Versioned};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many rows are read at once while loading.
const PAGE_ROWS: usize = 1000;
/// How many addresses are freed in one commit.
const FREED_AT_ONCE: usize = 90;
/// How many such commits a change makes before its own; more only where an address is wanted.
const FREEING_COMMITS: usize = 8;
/// How often a change is planned anew after somebody else wrote.
const TRIES: usize = 8;

/// The addresses that this host keeps for share servers. One for each process.
#[derive(Debug, Clone)]
pub struct AddressBook {
    store: Arc<dyn Store>,
    ledger: Ledger,
    memory: Arc<RwLock<Memory>>,
    turn: Arc<Mutex<()>>,
}

/// What a change comes to.
pub(super) struct Plan<T> {
    /// What to commit; none leaves everything as it is.
    pub(super) edit: Option<Edit>,
    /// The answer once that is done.
    pub(super) answer: T,
}

impl AddressBook {
    /// Read what `store` says of addresses. Fails on a record that cannot be understood.
    pub async fn open(store: Arc<dyn Store>, ledger: Ledger) -> Result<Self, AllocationError> {
        let memory = load(&*store).await?;
        Ok(Self { store, ledger, memory: Arc::new(RwLock::new(memory)), turn: Arc::default() })
    }

    /// What is known now. Never held across an await.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups of a server that were started and not taken down, with the addresses that they have.
    pub(super) async fn groups_of(
        &self,
        backend: &BackendName,
        server: ShareServerId,
    ) -> Result<Vec<(GroupKey, BTreeSet<IpAddr>)>, AllocationError> {
        Ok(standing::of_server_with_addresses(&*self.store, (backend, server)).await?)
    }

    /// Plan a change on what is known, commit it, and answer what the plan says.
    pub(super) async fn change<T>(
        &self,
        backend: &BackendName,
        reason: &CallReason,
        plan: impl Fn(&Memory) -> Result<Plan<T>, AllocationError>,
    ) -> Result<T, AllocationError> {
        let mut tries = 0;
        while tries < TRIES {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            self.free_the_rested().await?;
            let planned = plan(&self.read());
            let Plan { edit, answer } = match planned {
                // Every look frees some of them, so this ends.
                Err(AllocationError::Exhausted { .. }) if !self.read().rested(1).is_empty() => continue,
                planned => planned?,
            };
            let Some(edit) = edit else { return Ok(answer) };
            if self.commit(turn, backend, reason, edit).await? {
                return Ok(answer);
            }
            tries += 1;
        }
        Err(AllocationError::Contended)
    }

    /// Commit `edit` and take it in; whether nobody else had written before.
    async fn commit(
        &self,
        turn: OwnedMutexGuard<()>,
        backend: &BackendName,
        reason: &CallReason,
        edit: Edit,
    ) -> Result<bool, AllocationError> {
        let transaction = self.transaction(&edit)?;
        let words = edit.about.iter().map(|server| StateChange {
            actor: "host".to_owned(),
            request: reason.request.clone(),
            operation: reason.operation,
            resource: format!("share-server/{server}"),
            change: edit.words.clone(),
        });
        let words: Vec<_> = words.collect();
        let (ledger, backend, memory) = (self.ledger.clone(), backend.clone(), Arc::clone(&self.memory));
        let committing = tokio::spawn(async move {
            let committed = ledger.commit(&backend, transaction, words).await;
            if let Ok(revision) = &committed {
                memory.write().unwrap_or_else(PoisonError::into_inner).apply(edit, *revision);
            }
            (committed, turn)
        });
        let (committed, _turn) = committing.await.map_err(|_| AllocationError::Interrupted)?;
        match committed {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => self.read_anew().await.map(|()| false),
            Err(error) => Err(AllocationError::Ledger(error)),
        }
    }

    /// What an edit writes, on the condition that the store says what memory says.
    fn transaction(&self, edit: &Edit) -> Result<Transaction, AllocationError> {
        let memory = self.read();
        let mut transaction = Transaction::default();
        if let Some((server, row)) = &edit.row {
            let key = rows::server_key(*server);
            transaction = match memory.server_revision(*server) {
                Some(revision) => transaction.unchanged(key.clone(), revision),
                None => transaction.absent(key.clone()),
            };
            transaction = match row {
                Some(row) => transaction.put(key.clone(), encode(&key, row)?),
                None => transaction.delete(key),
            };
        }
        for (address, claim) in &edit.claims {
            let key = rows::claim_key(*address);
            transaction = match memory.claim_revision(*address) {
                Some(revision) => transaction.unchanged(key.clone(), revision),
                None => transaction.absent(key.clone()),
            };
            transaction = match claim {
                Some(claim) => transaction.put(key.clone(), encode(&key, claim)?),
                None => transaction.delete(key),
            };
        }
        Ok(transaction)
    }

    /// Free addresses that have rested long enough. Whoever calls this has the turn.
    async fn free_the_rested(&self) -> Result<(), AllocationError> {
        for _ in 0..FREEING_COMMITS {
            let rested = self.read().rested(FREED_AT_ONCE);
            if rested.is_empty() {
                return Ok(());
            }
            let claims = rested.into_iter().map(|address| (address, None)).collect();
            let edit = Edit { about: None, row: None, claims, words: String::new() };
            let transaction = self.transaction(&edit)?;
            match self.store.commit(transaction).await {
                Ok(revision) => {
                    self.memory.write().unwrap_or_else(PoisonError::into_inner).apply(edit, revision);
                }
                Err(StoreError::Conflict { .. }) => self.read_anew().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn read_anew(&self) -> Result<(), AllocationError> {
        let memory = load(&*self.store).await?;
        *self.memory.write().unwrap_or_else(PoisonError::into_inner) = memory;
        Ok(())
    }
}

async fn load(store: &dyn Store) -> Result<Memory, AllocationError> {
    let mut memory = Memory::default();
    each(store, &rows::claims(), |key, found| {
        let claim: Claim = decode(key, &found.value)?;
        if let Some(address) = rows::claimed(key) {
            memory.apply_claim(address, Some(claim), found.revision);
        }
        Ok(())
    })
    .await?;
    each(store, &rows::servers(), |key, found| {
        let row: ServerRow = decode(key, &found.value)?;
        memory.apply_row(row.server, Some(row), found.revision);
        Ok(())
    })
    .await?;
    Ok(memory)
}

async fn each(
    store: &dyn Store,
    prefix: &KeyPrefix,
    mut take_in: impl FnMut(&Key, Versioned) -> Result<(), AllocationError>,
) -> Result<(), AllocationError> {
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan_page(prefix, after.as_ref(), PAGE_ROWS).await?;
        let complete = page.len() < PAGE_ROWS;
        for (key, found) in page {
            take_in(&key, found)?;
            after = Some(key);
        }
        if complete {
            return Ok(());
        }
    }
}

fn encode(key: &Key, value: &impl serde::Serialize) -> Result<Vec<u8>, AllocationError> {
    serde_json::to_vec(value).map_err(|source| AllocationError::Corrupt { key: key.to_string(), source })
}

fn decode<T: serde::de::DeserializeOwned>(key: &Key, value: &[u8]) -> Result<T, AllocationError> {
    serde_json::from_slice(value).map_err(|source| AllocationError::Corrupt { key: key.to_string(), source })
}
