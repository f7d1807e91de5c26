//! What the driver is told to do wrong.

use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Error, Result, config};

/// Whether the driver is told to do `flaw`.
pub(crate) fn has(flaw: &str) -> Result<bool> {
    Ok(config::text("flaw")?.is_some_and(|told| told == flaw))
}

/// Fail the second time.
pub(crate) fn once(owner: &Owner, what: &str) -> Result<()> {
    if private_data::get(owner, what)?.is_some() {
        return Err(Error::internal(format!("{what}: this was done already")));
    }
    private_data::set(owner, what, "done", Expected::Anything)?;
    Ok(())
}

/// Fail the second time, in the name of the whole backend.
pub(crate) fn once_per_backend(what: &str) -> Result<()> {
    once(&Owner::Backend, what)
}

/// Write something down that nobody asked for.
pub(crate) fn note_for_backend(key: &str) -> Result<()> {
    private_data::set(&Owner::Backend, key, "noted", Expected::Anything)?;
    Ok(())
}
