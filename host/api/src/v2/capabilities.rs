//! What a pool can do, as `scheduler-stats/pools/detail` shows it (contract 2.16, Manila's `_update_share_stats`).
//!
//! First the base keys, from the manifest and the typed statistics; then what the driver reports beyond them, of the backend and of the
//! pool, which wins; last what no driver overrides: what it can do is what it exports, `share_group_stats` has one key, and `ipv4_support`
//! and `ipv6_support` are those of `ip-versions`.

use bulkhead_manager::BackendView;
use bulkhead_model::ability::Ability;
use bulkhead_model::statistics::{Capacity, IpVersion, Pool, Support};
use bulkhead_model::time::Timestamp;
use serde_json::{Map, Value, json};

/// All capabilities of a pool.
pub(super) fn of(backend: &BackendView, pool: &Pool) -> Value {
    let mut shown = Map::new();
    for part in [identity(backend), room(backend, pool)] {
        if let Value::Object(part) = part {
            shown.extend(part);
        }
    }
    let of_backend = backend.statistics.iter().flat_map(|statistics| &statistics.capabilities);
    for (key, value) in of_backend.chain(&pool.capabilities) {
        shown.insert(key.clone(), json!(value));
    }
    for part in [abilities(backend, pool), computed(backend)] {
        if let Value::Object(part) = part {
            shown.extend(part);
        }
    }
    Value::Object(shown)
}

fn identity(backend: &BackendView) -> Value {
    let loaded = backend.loaded.as_ref();
    let description = loaded.map(|loaded| &loaded.description);
    let replicates = loaded.is_some_and(|loaded| loaded.abilities.has(Ability::Replication));
    let statistics = backend.statistics.as_ref().filter(|_| replicates);
    json!({
        "share_backend_name": backend.name,
        "vendor_name": description.map(|known| &known.vendor),
        "driver_version": description.map(|known| &known.driver_version),
        "storage_protocol": description.map(|known| &known.protocols),
        "driver_handles_share_servers": description.is_some_and(|known| known.handles_share_servers),
        "max_shares_per_share_server": description.map(|known| limit(known.server_limits.shares)),
        "max_share_server_size": description.map(|known| limit(known.server_limits.gib)),
        "replication_type": statistics.map(|statistics| &statistics.replication_types),
        "replication_domain": description.and_then(|known| known.replication_domain.as_ref()),
        "filter_function": description.and_then(|known| known.filter_function.as_ref().map(ToString::to_string)),
        "goodness_function": description.and_then(|known| known.goodness_function.as_ref().map(ToString::to_string)),
        "timestamp": backend.statistics_at.map(Timestamp::openstack),
    })
}

/// A limit as Manila writes it: -1 is none.
fn limit(limit: Option<u64>) -> Value {
    limit.map_or_else(|| json!(-1), Value::from)
}

fn room(backend: &BackendView, pool: &Pool) -> Value {
    let description = backend.loaded.as_ref().map(|loaded| &loaded.description);
    let ratio = description.map(|known| known.max_over_subscription_ratio);
    json!({
        "pool_name": pool.name,
        "total_capacity_gb": capacity(pool.total),
        "free_capacity_gb": capacity(pool.free),
        "allocated_capacity_gb": pool.allocated_gib,
        "provisioned_capacity_gb": pool.provisioned_gib,
        "max_over_subscription_ratio": pool.max_over_subscription_ratio.or(ratio),
        "reserved_percentage": pool.reserved_percentage,
        "reserved_snapshot_percentage": pool.reserved_snapshot_percentage,
        "reserved_share_extend_percentage": pool.reserved_share_extend_percentage,
    })
}

fn abilities(backend: &BackendView, pool: &Pool) -> Value {
    let support = backend.loaded.as_ref().map(|loaded| loaded.abilities.share_support()).unwrap_or_default();
    let consistency = backend.statistics.as_ref().and_then(|statistics| statistics.consistency);
    let updates = backend.loaded.as_ref().is_some_and(|loaded| {
        loaded.description.handles_share_servers && loaded.abilities.has(Ability::ServerUpdates)
    });
    json!({
        "qos": pool.qos,
        "thin_provisioning": either(pool.thin_provisioning),
        "dedupe": either(pool.dedupe),
        "compression": either(pool.compression),
        "snapshot_support": support.snapshot,
        "create_share_from_snapshot_support": support.create_share_from_snapshot,
        "revert_to_snapshot_support": support.revert_to_snapshot,
        "mount_snapshot_support": support.mount_snapshot,
        "sg_consistent_snapshot_support": consistency,
        "mount_point_name_support": false,
        "snapshot_inherit_share_access_support": false,
        "security_service_update_support": updates,
        "network_allocation_update_support": updates,
        "share_server_multiple_subnet_support": updates,
        "share_replicas_migration_support": false,
    })
}

/// What no driver overrides.
fn computed(backend: &BackendView) -> Value {
    let consistency = backend.statistics.as_ref().and_then(|statistics| statistics.consistency);
    json!({
        "share_group_stats": { "consistent_snapshot_support": consistency },
        "ipv4_support": backend.ip_versions.contains(&IpVersion::V4),
        "ipv6_support": backend.ip_versions.contains(&IpVersion::V6),
    })
}

fn capacity(capacity: Capacity) -> Value {
    match capacity {
        Capacity::Gib(gib) => json!(gib),
        Capacity::Unknown => json!("unknown"),
    }
}

