//! Whether the file can still be trusted.

use crate::error::{Cause, StoreError};
use rusqlite::ErrorCode;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The first failure after which nobody can say what is on the disk. It stays.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) path: PathBuf,
    failure: OnceLock<Cause>,
}

impl Health {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, failure: OnceLock::new() }
    }

    /// Refuses if the store has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(source) => Err(self.unusable(Arc::clone(source))),
        }
    }

    /// What `error` means for the one who asked. All but a full disk and a file held by another program make the store unusable.
    pub(super) fn judge(&self, error: rusqlite::Error) -> StoreError {
        let passes = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        );
        let source: Cause = Arc::new(error);
        if passes {
            return StoreError::NotWritten { path: self.path.clone(), source };
        }
        self.fail(source)
    }

    /// Refuse everything from now on.
    pub(super) fn fail(&self, source: Cause) -> StoreError {
        if self.failure.set(Arc::clone(&source)).is_ok() {
            tracing::error!(
                store.path = %self.path.display(),
                error = %source,
                "the store has failed and refuses everything until the daemon is started again"
            );
        }
        self.unusable(source)
    }

    fn unusable(&self, source: Cause) -> StoreError {
        StoreError::Unusable { path: self.path.clone(), source }
    }
}
