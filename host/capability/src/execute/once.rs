//! Templates with `repeat = "once"`, also of `job` and `dbus`: what an operation has begun is recorded before it starts, and an earlier attempt's is never begun
//! again. Whoever repeats the operation looks at the backend first.
//!
//! The record stays: only the end of the operation makes it useless. It stands below `begun/<backend>/<operation>/`, so that whoever
//! ends the operation can remove all of them.

use crate::call::Call;
use crate::number::unusable;
use bulkhead_helper::protocol::SlotArgument;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{CallId, Label};
use bulkhead_model::key;
use bulkhead_model::manifest::Repeat;
use bulkhead_store::{Key, Revision, StoreError, Transaction};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Who began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    call: CallId,
}

/// That a command has begun.
#[derive(Debug)]
pub(crate) struct BegunRecord {
    key: Key,
    revision: Revision,
}

/// Record that this command is about to begin, if its template must not be repeated blindly.
///
/// Fails with `outcome-unknown` if an earlier call of the same operation began the same command. A call that belongs to no operation is
/// never repeated by the host, and leaves no record.
pub(crate) async fn begin(
    call: &Call,
    (name, repeat): (&Label, Repeat),
    values: &BTreeMap<Label, SlotArgument>,
) -> Result<Option<BegunRecord>, CapabilityError> {
    let (Repeat::Once, Some(operation)) = (repeat, call.origin().operation) else {
        return Ok(None);
    };
    let name = name.as_str();
    let backend = call.backend();
    let key = Key::new(&[key::BEGUN, backend.name().as_str(), &operation.to_string(), name, &slots(values)?]);
    if let Some(found) = backend.store().get(&key).await.map_err(|error| unusable(&error))? {
        let begun: Option<Begun> = serde_json::from_slice(&found.value).ok();
        return if begun.is_some_and(|begun| begun.call == call.origin().call) {
            Ok(None)
        } else {
            Err(repeated(name))
        };
    }
    let value =
        serde_json::to_vec(&Begun { call: call.origin().call }).map_err(|error| unencodable(&error))?;
    let transaction = Transaction::default().absent(key.clone()).put(key.clone(), value);
    match backend.store().commit(transaction).await {
        Ok(revision) => Ok(Some(BegunRecord { key, revision })),
        Err(StoreError::Conflict { .. }) => Err(repeated(name)),
        Err(error) => Err(unusable(&error)),
    }
}

/// Take the record back: nothing was started.
pub(crate) async fn withdraw(call: &Call, begun: BegunRecord) -> Result<(), CapabilityError> {
    let transaction = Transaction::default().unchanged(begun.key.clone(), begun.revision).delete(begun.key);
    match call.backend().store().commit(transaction).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(unusable(&error)),
    }
}

/// The same slots give the same text, and a short one.
fn slots(values: &BTreeMap<Label, SlotArgument>) -> Result<String, CapabilityError> {
    let text = serde_json::to_vec(values).map_err(|error| unencodable(&error))?;
    let hash = Sha256::digest(text);
    Ok(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn repeated(name: &str) -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::OutcomeUnknown,
        format!(
            "an earlier attempt of this operation began '{name}', which must not be repeated blindly; look at the backend first"
        ),
    )
}

fn unencodable(error: &serde_json::Error) -> CapabilityError {
    CapabilityError::new(CapabilityCode::Io, format!("a record of what was begun cannot be written: {error}"))
}
