//! What the ledger records: effects of drivers and changes of state.

use crate::call::CallOrigin;
use crate::id::{BackendName, OperationId, RequestId};
use serde::{Deserialize, Serialize};

/// Whether a host call was let through, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectOutcome {
    /// It is about to happen. After a crash a begin without an end says "effects unknown".
    Begun,
    /// It was allowed and did what was asked.
    Done,
    /// It was allowed and failed.
    Failed,
    /// It was not allowed. Nothing happened.
    Denied,
}

/// One host call of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The call it was made in.
    pub origin: CallOrigin,
    /// The capability and its function, for example `execute.run`.
    pub capability: String,
    /// What it was about: a template's name, a root and path, an option. Never a secret.
    pub subject: String,
    /// How it went.
    pub outcome: EffectOutcome,
    /// Words, slots or the reason of a denial, redacted, at most 1 KiB.
    pub detail: String,
}

/// A change of state, recorded in the transaction that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Who caused it: a user, or `host` for recovery and periodic tasks.
    pub actor: String,
    /// The request that caused it.
    pub request: RequestId,
    /// The operation it belongs to.
    pub operation: Option<OperationId>,
    /// The resource: `share/<id>`, `snapshot/<id>`, `access/<id>`, `backend/<name>`.
    pub resource: String,
    /// What happened: `creating -> available`.
    pub change: String,
}

/// What stands in one record of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LedgerEntry {
    /// A host call.
    Effect(Effect),
    /// A change of state.
    StateChange(StateChange),
}

/// Which chain of the ledger: one per backend.
pub type Chain = BackendName;
