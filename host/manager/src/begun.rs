//! Records of commands that must not be repeated blindly, taken away once nothing can repeat them.
//!
//! `capability` leaves one below `begun/<backend>/<operation>/` for every command template with `repeat = "once"` that an operation
//! begins, and refuses to begin that command again while it stands. It has done its duty when the operation has succeeded or was
//! abandoned, or has no record any more. A failed operation keeps its records: `operation retry` begins it anew, which must not repeat
//! blindly either; they go when the operation itself is forgotten.
//!
//! Where an operation ends nothing is read for this: it would be a look into the store for each of them, nearly always for nothing. A
//! backend's supervisor sweeps instead, once the backend is ready and after every reading of its statistics: one scan a minute. The
//! exception are updates of access rules that go on with the next batch, see [`forget`].
//!
//! The failure path: what is not removed this time is removed the next.

use crate::manager::Inner;
use bulkhead_model::id::{BackendName, OperationId};
use bulkhead_model::key::BEGUN;
use bulkhead_model::operation::{Operation, OperationState};
use bulkhead_model::scope::Scope;
use bulkhead_store::{Key, KeyPrefix, StoreError, Transaction};

/// How many records are looked at, and removed, at once; a transaction takes as many writes.
const PAGE_RECORDS: usize = 100;

/// Remove the records of `backend` that nothing asks for any more.
pub(crate) async fn sweep(inner: &Inner, backend: &BackendName) {
    let prefix = Key::prefix(&[BEGUN, backend.as_str()]);
    let is_useless = |key: &Key| {
        let parts = key.parts();
        let operation = parts.get(2).and_then(|id| id.parse::<OperationId>().ok());
        let tables = inner.records.read();
        let operation = operation.and_then(|id| tables.operation(&Scope::Everything, id));
        operation.is_none_or(|operation| {
            matches!(operation.state, OperationState::Succeeded | OperationState::Abandoned)
        })
    };
    if let Err(error) = remove(inner, &prefix, is_useless).await {
        tracing::warn!(backend.name = %backend, "records of begun commands were not removed: {error}");
    }
}

/// Remove all records of an operation that goes on with another call for another reason: what an earlier batch of access rules began
/// must not stand in the way of the next.
///
/// Called after the earlier batch has ended for certain. If the daemon ends in between, a record that stays makes the next batch wait
/// as `outcome-unknown` for a person: better than a command that runs twice.
pub(crate) async fn forget(inner: &Inner, operation: &Operation) {
    let prefix = Key::prefix(&[BEGUN, operation.backend.as_str(), &operation.id.to_string()]);
    if let Err(error) = remove(inner, &prefix, |_| true).await {
        tracing::warn!(operation.id = %operation.id, "records of begun commands were not removed: {error}");
    }
}

/// Remove the keys below `prefix` that are useless.
pub(crate) async fn remove(
    inner: &Inner,
    prefix: &KeyPrefix,
    is_useless: impl Fn(&Key) -> bool,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = inner.store.scan_page(prefix, after.as_ref(), PAGE_RECORDS).await?;
        let is_last = page.len() < PAGE_RECORDS;
        after = page.last().map(|(key, _)| key.clone());
        let useless: Vec<_> = page.into_iter().map(|(key, _)| key).filter(&is_useless).collect();
        if !useless.is_empty() {
            let transaction = useless.into_iter().fold(Transaction::default(), Transaction::delete);
            inner.store.commit(transaction).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}
