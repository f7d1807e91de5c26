//! Making shares larger and smaller, and telling what they use.

use crate::options::MIB_PER_GIB;
use crate::volume::{self, Volume};
use crate::{share, statistics};
use bulkhead_sdk::{Error, Resource, Result, Share, ShareUsage, clock};

/// Make a share larger.
pub(crate) fn extend(share: &Share, new_size_gib: u64) -> Result<()> {
    share::check_size(new_size_gib, &share.name)?;
    resize(share, new_size_gib)
}

/// Make a share smaller, unless more is used.
pub(crate) fn shrink(share: &Share, new_size_gib: u64) -> Result<()> {
    let used_mib = share::get(share)?.volume.used_mib;
    if used_mib > new_size_gib.saturating_mul(MIB_PER_GIB) {
        return Err(Error::possible_data_loss(format!(
            "{} holds {used_mib} MiB, more than {new_size_gib} GiB; remove data first",
            share.name
        )));
    }
    resize(share, new_size_gib)
}

fn resize(share: &Share, new_size_gib: u64) -> Result<()> {
    let found = share::get(share)?;
    let volume = Volume { size_gib: new_size_gib, ..found.volume.clone() };
    volume::put(&Resource::from(share), Some(&found), &volume)
}

/// What shares use. One that is not there is left out.
pub(crate) fn usage(shares: &[Share]) -> Result<Vec<ShareUsage>> {
    let gathered_at_ms = clock::now_ms();
    let mut found = Vec::new();
    for share in shares {
        if let Some(there) = volume::find(&Resource::from(share))? {
            found.push(ShareUsage {
                id: share.id.clone(),
                used_gib: statistics::in_gib(there.volume.used_mib),
                gathered_at_ms,
            });
        }
    }
    Ok(found)
}
