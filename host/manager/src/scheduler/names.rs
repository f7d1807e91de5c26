//! What the names in filter and goodness functions stand for.
//!
//! | map | keys |
//! |---|---|
//! | `share` | `size` (GiB), `share_proto`, `project_id`, `user_id`, `share_type_id`, `snapshot_id` |
//! | `extra` | the extra specs of the share type |
//! | `stats` | `share_backend_name`, `vendor_name`, `driver_version`, `pool_name`, the pool's capacities in GiB (`total_capacity_gb`, `free_capacity_gb`, `allocated_capacity_gb`, `provisioned_capacity_gb`), its percentages, ratio and flags, `ipv4_support`, `ipv6_support`, `replication_domain`, `sg_consistent_snapshot_support` |
//! | `capabilities` | what the pool or its backend reports beyond that, else as `stats` |
//!
//! What is not known, such as the snapshot of a share that is made from none, is an error as every unknown name.

use super::expression::{Names, Value};
use crate::view::BackendDescription;
use bulkhead_model::ability::Abilities;
use bulkhead_model::id::{ProjectId, ShareTypeId, SnapshotId, UserId};
use bulkhead_model::share::{Protocol, Share};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::statistics::{Capacity, IpVersion, Pool, Statistics, Support};
use std::collections::{BTreeMap, BTreeSet};

/// The capabilities that no driver reports for itself (contract 2.16).
const COMPUTED: [&str; 3] = ["ipv4_support", "ipv6_support", "share_group_stats"];

/// The share that a place is looked for, or the group of shares.
#[derive(Debug, Clone)]
pub(crate) struct AskedShare {
    pub(crate) size: Gibibytes,
    /// None for a group, whose shares may have any.
    pub(crate) protocol: Option<Protocol>,
    pub(crate) project: ProjectId,
    pub(crate) user: UserId,
    pub(crate) share_type: ShareTypeId,
    pub(crate) source_snapshot: Option<SnapshotId>,
    pub(crate) extra_specs: BTreeMap<String, String>,
}

impl AskedShare {
    /// A share that is there, as if it had `size`.
    pub(crate) fn of(share: &Share, size: Gibibytes) -> Self {
        Self {
            size,
            protocol: Some(share.protocol),
            project: share.project.clone(),
            user: share.user.clone(),
            share_type: share.share_type,
            source_snapshot: share.source_snapshot,
            extra_specs: share.extra_specs.clone(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes in GiB are below 2^33")]
    fn value(&self, key: &str) -> Option<Value> {
        Some(match key {
            "size" => Value::Number(self.size.get() as f64),
            "share_proto" => Value::Text(self.protocol?.to_string()),
            "project_id" => Value::of_text(self.project.as_str()),
            "user_id" => Value::of_text(self.user.as_str()),
            "share_type_id" => Value::Text(self.share_type.to_string()),
            "snapshot_id" => Value::Text(self.source_snapshot?.to_string()),
            _ => return None,
        })
    }
}

/// One pool, seen by the functions of its backend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) asked: &'a AskedShare,
    pub(super) description: &'a BackendDescription,
    pub(super) abilities: &'a Abilities,
    /// The versions of the Internet Protocol that shares are exported with.
    pub(super) ip_versions: &'a BTreeSet<IpVersion>,
    pub(super) statistics: &'a Statistics,
    pub(super) pool: &'a Pool,
    /// Given out since the pool reported, in GiB.
    pub(super) placed_gib: f64,
    /// The sum of promised sizes now, in GiB.
    pub(super) provisioned_gib: f64,
}

impl Names for Seen<'_> {
    fn value(&self, map: &str, key: &str) -> Option<Value> {
        match map {
            "share" => self.asked.value(key),
            "extra" => self.asked.extra_specs.get(key).map(|text| Value::of_text(text)),
            "stats" => self.stats(key),
            "capabilities" => self.further(key).map(|text| Value::of_text(text)).or_else(|| self.stats(key)),
            _ => None,
        }
    }
}

impl Seen<'_> {
    /// The values of a capability that a share type may ask for; what the pool can do either way has both.
    pub(super) fn reported(&self, key: &str) -> Vec<String> {
        let pool = self.pool;
        let either = |support| match support {
            Support::No => vec!["False".to_owned()],
            Support::Yes => vec!["True".to_owned()],
            Support::Both => vec!["True".to_owned(), "False".to_owned()],
        };
        match key {
            "thin_provisioning" => return either(pool.thin_provisioning),
            "dedupe" => return either(pool.dedupe),
            "compression" => return either(pool.compression),
            "storage_protocol" => {
                return self.description.protocols.iter().map(ToString::to_string).collect();
            }
            _ => {}
        }
        let known = self.further(key).cloned().or_else(|| {
            self.stats(key).map(|value| match value {
                Value::Number(number) => number.to_string(),
                Value::Text(text) => text,
                Value::Boolean(boolean) => boolean.to_string(),
            })
        });
        known.into_iter().collect()
    }

