//! Why the manager refuses or fails, with codes that stay.

use crate::denial::Denial;
use crate::scheduler::RejectedPlace;
use bulkhead_ledger::LedgerError;
use bulkhead_model::id::{BackendName, ShareServerId};
use bulkhead_store::StoreError;
use std::fmt;
use std::net::IpAddr;

/// Why a verb was refused or failed. `Display` is a sentence for the caller; it never carries a driver's text.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Nothing of this kind and id is visible to the caller.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was looked for: `share`, `snapshot`, `access rule`, `operation`, `backend`, `share type`, `share group`, `share group
        /// snapshot`, `share group type`.
        kind: &'static str,
        /// The id or name given.
        id: String,
    },
    /// The resource is not in a state for this.
    #[error(transparent)]
    Conflict(#[from] Denial),
    /// An argument makes no sense.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The caller's role does not allow it.
    #[error("this needs the role {needs}")]
    Forbidden {
        /// The role that may.
        needs: &'static str,
    },
    /// No backend takes the share.
    #[error("no backend can take this share: {}", Reasons(.reasons))]
    NoBackend {
        /// Why not, for every backend or pool there is.
        reasons: Vec<RejectedPlace>,
    },
    /// The backend's driver does not do this.
    #[error("the driver of backend {backend} does not support {what}")]
    Unsupported {
        /// The backend.
        backend: BackendName,
        /// What was asked, in words.
        what: &'static str,
    },
    /// The backend is not configured any more, not loaded yet, or has been unreachable for so long that its queue of operations is full.
    /// How many wait is not said aloud: they are other projects' too.
    #[error("backend {backend} is not ready; try again later")]
    BackendUnreachable {
        /// The backend.
        backend: BackendName,
        /// How many operations wait.
        waiting: usize,
    },
    /// Too much is going on at the backend.
    #[error("backend {backend} has too many unfinished operations already; try again later")]
    Busy {
        /// The backend.
        backend: BackendName,
        /// How many operations are unfinished.
        unfinished: usize,
    },
    /// Another change of the backend's generation runs.
    #[error(
        "a change of backend {backend} is running; wait for its end, which 'bulkhead backend show {backend}' tells"
    )]
    ChangeRunning {
        /// The backend.
        backend: BackendName,
    },
    /// The backend has a generation already.
    #[error(
        "backend {backend} is loaded already; 'bulkhead backend swap {backend}' gives it another driver or configuration"
    )]
    BackendExists {
        /// The backend.
        backend: BackendName,
    },
    /// The backend cannot be let go.
    #[error(
        "backend {backend} holds {shares} shares, {groups} share groups and {servers} share servers, and has {unfinished} unfinished operations; delete or forget them first, or let them wait: 'bulkhead backend unload {backend} --detach'"
    )]
    BackendInUse {
        /// The backend.
        backend: BackendName,
        /// How many shares it holds.
        shares: usize,
        /// How many share groups.
        groups: usize,
        /// How many share servers.
        servers: usize,
        /// How many operations are unfinished.
        unfinished: usize,
    },
    /// The backend cannot be let go: its services would be nobody's.
    #[error(
        "backend {backend} serves on, because not all that it keeps running could be ended: {why}; see that its helper runs and try again, or let it run on: 'bulkhead backend unload {backend} --detach'"
    )]
    ServicesRunOn {
        /// The backend.
        backend: BackendName,
        /// Why they could not be ended.
        why: String,
    },
    /// The address cannot be given back by hand.
    #[error("share server {server} has address {address}; {advice}")]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        server: ShareServerId,
        /// How it goes back.
        advice: String,
    },
    /// How far a migration is, is not known.
    #[error(
        "the driver of backend {backend} does not say how far the migration is; the daemon's log has the reason"
    )]
    ProgressUnknown {
        /// The backend that moves the share.
        backend: BackendName,
    },
    /// A limit of this host.
    #[error("{what}: at most {limit}")]
    LimitExceeded {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// The idempotency key was used for something else.
    #[error("the idempotency key was used for another request within the last 24 hours; use a new key")]
    KeyReused,
    /// The daemon is ending.
    #[error("the daemon is shutting down; try again in a moment")]
    ShuttingDown,
    /// Others changed the same resource again and again while this was tried.
    #[error("the resource changed while the request was served; try again")]
    Contended,
    /// A record could not be read or written.
    #[error("the state could not be committed; the daemon's log has the reason")]
    Ledger(#[source] LedgerError),
    /// The records could not be read.
    #[error("the state could not be read; the daemon's log has the reason")]
    Store(#[source] StoreError),
    /// A stored record makes no sense.
    #[error(
        "record {key} cannot be understood; restore the state from a backup, or run the version that wrote it"
    )]
    CorruptRecord {
        /// The record's key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The records were written by a newer version.
    #[error("the state has format {found}, this version understands {known}; run the version that wrote it")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest this version understands.
        known: u32,
    },
    /// A task of the daemon ended in the middle of a request.
    #[error("the request was interrupted; look at the resource and try again")]
    Interrupted,
}

