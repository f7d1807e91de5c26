//! Idempotency keys: the same request again gets the first result, another request with the same key is refused (R11).

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::records::{Change, Expect, FirstResult, Row, RowKey, Tables};
use bulkhead_model::id::ProjectId;
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// How long a key is remembered, in milliseconds: 24 hours.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest key, in bytes.
const KEY_BYTES: usize = 255;
/// How many forgotten keys each new one takes away.
const PRUNED: usize = 2;

/// What identifies a request; nothing without a key.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Option<Named>);

#[derive(Debug, Clone)]
struct Named {
    project: ProjectId,
    key: String,
    fingerprint: String,
}

fn is_remembered(result: &FirstResult) -> bool {
    Timestamp::now().milliseconds().saturating_sub(result.created_at.milliseconds()) < REMEMBERED_MS
}

impl Identity {
    /// The identity of a request: its key, and the digest of verb and arguments.
    pub(crate) fn of(
        context: &RequestContext,
        verb: &str,
        arguments: &impl Serialize,
    ) -> Result<Self, ManagerError> {
        let Some(key) = &context.idempotency_key else { return Ok(Self(None)) };
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(ManagerError::invalid("idempotency-key", format_args!("1 to {KEY_BYTES} bytes")));
        }
        let arguments =
            serde_json::to_vec(arguments).map_err(|error| ManagerError::invalid("arguments", error))?;
        let mut hash = Sha256::new();
        hash.update(verb);
        hash.update([0]);
        hash.update(arguments);
        let fingerprint = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        });
        let project = context.actor.project.clone();
        Ok(Self(Some(Named { project, key: key.clone(), fingerprint })))
    }

    /// What the request led to before; none if it is new. Fails with [`ManagerError::KeyReused`] if the key stands for another one.
    pub(crate) fn first<T: FromStr>(&self, tables: &Tables) -> Result<Option<T>, ManagerError> {
        let Some(named) = &self.0 else { return Ok(None) };
        match tables.first_result(&named.project, &named.key).filter(|result| is_remembered(result)) {
            None => Ok(None),
            Some(result) if result.fingerprint == named.fingerprint => Ok(result.resource.parse().ok()),
            Some(_) => Err(ManagerError::KeyReused),
        }
    }

    /// Remember what the request leads to, in the transaction that does it.
    pub(crate) fn remember(&self, tables: &Tables, change: &mut Change, resource: impl fmt::Display) {
        let Some(named) = &self.0 else { return };
        for old in tables.oldest_first_results().take(PRUNED).filter(|result| !is_remembered(result)) {
            change.delete(RowKey::FirstResult(old.project.clone(), old.key.clone()), old.revision);
        }
        let expect = tables
            .first_result(&named.project, &named.key)
            .map_or(Expect::Absent, |stored| Expect::Unchanged(stored.revision));
        let row = FirstResult {
            project: named.project.clone(),
            key: named.key.clone(),
            fingerprint: named.fingerprint.clone(),
            resource: resource.to_string(),
            created_at: Timestamp::now(),
        };
        change.put(expect, Row::FirstResult(row));
    }
}
