//! The one writer: a thread that puts the transactions of all who wait into one SQLite transaction.
//!
//! Each stands in a savepoint of its own: it happens whole or not at all, and has its own answer. The answers are given when the
//! whole group is on the disk. While the disk flushes one group, the next gathers in the queue.

use super::health::Health;
use super::revision;
use crate::error::StoreError;
use crate::transaction::{Revision, Transaction, Write};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Transactions that may wait; further callers wait for a place.
const QUEUE_LENGTH: usize = 1024;
/// Transactions in one group, so that the first of a group does not wait for ever.
const GROUP_LENGTH: usize = 256;
/// Bytes in one group, so that a group stays within the engine's cache and log.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

type Answer = Result<Revision, StoreError>;

#[derive(Debug)]
struct Request {
    transaction: Transaction,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(super) struct Writer {
    health: Arc<Health>,
    queue: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Start the thread; `connection` is of a file in the newest format.
    pub(super) fn start(connection: Connection, health: Arc<Health>) -> Result<Self, StoreError> {
        let revision = connection
            .query_row("SELECT revision FROM counter", [], |row| revision::of(row, 0))
            .map_err(|error| health.judge(error))?;
        let (queue, requests) = mpsc::channel(QUEUE_LENGTH);
        let worker = Worker { connection, revision, health: Arc::clone(&health) };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.run(requests))
            .map_err(|error| StoreError::Open { path: health.path.clone(), source: Arc::new(error) })?;
        Ok(Self { health, queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, transaction: Transaction) -> Answer {
        self.health.check()?;
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(|| self.ended())?;
        queue.send(Request { transaction, answer }).await.map_err(|_| self.ended())?;
        answered.await.map_err(|_| self.ended())?
    }

    fn ended(&self) -> StoreError {
        self.health.fail(Arc::new(std::io::Error::other("the writing thread has ended")))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(store.path = %self.health.path.display(), "the writing thread of the store has panicked");
        }
    }
}

struct Worker {
    connection: Connection,
    /// The newest.
    revision: Revision,
    health: Arc<Health>,
}

impl Worker {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut bytes = first.transaction.bytes();
            let mut group = vec![first];
            while group.len() < GROUP_LENGTH && bytes < GROUP_BYTES {
                let Ok(next) = requests.try_recv() else { break };
                bytes = bytes.saturating_add(next.transaction.bytes());
                group.push(next);
            }
            self.answer(group);
        }
    }

    fn answer(&mut self, group: Vec<Request>) {
        let (transactions, senders): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.transaction, request.answer)).unzip();
        let outcome = self.health.check().and_then(|()| {
            let before = self.revision;
            self.write(&transactions).map_err(|error| {
                self.revision = before;
                self.health.judge(error)
            })
        });
        // After a failure even a conflict says nothing: it may have been with a change that is not on the disk.
        let answers =
            outcome.unwrap_or_else(|error| transactions.iter().map(|_| Err(error.clone())).collect());
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Whoever stopped waiting does not hear it.
            drop(sender.send(answer));
        }
    }

    fn write(&mut self, transactions: &[Transaction]) -> rusqlite::Result<Vec<Answer>> {
        let mut whole = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = self.revision;
        let mut answers = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let savepoint = whole.savepoint()?;
            let answer = apply(&savepoint, transaction, self.revision)?;
            if let Ok(revision) = &answer {
                self.revision = *revision;
                savepoint.commit()?;
            }
            answers.push(answer);
        }
        if self.revision != before {
            whole
                .prepare_cached("UPDATE counter SET revision = ?1")?
                .execute([revision::stored(self.revision)])?;
        }
        whole.commit()?;
        Ok(answers)
    }
}

/// Make the writes if the compares hold. A conflict has written nothing.
fn apply(connection: &Connection, transaction: &Transaction, newest: Revision) -> rusqlite::Result<Answer> {
    for compare in &transaction.compares {
        let found: Option<(Revision, Vec<u8>)> = connection
            .prepare_cached("SELECT revision, value FROM entry WHERE key = ?1")?
            .query_row([compare.key().as_str()], |row| Ok((revision::of(row, 0)?, row.get(1)?)))
            .optional()?;
        if !compare.holds(found.as_ref().map(|(revision, value)| (*revision, value.as_slice()))) {
            return Ok(Err(StoreError::Conflict { key: compare.key().clone() }));
        }
    }
    if transaction.writes.is_empty() {
        return Ok(Ok(newest));
    }
    let revision = Revision(newest.0 + 1);
    for write in &transaction.writes {
        match write {
            Write::Put(key, value) => connection
                .prepare_cached(
                    "INSERT INTO entry (key, value, revision) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                )?
                .execute(params![key.as_str(), value, revision::stored(revision)])?,
            Write::Delete(key) => {
                connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key.as_str()])?
            }
        };
    }
    Ok(Ok(revision))
}
