//! Moving a share to another pool of this backend.
//!
//! Private data belong to one backend, so that nothing can be moved to another one: there the host copies. Which backend this is no call
//! says; where option `backend_host` does not say it either, nothing is moved at all.

use crate::options;
use crate::pending::Unfinished;
use crate::snapshot::{self, Handle};
use crate::volume::{self, Kind, Volume};
use crate::{own_address, place, share};
use bulkhead_sdk::{
    AccessMapping, AccessType, Connection, Error, FirstPhase, MigrationCompatibility, MigrationOutcome,
    Protocol, Resource, Result, Share, ShareMigration, SnapshotProgress, SnapshotUpdate,
};

/// What would be kept: everything but the place that clients mount, to another pool of this backend; nothing to any other place.
pub(crate) fn compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility> {
    let Some(pool) = own_pool(&migration.destination_host)? else {
        return Ok(MigrationCompatibility::default());
    };
    let is_there = options::pools()?.iter().any(|known| known.name == pool);
    Ok(MigrationCompatibility {
        compatible: is_there,
        writable: is_there,
        preserve_metadata: is_there,
        nondisruptive: false,
        preserve_snapshots: is_there,
    })
}

/// The pool in `HOST@BACKEND#POOL`; none if that is another backend.
fn own_pool(host: &str) -> Result<Option<String>> {
    let own = options::backend_host()?;
    let named = host.split_once('#').filter(|(backend, _)| Some(*backend) == own.as_deref());
    Ok(named.map(|(_, pool)| pool.to_owned()))
}

/// Make the destination beside the source, its snapshots with it. What does not fit leaves nothing behind.
pub(crate) fn start(migration: &ShareMigration) -> Result<()> {
    let Some(pool) = own_pool(&migration.destination_host)? else {
        return Err(Error::invalid_parameter(format!(
            "{} is no pool of this backend; let the host copy, or set option backend_host to this backend's HOST@BACKEND",
            migration.destination_host
        )));
    };
    let source = share::get(&migration.source_share)?.volume;
    let pool = options::pool_for_new(Some(&pool))?;
    make_destination(migration, &source, &pool.name).inspect_err(|_| {
        // The first failure is the one to tell; what stays of this is removed by the next start or cancel.
        remove_destination(migration).ok();
    })
}

fn make_destination(migration: &ShareMigration, source: &Volume, pool: &str) -> Result<()> {
    let resource = Resource::from(&migration.destination_share);
    let found = volume::find(&resource)?;
    let volume = match &found {
        Some(found) => found.volume.clone(),
        None => Volume { unfinished: Unfinished::begin(None)?, ..like(source, pool) },
    };
    volume::put(&resource, found.as_ref(), &volume)?;
    for mapping in &migration.snapshots {
        let of = snapshot::get(&mapping.source)?.volume;
        let resource = Resource::from(&mapping.destination);
        let found = volume::find(&resource)?;
        volume::put(&resource, found.as_ref(), &like(&of, pool))?;
    }
    Ok(())
}

/// The same in another pool, not counted there yet.
fn like(source: &Volume, pool: &str) -> Volume {
    Volume {
        used_mib: source.used_mib,
        known_as: source.known_as.clone(),
        ..Volume::new(source.kind, pool, source.size_gib, &source.content)
    }
}

/// How far the first phase is.
pub(crate) fn first_phase(migration: &ShareMigration) -> Result<FirstPhase> {
    Ok(if percent(migration)? == 100 { FirstPhase::Done } else { FirstPhase::InProgress })
}

/// The same in percent.
pub(crate) fn percent(migration: &ShareMigration) -> Result<u32> {
    let volume = share::get(&migration.destination_share)?.volume;
    Ok(volume.unfinished.and_then(|unfinished| unfinished.percent()).unwrap_or(100))
}

/// Give the destination what the source holds by now, and remove the source: its record goes last, so that a repeat knows how far it came.
pub(crate) fn complete(migration: &ShareMigration) -> Result<MigrationOutcome> {
    let (source, destination) = (&migration.source_share, &migration.destination_share);
    if let Some(found) = volume::find(&Resource::from(source))? {
        let there = share::get(destination)?;
        let volume = Volume {
            counted: there.volume.counted,
            kind: Kind::Share,
            ..like(&found.volume, &there.volume.pool)
        };
        volume::put(&Resource::from(destination), Some(&there), &volume)?;
        for mapping in &migration.snapshots {
            snapshot::delete(&mapping.source)?;
        }
    }
    // Also where the record is gone: its pool may not have heard of it.
    own_address::give_back(source)?;
    volume::remove(&Resource::from(source), source.pool.as_deref())?;
    let snapshots = migration.snapshots.iter().map(|mapping| {
        let snapshot = &mapping.destination;
        Ok(SnapshotUpdate {
            provider_location: Some(Handle::new(&snapshot::get(snapshot)?.volume).text()),
            export_locations: Some(snapshot::export_locations(snapshot)?),
            ..SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Available)
        })
    });
    Ok(MigrationOutcome {
        snapshots: snapshots.collect::<Result<_>>()?,
        export_locations: Some(place::export_locations(destination, &destination.name)?),
    })
}

/// Remove the destination. Fails with `conflict` if there is nothing else any more.
pub(crate) fn cancel(migration: &ShareMigration) -> Result<()> {
    if volume::find(&Resource::from(&migration.source_share))?.is_none() {
        return Err(Error::conflict(format!(
            "{} was completed already; migrate it back instead",
            migration.source_share.name
        )));
    }
    remove_destination(migration)
}

fn remove_destination(migration: &ShareMigration) -> Result<()> {
    for mapping in &migration.snapshots {
        snapshot::delete(&mapping.destination)?;
    }
    let destination = &migration.destination_share;
    own_address::give_back(destination)?;
    volume::remove(&Resource::from(destination), destination.pool.as_deref())
}

/// How the host would mount a share, if there were anything to mount.
pub(crate) fn connection(share: &Share) -> Result<Connection> {
    let location = place::export_locations(share, &share.name)?.into_iter().next();
    let mapping = |access_type, protocol| AccessMapping { access_type, protocols: vec![protocol] };
    Ok(Connection {
        mount_export: location.map(|location| location.path).unwrap_or_default(),
        access_mapping: vec![
            mapping(AccessType::Ip, Protocol::Nfs),
            mapping(AccessType::User, Protocol::Cifs),
        ],
    })
}
