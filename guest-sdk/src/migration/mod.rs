//! Moving a share to another pool or backend with the driver's help: one phase that disturbs nobody, one that cuts over.

mod glue;
mod record;

pub use record::{
    AccessMapping, Connection, FirstPhase, MigrationCompatibility, MigrationOutcome, ShareMigration,
    SnapshotMapping,
};

use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::share::Share;

/// Migration of shares. Without this the host copies between the two backends itself, where it may.
///
/// Every call goes to the driver of the source backend, under one lock for the share. It is about the source share; it may name the
/// destination share, and both sides of each snapshot that it is given, to the host. Paths and private data of the destination are those of
/// this backend: what stands at the other one is reached as the two backends reach each other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `migration` but does not implement `Migration`",
    note = "implement `bulkhead_sdk::Migration` for it, or leave `migration` out of `export_driver!`"
)]
pub trait Migration: Driver {
    /// Tell what a migration to `migration.destination_host` would keep. `migration.snapshots` is empty.
    ///
    /// Reads only. A backend that is busy or unreachable is asked again. Any other failure counts as [`MigrationCompatibility::default`]: the
    /// host copies instead, unless the operator asked for what a copy cannot keep.
    fn migration_check_compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility>;

    /// Begin the first phase and return; the work goes on at the backend.
    ///
    /// Idempotent: a migration to this destination that has begun is a success. On failure leave nothing of the destination behind: the
    /// host forgets its records only, and copies instead unless the operator asked for what a copy cannot keep.
    fn migration_start(migration: &ShareMigration) -> Result<()>;

    /// Look how far the first phase is and take its next small step.
    ///
    /// Idempotent: called every 60 s until [`FirstPhase::Done`], after a restart of the host too. With [`Error::busy`],
    /// [`Error::outcome_unknown`] or [`Error::backend_unreachable`] the host asks again; any other failure ends the migration.
    fn migration_continue(migration: &ShareMigration) -> Result<FirstPhase>;

    /// Cut over to the destination and delete the source's data.
    ///
    /// Idempotent: a migration that was completed is a success with the same answer. With [`Error::busy`], [`Error::outcome_unknown`] or
    /// [`Error::backend_unreachable`] the host repeats; after any other failure both instances go to `error`.
    fn migration_complete(migration: &ShareMigration) -> Result<MigrationOutcome>;

    /// Stop and leave the source as it was, the destination gone.
    ///
    /// Idempotent: a migration that was cancelled, or never began, is a success. With [`Error::busy`], [`Error::outcome_unknown`] or
    /// [`Error::backend_unreachable`] the host repeats; after any other failure the migration goes on as it was. May overlap with
    /// [`Migration::migration_progress`].
    fn migration_cancel(migration: &ShareMigration) -> Result<()>;

    /// Tell how far the first phase is, in percent, 0 to 100. Reads only, within 30 s; may overlap with every other call.
    fn migration_progress(migration: &ShareMigration) -> Result<u32>;

    /// Tell how the host can mount `share` to copy it. Reads only.
    ///
    /// Unless a driver says otherwise the host takes the first export location that is `admin_only`, else the first, and the option
    /// `protocol_access_mapping`.
    fn connection_info(share: &Share) -> Result<Connection> {
        Err(Error::not_implemented(format!("nothing is special about mounting {}", share.name)))
    }
}
