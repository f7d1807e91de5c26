//! What a backend reports about itself. Capacities are GiB, percentages 0 to 100.

use crate::bindings::base::exports::bulkhead::driver::lifecycle as wit;
use crate::pairs;

/// A capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Capacity {
    /// This many GiB; finite and not negative.
    Gib(f64),
    /// The backend cannot tell.
    Unknown,
}

impl Capacity {
    fn into_wit(self) -> wit::Capacity {
        match self {
            Self::Gib(gib) => wit::Capacity::Gib(gib),
            Self::Unknown => wit::Capacity::Unknown,
        }
    }
}

/// Whether a pool can do something: fixed, or as the share type asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Never.
    No,
    /// Always.
    Yes,
    /// Either, as asked.
    Both,
}

impl Support {
    fn into_wit(self) -> wit::Support {
        match self {
            Self::No => wit::Support::No,
            Self::Yes => wit::Support::Yes,
            Self::Both => wit::Support::Both,
        }
    }
}

/// A pool of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its name, unique in the backend, without `#`.
    pub name: String,
    /// How much it holds.
    pub total: Capacity,
    /// How much is free.
    pub free: Capacity,
    /// How much has been given out, in GiB; none if the backend does not count.
    pub allocated_gib: Option<f64>,
    /// The sum of promised sizes, in GiB; none lets the host add up its own shares.
    pub provisioned_gib: Option<f64>,
    /// Percent kept free for shares not made from snapshots.
    pub reserved_percentage: u32,
    /// Percent kept free for shares made from snapshots.
    pub reserved_snapshot_percentage: u32,
    /// Percent kept free for extending.
    pub reserved_share_extend_percentage: u32,
    /// Provisioned over total for thin pools, at least 1.0; none takes the backend's option.
    pub max_over_subscription_ratio: Option<f64>,
    /// Whether shares take space only as they fill.
    pub thin_provisioning: Support,
    /// Deduplication.
    pub dedupe: Support,
    /// Compression.
    pub compression: Support,
    /// Quality of service.
    pub quality_of_service: Support,
    /// Further capabilities for the scheduler, vendor keys among them.
    pub capabilities: Vec<(String, String)>,
}

impl Pool {
    /// A thick pool of unknown capacity without extras: name the rest with `..Pool::new(name)`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            total: Capacity::Unknown,
            free: Capacity::Unknown,
            allocated_gib: None,
            provisioned_gib: None,
            reserved_percentage: 0,
            reserved_snapshot_percentage: 0,
            reserved_share_extend_percentage: 0,
            max_over_subscription_ratio: None,
            thin_provisioning: Support::No,
            dedupe: Support::No,
            compression: Support::No,
            quality_of_service: Support::No,
            capabilities: Vec::new(),
        }
    }

    fn into_wit(self) -> wit::Pool {
        wit::Pool {
            name: self.name,
            total_capacity: self.total.into_wit(),
            free_capacity: self.free.into_wit(),
            allocated_capacity_gib: self.allocated_gib,
            provisioned_capacity_gib: self.provisioned_gib,
            reserved_percentage: self.reserved_percentage,
            reserved_snapshot_percentage: self.reserved_snapshot_percentage,
            reserved_share_extend_percentage: self.reserved_share_extend_percentage,
            max_over_subscription_ratio: self.max_over_subscription_ratio,
            thin_provisioning: self.thin_provisioning.into_wit(),
            dedupe: self.dedupe.into_wit(),
            compression: self.compression.into_wit(),
            qos: self.quality_of_service != Support::No,
            capabilities: pairs::into_wit(self.capabilities),
        }
    }
}

/// What a backend reports every 60 s. What the host knows itself (name, vendor, version, abilities) is not asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// The pools; an empty list makes the backend unschedulable.
    pub pools: Vec<Pool>,
    /// Its replication domain's types; empty without replication.
    pub replication_types: Vec<String>,
    /// Further capabilities of the whole backend.
    pub capabilities: Vec<(String, String)>,
}

impl Statistics {
    pub(crate) fn into_wit(self) -> wit::Statistics {
        wit::Statistics {
            pools: self.pools.into_iter().map(Pool::into_wit).collect(),
            replication_types: self.replication_types,
            capabilities: pairs::into_wit(self.capabilities),
        }
    }
}

/// An IP version that shares are exported with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    pub(crate) fn into_wit(self) -> wit::IpVersion {
        match self {
            Self::V4 => wit::IpVersion::V4,
            Self::V6 => wit::IpVersion::V6,
        }
    }
}
