//! What the operator set, each option checked where it is read and all of them at `setup`.

use bulkhead_sdk::config::{self, Value};
use bulkhead_sdk::{Error, Result};
use std::net::IpAddr;

/// How many MiB a GiB has.
pub(crate) const MIB_PER_GIB: u64 = 1024;
/// The largest pool and share, in GiB: 1 EiB.
pub(crate) const MOST_GIB: u64 = 1 << 30;
/// How many pools there may be: each has a key of the backend's private data.
const MOST_POOLS: usize = 64;
/// How many objects an option may declare: each that was taken over has a key of the backend's private data.
const MOST_EXISTING: usize = 64;

/// A pool as the operator set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolOption {
    /// Its name.
    pub(crate) name: String,
    /// How much it holds, in MiB; none is without limit, and nothing is counted.
    pub(crate) total_mib: Option<u64>,
}

/// The pools, at least one.
pub(crate) fn pools() -> Result<Vec<PoolOption>> {
    let pairs = pairs("pools")?;
    if pairs.is_empty() || pairs.len() > MOST_POOLS {
        return Err(Error::bad_configuration(format!(
            "option pools has {} pools; name 1 to {MOST_POOLS}, for example pools = {{ gold = \"100\" }}",
            pairs.len()
        )));
    }
    pairs.into_iter().map(pool).collect()
}

fn pool((name, size): (String, String)) -> Result<PoolOption> {
    check_name("pools", &name)?;
    let total_mib = match size.as_str() {
        "unlimited" => None,
        _ => Some(size_gib("pools", &name, &size)?.saturating_mul(MIB_PER_GIB)),
    };
    Ok(PoolOption { name, total_mib })
}

/// The pool of a new object. Fails with `bad-configuration` if no pool has this name; without a name it is the first one.
pub(crate) fn pool_for_new(name: Option<&str>) -> Result<PoolOption> {
    let mut pools = pools()?.into_iter();
    let found = match name {
        Some(name) => pools.find(|pool| pool.name == name),
        None => pools.next(),
    };
    found.ok_or_else(|| {
        Error::bad_configuration(format!(
            "option pools has no pool '{}'; add it, or create the share in another one",
            name.unwrap_or_default()
        ))
    })
}

/// The pool that an object is in. One that the operator has taken away counts nothing any more.
pub(crate) fn pool_of_object(name: &str) -> Result<PoolOption> {
    let found = pools()?.into_iter().find(|pool| pool.name == name);
    Ok(found.unwrap_or_else(|| PoolOption { name: name.to_owned(), total_mib: None }))
}

/// When a share takes its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provisioning {
    /// As it fills.
    Thin,
    /// All of it at once.
    Thick,
}

/// When shares take their room.
pub(crate) fn provisioning() -> Result<Provisioning> {
    let is_thin = config::boolean("thin_provisioning")?.unwrap_or(true);
    Ok(if is_thin { Provisioning::Thin } else { Provisioning::Thick })
}

/// Promised over total, at most, for thin pools.
pub(crate) fn over_subscription_ratio() -> Result<f64> {
    Ok(config::float("max_over_subscription_ratio")?.unwrap_or(1.0))
}

/// How much of a new share of this size is used at once, in MiB.
pub(crate) fn first_use_mib(size_gib: u64) -> Result<u64> {
    let percent = number("fill_percent", 100)?;
    Ok(size_gib.saturating_mul(MIB_PER_GIB).saturating_mul(percent) / 100)
}

/// This backend's own `HOST@BACKEND`; none if the operator does not say.
pub(crate) fn backend_host() -> Result<Option<String>> {
    Ok(config::text("backend_host")?.filter(|host| !host.is_empty()))
}

/// How long a new or demoted replica is out of sync, in milliseconds.
pub(crate) fn sync_ms() -> Result<u64> {
    Ok(number("sync_seconds", 86_400)?.saturating_mul(1000))
}

/// How long the array goes on by itself with a clone, a revert or a migration, in milliseconds.
pub(crate) fn pending_ms() -> Result<u64> {
    Ok(number("pending_seconds", 86_400)?.saturating_mul(1000))
}

