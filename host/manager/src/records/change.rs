//! A change of records: rows to write, each on the condition that nobody changed it meanwhile, and the words for the ledger.

use super::row::{Row, RowKey};
use bulkhead_model::effect::StateChange;
use bulkhead_model::id::{OperationId, RequestId, ShareInstanceId};
use bulkhead_store::Revision;
use std::collections::BTreeMap;
use std::fmt;

/// Who caused a change.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// A user, or `host`.
    pub(crate) actor: String,
    /// The request.
    pub(crate) request: RequestId,
    /// The operation.
    pub(crate) operation: Option<OperationId>,
}

impl Cause {
    /// The host itself: recovery and periodic tasks.
    pub(crate) fn host(task: &str) -> Self {
        Self { actor: "host".to_owned(), request: RequestId::internal(task), operation: None }
    }
}

/// What must hold of a row for the change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// There is none.
    Absent,
    /// It is the one that was read.
    Unchanged(Revision),
}

/// A change, built up and committed in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) rows: BTreeMap<RowKey, (Expect, Option<Row>)>,
    pub(crate) words: Vec<StateChange>,
}

impl Change {
    /// Write `row`. A second write of the same row in one change replaces the first and keeps its condition.
    pub(crate) fn put(&mut self, expect: Expect, row: Row) {
        let key = row.key();
        let entry = self.rows.entry(key).or_insert((expect, None));
        entry.1 = Some(row);
    }

    /// Write a row that is not there yet.
    pub(crate) fn insert(&mut self, row: Row) {
        self.put(Expect::Absent, row);
    }

    /// Remove the row that was read at `revision`.
    pub(crate) fn delete(&mut self, key: RowKey, revision: Revision) {
        self.rows.entry(key).or_insert((Expect::Unchanged(revision), None)).1 = None;
    }

    /// Take in everything that `other` writes and says.
    pub(crate) fn append(&mut self, other: Self) {
        for (key, (expect, row)) in other.rows {
            self.rows.entry(key).or_insert((expect, None)).1 = row;
        }
        self.words.extend(other.words);
    }

    /// The share instance whose row this change passes as its turnstile, if it changes one that exists.
    pub(crate) fn turnstile(&self) -> Option<ShareInstanceId> {
        self.rows.iter().find_map(|(key, (expect, _))| match (key, expect) {
            (RowKey::Instance(id), Expect::Unchanged(_)) => Some(*id),
            _ => None,
        })
    }

    /// Say in the ledger what happened to `resource`.
    pub(crate) fn note(&mut self, cause: &Cause, resource: impl fmt::Display, change: impl fmt::Display) {
        self.words.push(StateChange {
            actor: cause.actor.clone(),
            request: cause.request.clone(),
            operation: cause.operation,
            resource: resource.to_string(),
            change: change.to_string(),
        });
    }
}
