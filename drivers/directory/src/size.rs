//! Sizes. A directory has none: what was promised stands in private data, and is checked when it changes. The filesystem enforces
//! nothing.

use crate::place;
use bulkhead_sdk::files;
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, Error, Resource, Result, Share};

const KEY: &str = "size-gib";
const GIB: u64 = 1 << 30;

/// The size recorded for a share; none before it has been created.
fn recorded(share: &Share) -> Result<Option<u64>> {
    let Some(entry) = private_data::get(&owner(share), KEY)? else {
        return Ok(None);
    };
    let size = entry.value.parse();
    size.map(Some).map_err(|_| Error::internal(format!("the recorded size of {} is no number", share.name)))
}

fn owner(share: &Share) -> Owner {
    Owner::Of(Resource::from(share))
}

/// Record a size, whatever stood there.
pub(crate) fn record(share: &Share, size_gib: u64) -> Result<()> {
    private_data::set(&owner(share), KEY, &size_gib.to_string(), Expected::Anything)?;
    Ok(())
}

/// Forget the size of the call's share.
pub(crate) fn forget() -> Result<()> {
    Ok(private_data::remove(&Owner::Subject, KEY)?)
}

/// Promise a new share its size, once: a repeated attempt finds the first promise, and another size is a conflict.
pub(crate) fn promise(share: &Share) -> Result<()> {
    match recorded(share)? {
        Some(size) if size == share.size_gib => Ok(()),
        Some(size) => Err(Error::conflict(format!(
            "{} is there with {size} GiB, not {} GiB; delete it first",
            share.name, share.size_gib
        ))),
        None => {
            check_room(share.size_gib, &share.name)?;
            record(share, share.size_gib)
        }
    }
}

/// Make a share larger.
pub(crate) fn extend(share: &Share, new_size_gib: u64) -> Result<()> {
    if recorded(share)? == Some(new_size_gib) {
        return Ok(());
    }
    check_room(new_size_gib.saturating_sub(share.size_gib), &share.name)?;
    record(share, new_size_gib)
}

/// Make a share smaller, unless more is used.
pub(crate) fn shrink(share: &Share, new_size_gib: u64) -> Result<()> {
    if recorded(share)? == Some(new_size_gib) {
        return Ok(());
    }
    let used = files::usage(&place::path(place::SHARE)).map_err(|error| match error.code() {
        CapabilityCode::NotFound => Error::share_not_found(format!("{} has no directory", share.name)),
        _ => error.into(),
    })?;
    if used > new_size_gib.saturating_mul(GIB) {
        return Err(Error::possible_data_loss(format!(
            "{} holds {used} bytes, more than {new_size_gib} GiB; remove data first",
            share.name
        )));
    }
    record(share, new_size_gib)
}

/// A promise may not be larger than what is free now.
fn check_room(size_gib: u64, share: &str) -> Result<()> {
    let free_bytes = files::root_space(place::ROOT)?.free_bytes;
    if size_gib.saturating_mul(GIB) <= free_bytes {
        return Ok(());
    }
    Err(Error::no_space(format!(
        "{share} asks for {size_gib} GiB, but root shares has {} GiB free; free space or use a larger filesystem",
        free_bytes / GIB
    )))
}