/// What can be had either way is a list, as in Manila.
fn either(support: Support) -> Value {
    match support {
        Support::No => json!(false),
        Support::Yes => json!(true),
        Support::Both => json!([true, false]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_manager::{BackendDescription, BackendState, LoadedDriver, ServerLimits};
    use bulkhead_model::ability::Abilities;
    use bulkhead_model::call::DriverLimits;
    use bulkhead_model::id::{Digest, GenerationNumber};
    use bulkhead_model::place::Place;
    use bulkhead_model::share::Protocol;
    use bulkhead_model::share_group::Consistency;
    use bulkhead_model::statistics::Statistics;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    fn pool() -> Pool {
        Pool {
            name: "fast".to_owned(),
            total: Capacity::Gib(100.0),
            free: Capacity::Unknown,
            allocated_gib: None,
            provisioned_gib: None,
            reserved_percentage: 5,
            reserved_snapshot_percentage: 0,
            reserved_share_extend_percentage: 0,
            max_over_subscription_ratio: None,
            thin_provisioning: Support::Both,
            dedupe: Support::No,
            compression: Support::Yes,
            qos: true,
            capabilities: BTreeMap::new(),
        }
    }

    fn backend(capabilities: &[(&str, &str)], ip_versions: &[IpVersion]) -> BackendView {
        let pairs = capabilities.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let statistics = Statistics {
            pools: vec![pool()],
            consistency: Some(Consistency::Host),
            capabilities: pairs.collect(),
            ..Statistics::default()
        };
        let description = BackendDescription {
            name: "nas".parse().expect("a name"),
            driver: "fake".parse().expect("a name"),
            driver_version: "1.0.0".to_owned(),
            vendor: "Example".to_owned(),
            place: Place::Local,
            digest: Digest::from_bytes([1; 32]),
            generation: GenerationNumber(1),
            protocols: vec![Protocol::Nfs],
            limits: DriverLimits::default(),
            replication_domain: None,
            max_over_subscription_ratio: 1.5,
            filter_function: None,
            goodness_function: None,
            handles_share_servers: false,
            server_limits: ServerLimits::default(),
        };
        let abilities = Abilities(BTreeSet::from([Ability::Snapshots, Ability::Revert]));
        BackendView {
            name: "nas".parse().expect("a name"),
            loaded: Some(LoadedDriver {
                description,
                abilities,
                updatable_metadata: Vec::new(),
                updatable_subnet_metadata: Vec::new(),
            }),
            state: BackendState::Ready,
            statistics: Some(Arc::new(statistics)),
            ip_versions: ip_versions.iter().copied().collect(),
            statistics_at: None,
            statistics_stale: false,
            statistics_failure: None,
            shares: 0,
            provisioned_gib: 0,
            unfinished_operations: 0,
            last_ensured: None,
            last_change: None,
        }
    }

    /// Contract D-10.
    #[test]
    fn every_base_key_is_there_with_what_manifest_exports_and_statistics_say() {
        let shown = of(&backend(&[], &[IpVersion::V4]), &pool());
        for (key, value) in [
            ("share_backend_name", json!("nas")),
            ("vendor_name", json!("Example")),
            ("driver_version", json!("1.0.0")),
            ("storage_protocol", json!(["NFS"])),
            ("driver_handles_share_servers", json!(false)),
            ("max_shares_per_share_server", json!(-1)),
            ("max_share_server_size", json!(-1)),
            ("total_capacity_gb", json!(100.0)),
            ("free_capacity_gb", json!("unknown")),
            ("reserved_percentage", json!(5)),
            ("reserved_snapshot_percentage", json!(0)),
            ("reserved_share_extend_percentage", json!(0)),
            ("max_over_subscription_ratio", json!(1.5)),
            ("qos", json!(true)),
            ("thin_provisioning", json!([true, false])),
            ("compression", json!(true)),
            ("snapshot_support", json!(true)),
            ("create_share_from_snapshot_support", json!(false)),
            ("revert_to_snapshot_support", json!(true)),
            ("mount_snapshot_support", json!(false)),
            ("mount_point_name_support", json!(false)),
            ("snapshot_inherit_share_access_support", json!(false)),
            ("replication_type", Value::Null),
        ] {
            assert_eq!(shown.get(key), Some(&value), "{key}");
        }
    }

    /// Contract D-44.
    #[test]
    fn the_ip_versions_of_the_driver_are_what_is_supported() {
        let (four, six) = (IpVersion::V4, IpVersion::V6);
        for (versions, expected) in
            [(vec![four], [true, false]), (vec![six], [false, true]), (vec![four, six], [true, true])]
        {
            let shown = of(&backend(&[], &versions), &pool());
            assert_eq!(
                [&shown["ipv4_support"], &shown["ipv6_support"]],
                expected.map(Value::from).each_ref()
            );
        }
    }

    /// Contract D-52.
    #[test]
    fn what_a_driver_reports_lies_over_the_base_keys_and_below_what_the_host_computes() {
        let told = [
            ("ipv4_support", "False"),
            ("share_group_stats", "vast"),
            ("tier", "gold"),
            ("vendor_name", "Other"),
            ("snapshot_support", "no"),
        ];
        let over =
            Pool { capabilities: BTreeMap::from([("tier".to_owned(), "silver".to_owned())]), ..pool() };
        let shown = of(&backend(&told, &[IpVersion::V4]), &over);
        assert_eq!(shown["ipv4_support"], json!(true));
        assert_eq!(shown["share_group_stats"], json!({ "consistent_snapshot_support": "host" }));
        assert_eq!(shown["snapshot_support"], json!(true));
        assert_eq!((&shown["tier"], &shown["vendor_name"]), (&json!("silver"), &json!("Other")));
    }
}
