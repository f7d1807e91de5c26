//! Creating, deleting and ensuring shares, and their sizes.

use crate::flaw::{self, fail_if, has, note_for_backend, once};
use crate::pending;
use crate::place::{self, MANAGED, NEW_SHARE, SHARE, SOURCE, is_there, of, path};
use bulkhead_sdk::network_allocation::{self, Request};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    AfterEnsuring, Creation, EnsuredShare, Error, ExportLocation, Health, ManagedShare, Protocol, Result,
    Share, ShareUsage, Snapshot, clock, files,
};

const GIB: u64 = 1 << 30;

/// Make an empty share.
pub(crate) fn create(share: &Share) -> Result<Vec<ExportLocation>> {
    if share.protocol != Protocol::Nfs && !has("any-protocol")? {
        return Err(Error::invalid_share("only NFS is served"));
    }
    if share.project_id.len() > 200 && has("panics-on-long-names")? {
        give_up();
    }
    let is_repeated = promise(share)?;
    if has("keeps-an-address")?
        && let Some(server) = &share.share_server_id
    {
        network_allocation::allocate(&Request::new(server, &share.name))?;
    }
    if is_repeated && has("creates-once")? {
        return Err(Error::internal("the share is there already"));
    }
    if !(is_repeated && has("believes-its-record")?) {
        if has("delete-keeps-data")? && is_there(&path(NEW_SHARE, share))? {
            files::rename(&path(NEW_SHARE, share), &path(SHARE, share))?;
        }
        files::create_directory(&path(SHARE, share))?;
    }
    flaw::date(&of(share))?;
    if has("one-snapshot-a-share")? {
        private_data::set(&of(share), "snapshot", "none yet", Expected::Anything)?;
    }
    let mut locations = place::locations(share)?;
    if has("foreign-address")? {
        locations.push(ExportLocation::new("192.0.2.1:/elsewhere"));
    }
    if is_repeated && has("loses-location-on-repeat")? {
        locations.clear();
    }
    Ok(locations)
}

#[expect(clippy::panic, reason = "the flaw is to panic")]
fn give_up() -> ! {
    panic!("who is called like that?");
}

/// Record the size of a new share. Whether it was recorded before.
fn promise(share: &Share) -> Result<bool> {
    match place::size(share)? {
        Some(size) if size != share.size_gib && !has("any-size")? => {
            Err(Error::conflict(format!("it is there with {size} GiB")))
        }
        Some(_) => Ok(true),
        None => {
            place::record_size(share, share.size_gib)?;
            Ok(false)
        }
    }
}

/// Make a share with the content of a snapshot.
pub(crate) fn create_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
    if has("clones-once")? {
        once(&of(share), "clone")?;
    }
    if pending::looks()? > 0 && !is_there(&path(SHARE, share))? {
        if !is_there(&path(SOURCE, share))? {
            return Err(Error::snapshot_not_found(format!("{} is not there", source.name)));
        }
        promise(share)?;
        pending::begin_clone(share)?;
        return Ok(Creation::Pending);
    }
    copy_source(share, &source.name)?;
    if share.size_gib != source.size_gib {
        fail_if("clones-of-one-size")?;
    }
    promise(share)?;
    Ok(Creation::Available(place::locations(share)?))
}

/// Copy what a share is made from, unless it is there.
pub(crate) fn copy_source(share: &Share, source: &str) -> Result<()> {
    let at = path(SHARE, share);
    if is_there(&at)? {
        return Ok(());
    }
    let from = path(SOURCE, share);
    let is_missing = !is_there(&from)?;
    if has("clones-empty")? || (is_missing && has("clones-anything")?) {
        return Ok(files::create_directory(&at)?);
    }
    if is_missing {
        return Err(Error::snapshot_not_found(format!("{source} is not there")));
    }
    Ok(place::copy(&from, &path(NEW_SHARE, share), &at)?)
}

