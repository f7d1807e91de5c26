//! What is swept of migrations.

use super::trials::{content, sound};
use super::{Facts, Prepared, Sweep, Trial, sweep};
use crate::checks::migration;
use crate::finding::{Finding, Found, told};
use crate::stage::Stage;
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::migration::{FirstPhase, ShareMigration};
use bulkhead_model::target::Resource;

const MIGRATION: &[Ability] = &[Ability::Migration];

/// What clients have written before the share is moved.
const WRITTEN: &str = "written before it was moved";

/// Sweeps of functions about migrations.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "migration-start-converges",
        "migration.migration-start",
        [MIGRATION],
        start,
        "Idempotent: a migration to this destination that has begun is a success."
    ),
    sweep!(
        "migration-continue-converges",
        "migration.migration-continue",
        [MIGRATION],
        go_on,
        "Idempotent: called every 60 s until `done`, after a restart of the host too."
    ),
    sweep!(
        "migration-complete-converges",
        "migration.migration-complete",
        [MIGRATION],
        complete,
        "Idempotent: a migration that was completed is a success with the same answer."
    ),
    sweep!(
        "migration-cancel-converges",
        "migration.migration-cancel",
        [MIGRATION],
        cancel,
        "Idempotent: a migration that was cancelled, or never began, is a success."
    ),
];

/// One call with what it is about.
enum Call {
    Start(ShareMigration),
    /// As often as it takes.
    GoOn(ShareMigration),
    Complete(ShareMigration),
    Cancel(ShareMigration),
}

/// How often the first phase is looked at. Its pauses are those of a place where nothing takes time: it has its own check with patience.
const LOOKS: usize = 20;

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        match self {
            Self::Start(way) => driver.migration_start(reason, way).await,
            Self::GoOn(way) => {
                for _ in 0..LOOKS {
                    if driver.migration_continue(reason, way).await? == FirstPhase::Done {
                        break;
                    }
                }
                Ok(())
            }
            Self::Complete(way) => {
                driver.migration_complete(reason, way).await?;
                migration::has_moved(stage, way);
                Ok(())
            }
            Self::Cancel(way) => driver.migration_cancel(reason, way).await,
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        let way = match self {
            Self::Start(way) | Self::GoOn(way) => {
                facts.insert("the migration can be completed", completed(stage, way).await);
                way
            }
            Self::Complete(way) | Self::Cancel(way) => way,
        };
        let (source, destination) = (&way.source, &way.destination);
        facts.insert("the source is called sound", sound(stage, source).await);
        facts.insert("the destination is called sound", sound(stage, destination).await);
        facts.insert("the source's data", content(stage, Resource::Share(source.id)).await);
        facts.insert("the destination's data", content(stage, Resource::Share(destination.id)).await);
        Ok(facts)
    }
}

/// Finish and cut over.
async fn completed(stage: &Stage, way: &ShareMigration) -> String {
    match migration::finish(stage, way).await {
        Ok(()) => {}
        Err(Finding::Broken(why) | Finding::Unjudged(why)) => return why,
    }
    match stage.driver().migration_complete(&stage.reason(), way).await {
        Ok(_) => {
            migration::has_moved(stage, way);
            "yes".to_owned()
        }
        Err(error) => told(&error),
    }
}

async fn start(stage: &Stage) -> Prepared {
    let way = migration::movable(stage, WRITTEN).await?;
    migration::may_begin(stage, &way);
    Ok(Box::new(Call::Start(way)))
}

async fn go_on(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::GoOn(migration::begun(stage, WRITTEN).await?)))
}

async fn complete(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Complete(migration::ready_to_cut_over(stage, WRITTEN).await?)))
}

async fn cancel(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Cancel(migration::ready_to_cut_over(stage, WRITTEN).await?)))
}
