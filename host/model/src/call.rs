//! Calls of drivers: their kinds, deadlines and limits.

use crate::id::{GenerationNumber, OperationId, RequestId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Kinds of calls that share a deadline and a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// `setup`.
    Setup,
    /// Statistics, fingerprints and polling: own slots beside long calls.
    Statistics,
    /// Access rules.
    Access,
    /// Create, delete, extend, shrink, snapshot, revert.
    Change,
    /// Ensure.
    Ensure,
    /// Share servers.
    Server,
}

/// What bounds one call. Every figure has an error of its own that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DriverLimits {
    /// Time for `setup`, in seconds (60).
    pub setup_seconds: u64,
    /// Time for statistics and polling, in seconds (30).
    pub statistics_seconds: u64,
    /// Time for access calls, in seconds (120).
    pub access_seconds: u64,
    /// Time for create, delete, extend and their like, in seconds (900).
    pub change_seconds: u64,
    /// Time for one batch of ensure, in seconds (900).
    pub ensure_seconds: u64,
    /// Time for share-server calls, in seconds (1,800).
    pub server_seconds: u64,
    /// Linear memory summed over all memories of one call, in MiB (64).
    pub memory_mib: u64,
    /// Table elements summed over all tables of one call (100,000).
    pub table_elements: u64,
    /// Bytes a guest may hand to the host in one host call, in KiB (4,096).
    pub host_call_kib: u64,
    /// Bytes a guest may log in one call, in KiB (256).
    pub log_kib: u64,
    /// Calls of one driver running at once, statistics aside (16).
    pub concurrent_calls: u32,
    /// Commands of one backend running at once (8).
    pub concurrent_commands: u32,
}

impl Default for DriverLimits {
    fn default() -> Self {
        Self {
            setup_seconds: 60,
            statistics_seconds: 30,
            access_seconds: 120,
            change_seconds: 900,
            ensure_seconds: 900,
            server_seconds: 1800,
            memory_mib: 64,
            table_elements: 100_000,
            host_call_kib: 4096,
            log_kib: 256,
            concurrent_calls: 16,
            concurrent_commands: 8,
        }
    }
}

impl DriverLimits {
    /// The deadline of a kind of call.
    #[must_use]
    pub const fn deadline(&self, kind: CallKind) -> Duration {
        Duration::from_secs(match kind {
            CallKind::Setup => self.setup_seconds,
            CallKind::Statistics => self.statistics_seconds,
            CallKind::Access => self.access_seconds,
            CallKind::Change => self.change_seconds,
            CallKind::Ensure => self.ensure_seconds,
            CallKind::Server => self.server_seconds,
        })
    }
}

/// Why a call is made: for spans, ledger and repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReason {
    /// The request that caused it.
    pub request: RequestId,
    /// The operation it belongs to; none for statistics and set-up.
    pub operation: Option<OperationId>,
    /// How often this step of the operation has been tried before.
    pub earlier_attempts: u32,
}

/// What a call belongs to, as the ledger names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOrigin {
    /// The call.
    pub call: crate::id::CallId,
    /// The exported function, `interface.function`.
    pub function: String,
    /// The request that caused it.
    pub request: RequestId,
    /// The operation it belongs to.
    pub operation: Option<OperationId>,
    /// The backend's configuration it runs on.
    pub generation: GenerationNumber,
}
