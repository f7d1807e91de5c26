//! Records of the share manager: keys, scopes, indexes and the format's number.
//!
//! [`Records`] owns everything below `record/` in the store. Reads are answered from memory; a write is a [`Change`]: rows on the
//! condition that nobody changed them since they were read, committed together with the ledger's words in one transaction, and taken
//! into memory after it. The row of a share's instance is the share's turnstile: whatever begins or ends an operation on the share, its
//! rules or its snapshots writes it, so that two such changes never both succeed on the same state. A group's own row is its turnstile.
//!
//! A commit is never torn from its effect on memory: it runs in a task of its own, whoever stops waiting for it.

mod change;
mod edit;
mod edit_group;
mod edit_network;
mod edit_server;
mod reading;
mod row;
mod tables;

pub(crate) use change::{Cause, Change, Expect};
pub use row::Origin;
pub(crate) use row::{
    BackendRecord, FirstResult, GenerationRecord, Row, RowKey, RuleChunk, ShareGroupType, ShareType, Stage,
};
pub(crate) use tables::{Stored, Tables};

use crate::error::ManagerError;
use crate::manager::Event;
use bulkhead_ledger::{Ledger, LedgerError};
use bulkhead_model::id::BackendName;
use bulkhead_store::{Key, Revision, Store, Transaction, Versioned};
use reading::Reading;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::broadcast;

/// The format of the records. A change that an older version cannot read raises it.
const FORMAT: u32 = 1;
/// How many rows are read at once while loading.
const PAGE_ROWS: usize = 1000;
/// How many hints a slow listener may lag behind before it loses some.
const EVENTS_KEPT: usize = 1024;

/// Why a change was not committed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Somebody else changed one of its rows first: read again, decide again.
    Conflict,
    /// It failed.
    Failed(ManagerError),
}

/// All records of this host.
#[derive(Debug)]
pub(crate) struct Records {
    ledger: Ledger,
    memory: Arc<Memory>,
}

/// The rows in memory, and who wants to hear of changes.
#[derive(Debug)]
struct Memory {
    tables: RwLock<Tables>,
    events: broadcast::Sender<Event>,
}

impl Records {
    /// Load everything. Fails on a newer format and on a record that cannot be understood: nothing is passed over silently.
    pub(crate) async fn open(store: &dyn Store, ledger: Ledger) -> Result<Self, ManagerError> {
        check_format(store).await?;
        let mut tables = Tables::default();
        let loaded = &mut tables;
        load(store, row::SHARE, |_, value| Ok(Row::Share(row::decode(value)?)), loaded).await?;
        load(store, row::INSTANCE, |_, value| Ok(Row::Instance(row::decode(value)?)), loaded).await?;
        load(store, row::SNAPSHOT, |_, value| Ok(Row::Snapshot(row::decode(value)?)), loaded).await?;
        let snapshot_instance = |_: &Key, value: &[u8]| Ok(Row::SnapshotInstance(row::decode(value)?));
        load(store, row::SNAPSHOT_INSTANCE, snapshot_instance, loaded).await?;
        load(store, row::OPERATION, |_, value| Ok(Row::Operation(row::decode(value)?)), loaded).await?;
        load(store, row::RULES, rule_chunk, loaded).await?;
        load(store, row::FIRST_RESULT, |_, value| Ok(Row::FirstResult(row::decode(value)?)), loaded).await?;
        load(store, row::SHARE_TYPE, |_, value| Ok(Row::ShareType(row::decode(value)?)), loaded).await?;
        load(store, row::GROUP_TYPE, |_, value| Ok(Row::GroupType(row::decode(value)?)), loaded).await?;
        load(store, row::GROUP, |_, value| Ok(Row::Group(row::decode(value)?)), loaded).await?;
        let group_snapshot = |_: &Key, value: &[u8]| Ok(Row::GroupSnapshot(row::decode(value)?));
        load(store, row::GROUP_SNAPSHOT, group_snapshot, loaded).await?;
        load(store, row::NETWORK, |_, value| Ok(Row::Network(row::decode(value)?)), loaded).await?;
        let security_service = |_: &Key, value: &[u8]| Ok(Row::SecurityService(row::decode(value)?));
        load(store, row::SECURITY_SERVICE, security_service, loaded).await?;
        load(store, row::SERVER, |_, value| Ok(Row::Server(row::decode(value)?)), loaded).await?;
        load(store, row::BACKEND, |_, value| Ok(Row::Backend(row::decode(value)?)), loaded).await?;
        load(store, row::GENERATION, |_, value| Ok(Row::Generation(row::decode(value)?)), loaded).await?;
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        Ok(Self { ledger, memory: Arc::new(Memory { tables: RwLock::new(tables), events }) })
    }

