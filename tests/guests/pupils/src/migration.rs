//! Moving shares between the two pools: a copy in the first phase, the cut-over in the second. What is known of a migration stands in the
//! private data of its destination.

use crate::flaw::{self, has, note_for_backend, once};
use crate::place::{self, NEW_SHARE, SHARE, is_there, of, path};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    Connection, Error, FirstPhase, MigrationCompatibility, MigrationOutcome, Result, Share, ShareMigration,
    clock, config, files,
};

/// The pools of a backend.
pub(crate) const POOLS: [&str; 2] = ["pupils", "spare"];

/// The key of how far a migration is.
const STATE: &str = "migration";
const BEGUN: &str = "begun";
const COPYING: &str = "copying";
const COPIED: &str = "copied";
const CUT_OVER: &str = "cut over";

fn state(migration: &ShareMigration) -> Result<Option<String>> {
    Ok(private_data::get(&of(&migration.destination_share), STATE)?.map(|entry| entry.value))
}

fn set_state(migration: &ShareMigration, state: &str) -> Result<()> {
    private_data::set(&of(&migration.destination_share), STATE, state, Expected::Anything)?;
    Ok(())
}

/// Everything but the place that clients mount is kept, to a pool of this backend.
pub(crate) fn compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility> {
    if has("migration-check-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    let own = config::text("backend_host")?;
    let named = migration.destination_host.split_once('#');
    let compatible = named.is_some_and(|(host, pool)| Some(host) == own.as_deref() && POOLS.contains(&pool));
    Ok(MigrationCompatibility {
        compatible,
        preserve_metadata: compatible,
        ..MigrationCompatibility::default()
    })
}

/// Begin.
pub(crate) fn start(migration: &ShareMigration) -> Result<()> {
    if !is_there(&path(SHARE, &migration.source_share))? {
        return Err(Error::share_not_found(format!("{} is not there", migration.source_share.name)));
    }
    if has("migration-starts-once")? {
        once(&of(&migration.destination_share), "started")?;
    }
    flaw::goes_on()?;
    if has("migration-believes-its-start")? {
        if state(migration)?.is_none() {
            set_state(migration, BEGUN)?;
            place::record_size(&migration.destination_share, migration.source_share.size_gib)?;
        }
        return Ok(());
    }
    place::record_size(&migration.destination_share, migration.source_share.size_gib)?;
    if state(migration)?.is_none() {
        set_state(migration, BEGUN)?;
    }
    Ok(())
}

fn require_begun(migration: &ShareMigration) -> Result<()> {
    flaw::remember()?;
    match place::size(&migration.destination_share)? {
        Some(_) => Ok(()),
        None => Err(Error::internal("this migration was never begun")),
    }
}

/// Take the next step of the first phase: the second look copies.
pub(crate) fn go_on(migration: &ShareMigration) -> Result<FirstPhase> {
    require_begun(migration)?;
    match state(migration)?.as_deref() {
        Some(COPIED | CUT_OVER) => return Ok(FirstPhase::Done),
        Some(COPYING) => {}
        _ => {
            set_state(migration, COPYING)?;
            return Ok(FirstPhase::InProgress);
        }
    }
    let believes_itself = has("migration-believes-its-copy")?;
    if believes_itself {
        set_state(migration, COPIED)?;
    }
    let (from, to) = (path(SHARE, &migration.source_share), path(SHARE, &migration.destination_share));
    if !is_there(&to)? {
        place::copy(&from, &path(NEW_SHARE, &migration.destination_share), &to)?;
    }
    if !believes_itself {
        set_state(migration, COPIED)?;
    }
    Ok(FirstPhase::Done)
}

/// How far the first phase is.
pub(crate) fn percent(migration: &ShareMigration) -> Result<u32> {
    require_begun(migration)?;
    if has("migration-progress-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    Ok(match state(migration)?.as_deref() {
        _ if has("migration-beyond-all")? => 101,
        Some(COPIED | CUT_OVER) => 100,
        Some(COPYING) => 50,
        _ => 0,
    })
}

/// Let the destination be the share, and remove the source.
pub(crate) fn complete(migration: &ShareMigration) -> Result<MigrationOutcome> {
    let (source, destination) = (&migration.source_share, &migration.destination_share);
    if has("migration-completes-once")? {
        once(&of(destination), "completed")?;
    }
    if state(migration)?.as_deref() != Some(CUT_OVER) {
        if !is_there(&path(SHARE, destination))? {
            return Err(Error::internal("the first phase is not done"));
        }
        set_state(migration, CUT_OVER)?;
    }
    if has("migration-loses-data")? {
        files::remove(&path(SHARE, destination))?;
        files::create_directory(&path(SHARE, destination))?;
    }
    remove_source(source)?;
    Ok(MigrationOutcome {
        export_locations: Some(place::locations(destination)?),
        ..MigrationOutcome::default()
    })
}

fn remove_source(source: &Share) -> Result<()> {
    if has("migration-forgets-before-removing")? {
        if place::size(source)?.is_none() {
            return Ok(());
        }
        place::forget(&of(source))?;
    }
    if !has("migration-leaves-the-source")? {
        files::remove(&path(SHARE, source))?;
    }
    place::forget(&of(source))
}

/// Remove the destination.
pub(crate) fn cancel(migration: &ShareMigration) -> Result<()> {
    let (source, destination) = (&migration.source_share, &migration.destination_share);
    if !is_there(&path(SHARE, source))? {
        return Err(Error::conflict(format!("{} was completed already", source.name)));
    }
    let is_known = place::size(destination)?.is_some();
    if !is_known && has("migration-cancel-wants-one")? {
        return Err(Error::internal("there is no such migration"));
    }
    if has("migration-cancel-leaves-all")? {
        return Ok(());
    }
    if has("migration-cancel-harms-the-source")? {
        files::remove(&path(SHARE, source))?;
        files::create_directory(&path(SHARE, source))?;
    }
    if has("migration-cancel-forgets-first")? {
        place::forget(&of(destination))?;
        if !is_known {
            return Ok(());
        }
    }
    files::remove(&path(NEW_SHARE, destination))?;
    files::remove(&path(SHARE, destination))?;
    place::forget(&of(destination))
}

/// Nothing is special about mounting shares.
pub(crate) fn connection(share: &Share) -> Result<Connection> {
    if has("connection-elsewhere")? {
        return Ok(Connection {
            mount_export: "192.0.2.1:/elsewhere".to_owned(),
            access_mapping: Vec::new(),
        });
    }
    if has("connection-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    Err(Error::not_implemented(format!("{} is mounted as everybody mounts it", share.name)))
}
