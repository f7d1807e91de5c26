//! What a backend reports about itself, validated (contract 2.16).

use crate::share_group::Consistency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// This many GiB; finite and not negative.
    Gib(f64),
    /// The backend cannot tell.
    Unknown,
}

/// Whether a pool can do something: fixed, or as the share type asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Never.
    No,
    /// Always.
    Yes,
    /// Either, as asked.
    Both,
}

/// A version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// The version that `address` is of.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Its number, as Manila's API prints it: 4 or 6.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

impl fmt::Display for IpVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IPv{}", self.number())
    }
}

/// A pool of a backend. Percentages are 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name, unique in the backend.
    pub name: String,
    /// How much it holds.
    pub total: Capacity,
    /// How much is free.
    pub free: Capacity,
    /// How much has been given out, in GiB.
    pub allocated_gib: Option<f64>,
    /// The sum of promised sizes, in GiB.
    pub provisioned_gib: Option<f64>,
    /// Kept free for shares not made from snapshots.
    pub reserved_percentage: u8,
    /// Kept free for shares made from snapshots.
    pub reserved_snapshot_percentage: u8,
    /// Kept free for extending.
    pub reserved_share_extend_percentage: u8,
    /// Provisioned over total for thin pools.
    pub max_over_subscription_ratio: Option<f64>,
    /// Whether shares take space only as they fill.
    pub thin_provisioning: Support,
    /// Deduplication.
    pub dedupe: Support,
    /// Compression.
    pub compression: Support,
    /// Quality of service.
    pub qos: bool,
    /// Further capabilities.
    pub capabilities: BTreeMap<String, String>,
}

/// The statistics of a backend.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Its pools; none makes it unschedulable.
    pub pools: Vec<Pool>,
    /// The replication types it offers.
    pub replication_types: Vec<String>,
    /// The unit in which snapshots of groups are consistent: what its driver last answered beside its statistics; none if they are not.
    #[serde(default)]
    pub consistency: Option<Consistency>,
    /// Further capabilities.
    pub capabilities: BTreeMap<String, String>,
}