    /// Where every change is recorded.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The rows as of the last commit. Never held across an await, and never read a second time by whoever holds them.
    pub(crate) fn read(&self) -> Reading<'_> {
        Reading::begin(&self.memory.tables)
    }

    /// Commit `change` in the chain of `backend`, then take it into memory.
    pub(crate) async fn commit(&self, backend: &BackendName, change: Change) -> Result<(), CommitError> {
        let mut transaction = Transaction::default();
        for (key, (expect, row)) in &change.rows {
            let stored = key.stored();
            transaction = match expect {
                Expect::Absent => transaction.absent(stored.clone()),
                Expect::Unchanged(revision) => transaction.unchanged(stored.clone(), *revision),
            };
            transaction = match row {
                Some(row) => {
                    let value = row.encode().map_err(|source| {
                        CommitError::Failed(ManagerError::CorruptRecord { key: stored.to_string(), source })
                    })?;
                    transaction.put(stored, value)
                }
                None => transaction.delete(stored),
            };
        }
        let (ledger, memory) = (self.ledger.clone(), Arc::clone(&self.memory));
        let (backend, Change { rows, words }) = (backend.clone(), change);
        let committing = tokio::spawn(async move {
            let revision = ledger.commit(&backend, transaction, words).await?;
            memory.take_in(rows, revision);
            Ok(())
        });
        match committing.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refused(error)),
            Err(_) => Err(CommitError::Failed(ManagerError::Interrupted)),
        }
    }

    /// Hints about every commit from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.memory.events.subscribe()
    }
}

fn refused(error: LedgerError) -> CommitError {
    if error.is_conflict() { CommitError::Conflict } else { CommitError::Failed(ManagerError::Ledger(error)) }
}

impl Memory {
    fn take_in(&self, rows: BTreeMap<RowKey, (Expect, Option<Row>)>, revision: Revision) {
        let mut events = Vec::new();
        {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            for (key, (_, row)) in rows {
                events.extend(hint(&tables, &key, row.as_ref()));
                tables.apply(key, row, revision);
            }
        }
        events.dedup();
        for event in events {
            // Nobody listening is no failure.
            drop(self.events.send(event));
        }
    }
}

fn hint(tables: &Tables, key: &RowKey, row: Option<&Row>) -> Option<Event> {
    match (key, row) {
        (RowKey::Share(id), _) => Some(Event::Share(*id)),
        (RowKey::Snapshot(id), _) => Some(Event::Snapshot(*id)),
        (RowKey::Group(id), _) => Some(Event::Group(*id)),
        (RowKey::GroupSnapshot(id), _) => Some(Event::GroupSnapshot(*id)),
        (RowKey::Server(id), _) => Some(Event::Server(*id)),
        (RowKey::Operation(id), _) => Some(Event::Operation(*id)),
        (_, Some(Row::Instance(instance))) => Some(Event::Share(instance.share)),
        (_, Some(Row::SnapshotInstance(instance))) => Some(Event::Snapshot(instance.snapshot)),
        (_, Some(Row::Rules(chunk))) => chunk.rules.first().map(|rule| Event::Share(rule.share)),
        (RowKey::Rules(instance, _), None) => tables.instance(*instance).map(|one| Event::Share(one.share)),
        _ => None,
    }
}

async fn check_format(store: &dyn Store) -> Result<(), ManagerError> {
    let key = row::format_key();
    let Some(stored) = store.get(&key).await.map_err(ManagerError::Store)? else {
        let value = FORMAT.to_string().into_bytes();
        let transaction = Transaction::default().absent(key.clone()).put(key, value);
        return store.commit(transaction).await.map(drop).map_err(ManagerError::Store);
    };
    let found: u32 = row::decode(&stored.value)
        .map_err(|source| ManagerError::CorruptRecord { key: key.to_string(), source })?;
    if found > FORMAT {
        return Err(ManagerError::NewerFormat { found, known: FORMAT });
    }
    Ok(())
}

fn rule_chunk(key: &Key, value: &[u8]) -> Result<Row, serde_json::Error> {
    let unreadable =
        || serde::de::Error::custom("the key of a chunk of access rules names an instance and a number");
    let parts = key.parts();
    let [.., instance, number] = parts.as_slice() else { return Err(unreadable()) };
    let instance = instance.parse().map_err(|_| unreadable())?;
    let number = number.parse().map_err(|_| unreadable())?;
    Ok(Row::Rules(RuleChunk { instance, number, rules: Arc::new(row::decode(value)?) }))
}

async fn load(
    store: &dyn Store,
    kind: &str,
    read: impl Fn(&Key, &[u8]) -> Result<Row, serde_json::Error>,
    tables: &mut Tables,
) -> Result<(), ManagerError> {
    let prefix = row::rows_of(kind);
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan_page(&prefix, after.as_ref(), PAGE_ROWS).await.map_err(ManagerError::Store)?;
        let complete = page.len() < PAGE_ROWS;
        for (key, Versioned { revision, value }) in page {
            let row = read(&key, &value)
                .map_err(|source| ManagerError::CorruptRecord { key: key.to_string(), source })?;
            tables.apply(row.key(), Some(row), revision);
            after = Some(key);
        }
        if complete {
            return Ok(());
        }
    }
}
