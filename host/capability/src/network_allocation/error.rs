//! Why addresses were not kept.

use super::{MOST_AT_ONCE, MOST_OF_SERVER};
use crate::service::standing::StandingError;
use bulkhead_ledger::LedgerError;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{BackendName, Label, ProjectId, ShareServerId};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::statistics::IpVersion;
use bulkhead_store::StoreError;
use std::net::IpAddr;

/// Why addresses were not kept, given back or told.
#[derive(Debug, thiserror::Error)]
pub enum AllocationError {
    /// No such network.
    #[error(
        "backend {backend} has no {label} network{}; bind one in its file: [[grant.networks.{label}]] with gateway and mask",
        .version.map(|version| format!(" of {version}")).unwrap_or_default()
    )]
    NoNetwork {
        /// The backend.
        backend: BackendName,
        /// The label.
        label: AllocationLabel,
        /// The version that was asked for.
        version: Option<IpVersion>,
    },
    /// Too few addresses are free.
    #[error(
        "the {label} network {network} of backend {backend} has {free} addresses left, {wanted} are needed; an address that was given back rests for ten minutes, and another backend may have the same network: 'bulkhead backend addresses {backend}' tells what has which; delete share servers, or widen allowed-ip-ranges"
    )]
    Exhausted {
        /// The backend.
        backend: BackendName,
        /// The label.
        label: AllocationLabel,
        /// The network, with what may be given out.
        network: String,
        /// How many are free.
        free: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// The backend's quota, or the project's.
    #[error(
        "{} of backend {backend} have {held} addresses and may have {limit}; delete share servers, or raise grant.networks.{}",
        .project.as_ref().map_or_else(|| "the share servers".to_owned(), |project| format!("the share servers of project {project}")),
        if .project.is_some() { "most-addresses-per-project" } else { "most-addresses" }
    )]
    Quota {
        /// The backend.
        backend: BackendName,
        /// The project, if it is its quota.
        project: Option<ProjectId>,
        /// How many there are.
        held: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Too many addresses rest that the project had.
    #[error(
        "{resting} addresses that share servers of project {project} had at backend {backend} rest still, ten minutes each; wait, or raise grant.networks.most-addresses-per-project: what it has and what rests may be twice that"
    )]
    Resting {
        /// The backend.
        backend: BackendName,
        /// The project.
        project: ProjectId,
        /// How many rest.
        resting: usize,
    },
    /// More at once than anybody needs.
    #[error(
        "{count} addresses at once are too many: at most {MOST_AT_ONCE}, and {MOST_OF_SERVER} for one share server"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The purpose has another number of addresses.
    #[error("for this purpose share server {server} has {found} addresses, not {wanted}; release them first")]
    OtherCount {
        /// The server.
        server: ShareServerId,
        /// How many it has.
        found: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// The purpose has addresses of the other version.
    #[error(
        "for this purpose share server {server} has addresses that are not of {wanted}; release them first"
    )]
    OtherVersion {
        /// The server.
        server: ShareServerId,
        /// What was asked for.
        wanted: IpVersion,
    },
    /// The server has no such subnet.
    #[error("share server {server} has no such subnet; name one that it was set up with")]
    NoSubnet {
        /// The server.
        server: ShareServerId,
    },
    /// The addresses of the server are kept by another backend.
    #[error("share server {server} belongs to another backend")]
    Foreign {
        /// The server.
        server: ShareServerId,
    },
    /// The address is another server's.
    #[error(
        "address {address} is kept for share server {server}; delete that one first, or, where nobody manages it any more, give the address back at its backend; or manage the server without it"
    )]
    KeptForAnother {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        server: ShareServerId,
    },
    /// A driver counts on the address.
    #[error(
        "share server {server} has address {address} for '{purpose}', and its driver gives it back itself; once nothing answers there, say that it goes back although it is in use"
    )]
    InUse {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        server: ShareServerId,
        /// What the driver allocated it for.
        purpose: String,
    },
    /// Something runs with the address.
    #[error(
        "group '{group}' of share server {server} was started with address {address}; stop the group, then give the address back"
    )]
    InGroup {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        server: ShareServerId,
        /// The group, which has a network of its own.
        group: Label,
    },
    /// The host allocated the address.
    #[error(
        "share server {server} is reached at address {address}, which goes back when that server is deleted"
    )]
    OfServer {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        server: ShareServerId,
    },
    /// No network of the backend has the address.
    #[error("backend {backend} gives out no address {address}; look at its networks")]
    NotGiven {
        /// The backend.
        backend: BackendName,
        /// The address.
        address: IpAddr,
    },
    /// Others changed the same addresses again and again.
    #[error("others changed the addresses meanwhile; try again")]
    Contended,
    /// The store failed.
    #[error("the addresses could not be read or written; the daemon's log has the reason")]
    Store(#[from] StoreError),
    /// The ledger failed.
    #[error("the addresses could not be recorded; the daemon's log has the reason")]
    Ledger(#[source] LedgerError),
    /// A record makes no sense.
    #[error(
        "record {key} cannot be understood; restore the state from a backup, or run the version that wrote it"
    )]
    Corrupt {
        /// The record's key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A task of the daemon ended in the middle.
    #[error("the request was interrupted; try again")]
    Interrupted,
}

impl From<StandingError> for AllocationError {
    fn from(error: StandingError) -> Self {
        match error {
            StandingError::Store(error) => Self::Store(error),
            StandingError::Corrupt { key, source } => Self::Corrupt { key, source },
        }
    }
}

impl AllocationError {
    /// As a guest sees it.
    #[must_use]
    pub fn for_guest(&self) -> CapabilityError {
        let code = match self {
            Self::NoNetwork { backend: _, label, .. } => {
                return CapabilityError::denied(
                    self,
                    format!("[[grant.networks.{label}]] in the backend's file"),
                );
            }
            Self::Foreign { .. } => {
                return CapabilityError::denied(
                    self,
                    "no line; a driver reaches only the share servers it was called with",
                );
            }
            Self::Exhausted { .. } => CapabilityCode::NoSpace,
            Self::Quota { .. } | Self::Resting { .. } => CapabilityCode::LimitExceeded,
            Self::TooMany { .. } | Self::NoSubnet { .. } | Self::NotGiven { .. } => {
                CapabilityCode::InvalidArgument
            }
            Self::OtherCount { .. }
            | Self::OtherVersion { .. }
            | Self::KeptForAnother { .. }
            | Self::InUse { .. }
            | Self::InGroup { .. }
            | Self::OfServer { .. } => CapabilityCode::Conflict,
            Self::Contended => CapabilityCode::Busy,
            Self::Store(_) | Self::Ledger(_) | Self::Corrupt { .. } | Self::Interrupted => {
                tracing::error!(
                    error = self as &dyn std::error::Error,
                    "addresses could not be kept or given back"
                );
                CapabilityCode::Io
            }
        };
        CapabilityError::new(code, self.to_string())
    }
}
