//! What the backend reports about itself, and whether its options make sense.

use crate::options::{self, MIB_PER_GIB, MOST_GIB, PoolOption, Provisioning};
use crate::{place, pool, shelf};
use bulkhead_sdk::{Capacity, Error, Pool, Result, Statistics, Support};

/// The fewer GiB a pool has promised, the better it is: shares spread over pools and backends of this driver.
pub(crate) const GOODNESS_FUNCTION: &str =
    "stats.provisioned_capacity_gb < 1000000 ? 100 - stats.provisioned_capacity_gb / 10000 : 0";

/// No share is larger than an array of this kind can count.
pub(crate) fn filter_function() -> String {
    format!("share.size <= {MOST_GIB}")
}

/// Are all options usable? Each answer says what to type if not.
pub(crate) fn check() -> Result<()> {
    place::export_address()?;
    options::pools()?;
    options::reserved_percentage()?;
    options::first_use_mib(1)?;
    options::sync_ms()?;
    options::pending_ms()?;
    options::existing_servers()?;
    options::server_addresses()?;
    options::server_admin_addresses()?;
    let shares = options::existing_shares()?;
    for (name, share) in options::existing_snapshots()? {
        if shares.iter().all(|(known, _)| *known != share) {
            return Err(Error::bad_configuration(format!(
                "option existing_snapshots says '{name}' is of '{share}', which option existing_shares does not have"
            )));
        }
    }
    shelf::tidy()
}

/// All pools with what is given out of each.
pub(crate) fn collect() -> Result<Statistics> {
    let pools: Result<Vec<Pool>> = options::pools()?.into_iter().map(report).collect();
    Ok(Statistics {
        pools: pools?,
        replication_types: options::replication_type()?.into_iter().collect(),
        ..Statistics::default()
    })
}

fn report(option: PoolOption) -> Result<Pool> {
    let reserved_percentage = options::reserved_percentage()?;
    let thin_provisioning = match options::provisioning()? {
        Provisioning::Thin => Support::Yes,
        Provisioning::Thick => Support::No,
    };
    let pool = Pool {
        reserved_percentage,
        reserved_snapshot_percentage: reserved_percentage,
        reserved_share_extend_percentage: reserved_percentage,
        thin_provisioning,
        ..Pool::new(option.name)
    };
    let Some(total_mib) = option.total_mib else { return Ok(pool) };
    let given_out = pool::given_out(&pool.name)?;
    Ok(Pool {
        total: Capacity::Gib(in_gib(total_mib)),
        free: Capacity::Gib(in_gib(total_mib.saturating_sub(given_out.allocated_mib))),
        allocated_gib: Some(in_gib(given_out.allocated_mib)),
        provisioned_gib: Some(in_gib(given_out.promised_mib)),
        ..pool
    })
}

/// What export locations, and what each object is counted with, depend on.
pub(crate) fn fingerprint() -> Result<Vec<(String, String)>> {
    let pools = options::pools()?.into_iter().map(|pool| match pool.total_mib {
        Some(total_mib) => format!("{}={}", pool.name, total_mib / MIB_PER_GIB),
        None => pool.name,
    });
    Ok(vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("export_address".to_owned(), place::export_address()?),
        ("pools".to_owned(), pools.collect::<Vec<_>>().join(",")),
        ("provisioning".to_owned(), format!("{:?}", options::provisioning()?)),
    ])
}

/// MiB as GiB.
#[expect(clippy::cast_precision_loss, reason = "pools are below 2^40 MiB")]
pub(crate) fn in_gib(mib: u64) -> f64 {
    mib as f64 / 1024.0
}