/// What kind of answer an error is, for whoever turns it into a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller asks for something that makes no sense.
    Invalid,
    /// The caller may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Not in this state.
    Conflict,
    /// Not now.
    Unavailable,
    /// This host failed.
    Internal,
}

impl ManagerError {
    /// A stable word for programs; never changes its meaning.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Conflict(denial) => denial.code(),
            Self::Invalid { .. } => "invalid",
            Self::Forbidden { .. } => "forbidden",
            Self::NoBackend { .. } => "no-backend",
            Self::Unsupported { .. } => "unsupported",
            Self::BackendUnreachable { .. } => "backend-unreachable",
            Self::Busy { .. } => "busy",
            Self::ChangeRunning { .. } => "change-running",
            Self::BackendExists { .. } => "backend-exists",
            Self::BackendInUse { .. } => "backend-in-use",
            Self::ServicesRunOn { .. } => "services-run-on",
            Self::AddressInUse { .. } => "address-in-use",
            Self::ProgressUnknown { .. } => "progress-unknown",
            Self::LimitExceeded { .. } => "limit-exceeded",
            Self::KeyReused => "idempotency-key-reused",
            Self::ShuttingDown => "shutting-down",
            Self::Contended => "contended",
            Self::Ledger(_) | Self::Store(_) => "store-failed",
            Self::CorruptRecord { .. } => "corrupt-record",
            Self::NewerFormat { .. } => "newer-format",
            Self::Interrupted => "interrupted",
        }
    }

    /// What kind of answer this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict(denial) if denial.is_about_arguments() => ErrorKind::Invalid,
            Self::Conflict(_)
            | Self::Unsupported { .. }
            | Self::KeyReused
            | Self::Contended
            | Self::ChangeRunning { .. }
            | Self::BackendExists { .. }
            | Self::BackendInUse { .. }
            | Self::AddressInUse { .. } => ErrorKind::Conflict,
            Self::Invalid { .. } | Self::LimitExceeded { .. } => ErrorKind::Invalid,
            Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::NoBackend { .. }
            | Self::ProgressUnknown { .. }
            | Self::BackendUnreachable { .. }
            | Self::ServicesRunOn { .. }
            | Self::Busy { .. }
            | Self::ShuttingDown => ErrorKind::Unavailable,
            Self::Ledger(_)
            | Self::Store(_)
            | Self::CorruptRecord { .. }
            | Self::NewerFormat { .. }
            | Self::Interrupted => ErrorKind::Internal,
        }
    }

    pub(crate) fn not_found(kind: &'static str, id: impl fmt::Display) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl fmt::Display) -> Self {
        Self::Invalid { field, reason: reason.to_string() }
    }
}

struct Reasons<'a>(&'a [RejectedPlace]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("none is configured");
        }
        for (position, RejectedPlace { backend, pool, reason }) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            match pool {
                Some(pool) => write!(formatter, "{separator}{backend}: pool {pool}: {reason}")?,
                None => write!(formatter, "{separator}{backend}: {reason}")?,
            }
        }
        Ok(())
    }
}
