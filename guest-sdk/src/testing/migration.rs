//! The functions of migration as the host calls them: about the source share, with the destination and the snapshots beside it.

use super::lab::Lab;
use super::place::Target;
use crate::error::Result;
use crate::migration::{
    Connection, FirstPhase, Migration, MigrationCompatibility, MigrationOutcome, ShareMigration,
};
use crate::share::Share;

impl Lab {
    /// [`Migration::migration_check_compatibility`]: without the snapshots, as the host asks.
    pub fn migration_check_compatibility<D: Migration>(
        &self,
        migration: &ShareMigration,
    ) -> Result<MigrationCompatibility> {
        let asked = ShareMigration { snapshots: Vec::new(), ..migration.clone() };
        self.call(Target::migration(&asked), || D::migration_check_compatibility(&asked))
    }

    /// [`Migration::migration_start`].
    pub fn migration_start<D: Migration>(&self, migration: &ShareMigration) -> Result<()> {
        self.call(Target::migration(migration), || D::migration_start(migration))
    }

    /// [`Migration::migration_continue`].
    pub fn migration_continue<D: Migration>(&self, migration: &ShareMigration) -> Result<FirstPhase> {
        self.call(Target::migration(migration), || D::migration_continue(migration))
    }

    /// [`Migration::migration_complete`].
    pub fn migration_complete<D: Migration>(&self, migration: &ShareMigration) -> Result<MigrationOutcome> {
        self.call(Target::migration(migration), || D::migration_complete(migration))
    }

    /// [`Migration::migration_cancel`].
    pub fn migration_cancel<D: Migration>(&self, migration: &ShareMigration) -> Result<()> {
        self.call(Target::migration(migration), || D::migration_cancel(migration))
    }

    /// [`Migration::migration_progress`].
    pub fn migration_progress<D: Migration>(&self, migration: &ShareMigration) -> Result<u32> {
        self.call(Target::migration(migration), || D::migration_progress(migration))
    }

    /// [`Migration::connection_info`].
    pub fn connection_info<D: Migration>(&self, share: &Share) -> Result<Connection> {
        self.call(Target::share(share), || D::connection_info(share))
    }
}
