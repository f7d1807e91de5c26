//! Reads: a few connections of their own on blocking threads, so that neither the writer nor the runtime is held up.

use super::file;
use super::health::Health;
use super::revision;
use crate::error::StoreError;
use crate::key::{Key, KeyPrefix};
use crate::transaction::Versioned;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Reads at once; more wait.
const READERS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    health: Arc<Health>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { health, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    pub(super) async fn get(&self, key: Key) -> Result<Option<Versioned>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT revision, value FROM entry WHERE key = ?1")?
                .query_row([key.as_str()], |row| versioned(row, 0))
                .optional()
        })
        .await
    }

    pub(super) async fn scan(
        &self,
        prefix: KeyPrefix,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            // The end of a prefix is the prefix with the letter after '/' in the place of its last; keys are ASCII.
            let end = prefix
                .as_str()
                .strip_suffix('/')
                .map_or_else(|| "\u{7f}".to_owned(), |begin| format!("{begin}0"));
            let after = after.as_ref().map_or("", Key::as_str);
            connection
                .prepare_cached(
                    "SELECT key, revision, value FROM entry
                     WHERE key >= ?1 AND key < ?2 AND key > ?3 ORDER BY key LIMIT ?4",
                )?
                .query_map(params![prefix.as_str(), end, after, limit], |row| {
                    Ok((Key::from_stored(row.get(0)?), versioned(row, 1)?))
                })?
                .collect()
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.health.check()?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (health, idle) = (Arc::clone(&self.health), Arc::clone(&self.idle));
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match known {
                Some(connection) => connection,
                None => file::open_to_read(&health.path).map_err(|error| health.judge(error))?,
            };
            let answer = question(&connection).map_err(|error| health.judge(error));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        match answer.await {
            Ok(answer) => answer,
            Err(error) => {
                Err(StoreError::Unusable { path: self.health.path.clone(), source: Arc::new(error) })
            }
        }
    }
}

fn versioned(row: &Row<'_>, first: usize) -> rusqlite::Result<Versioned> {
    Ok(Versioned { revision: revision::of(row, first)?, value: row.get(first + 1)? })
}
