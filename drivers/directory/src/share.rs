//! Creating, deleting and ensuring shares.

use crate::place::{self, NEW_SHARE, SHARE, SOURCE};
use crate::{access, copy, size};
use bulkhead_sdk::files::{self, FileKind, Ownership};
use bulkhead_sdk::{
    AfterEnsuring, CapabilityCode, Creation, EnsuredShare, Error, ExportLocation, Health, OrAbsent, Protocol,
    Resource, Result, Share, Snapshot,
};

/// Make an empty share.
pub(crate) fn create(share: &Share) -> Result<Vec<ExportLocation>> {
    check_protocol(share)?;
    size::promise(share)?;
    files::create_directory(&place::path(SHARE))?;
    Ok(vec![place::export_location(share)?])
}

/// Make a share with the content of a snapshot.
pub(crate) fn create_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
    check_protocol(share)?;
    size::promise(share)?;
    // The final name appears only on a whole copy: if it is there, an earlier attempt has come this far.
    if files::status(&place::path(SHARE)).or_absent()?.is_none() {
        copy::make(SOURCE, NEW_SHARE).map_err(|error| match error.code() {
            CapabilityCode::NotFound => {
                Error::snapshot_not_found(format!("{} has no directory", source.name))
            }
            _ => error.into(),
        })?;
        files::rename(&place::path(NEW_SHARE), &place::path(SHARE))?;
    }
    Ok(Creation::Available(vec![place::export_location(share)?]))
}

/// Remove a share, or what there is of it. First nobody may mount it any more, then the data goes, last the record of its size: the
/// order lets a repeated attempt find what is left.
pub(crate) fn delete() -> Result<()> {
    access::withdraw()?;
    files::remove(&place::path(NEW_SHARE))?;
    files::remove(&place::path(SHARE))?;
    size::forget()
}

/// Look at a share: is its directory there, and where do clients find it now? Its rules are sent again, which writes its exports
/// fragment anew.
pub(crate) fn ensure(share: &Share) -> Result<EnsuredShare> {
    let directory = place::path(SHARE).of(Resource::from(share));
    let is_sound = files::status(&directory)
        .or_absent()?
        .is_some_and(|status| status.kind == FileKind::Directory && status.ownership == Ownership::Owned);
    Ok(EnsuredShare {
        id: share.id.clone(),
        export_locations: Some(vec![place::export_location(share)?]),
        access_rules: if is_sound { AfterEnsuring::ReapplyRules } else { AfterEnsuring::KeepRules },
        health: if is_sound { Health::Sound } else { Health::Broken },
    })
}

fn check_protocol(share: &Share) -> Result<()> {
    if share.protocol == Protocol::Nfs {
        return Ok(());
    }
    Err(Error::invalid_share(format!(
        "{} asks for {:?}; this driver serves NFS only",
        share.name, share.protocol
    )))
}
