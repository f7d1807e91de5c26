//! Calls about the migration of shares: all of them go to the driver of the source.

use super::Generation;
use crate::bindings::convert::migration::{
    compatibility_from_wit, connection_from_wit, first_phase_from_wit, migration_to_wit, outcome_from_wit,
    progress_from_wit,
};
use crate::bindings::convert::server::with_server;
use crate::export::{
    ConnectionInfo, MigrationCancel, MigrationCheckCompatibility, MigrationComplete, MigrationContinue,
    MigrationProgress, MigrationStart,
};
use crate::target;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::migration::{Compatibility, Connection, FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_model::share::ShareForDriver;

impl Generation {
    pub(super) async fn compatibility_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        let (target, arguments) = (target::migration(migration), migration_to_wit(migration));
        let convert = |answer| Ok(compatibility_from_wit(answer));
        self.call::<MigrationCheckCompatibility, _>(reason, target, (&arguments,), convert).await
    }

    pub(super) async fn start_migration_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        let (target, arguments) = (target::migration(migration), migration_to_wit(migration));
        self.call::<MigrationStart, _>(reason, target, (&arguments,), Ok).await
    }

    pub(super) async fn continue_migration_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        let (target, arguments) = (target::migration(migration), migration_to_wit(migration));
        let convert = |answer| Ok(first_phase_from_wit(answer));
        self.call::<MigrationContinue, _>(reason, target, (&arguments,), convert).await
    }

    pub(super) async fn complete_migration_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        let (why, arguments) = ((reason, target::migration(migration)), migration_to_wit(migration));
        let convert = |rights: &_, answer| outcome_from_wit(rights, migration, answer);
        let home = migration.destination.server.as_ref();
        self.call_at::<MigrationComplete, _>(home, why, (&arguments,), convert).await
    }

    pub(super) async fn cancel_migration_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        let (target, arguments) = (target::migration(migration), migration_to_wit(migration));
        self.call::<MigrationCancel, _>(reason, target, (&arguments,), Ok).await
    }

    pub(super) async fn migration_progress_of(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<u8, CallError> {
        let (target, arguments) = (target::migration(migration), migration_to_wit(migration));
        self.call::<MigrationProgress, _>(reason, target, (&arguments,), progress_from_wit).await
    }

    pub(super) async fn connection_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Connection, CallError> {
        let (arguments, server) = with_server(share);
        let (why, arguments) = ((reason, target::share(share)), (&arguments, server.as_ref()));
        self.call_at::<ConnectionInfo, _>(share.server.as_ref(), why, arguments, connection_from_wit).await
    }
}
