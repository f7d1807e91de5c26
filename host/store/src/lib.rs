//! The store: a small ordered key space with all-or-nothing commits and scans.
//!
//! `ledger`, `capability` and `manager` keep everything they know here; none of them sees which back end holds it. A back end is
//! [`SqliteStore`] in a daemon and [`MemoryStore`] in simulations and tests; both pass one conformance suite. Nothing of SQL is
//! visible, and the limits are such that a back end on etcd fits: compares and writes map one to one onto its transactions.
//!
//! A commit is durable when it returns. When a disk fails so that nobody can say what is durable, the store refuses everything
//! from then on ([`StoreError::Unusable`]) and the daemon has to be started again, which reads what is really there.
#![forbid(unsafe_code)]

mod error;
mod key;
pub mod limits;
mod memory;
mod sqlite;
pub mod testing;
mod transaction;

use async_trait::async_trait;
use std::fmt::Debug;

pub use error::{Cause, StoreError};
pub use key::{Key, KeyPrefix};
pub use memory::MemoryStore;
pub use sqlite::{SqliteStore, StoreFacts};
pub use transaction::{Compare, Revision, Transaction, Versioned, Write};

/// Ordered keys with values, changed in transactions.
///
/// All methods may be called from any task at any time and never block the thread they are polled on. Every read sees every
/// commit that returned before the read began.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// What stands at `key`; none if nothing does.
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// Everything below `prefix`, in the order of the keys, as of one moment. For what is known to be small; else
    /// [`Store::scan_page`].
    async fn scan(&self, prefix: &KeyPrefix) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.scan_page(prefix, None, usize::MAX).await
    }

    /// The first `limit` entries below `prefix` that come after the key `after`, in the order of the keys. A page is of one
    /// moment; two pages are not.
    async fn scan_page(
        &self,
        prefix: &KeyPrefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError>;

    /// Make all writes of `transaction` if all its compares hold, else none and [`StoreError::Conflict`]. Durable on return.
    ///
    /// Commits take their turn in the order in which their futures were first polled. A commit whose future was polled and then
    /// dropped may have happened. Without writes it checks the compares and returns the newest revision. Not idempotent by
    /// itself: a compare makes it so.
    async fn commit(&self, transaction: Transaction) -> Result<Revision, StoreError>;
}
