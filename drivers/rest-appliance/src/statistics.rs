//! What the backend reports about itself.

use crate::array::{self, System};
use crate::share;
use bulkhead_sdk::{Capacity, Error, Pool, Result, Slots, Support, config};

/// The model that this driver knows.
const MODEL: &str = "appliance";

/// Can the driver work? The array must answer and be one that it knows, and the export address must be one.
pub(crate) fn check() -> Result<()> {
    share::export_address()?;
    let system = system()?;
    if system.model == MODEL {
        return Ok(());
    }
    Err(Error::bad_configuration(format!(
        "the endpoint 'array' is of the model '{}'; this driver knows '{MODEL}'",
        system.model
    )))
}

/// The one pool: the array's. Volumes take space only as they fill.
pub(crate) fn pool() -> Result<Pool> {
    let system = system()?;
    let reserved_percentage = reserved_percentage()?;
    Ok(Pool {
        total: Capacity::Gib(system.total_gib),
        free: Capacity::Gib(system.free_gib),
        reserved_percentage,
        reserved_snapshot_percentage: reserved_percentage,
        reserved_share_extend_percentage: reserved_percentage,
        thin_provisioning: Support::Yes,
        ..Pool::new("array")
    })
}

/// What the export locations depend on.
pub(crate) fn fingerprint() -> Result<Vec<(String, String)>> {
    Ok(vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("array_version".to_owned(), system()?.version),
        ("export_address".to_owned(), share::export_address()?),
    ])
}

fn system() -> Result<System> {
    let request = "read-system";
    array::read(request, &array::send(request, Slots::new())?)
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
