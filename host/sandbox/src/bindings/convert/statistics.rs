//! What a backend reports about itself (contract 2.16). The scheduler computes with it, so no number arrives that it could trip over.

use super::{Breach, TEXT_BYTES, check_count, check_text, pairs_from_wit, shown};
use crate::bindings::v0_1::bulkhead::driver::lifecycle as wit;
use crate::bindings::v0_1::bulkhead::driver::types::KeyValue;
use crate::bindings::v0_1::bulkhead::host::types::IpVersion as WitIpVersion;
use bulkhead_model::statistics::{Capacity, IpVersion, Pool, Statistics, Support};
use std::collections::{BTreeMap, BTreeSet};

/// The most pools of a backend.
const MOST_POOLS: usize = 1000;
/// The most capabilities of a pool or a backend, and parts of a fingerprint.
const MOST_PAIRS: usize = 256;
/// The most replication types; the contract has three.
const MOST_REPLICATION_TYPES: usize = 8;
/// The most entries of a list of the two IP versions.
const MOST_IP_VERSIONS: usize = 8;
/// The longest filter or goodness function, in bytes.
const FUNCTION_BYTES: usize = 4096;

/// Statistics, all of them sound or none.
pub(crate) fn statistics_from_wit(statistics: wit::Statistics) -> Result<Statistics, Breach> {
    check_count("statistics.pools", &statistics.pools, MOST_POOLS)?;
    check_count("statistics.replication-types", &statistics.replication_types, MOST_REPLICATION_TYPES)?;
    for replication_type in &statistics.replication_types {
        check_text("a replication type", replication_type, TEXT_BYTES)?;
    }
    let mut names = BTreeSet::new();
    let mut pools = Vec::with_capacity(statistics.pools.len());
    for pool in statistics.pools {
        let pool = pool_from_wit(pool)?;
        if !names.insert(pool.name.clone()) {
            return Err(Breach(format!("pool names are unique, unlike '{}'", shown(&pool.name))));
        }
        pools.push(pool);
    }
    Ok(Statistics {
        consistency: None,
        pools,
        replication_types: statistics.replication_types,
        capabilities: pairs_from_wit("statistics.capabilities", statistics.capabilities, MOST_PAIRS)?,
    })
}

fn pool_from_wit(pool: wit::Pool) -> Result<Pool, Breach> {
    check_text("pool.name", &pool.name, TEXT_BYTES)?;
    if pool.name.is_empty() || pool.name.contains('#') {
        return Err(Breach(format!("pool.name is not empty and has no '#', unlike '{}'", shown(&pool.name))));
    }
    Ok(Pool {
        total: capacity("pool.total-capacity", pool.total_capacity)?,
        free: capacity("pool.free-capacity", pool.free_capacity)?,
        allocated_gib: pool
            .allocated_capacity_gib
            .map(|gib| size("pool.allocated-capacity-gib", gib))
            .transpose()?,
        provisioned_gib: pool
            .provisioned_capacity_gib
            .map(|gib| size("pool.provisioned-capacity-gib", gib))
            .transpose()?,
        reserved_percentage: percentage("pool.reserved-percentage", pool.reserved_percentage)?,
        reserved_snapshot_percentage: percentage(
            "pool.reserved-snapshot-percentage",
            pool.reserved_snapshot_percentage,
        )?,
        reserved_share_extend_percentage: percentage(
            "pool.reserved-share-extend-percentage",
            pool.reserved_share_extend_percentage,
        )?,
        max_over_subscription_ratio: pool.max_over_subscription_ratio.map(ratio).transpose()?,
        thin_provisioning: support(pool.thin_provisioning),
        dedupe: support(pool.dedupe),
        compression: support(pool.compression),
        qos: pool.qos,
        capabilities: pairs_from_wit("pool.capabilities", pool.capabilities, MOST_PAIRS)?,
        name: pool.name,
    })
}

fn capacity(what: &str, capacity: wit::Capacity) -> Result<Capacity, Breach> {
    match capacity {
        wit::Capacity::Gib(gib) => Ok(Capacity::Gib(size(what, gib)?)),
        wit::Capacity::Unknown => Ok(Capacity::Unknown),
    }
}

fn size(what: &str, gib: f64) -> Result<f64, Breach> {
    if gib.is_finite() && gib >= 0.0 {
        // Minus zero is zero.
        Ok(gib + 0.0)
    } else {
        Err(Breach(format!("{what} is finite and not negative, unlike {gib}")))
    }
}

fn ratio(ratio: f64) -> Result<f64, Breach> {
    if ratio.is_finite() && ratio >= 1.0 {
        Ok(ratio)
    } else {
        Err(Breach(format!("pool.max-over-subscription-ratio is finite and at least 1.0, unlike {ratio}")))
    }
}

fn percentage(what: &str, percentage: u32) -> Result<u8, Breach> {
    u8::try_from(percentage)
        .ok()
        .filter(|percentage| *percentage <= 100)
        .ok_or_else(|| Breach(format!("{what} is 0 to 100, not {percentage}")))
}

