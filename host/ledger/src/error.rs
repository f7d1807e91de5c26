//! Why the ledger did not do what it was asked.

use crate::record::Break;
use bulkhead_model::effect::Chain;
use bulkhead_store::StoreError;
use std::sync::Arc;

/// Why the ledger did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The store refused. With [`StoreError::Conflict`] a compare of the caller's transaction did not hold.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what was written. `audit verify` reads the whole chain.
    #[error(
        "record {sequence} of the ledger's chain '{chain}' {what}; if the ledger's key file was replaced put the old one back, else keep the store for an examination and put back a backup"
    )]
    Altered {
        /// The chain.
        chain: Chain,
        /// The record's place.
        sequence: u64,
        /// What is wrong with it.
        what: Break,
    },
    /// An entry cannot be written as JSON.
    #[error("an entry of the ledger cannot be written down")]
    Encode {
        /// What was met.
        source: Arc<serde_json::Error>,
    },
    /// The process is ending; whether it was written is not known.
    #[error("the daemon is stopping; it is not known whether the ledger was written")]
    Stopped,
}

impl LedgerError {
    /// Whether a compare of the caller's transaction did not hold: nothing was written; read again and decide again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict { .. }))
    }

    /// Whether nothing was written and another try may go better without anybody's help.
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict { .. } | StoreError::NotWritten { .. }))
    }
}

impl From<serde_json::Error> for LedgerError {
    fn from(source: serde_json::Error) -> Self {
        Self::Encode { source: Arc::new(source) }
    }
}
