//! Larger and smaller shares.

use crate::array::{self, of_volume};
use crate::work;
use bulkhead_sdk::{Error, Result, Share};

/// Make a share larger; one that has the size already is left alone.
pub(crate) fn extend(share: &Share, new_size_gib: u64) -> Result<()> {
    resize(share, new_size_gib)
}

/// Make a share smaller. The array refuses below what is used, before it has touched anything.
pub(crate) fn shrink(share: &Share, new_size_gib: u64) -> Result<()> {
    resize(share, new_size_gib)
}

fn resize(share: &Share, new_size_gib: u64) -> Result<()> {
    // An earlier attempt's work comes to its end first: the array does one thing to a volume at a time.
    work::settle(share)?;
    let Some(volume) = array::volume(share)? else {
        return Err(Error::share_not_found(format!("the array has no {}", share.name)));
    };
    if volume.size_gib == new_size_gib {
        return Ok(());
    }
    let request = "resize-volume";
    let answer = array::send(request, of_volume(share).unsigned("size", new_size_gib))?;
    work::wait_for(request, &answer, share)
}
