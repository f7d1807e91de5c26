//! Addresses for share servers, beside those that the host allocates from the driver's counts before `setup-server`.
//!
//! Only share servers that the call is about may be named. An address is never given out twice, and rests before somebody else gets it.
//! Shares on a server may be exported at its addresses from the call on that allocates them, until they are given back.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use crate::network::{AllocationLabel, NetworkAllocation};
use crate::statistics::IpVersion;

/// Which addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// For which share server.
    pub server: String,
    /// From which network: the tenant's or the administrators'.
    pub label: AllocationLabel,
    /// Of which version; none takes what the network has, IPv4 first.
    pub version: Option<IpVersion>,
    /// The subnet of the share network; none takes its first. Ignored for [`AllocationLabel::Admin`].
    pub subnet_id: Option<String>,
    /// How many; 1 to 64.
    pub count: u32,
    /// What they are for; at most 255 bytes. A repeat with the same purpose finds them.
    pub purpose: String,
}

impl Request {
    /// One address of the tenant's network, for `purpose`.
    #[must_use]
    pub fn new(server: &str, purpose: &str) -> Self {
        Self {
            server: server.to_owned(),
            label: AllocationLabel::User,
            version: None,
            subnet_id: None,
            count: 1,
            purpose: purpose.to_owned(),
        }
    }

    /// In this subnet of the share network, not its first.
    #[must_use]
    pub fn subnet(mut self, id: &str) -> Self {
        self.subnet_id = Some(id.to_owned());
        self
    }

    /// So many of them.
    #[must_use]
    pub const fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// From the network of this label.
    #[must_use]
    pub const fn label(mut self, label: AllocationLabel) -> Self {
        self.label = label;
        self
    }

    /// Of this version.
    #[must_use]
    pub const fn version(mut self, version: IpVersion) -> Self {
        self.version = Some(version);
        self
    }
}

/// Allocate addresses. Idempotent by purpose; durable when it returns.
///
/// Fails with `denied` if the server is not of this call or no such network is bound, `conflict` if the purpose has another number of
/// addresses, `no-space` if the network has too few left, `limit-exceeded` at the backend's quota, `invalid-argument`.
pub fn allocate(request: &Request) -> Result<Vec<NetworkAllocation>, CapabilityError> {
    host().allocate_addresses(request)
}

/// All addresses of a share server, the host's too, in order of address. Fails with `denied`.
pub fn allocations(server: &str) -> Result<Vec<NetworkAllocation>, CapabilityError> {
    host().addresses(server)
}

/// Give back what was allocated for `purpose`. Idempotent; addresses that the host allocated stay. Fails with `denied`, and with `conflict`
/// while a group with a network of its own runs with one of them: stop the group first.
pub fn release(server: &str, purpose: &str) -> Result<(), CapabilityError> {
    host().release_addresses(server, purpose)
}
