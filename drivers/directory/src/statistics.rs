//! What the backend reports about itself.

use crate::place;
use bulkhead_sdk::files;
use bulkhead_sdk::{Capacity, Error, Pool, Result, Support, config};

/// Can the driver work? Both roots must be there, and the export address must be one.
pub(crate) fn check() -> Result<()> {
    files::root_space(place::ROOT)?;
    files::root_space("exports")?;
    place::export_address()?;
    Ok(())
}

/// The one pool: the filesystem below the root. Shares take space only as they fill.
pub(crate) fn pool() -> Result<Pool> {
    let space = files::root_space(place::ROOT)?;
    let reserved_percentage = reserved_percentage()?;
    Ok(Pool {
        total: gib(space.total_bytes),
        free: gib(space.free_bytes),
        reserved_percentage,
        reserved_snapshot_percentage: reserved_percentage,
        reserved_share_extend_percentage: reserved_percentage,
        thin_provisioning: Support::Yes,
        ..Pool::new(place::ROOT)
    })
}

/// What the export locations depend on.
pub(crate) fn fingerprint() -> Result<Vec<(String, String)>> {
    Ok(vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("export_address".to_owned(), place::export_address()?),
    ])
}

fn gib(bytes: u64) -> Capacity {
    // In MiB, so that the division keeps what a person would read.
    let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    Capacity::Gib(f64::from(mebibytes) / 1024.0)
}

/// What the operator wants kept free, for every kind of share alike.
fn reserved_percentage() -> Result<u32> {
    let value = config::integer("reserved_share_percentage")?.unwrap_or(0);
    match u32::try_from(value) {
        Ok(percent) if percent <= 100 => Ok(percent),
        _ => Err(Error::bad_configuration(format!(
            "option reserved_share_percentage is {value}; it must be 0 to 100"
        ))),
    }
}
