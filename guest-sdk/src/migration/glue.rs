//! Between the generated export trait of migration and a driver's own.

use super::Migration;
use super::record::{Connection, FirstPhase, MigrationCompatibility, MigrationOutcome, ShareMigration};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::migration::exports::bulkhead::driver::migration;
use crate::glue::{Glue, run};
use crate::share::Share;

impl<D: Migration> migration::Guest for Glue<D> {
    fn migration_check_compatibility(
        given: wit::ShareMigration,
    ) -> Result<migration::MigrationCompatibility, wit::Error> {
        run(|| {
            D::migration_check_compatibility(&ShareMigration::from_wit(given))
                .map(MigrationCompatibility::into_wit)
        })
    }

    fn migration_start(given: wit::ShareMigration) -> Result<(), wit::Error> {
        run(|| D::migration_start(&ShareMigration::from_wit(given)))
    }

    fn migration_continue(given: wit::ShareMigration) -> Result<migration::FirstPhase, wit::Error> {
        run(|| D::migration_continue(&ShareMigration::from_wit(given)).map(FirstPhase::into_wit))
    }

    fn migration_complete(given: wit::ShareMigration) -> Result<migration::MigrationOutcome, wit::Error> {
        run(|| D::migration_complete(&ShareMigration::from_wit(given)).map(MigrationOutcome::into_wit))
    }

    fn migration_cancel(given: wit::ShareMigration) -> Result<(), wit::Error> {
        run(|| D::migration_cancel(&ShareMigration::from_wit(given)))
    }

    fn migration_progress(given: wit::ShareMigration) -> Result<u32, wit::Error> {
        run(|| D::migration_progress(&ShareMigration::from_wit(given)))
    }

    fn connection_info(
        share: wit::Share,
        server: Option<wit::ShareServer>,
    ) -> Result<migration::Connection, wit::Error> {
        run(|| D::connection_info(&Share::from_wit(share, server)).map(Connection::into_wit))
    }
}
