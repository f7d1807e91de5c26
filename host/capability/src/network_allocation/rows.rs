//! What stands in the store: one claim for each address that is not free, and one row for each server that has any.
//!
//! ```text
//! address/claim/<address>    who has it, or until when it rests
//! address/server/<server>    backend, project, subnets, addresses
//! ```
//!
//! A claim is written on the condition that there is none, or that it is the one that was read; with it the server's row on the same terms.

use super::{KeptAddress, Purpose};
use bulkhead_model::id::{BackendName, ProjectId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::key::ADDRESS;
use bulkhead_store::{Key, KeyPrefix};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const CLAIM: &str = "claim";
const SERVER: &str = "server";

/// Why an address is not free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum Claim {
    /// A server has it.
    Kept {
        /// Which.
        server: ShareServerId,
    },
    /// It was released, and rests.
    Resting {
        /// Until when, in milliseconds since 1970-01-01 UTC.
        until_ms: u64,
        /// Who had it, where somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Project>,
    },
    /// A server has it that nobody manages any more.
    Unmanaged {
        /// Which it was.
        server: ShareServerId,
        /// Where it is.
        backend: BackendName,
    },
}

/// A project at a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Project {
    /// The backend.
    pub(super) backend: BackendName,
    /// The project.
    pub(super) project: ProjectId,
}

/// What a server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerRow {
    /// The server.
    pub(super) server: ShareServerId,
    /// Where it is.
    pub(super) backend: BackendName,
    /// Whose it is.
    pub(super) project: ProjectId,
    /// Its subnets, in the order they came.
    pub(super) subnets: Vec<ShareNetworkSubnetId>,
    /// Its addresses, in the order they came.
    pub(super) kept: Vec<KeptAddress>,
}

impl ServerRow {
    /// What the server has an address for; none if it does not have it.
    pub(super) fn purpose_of(&self, address: IpAddr) -> Option<&Purpose> {
        self.kept.iter().find(|kept| kept.allocation.ip_address == address).map(|kept| &kept.purpose)
    }
}

pub(super) fn claim_key(address: IpAddr) -> Key {
    Key::new(&[ADDRESS, CLAIM, &address.to_string()])
}

pub(super) fn server_key(server: ShareServerId) -> Key {
    Key::new(&[ADDRESS, SERVER, &server.to_string()])
}

pub(super) fn claims() -> KeyPrefix {
    Key::prefix(&[ADDRESS, CLAIM])
}

pub(super) fn servers() -> KeyPrefix {
    Key::prefix(&[ADDRESS, SERVER])
}

/// The address that a claim's key names.
pub(super) fn claimed(key: &Key) -> Option<IpAddr> {
    key.parts().last()?.parse().ok()
}
