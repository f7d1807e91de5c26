//! Taking and removing snapshots, and reverting to one.

use crate::pending::Unfinished;
use crate::record::{Fields, Writer};
use crate::shelf::{self, Shelf};
use crate::volume::{self, Found, Kind, Volume};
use crate::{place, share};
use bulkhead_sdk::{
    Error, ExportLocation, Resource, Result, Reversion, Snapshot, SnapshotOutcome, SnapshotProgress,
    SnapshotUpdate,
};

/// What the host keeps of a snapshot as its provider location, and hands over where the snapshot's private data cannot be read: to a share
/// made from it, and to another backend's replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The share's size when the snapshot was taken, in GiB.
    pub(crate) size_gib: u64,
    /// What of it was used, in MiB.
    pub(crate) used_mib: u64,
    /// What it held.
    pub(crate) content: String,
}

impl Handle {
    /// The handle that the host has for `snapshot`. Fails with `snapshot-not-found` if it has none of this driver.
    pub(crate) fn of(snapshot: &Snapshot) -> Result<Self> {
        Self::find(snapshot).ok_or_else(|| {
            Error::snapshot_not_found(format!(
                "{} has no provider location of this array; it was not taken here",
                snapshot.name
            ))
        })
    }

    /// As [`Handle::of`], for a snapshot that may still be in the making.
    pub(crate) fn find(snapshot: &Snapshot) -> Option<Self> {
        let fields = Fields::parse(snapshot.provider_location.as_deref()?);
        Some(Self {
            size_gib: fields.get("size").ok()?,
            used_mib: fields.get("used").ok()?,
            content: fields.get("content").ok()?,
        })
    }

    /// The handle of a volume.
    pub(crate) fn new(volume: &Volume) -> Self {
        Self { size_gib: volume.size_gib, used_mib: volume.used_mib, content: volume.content.clone() }
    }

    /// Let a volume hold what this is the handle of.
    pub(crate) fn fill(&self, volume: &mut Volume) {
        volume.size_gib = self.size_gib;
        volume.used_mib = self.used_mib;
        volume.content.clone_from(&self.content);
    }

    /// As the host keeps it; at most 255 bytes.
    pub(crate) fn text(&self) -> String {
        Writer::default()
            .with("size", self.size_gib)
            .with("used", self.used_mib)
            .with("content", &self.content)
            .text()
    }
}

/// Take a snapshot, once: the content stays that of the first time.
pub(crate) fn create(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
    let volume = take(snapshot)?;
    Ok(SnapshotOutcome {
        provider_location: Some(Handle::new(&volume).text()),
        export_locations: export_locations(snapshot)?,
    })
}

/// As [`create`], for the calls that answer with updates.
pub(crate) fn create_for_update(snapshot: &Snapshot) -> Result<SnapshotUpdate> {
    let outcome = create(snapshot)?;
    Ok(SnapshotUpdate {
        provider_location: outcome.provider_location,
        export_locations: Some(outcome.export_locations),
        ..SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Available)
    })
}

fn take(snapshot: &Snapshot) -> Result<Volume> {
    let resource = Resource::from(snapshot);
    let found = volume::find(&resource)?;
    let volume = match &found {
        Some(found) => found.volume.clone(),
        None => {
            let of = share::get(&snapshot.share)?.volume;
            Volume {
                used_mib: of.used_mib,
                ..Volume::new(Kind::Snapshot, &of.pool, of.size_gib, &of.content)
            }
        }
    };
    volume::put(&resource, found.as_ref(), &volume)?;
    Ok(volume)
}

/// Where it can be mounted; nowhere unless its share says so.
pub(crate) fn export_locations(snapshot: &Snapshot) -> Result<Vec<ExportLocation>> {
    if snapshot.share.mount_snapshot_support {
        place::export_locations(&snapshot.share, &snapshot.name)
    } else {
        Ok(Vec::new())
    }
}

/// Remove a snapshot, or what there is of it.
pub(crate) fn delete(snapshot: &Snapshot) -> Result<()> {
    shelf::remove(Shelf::Snapshots, &snapshot.name)?;
    volume::remove(&Resource::from(snapshot), snapshot.share.pool.as_deref())
}

/// The snapshot's record. Fails with `snapshot-not-found`.
pub(crate) fn get(snapshot: &Snapshot) -> Result<Found> {
    volume::find(&Resource::from(snapshot))?.ok_or_else(|| {
        Error::snapshot_not_found(format!(
            "{} is not at the array; delete it, it holds nothing",
            snapshot.name
        ))
    })
}

/// Put the share back, its size with it; at once, or when the array is done with it.
pub(crate) fn revert(snapshot: &Snapshot) -> Result<Reversion> {
    let source = Handle::new(&get(snapshot)?.volume);
    let found = share::get(&snapshot.share)?;
    let mut volume = found.volume.clone();
    if volume.unfinished.as_ref().is_some_and(|unfinished| unfinished.leads_to(&source)) {
        return Ok(Reversion::Pending);
    }
    volume.unfinished =
        if Handle::new(&volume) == source { None } else { Unfinished::begin(Some(source.clone()))? };
    let reversion = if volume.unfinished.is_some() { Reversion::Pending } else { Reversion::Done };
    if reversion == Reversion::Done {
        source.fill(&mut volume);
    }
    volume::put(&Resource::from(&snapshot.share), Some(&found), &volume)?;
    Ok(reversion)
}

/// Put a replicated share back, at once: nobody asks how far that is.
pub(crate) fn revert_now(snapshot: &Snapshot) -> Result<()> {
    let source = Handle::new(&get(snapshot)?.volume);
    let found = share::get(&snapshot.share)?;
    let mut volume = Volume { unfinished: None, ..found.volume.clone() };
    source.fill(&mut volume);
    volume::put(&Resource::from(&snapshot.share), Some(&found), &volume)
}
