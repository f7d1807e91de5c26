//! Copies of a store, made while a daemon uses it, and put back where there is none.
//!
//! A copy is of one moment: everything acknowledged before it began is in it, nothing is in it by halves. It is a store like any other,
//! in a directory of its own; it gets its name when it is complete and on the disk.

use super::directory::DirectoryLock;
use super::{SqliteStore, file};
use crate::error::StoreError;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts while another program holds the file.
const PAUSE: Duration = Duration::from_millis(50);

/// What a store holds, as of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFacts {
    /// The format of its file.
    pub format: u32,
    /// The newest commit.
    pub revision: u64,
    /// How many keys have a value.
    pub entries: u64,
}

impl SqliteStore {
    /// Read the store in `directory` through, which a daemon may be using.
    ///
    /// Blocks for as long as that takes. Changes nothing. Fails with [`StoreError::Corrupt`], [`StoreError::NewerFormat`], and with
    /// [`StoreError::Open`] if there is no store.
    pub fn check(directory: &Path) -> Result<StoreFacts, StoreError> {
        let (_, facts) = open(directory)?;
        Ok(facts)
    }

    /// Copy the store in `directory`, which a daemon may be using, into the directory `into`, which is made with mode 0700 and must
    /// hold no store.
    ///
    /// Blocks for as long as it takes to read the store through twice. Fails as [`SqliteStore::check`], and with
    /// [`StoreError::Occupied`] if there is a store already; a copy that was cut short leaves no store.
    pub fn back_up(directory: &Path, into: &Path) -> Result<StoreFacts, StoreError> {
        let (source, facts) = open(directory)?;
        let path = place(into)?;
        copy(&source, into, &path)?;
        Ok(facts)
    }

    /// Put the copy in the directory `from` into `directory`, which is made with mode 0700 if it is missing, must hold no store and
    /// must be no daemon's.
    ///
    /// The copy stays. Fails as [`SqliteStore::back_up`], and with [`StoreError::Locked`] if a daemon uses `directory`.
    pub fn restore(from: &Path, directory: &Path) -> Result<StoreFacts, StoreError> {
        let _lock = DirectoryLock::take(directory)?;
        Self::back_up(from, directory)
    }
}

/// A sound store, opened to be read.
fn open(directory: &Path) -> Result<(Connection, StoreFacts), StoreError> {
    let path = directory.join(file::NAME);
    let connection = file::open_to_copy(&path)?;
    let unopened = |error| file::unopened(&path, error);
    let number = |question: &str| connection.query_row(question, [], |row| row.get::<_, i64>(0));
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let facts = StoreFacts {
        format: number("PRAGMA user_version").map_err(unopened)?.try_into().unwrap_or(0),
        revision: positive(number("SELECT revision FROM counter").map_err(unopened)?),
        entries: positive(number("SELECT count(*) FROM entry").map_err(unopened)?),
    };
    Ok((connection, facts))
}

/// Where the copy will stand.
fn place(into: &Path) -> Result<PathBuf, StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(into);
    made.map_err(|source| StoreError::Open { path: into.to_owned(), source: Arc::new(source) })?;
    let path = into.join(file::NAME);
    if path.exists() { Err(StoreError::Occupied { path }) } else { Ok(path) }
}

fn copy(source: &Connection, into: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::Open { path: into.to_owned(), source: Arc::new(source) };
    let unfinished = file::begin(into).map_err(failed)?;
    let unopened = |error| file::unopened(&unfinished, error);
    let mut target = Connection::open(&unfinished).map_err(unopened)?;
    let backup = Backup::new(source, &mut target).map_err(unopened)?;
    // All pages in one step are all pages of one moment.
    while backup.step(-1).map_err(unopened)? != StepResult::Done {
        std::thread::sleep(PAUSE);
    }
    drop(backup);
    target.close().map_err(|(_, error)| unopened(error))?;
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&unfinished, path).map_err(failed)?;
    File::open(into).and_then(|directory| directory.sync_all()).map_err(failed)
}
