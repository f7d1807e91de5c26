//! The one writer: a thread that puts the transactions of all who wait into one SQLite transaction.
//!
//! Each has its own answer. It happens whole or not at all: its compares are looked at before its writes begin, and an engine that
//! fails in the middle of them fails the whole group. The answers are given when the group is on the disk. While the disk flushes
//! one group, the next gathers in the queue.

use super::health::Health;
use super::revision;
use crate::error::StoreError;
use crate::transaction::{Revision, Transaction, Write};
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Transactions that may wait; further callers wait for a place.
const QUEUE_LENGTH: usize = 1024;
/// Transactions in one group, so that the first of a group does not wait for ever.
const GROUP_LENGTH: usize = 256;
/// Bytes in one group, so that a group stays within the engine's cache and log.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Pages of 4 KiB in the log from which on it is written back into the file.
const LOG_PAGES: i32 = 1000;

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
        let worker = Worker::new(connection, Arc::clone(&health)).map_err(|error| health.judge(error))?;
        let (queue, requests) = mpsc::channel(QUEUE_LENGTH);
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
    /// Pages in the log after the last commit.
    log_pages: Arc<AtomicI32>,
    health: Arc<Health>,
}

impl Worker {
    fn new(mut connection: Connection, health: Arc<Health>) -> rusqlite::Result<Self> {
        let revision =
            connection.query_row("SELECT revision FROM counter", [], |row| revision::of(row, 0))?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&log_pages);
        // In the place of the engine's own hook, which would write the log back and say nothing when that fails.
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { connection, revision, log_pages, health })
    }

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
            self.write_log_back();
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

    /// When it has grown long, and when everybody has their answer. Readers are not held up; what they still need stays.
    fn write_log_back(&mut self) {
        if self.log_pages.load(Ordering::Relaxed) < LOG_PAGES || self.health.check().is_err() {
            return;
        }
        self.log_pages.store(0, Ordering::Relaxed);
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            // A flush that failed once may seem to succeed the next time, with pages missing. A full disk or another program
            // that is at it is no harm: the log stays.
            drop(self.health.judge(error));
        }
    }

    fn write(&mut self, transactions: &[Transaction]) -> rusqlite::Result<Vec<Answer>> {
        let whole = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = self.revision;
        let mut answers = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let answer = apply(&whole, transaction, self.revision)?;
            if let Ok(revision) = &answer {
                self.revision = *revision;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::sqlite::file;

    fn worker(directory: &tempfile::TempDir) -> Worker {
        let path = directory.path().join(file::NAME);
        let connection = file::open(directory.path(), &path).expect("a file");
        Worker::new(connection, Arc::new(Health::new(path))).expect("a worker")
    }

    fn answers(worker: &mut Worker, transactions: Vec<Transaction>) -> Vec<Answer> {
        let (group, waiting): (Vec<_>, Vec<_>) = transactions
            .into_iter()
            .map(|transaction| {
                let (answer, answered) = oneshot::channel();
                (Request { transaction, answer }, answered)
            })
            .unzip();
        worker.answer(group);
        waiting.into_iter().map(|mut answered| answered.try_recv().expect("an answer")).collect()
    }

    fn put(name: &str, bytes: usize) -> Transaction {
        Transaction::new().put(Key::new(&[name]), vec![0; bytes])
    }

    fn count(worker: &Worker) -> i64 {
        worker.connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).expect("a count")
    }

    #[test]
    fn a_group_is_one_commit_of_the_disk_and_many_of_the_store() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut worker = worker(&directory);
        let commits = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&commits);
        let hook = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        worker.connection.commit_hook(Some(hook)).expect("a hook");
        let taken = put("b", 1).absent(Key::new(&["a"]));
        let outcome = answers(&mut worker, vec![put("a", 1), taken, put("c", 1).absent(Key::new(&["b"]))]);
        assert!(matches!(&outcome[..], [Ok(Revision(1)), Err(StoreError::Conflict { .. }), Ok(Revision(2))]));
        assert_eq!(commits.load(Ordering::Relaxed), 1);
        assert_eq!(count(&worker), 2);
    }

    #[test]
    fn a_failed_flush_fails_everybody_who_waits_and_everybody_after() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut worker = worker(&directory);
        answers(&mut worker, vec![put("before", 1)]);
        worker.connection.commit_hook(Some(|| true)).expect("a hook");
        let conflict = Transaction::new().absent(Key::new(&["a"]));
        for outcome in answers(&mut worker, vec![put("a", 1), conflict]) {
            assert!(matches!(outcome, Err(StoreError::Unusable { .. })), "{outcome:?}");
        }
        worker.connection.commit_hook(None::<fn() -> bool>).expect("no hook");
        let after = answers(&mut worker, vec![put("a", 1)]);
        assert!(matches!(&after[..], [Err(StoreError::Unusable { .. })]), "{after:?}");
        assert!(worker.health.check().is_err());
        assert_eq!(count(&worker), 1);
    }

    #[test]
    fn a_full_disk_fails_the_group_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut worker = worker(&directory);
        worker.connection.pragma_update(None, "max_page_count", 20).expect("a limit");
        let outcome = answers(&mut worker, vec![put("small", 1), put("large", 200_000)]);
        assert!(
            outcome.iter().all(|answer| matches!(answer, Err(StoreError::NotWritten { .. }))),
            "{outcome:?}"
        );
        assert_eq!((count(&worker), worker.revision), (0, Revision(0)));
        let outcome = answers(&mut worker, vec![put("small", 1)]);
        assert!(matches!(&outcome[..], [Ok(Revision(1))]), "{outcome:?}");
    }

    #[test]
    fn a_long_log_is_written_back_and_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut worker = worker(&directory);
        let log = directory.path().join("state.sqlite-wal");
        let mut longest = 0;
        for round in 0..40 {
            answers(&mut worker, vec![put(&format!("{round}"), 250_000)]);
            worker.write_log_back();
            longest = longest.max(std::fs::metadata(&log).expect("a log").len());
        }
        assert!((4_000_000..6_000_000).contains(&longest), "{longest}");
        assert_eq!(count(&worker), 40);
    }
}
