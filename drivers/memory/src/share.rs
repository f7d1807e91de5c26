//! Creating, deleting and ensuring shares.

use crate::options::{self, MOST_GIB};
use crate::pending::Unfinished;
use crate::shelf::{self, Shelf};
use crate::snapshot::Handle;
use crate::volume::{self, Found, Kind, Volume};
use crate::{own_address, place, replica};
use bulkhead_sdk::{
    AfterEnsuring, Creation, EnsuredShare, Error, ExportLocation, Health, Resource, Result, Share, Snapshot,
};

/// Make an empty share, or find it as an earlier attempt made it.
pub(crate) fn create(share: &Share) -> Result<Vec<ExportLocation>> {
    let (locations, _) = make(share, |volume| {
        volume.used_mib = options::first_use_mib(volume.size_gib)?;
        Ok(())
    })?;
    Ok(locations)
}

/// Make a share with the content of a snapshot. What that is stands in the snapshot's handle: its private data are out of reach here.
pub(crate) fn create_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
    let handle = Handle::of(source)?;
    if share.size_gib < handle.size_gib {
        return Err(Error::invalid_share(format!(
            "{} shall have {} GiB, less than the {} GiB of {}; ask for as much at least",
            share.name, share.size_gib, handle.size_gib, source.name
        )));
    }
    let (locations, made) = make(share, |volume| {
        volume.used_mib = handle.used_mib;
        volume.content.clone_from(&handle.content);
        volume.unfinished = Unfinished::begin(None)?;
        Ok(())
    })?;
    let is_pending = made.unfinished.is_some_and(|unfinished| unfinished.percent().is_some());
    Ok(if is_pending { Creation::Pending } else { Creation::Available(locations) })
}

/// Make a share, or find it; `fill` says what it holds at first.
fn make(
    share: &Share,
    fill: impl FnOnce(&mut Volume) -> Result<()>,
) -> Result<(Vec<ExportLocation>, Volume)> {
    let resource = Resource::from(share);
    let found = volume::find(&resource)?;
    let volume = match &found {
        Some(found) => as_asked(found, share)?,
        None => {
            check_size(share.size_gib, &share.name)?;
            let pool = options::pool_for_new(share.pool.as_deref())?;
            let mut volume = Volume::new(Kind::Share, &pool.name, share.size_gib, &share.share_id);
            fill(&mut volume)?;
            volume
        }
    };
    let put = |locations| {
        volume::put(&resource, found.as_ref(), &volume)?;
        Ok(locations)
    };
    let locations = place::export_locations(share, &share.name).and_then(put).inspect_err(|_| {
        if found.is_none() {
            // The first failure is the one to tell; what stays of this goes with the share.
            own_address::give_back(share).ok();
        }
    })?;
    Ok((locations, volume))
}

fn as_asked(found: &Found, share: &Share) -> Result<Volume> {
    if found.volume.size_gib == share.size_gib {
        return Ok(found.volume.clone());
    }
    Err(Error::conflict(format!(
        "{} is there with {} GiB, not {} GiB; delete it first",
        share.name, found.volume.size_gib, share.size_gib
    )))
}

/// Sizes are added up in MiB: none may be so large that a sum of them has no meaning.
pub(crate) fn check_size(size_gib: u64, name: &str) -> Result<()> {
    if size_gib <= MOST_GIB {
        return Ok(());
    }
    Err(Error::no_space(format!("{name} asks for {size_gib} GiB; {MOST_GIB} GiB are the most")))
}

/// Remove a share, or what there is of it; also what letting it go has put on the shelf, if that did not come to its end.
pub(crate) fn delete(share: &Share) -> Result<()> {
    shelf::remove(Shelf::Shares, &share.name)?;
    own_address::give_back(share)?;
    volume::remove(&Resource::from(share), share.pool.as_deref())
}

/// The pool a share is in.
pub(crate) fn pool_of(share: &Share) -> Result<Option<String>> {
    Ok(volume::find(&Resource::from(share))?.map(|found| found.volume.pool))
}

/// The share's record. Fails with `share-not-found`.
pub(crate) fn get(share: &Share) -> Result<Found> {
    volume::find(&Resource::from(share))?.ok_or_else(|| {
        Error::share_not_found(format!("{} is not at the array; delete it, it holds nothing", share.name))
    })
}

/// Look at a share, and count it as the options are now.
pub(crate) fn ensure(share: &Share) -> Result<EnsuredShare> {
    let resource = Resource::from(share);
    let found = volume::find(&resource)?;
    if let Some(found) = &found {
        recount(&resource, found, share)?;
    }
    Ok(EnsuredShare {
        id: share.id.clone(),
        export_locations: Some(replica::export_locations(share)?),
        // What is in force stands beside the share itself: nobody could have changed it by hand.
        access_rules: AfterEnsuring::KeepRules,
        health: if found.is_some() { Health::Sound } else { Health::Broken },
    })
}

/// A pool that has become too small for its shares has not broken them.
fn recount(resource: &Resource, found: &Found, share: &Share) -> Result<()> {
    match volume::put(resource, Some(found), &found.volume) {
        Err(error) if error.code() == bulkhead_sdk::ErrorCode::NoSpace => {
            bulkhead_sdk::log::warning(&format!("{} is not counted: {error}", share.name));
            Ok(())
        }
        other => other,
    }
}
