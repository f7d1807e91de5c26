//! Clones and reverts that the backend goes on with by itself, for as many looks as the option `pending_looks` says. What is still to be
//! done stands in the private data of the share.

use crate::flaw::{self, has};
use crate::place::{self, SHARE, SNAPSHOT, is_there, of, path};
use crate::{share, snapshot};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    Error, FinishedShare, OrAbsent, Resource, Result, Share, ShareProgress, Snapshot, config, files,
};

/// The key of what is still to be done: `LOOKS LEFT`, for a revert with `SNAPSHOT SIZE` behind it.
const PENDING: &str = "pending";

/// How often work is looked at until it is done; 0 is done at once.
pub(crate) fn looks() -> Result<u32> {
    Ok(config::integer("pending_looks")?.and_then(|looks| u32::try_from(looks).ok()).unwrap_or(0))
}

/// Begin to make a share, unless that has begun.
pub(crate) fn begin_clone(share: &Share) -> Result<()> {
    begin(share, "")
}

/// Begin to put a share back, unless that has begun.
pub(crate) fn begin_revert(snapshot: &Snapshot) -> Result<()> {
    begin(&snapshot.share, &format!(" {} {}", snapshot.id, snapshot.size_gib))
}

fn begin(share: &Share, what: &str) -> Result<()> {
    flaw::goes_on()?;
    if private_data::get(&of(share), PENDING)?.is_none() {
        set(share, looks()?, what)?;
    }
    Ok(())
}

fn set(share: &Share, looks: u32, what: &str) -> Result<()> {
    private_data::set(&of(share), PENDING, &format!("{looks}{what}"), Expected::Anything)?;
    Ok(())
}

/// How far a share is; the last look does the work.
pub(crate) fn progress(share: &Share) -> Result<ShareProgress> {
    flaw::remember()?;
    let owner = of(share);
    let Some(entry) = private_data::get(&owner, PENDING)? else {
        if has("status-once")? || !is_there(&path(SHARE, share))? {
            return Err(Error::share_not_found(format!("nothing is done to {}", share.name)));
        }
        return finished(share, None);
    };
    let (left, rest) = entry.value.split_once(' ').unwrap_or((&entry.value, ""));
    if has(if rest.is_empty() { "status-fails" } else { "status-fails-reverts" })? {
        return Ok(ShareProgress::Failed);
    }
    let left: u32 = left.parse().map_err(|_| Error::internal("the recorded work is no work"))?;
    if left > 1 {
        let what = entry.value.find(' ').map_or("", |at| entry.value.get(at..).unwrap_or(""));
        set(share, left - 1, what)?;
        let percent = if has("status-beyond-all")? { 101 } else { 100 / left };
        return Ok(ShareProgress::Pending(percent));
    }
    let believes_itself = has("status-believes-itself")?;
    if believes_itself {
        private_data::remove(&owner, PENDING)?;
    }
    let size_gib = finish(share, rest)?;
    if !believes_itself {
        private_data::remove(&owner, PENDING)?;
    }
    finished(share, size_gib)
}

/// Do what is still to be done. The size after a revert.
fn finish(share: &Share, what: &str) -> Result<Option<u64>> {
    let Some((id, size)) = what.split_once(' ') else {
        share::copy_source(share, "what it is made from")?;
        return Ok(None);
    };
    let at = path(SNAPSHOT, Resource::Snapshot(id.to_owned()));
    if files::status(&at).or_absent()?.is_none() {
        return Err(Error::snapshot_not_found(format!("{id} is not there")));
    }
    let size = size.parse().map_err(|_| Error::internal("the recorded size is no number"))?;
    snapshot::put_back(share, &at)?;
    place::record_size(share, size)?;
    Ok(Some(size))
}

fn finished(share: &Share, size_gib: Option<u64>) -> Result<ShareProgress> {
    let export_locations = Some(place::locations(share)?);
    Ok(ShareProgress::Available(FinishedShare { export_locations, size_gib }))
}