/// The type of replication to report; none outside a replication domain.
pub(crate) fn replication_type() -> Result<Option<String>> {
    let is_in_domain = config::text("replication_domain")?.is_some_and(|domain| !domain.is_empty());
    if is_in_domain { Ok(config::text("replication_type")?) } else { Ok(None) }
}

/// What the operator wants kept free, in percent, for every kind of share alike.
pub(crate) fn reserved_percentage() -> Result<u32> {
    let percent = number("reserved_share_percentage", 100)?;
    Ok(u32::try_from(percent).unwrap_or(100))
}

/// Objects that were there before: name and GiB.
pub(crate) fn existing_shares() -> Result<Vec<(String, u64)>> {
    let declared = existing("existing_shares")?.into_iter();
    declared.map(|(name, size)| size_gib("existing_shares", &name, &size).map(|size| (name, size))).collect()
}

/// Snapshots that were there before: name, and the name of the object they are of.
pub(crate) fn existing_snapshots() -> Result<Vec<(String, String)>> {
    let declared = existing("existing_snapshots")?;
    declared.iter().try_for_each(|(_, share)| check_name("existing_snapshots", share))?;
    Ok(declared)
}

/// Share servers that were there before: name and address.
pub(crate) fn existing_servers() -> Result<Vec<(String, String)>> {
    let declared = existing("existing_servers")?;
    for (name, address) in &declared {
        if address.parse::<IpAddr>().is_err() {
            return Err(Error::bad_configuration(format!(
                "option existing_servers gives '{name}' the address '{address}'; write a plain IPv4 or IPv6 address"
            )));
        }
    }
    Ok(declared)
}

/// How many addresses of the tenant's network each share server has.
pub(crate) fn server_addresses() -> Result<u32> {
    addresses("server_addresses")
}

/// How many addresses of the administrators' network each share server has.
pub(crate) fn server_admin_addresses() -> Result<u32> {
    addresses("server_admin_addresses")
}

fn addresses(option: &str) -> Result<u32> {
    let count = number(option, 64)?;
    Ok(u32::try_from(count).unwrap_or(64))
}

/// The domain whose directory no share server joins while it is in service; none if all are welcome.
pub(crate) fn refused_domain() -> Result<Option<String>> {
    Ok(config::text("refused_domain")?.filter(|domain| !domain.is_empty()))
}

/// The network where no share server can be made; none if all are welcome.
pub(crate) fn refused_network() -> Result<Option<String>> {
    Ok(config::text("refused_network")?.filter(|cidr| !cidr.is_empty()))
}

/// Whether this backend makes a server for each tenant network.
pub(crate) fn makes_servers() -> Result<bool> {
    Ok(config::boolean("driver_handles_share_servers")?.unwrap_or(false))
}

fn existing(option: &str) -> Result<Vec<(String, String)>> {
    let declared = pairs(option)?;
    if declared.len() > MOST_EXISTING {
        return Err(Error::bad_configuration(format!(
            "option {option} declares {} objects; {MOST_EXISTING} are the most",
            declared.len()
        )));
    }
    declared.iter().try_for_each(|(name, _)| check_name(option, name))?;
    Ok(declared)
}

fn pairs(option: &str) -> Result<Vec<(String, String)>> {
    match config::get(option)? {
        Some(Value::Pairs(pairs)) => Ok(pairs),
        _ => Ok(Vec::new()),
    }
}

/// Names stand in records and in export locations.
fn check_name(option: &str, name: &str) -> Result<()> {
    let is_sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_sound) {
        return Ok(());
    }
    Err(Error::bad_configuration(format!(
        "option {option} has the name '{name}'; names are 1 to 64 letters, digits, '.', '_' and '-'"
    )))
}

fn size_gib(option: &str, name: &str, text: &str) -> Result<u64> {
    match text.parse() {
        Ok(size) if (1..=MOST_GIB).contains(&size) => Ok(size),
        _ => Err(Error::bad_configuration(format!(
            "option {option} gives '{name}' the size '{text}'; it must be 1 to {MOST_GIB}, in GiB"
        ))),
    }
}

fn number(option: &str, most: u64) -> Result<u64> {
    let value = config::integer(option)?.unwrap_or(0);
    match u64::try_from(value) {
        Ok(number) if number <= most => Ok(number),
        _ => Err(Error::bad_configuration(format!("option {option} is {value}; it must be 0 to {most}"))),
    }
}
