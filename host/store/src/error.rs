//! Why the store did not do what it was asked.

use crate::key::Key;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// What a back end met, shared by all who waited for it.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A compare did not hold; nothing was written. Read again and decide again.
    #[error("{key} was changed by somebody else in the meantime")]
    Conflict {
        /// The first key whose compare did not hold.
        key: Key,
    },
    /// The transaction is larger than any back end takes; nothing was written.
    #[error("{found} {what}; at most {limit} are possible")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// The transaction writes one key twice; nothing was written.
    #[error("{key} is written twice in one commit")]
    WrittenTwice {
        /// The key.
        key: Key,
    },
    /// The disk is full or another program holds the file. Nothing was written; the store goes on.
    #[error(
        "nothing was written to {path}: free space on its file system, or end the program that has it open, and try again"
    )]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// What was met.
        source: Cause,
    },
    /// A read, write or flush failed, so that nobody can say what is on the disk. Everything is refused until the daemon is
    /// started again.
    #[error(
        "the store {path} has failed and refuses everything; check its disk, then start the daemon again"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What failed first.
        source: Cause,
    },
    /// The directory or a file in it could not be opened or made.
    #[error(
        "cannot open the store at {path}; check that the directory exists and that this user may read and write it"
    )]
    Open {
        /// The directory or file.
        path: PathBuf,
        /// What was met.
        source: Cause,
    },
    /// The file is not a sound store. It was not changed.
    #[error(
        "{path} is damaged or not a store of Bulkhead: {reason}; nothing was changed. Put back a backup of its whole directory, or move the directory away to begin with an empty store"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a store where a copy was to be made. It was not changed.
    #[error(
        "{path} is there already and was left alone; name a directory without a store, or move this one away"
    )]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// Another daemon works on the directory.
    #[error("{path} is in use by another daemon{}; stop that one first, or use another directory", holder_text(.holder))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other daemon's process, if it is known.
        holder: Option<u32>,
    },
    /// A newer Bulkhead wrote the file. It was not changed.
    #[error(
        "{path} is in format {found}, which a newer Bulkhead wrote; this one reads up to format {known}; nothing was changed. Start the newer Bulkhead, or put back a backup made by this one"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
}

fn holder_text(holder: &Option<u32>) -> String {
    holder.map_or_else(String::new, |process| format!(" (process {process})"))
}

impl StoreError {
    /// Whether a compare did not hold: somebody else was faster.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}