    /// What the pool, else its backend, reports beyond the standard keys. What the host computes itself no driver overrides.
    fn further(&self, key: &str) -> Option<&String> {
        if COMPUTED.contains(&key) {
            return None;
        }
        self.pool.capabilities.get(key).or_else(|| self.statistics.capabilities.get(key))
    }

    fn stats(&self, key: &str) -> Option<Value> {
        self.capacity(key).or_else(|| self.word(key)).or_else(|| self.flag(key).map(Value::Boolean))
    }

    fn capacity(&self, key: &str) -> Option<Value> {
        let pool = self.pool;
        Some(Value::Number(match key {
            "total_capacity_gb" => return known(pool.total, 0.0),
            "free_capacity_gb" => return known(pool.free, self.placed_gib),
            "allocated_capacity_gb" => pool.allocated_gib? + self.placed_gib,
            "provisioned_capacity_gb" => self.provisioned_gib,
            "reserved_percentage" => pool.reserved_percentage.into(),
            "reserved_snapshot_percentage" => pool.reserved_snapshot_percentage.into(),
            "reserved_share_extend_percentage" => pool.reserved_share_extend_percentage.into(),
            "max_over_subscription_ratio" => {
                pool.max_over_subscription_ratio.unwrap_or(self.description.max_over_subscription_ratio)
            }
            "max_shares_per_share_server" => limit(self.description.server_limits.shares),
            "max_share_server_size" => limit(self.description.server_limits.gib),
            _ => return None,
        }))
    }

    fn word(&self, key: &str) -> Option<Value> {
        Some(Value::of_text(match key {
            "share_backend_name" => self.description.name.as_str(),
            "vendor_name" => &self.description.vendor,
            "driver_version" => &self.description.driver_version,
            "pool_name" => &self.pool.name,
            "replication_domain" => self.description.replication_domain.as_ref()?,
            "sg_consistent_snapshot_support" => self.statistics.consistency?.as_str(),
            _ => return None,
        }))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        let support = self.abilities.share_support();
        let pool = self.pool;
        Some(match key {
            "thin_provisioning" => pool.thin_provisioning != Support::No,
            "dedupe" => pool.dedupe != Support::No,
            "compression" => pool.compression != Support::No,
            "qos" => pool.qos,
            "driver_handles_share_servers" => self.description.handles_share_servers,
            "snapshot_support" => support.snapshot,
            "create_share_from_snapshot_support" => support.create_share_from_snapshot,
            "revert_to_snapshot_support" => support.revert_to_snapshot,
            "mount_snapshot_support" => support.mount_snapshot,
            "ipv4_support" => self.ip_versions.contains(&IpVersion::V4),
            "ipv6_support" => self.ip_versions.contains(&IpVersion::V6),
            _ => return None,
        })
    }
}

/// A capacity less what is gone of it; an unknown one is the word that Manila has for it.
/// A limit as Manila writes it: -1 is none.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes far below 2^53")]
fn limit(limit: Option<u64>) -> f64 {
    limit.map_or(-1.0, |limit| limit as f64)
}

fn known(capacity: Capacity, less: f64) -> Option<Value> {
    Some(match capacity {
        Capacity::Gib(gib) => Value::Number(gib - less),
        Capacity::Unknown => Value::Text("unknown".to_owned()),
    })
}