const fn support(support: wit::Support) -> Support {
    match support {
        wit::Support::No => Support::No,
        wit::Support::Yes => Support::Yes,
        wit::Support::Both => Support::Both,
    }
}

/// A fingerprint of what influences exports.
pub(crate) fn backend_info_from_wit(pairs: Vec<KeyValue>) -> Result<BTreeMap<String, String>, Breach> {
    pairs_from_wit("the answer of backend-info", pairs, MOST_PAIRS)
}

/// The IP versions shares are exported with.
pub(crate) fn ip_versions_from_wit(versions: &[WitIpVersion]) -> Result<BTreeSet<IpVersion>, Breach> {
    check_count("the answer of ip-versions", versions, MOST_IP_VERSIONS)?;
    let versions = versions.iter().map(|version| match version {
        WitIpVersion::V4 => IpVersion::V4,
        WitIpVersion::V6 => IpVersion::V6,
    });
    Ok(versions.collect())
}

/// A filter or goodness function.
pub(crate) fn function_from_wit(function: Option<String>) -> Result<Option<String>, Breach> {
    if let Some(text) = &function {
        check_text("a filter or goodness function", text, FUNCTION_BYTES)?;
    }
    Ok(function)
}

/// The name of the pool that a share lives in.
pub(crate) fn pool_name_from_wit(pool: Option<String>) -> Result<Option<String>, Breach> {
    if let Some(name) = &pool {
        check_text("the answer of pool-of", name, TEXT_BYTES)?;
        if name.is_empty() || name.contains('#') {
            return Err(Breach(format!("the answer of pool-of is a pool's name, unlike '{}'", shown(name))));
        }
    }
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> wit::Pool {
        wit::Pool {
            name: name.to_owned(),
            total_capacity: wit::Capacity::Gib(100.0),
            free_capacity: wit::Capacity::Unknown,
            allocated_capacity_gib: None,
            provisioned_capacity_gib: None,
            reserved_percentage: 5,
            reserved_snapshot_percentage: 0,
            reserved_share_extend_percentage: 100,
            max_over_subscription_ratio: Some(20.0),
            thin_provisioning: wit::Support::Both,
            dedupe: wit::Support::No,
            compression: wit::Support::Yes,
            qos: false,
            capabilities: Vec::new(),
        }
    }

    fn check(pools: Vec<wit::Pool>) -> Result<Statistics, Breach> {
        statistics_from_wit(wit::Statistics {
            pools,
            replication_types: Vec::new(),
            capabilities: Vec::new(),
        })
    }

    #[test]
    fn sound_statistics_pass() {
        let found = check(vec![pool("a"), pool("b")]).expect("sound");
        assert_eq!(found.pools[0].total, Capacity::Gib(100.0));
        assert_eq!(
            (found.pools[1].name.as_str(), found.pools[1].reserved_share_extend_percentage),
            ("b", 100)
        );
    }

    #[test]
    fn capacities_are_finite_and_not_negative() {
        for gib in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
            assert!(
                check(vec![wit::Pool { total_capacity: wit::Capacity::Gib(gib), ..pool("a") }]).is_err(),
                "{gib}"
            );
            assert!(
                check(vec![wit::Pool { free_capacity: wit::Capacity::Gib(gib), ..pool("a") }]).is_err(),
                "{gib}"
            );
            assert!(
                check(vec![wit::Pool { allocated_capacity_gib: Some(gib), ..pool("a") }]).is_err(),
                "{gib}"
            );
            assert!(
                check(vec![wit::Pool { provisioned_capacity_gib: Some(gib), ..pool("a") }]).is_err(),
                "{gib}"
            );
        }
        let zero =
            check(vec![wit::Pool { free_capacity: wit::Capacity::Gib(-0.0), ..pool("a") }]).expect("zero");
        assert!(matches!(zero.pools[0].free, Capacity::Gib(gib) if gib.is_sign_positive()));
    }

    #[test]
    fn ratios_and_percentages_keep_their_range() {
        for ratio in [f64::NAN, f64::INFINITY, 0.5, -1.0] {
            assert!(
                check(vec![wit::Pool { max_over_subscription_ratio: Some(ratio), ..pool("a") }]).is_err(),
                "{ratio}"
            );
        }
        for percentage in [101, 256, u32::MAX] {
            assert!(
                check(vec![wit::Pool { reserved_percentage: percentage, ..pool("a") }]).is_err(),
                "{percentage}"
            );
        }
    }

    #[test]
    fn pools_have_distinct_names_that_fit_a_host_string() {
        assert!(check(vec![pool("a"), pool("a")]).is_err());
        for name in ["", "a#b", "a\nb", &"x".repeat(256)] {
            assert!(check(vec![pool(name)]).is_err(), "{name:?}");
        }
        assert!(check((0..=MOST_POOLS).map(|number| pool(&number.to_string())).collect()).is_err());
    }

    #[test]
    fn a_function_of_ten_megabytes_is_refused() {
        assert!(function_from_wit(Some("x".repeat(10 << 20))).is_err());
        assert!(function_from_wit(Some("capabilities.total > 5".to_owned())).is_ok());
        assert!(pool_name_from_wit(Some("a#b".to_owned())).is_err());
    }
}
