//! The store of a daemon: one SQLite file in a directory that only one daemon may use.
//!
//! ```text
//! callers ──commit──▶ bounded queue ──▶ writer thread: one SQLite transaction for all that wait ──▶ fsync ──▶ every caller's answer
//! callers ──get, scan──▶ up to four reading connections on blocking threads, never held up by the writer
//! ```
//!
//! Opening locks the directory, refuses what is not a sound store of this program or older, and only then writes. A failed read,
//! write or flush makes the store unusable (`health`); a full disk fails the commits of the moment and nothing else.

mod backup;
mod directory;
mod file;
mod health;
mod reader;
mod revision;
mod writer;

pub use backup::StoreFacts;

use crate::Store;
use crate::error::StoreError;
use crate::key::{Key, KeyPrefix};
use crate::transaction::{Revision, Transaction, Versioned};
use async_trait::async_trait;
use health::Health;
use std::path::Path;
use std::sync::Arc;

/// A store in one SQLite file with one writer and group commit.
///
/// Dropping it finishes the commits that wait, writes the log back and gives the directory free; that may take as long as a
/// flush of the disk.
#[derive(Debug)]
pub struct SqliteStore {
    readers: reader::Readers,
    writer: writer::Writer,
    // Last: the directory is given free when everything else has ended.
    _lock: directory::DirectoryLock,
}

impl SqliteStore {
    /// Open the store in `directory`, which is made with mode 0700 if it does not exist; an empty one becomes an empty store.
    ///
    /// Blocks for as long as it takes to read the file through. Fails without changing anything with [`StoreError::Locked`],
    /// [`StoreError::Corrupt`] or [`StoreError::NewerFormat`]; with [`StoreError::Open`] for permissions and the like.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = directory::DirectoryLock::take(directory)?;
        let path = directory.join(file::NAME);
        let connection = file::open(directory, &path)?;
        let health = Arc::new(Health::new(path));
        let writer = writer::Writer::start(connection, Arc::clone(&health))?;
        Ok(Self { readers: reader::Readers::new(health), writer, _lock: lock })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.readers.get(key.clone()).await
    }

    async fn scan_page(
        &self,
        prefix: &KeyPrefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.readers.scan(prefix.clone(), after.cloned(), limit).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        transaction.check()?;
        self.writer.commit(transaction).await
    }
}
