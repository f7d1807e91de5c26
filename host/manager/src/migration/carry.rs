//! A share on its way, as driver calls carry it.

use crate::records::Tables;
use crate::replica::carry::host_string;
use crate::share::for_driver;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::migration::{Migration, ShareMigration, SnapshotMapping};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareForDriver, ShareInstance};
use bulkhead_model::snapshot::{SnapshotForDriver, SnapshotInstance};

fn missing(what: &str, id: impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("{what} {id} has no record") }
}

/// A share and the migration it is in.
pub(super) fn moving(tables: &Tables, id: ShareId) -> Result<(&Share, &Migration), CallError> {
    let share = tables.share(&Scope::Everything, id).ok_or_else(|| missing("share", id))?;
    let migration = share.migration.as_ref().ok_or_else(|| missing("the migration of share", id))?;
    Ok((share, migration))
}

pub(super) fn instance(tables: &Tables, id: ShareInstanceId) -> Result<&ShareInstance, CallError> {
    tables.instance(id).map(|stored| &*stored.value).ok_or_else(|| missing("share instance", id))
}

/// The source as drivers see it.
pub(super) fn source(tables: &Tables, id: ShareId) -> Result<ShareForDriver, CallError> {
    let (share, migration) = moving(tables, id)?;
    Ok(for_driver(tables, share, instance(tables, migration.source)?))
}

/// The destination as drivers see it: of the type that the share shall have.
pub(super) fn destination(tables: &Tables, id: ShareId) -> Result<ShareForDriver, CallError> {
    let (share, migration) = moving(tables, id)?;
    let mut carried = for_driver(tables, share, instance(tables, migration.destination)?);
    carried.replica_state = None;
    if let Some(new) = &migration.new_type {
        let mut retyped = share.clone();
        retyped.extra_specs.clone_from(&new.extra_specs);
        carried.extra_specs =
            for_driver(tables, &retyped, instance(tables, migration.destination)?).extra_specs;
    }
    Ok(carried)
}

fn snapshot(
    tables: &Tables,
    instance: &SnapshotInstance,
    share: &ShareForDriver,
) -> Result<SnapshotForDriver, CallError> {
    let missing = || missing("snapshot", instance.snapshot);
    let snapshot = tables.snapshot(&Scope::Everything, instance.snapshot).ok_or_else(missing)?;
    Ok(SnapshotForDriver {
        id: instance.id,
        snapshot: snapshot.id,
        size: snapshot.size,
        provider_location: instance.provider_location.clone(),
        share: share.clone(),
    })
}

/// What every call about the migration is told, with the snapshots that move along: those that have a twin already.
pub(super) fn migration(tables: &Tables, id: ShareId) -> Result<ShareMigration, CallError> {
    let (_, migration) = moving(tables, id)?;
    let (source, destination) = (source(tables, id)?, destination(tables, id)?);
    let mut snapshots = Vec::new();
    for of_share in tables.snapshots_of(id) {
        let on =
            |share| tables.snapshot_instances_of(of_share.id).find(move |one| one.share_instance == share);
        if let (Some(original), Some(twin)) = (on(migration.source), on(migration.destination)) {
            snapshots.push(SnapshotMapping {
                source: snapshot(tables, original, &source)?,
                destination: snapshot(tables, twin, &destination)?,
            });
        }
    }
    let to = &instance(tables, migration.destination)?.placement;
    Ok(ShareMigration { destination_host: host_string(to), source, destination, snapshots })
}