/// Remove a share, or what there is of it.
pub(crate) fn delete(share: &Share) -> Result<()> {
    let is_known = place::size(share)?.is_some();
    if !is_known && has("delete-wants-a-share")? {
        return Err(Error::internal("there is no such share"));
    }
    if has("forgets-before-deleting")? {
        place::forget(&of(share))?;
        if !is_known {
            return Ok(());
        }
    }
    if has("delete-keeps-data")? && is_there(&path(SHARE, share))? {
        files::remove(&path(NEW_SHARE, share))?;
        files::rename(&path(SHARE, share), &path(NEW_SHARE, share))?;
        return place::forget(&of(share));
    }
    files::remove(&path(NEW_SHARE, share))?;
    files::remove(&path(SHARE, share))?;
    let flaw =
        if share.source_snapshot_id.is_none() { "delete-leaves-a-record" } else { "clones-leave-a-record" };
    if has(flaw)? {
        private_data::set(&of(share), "remembrance", "it was here", Expected::Anything)?;
        private_data::remove(&of(share), "size-gib")?;
        return Ok(());
    }
    place::forget(&of(share))
}

/// Look at shares.
pub(crate) fn ensure(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
    let mut answers = shares.iter().map(ensure_one).collect::<Result<Vec<_>>>()?;
    if shares.len() > 1 && has("ensures-a-stranger")? {
        for answer in &mut answers {
            answer.id = clock::new_id();
        }
    }
    Ok(answers)
}

fn ensure_one(share: &Share) -> Result<EnsuredShare> {
    let at = path(SHARE, share);
    let is_sound = (is_there(&at)? && flaw::is_of_today(&of(share))?) || has("calls-all-sound")?;
    if is_sound && has("ensure-empties")? {
        files::remove(&at)?;
        files::create_directory(&at)?;
    }
    let mut locations = place::locations(share)?;
    if has("ensure-moves")? {
        locations = locations.iter().map(|one| ExportLocation::new(format!("{}/moved", one.path))).collect();
    }
    Ok(EnsuredShare {
        id: share.id.clone(),
        export_locations: Some(locations),
        access_rules: AfterEnsuring::KeepRules,
        health: if is_sound { Health::Sound } else { Health::Broken },
    })
}

/// Make a share larger.
pub(crate) fn extend(share: &Share, new_size_gib: u64) -> Result<()> {
    fail_if("extends-nothing")?;
    let recorded = place::size(share)?.unwrap_or(share.size_gib);
    if recorded == new_size_gib && has("extends-once")? {
        return Err(Error::invalid_parameter("it has this size already"));
    }
    if has("extends-by-the-difference")? {
        return place::record_size(share, recorded + new_size_gib - share.size_gib);
    }
    place::record_size(share, new_size_gib)
}

/// Make a share smaller, unless more is used.
pub(crate) fn shrink(share: &Share, new_size_gib: u64) -> Result<()> {
    if place::size(share)? == Some(new_size_gib) && has("shrinks-once")? {
        return Err(Error::invalid_parameter("it has this size already"));
    }
    fail_if("shrinks-nothing")?;
    let used = files::usage(&path(SHARE, share))?;
    if used > new_size_gib.saturating_mul(GIB) && !has("shrinks-below-used")? {
        return Err(Error::possible_data_loss(format!("it holds {used} bytes")));
    }
    place::record_size(share, new_size_gib)
}

/// Take over the directory that the operator named.
pub(crate) fn manage(share: &Share) -> Result<ManagedShare> {
    let (at, named) = (path(SHARE, share), path(MANAGED, share));
    if !is_there(&at)? {
        if is_there(&named)? {
            files::rename(&named, &at)?;
        } else if has("manages-anything")? {
            files::create_directory(&at)?;
        } else {
            return Err(Error::manage_invalid_share("what was named is not there"));
        }
    }
    if has("manages-once")? {
        once(&of(share), "managed")?;
    }
    place::record_size(share, 1)?;
    Ok(ManagedShare { size_gib: 1, export_locations: Some(place::locations(share)?) })
}

/// Let a share go.
pub(crate) fn unmanage(share: &Share) -> Result<()> {
    if has("unmanages-once")? {
        once(&of(share), "unmanaged")?;
    }
    if has("unmanage-deletes")? {
        files::remove(&path(SHARE, share))?;
    }
    Ok(())
}

/// What shares use.
pub(crate) fn usage(shares: &[Share]) -> Result<Vec<ShareUsage>> {
    if has("usage-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    let negative = has("usage-negative")?;
    let one = |share: &Share| -> Result<ShareUsage> {
        let mebibytes = u32::try_from(files::usage(&path(SHARE, share))? >> 20).unwrap_or(u32::MAX);
        let used_gib = if negative { -1.0 } else { f64::from(mebibytes) / 1024.0 };
        Ok(ShareUsage { id: share.id.clone(), used_gib, gathered_at_ms: clock::now_ms() })
    };
    shares.iter().map(one).collect()
}
