//! Sizes: the limit of a share's quota group. The filesystem enforces it.

use crate::export::Export;
use crate::place::SHARE;
use crate::statistics::in_gib;
use crate::subvolume::{self, GIB};
use bulkhead_sdk::{Error, Resource, Result, Share, ShareUsage, clock, log};

/// Give a share another, larger size. Shares take space only as they fill, so that no size is too large.
pub fn extend(share: &Share, new_size_gib: u64) -> Result<()> {
    find(share)?;
    let _held = Export::of_share(share).hold()?;
    subvolume::limit(SHARE, &Resource::from(share), new_size_gib)
}

/// Make a share smaller, unless more is used: the filesystem itself would take the limit and refuse every write from then on.
pub fn shrink(share: &Share, new_size_gib: u64) -> Result<()> {
    find(share)?;
    let _held = Export::of_share(share).hold()?;
    let used = used_bytes(share)?;
    if used > new_size_gib.saturating_mul(GIB) {
        return Err(Error::possible_data_loss(format!(
            "{} holds {used} bytes, more than {new_size_gib} GiB; remove data first",
            share.name
        )));
    }
    subvolume::limit(SHARE, &Resource::from(share), new_size_gib)
}

/// Put back a limit that somebody has changed by hand. It is called with the share held: what was set last is asked for, not what the
/// host knew of the share when it made its list, which another call may have changed since.
pub fn ensure(share: &Share) -> Result<()> {
    let resource = Resource::from(share);
    let size_gib = subvolume::recorded_size_gib(&resource)?.unwrap_or(share.size_gib);
    let found = subvolume::limit_bytes(SHARE, &resource)?;
    if found == Some(size_gib.saturating_mul(GIB)) {
        return Ok(());
    }
    log::warning(&format!("the limit of {} was {found:?} bytes; it is {size_gib} GiB again", share.name));
    subvolume::limit(SHARE, &resource, size_gib)
}

/// What a share holds, metadata included.
pub fn used_bytes(share: &Share) -> Result<u64> {
    let resource = Resource::from(share);
    subvolume::sync(SHARE, &resource)?;
    subvolume::used_bytes(SHARE, &resource)
}

/// What shares use. One that cannot be measured is left out, and keeps its last value.
pub fn usage(shares: &[Share]) -> Vec<ShareUsage> {
    let gathered_at_ms = clock::now_ms();
    let measured = |(number, share): (usize, &Share)| {
        let resource = Resource::from(share);
        // The first one brings the counts of the whole pool up to date.
        let used = if number == 0 { used_bytes(share) } else { subvolume::used_bytes(SHARE, &resource) };
        match used {
            Ok(bytes) => Some(ShareUsage { id: share.id.clone(), used_gib: in_gib(bytes), gathered_at_ms }),
            Err(error) => {
                log::warning(&format!("{} was not measured: {error}", share.name));
                None
            }
        }
    };
    shares.iter().enumerate().filter_map(measured).collect()
}

fn find(share: &Share) -> Result<()> {
    if subvolume::is_there(SHARE, &Resource::from(share))? {
        return Ok(());
    }
    Err(Error::share_not_found(format!("{} has no subvolume", share.name)))
}
