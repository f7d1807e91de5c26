//! What the ledger holds, for operators.

use crate::error::ManagerError;
use crate::manager::Manager;
use bulkhead_ledger::LedgerRecord;
use bulkhead_model::id::BackendName;

impl Manager {
    /// The last `most` records of a backend's chain, or of all chains, oldest first; at most 1,000. Effects of drivers appear within
    /// 100 ms.
    pub async fn audit_tail(
        &self,
        backend: Option<&BackendName>,
        most: usize,
    ) -> Result<Vec<LedgerRecord>, ManagerError> {
        self.inner.records.ledger().tail(backend, most).await.map_err(ManagerError::Ledger)
    }
}
