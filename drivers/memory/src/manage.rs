//! Taking over objects that nobody manages, and letting shares and snapshots go.

use crate::shelf::{self, Claim, Shelf};
use crate::snapshot::Handle;
use crate::volume::{self, Found, Kind, Volume};
use crate::{options, own_address, place, share, snapshot};
use bulkhead_sdk::{Error, ManagedShare, ManagedSnapshot, Resource, Result, Share, Snapshot};

/// Take over what the last component of the operator's path names.
pub(crate) fn take_share(share: &Share) -> Result<ManagedShare> {
    let resource = Resource::from(share);
    let found = volume::find(&resource)?;
    let locations = place::export_locations(share, &share.name)?;
    let volume = adopt(share, found.as_ref()).inspect_err(|_| {
        if found.is_none() {
            // The first failure is the one to tell; what stays of this goes with the share.
            own_address::give_back(share).ok();
        }
    })?;
    // Now that it has another name, nothing lies on the shelf under the old one.
    if let Some(name) = &volume.known_as {
        shelf::remove(Shelf::Shares, name)?;
    }
    Ok(ManagedShare { size_gib: volume.size_gib, export_locations: Some(locations) })
}

/// The share's record, written anew.
fn adopt(share: &Share, found: Option<&Found>) -> Result<Volume> {
    let volume = match found {
        Some(found) => found.volume.clone(),
        None => unmanaged_share(share)?,
    };
    volume::put(&Resource::from(share), found, &volume)?;
    Ok(volume)
}

fn unmanaged_share(share: &Share) -> Result<Volume> {
    let typed = share.export_locations.first().map_or("", |location| location.path.as_str());
    let name = last_component(typed);
    if let Some(volume) = shelf::find(Shelf::Shares, name)? {
        return Ok(Volume { known_as: Some(name.to_owned()), ..volume });
    }
    let pool = options::pool_for_new(share.pool.as_deref())?;
    let Some(volume) = shelf::existing_share(name, &pool.name)? else {
        return Err(Error::manage_invalid_share(format!(
            "the array has no object '{name}' that nobody manages; name a share that was let go, or one of option existing_shares"
        )));
    };
    match shelf::claim(Shelf::Shares, name, &share.name)? {
        Claim::Ours => Ok(volume),
        Claim::SomebodyElses => Err(Error::manage_invalid_share(format!(
            "the object '{name}' of option existing_shares was taken over before"
        ))),
    }
}

/// Take over what the last component of the operator's handle names, of a share of this backend.
pub(crate) fn take_snapshot(snapshot: &Snapshot) -> Result<ManagedSnapshot> {
    let resource = Resource::from(snapshot);
    let found = volume::find(&resource)?;
    let volume = match &found {
        Some(found) => found.volume.clone(),
        None => unmanaged_snapshot(snapshot)?,
    };
    volume::put(&resource, found.as_ref(), &volume)?;
    if let Some(name) = &volume.known_as {
        shelf::remove(Shelf::Snapshots, name)?;
    }
    Ok(ManagedSnapshot {
        size_gib: Some(volume.size_gib),
        provider_location: Some(Handle::new(&volume).text()),
        export_locations: snapshot::export_locations(snapshot)?,
    })
}

fn unmanaged_snapshot(snapshot: &Snapshot) -> Result<Volume> {
    let name = last_component(snapshot.provider_location.as_deref().unwrap_or_default());
    let of = share::get(&snapshot.share)?.volume;
    let names = [Some(snapshot.share.name.as_str()), of.known_as.as_deref()];
    if let Some(left) = shelf::find(Shelf::Snapshots, name)? {
        // What was let go says whose it was where an object at the array says what it is called.
        return if names.contains(&left.known_as.as_deref()) {
            Ok(Volume { known_as: Some(name.to_owned()), ..left })
        } else {
            Err(not_of(name, snapshot))
        };
    }
    let declared = options::existing_snapshots()?.into_iter().find(|(known, _)| known == name);
    let Some((_, share_name)) = declared else {
        return Err(Error::manage_invalid_snapshot(format!(
            "the array has no snapshot '{name}' that nobody manages; name one that was let go, or one of option \
             existing_snapshots"
        )));
    };
    if of.known_as.as_ref() != Some(&share_name) {
        return Err(not_of(name, snapshot));
    }
    match shelf::claim(Shelf::Snapshots, name, &snapshot.name)? {
        Claim::Ours => Ok(Volume {
            used_mib: of.used_mib,
            known_as: Some(name.to_owned()),
            ..Volume::new(Kind::Snapshot, &of.pool, of.size_gib, &of.content)
        }),
        Claim::SomebodyElses => Err(Error::manage_invalid_snapshot(format!(
            "the snapshot '{name}' of option existing_snapshots was taken over before"
        ))),
    }
}

fn not_of(name: &str, snapshot: &Snapshot) -> Error {
    Error::manage_invalid_snapshot(format!(
        "'{name}' is no snapshot of {}; name the share that it was taken of",
        snapshot.share.name
    ))
}

/// Let a share go: it lies on the shelf under its name. The host forgets its private data afterwards.
pub(crate) fn let_share_go(share: &Share) -> Result<()> {
    let Some(found) = volume::find(&Resource::from(share))? else { return Ok(()) };
    shelf::put(Shelf::Shares, &share.name, &found.volume)?;
    own_address::give_back(share)
}

/// Let a snapshot go: it lies on the shelf under its name, with the name of its share.
pub(crate) fn let_snapshot_go(snapshot: &Snapshot) -> Result<()> {
    let Some(found) = volume::find(&Resource::from(snapshot))? else { return Ok(()) };
    let volume = Volume { known_as: Some(snapshot.share.name.clone()), ..found.volume };
    shelf::put(Shelf::Snapshots, &snapshot.name, &volume)
}

fn last_component(typed: &str) -> &str {
    typed.rsplit(['/', '\\']).next().unwrap_or_default()
}
