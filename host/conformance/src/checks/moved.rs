//! What becomes of data when a share is moved, and what is only looked at meanwhile.

use super::migration::{begun, has_moved, may_begin, movable, ready_to_cut_over};
use super::require_unchanged;
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::target::Resource;

const MIGRATION: [Ability; 1] = [Ability::Migration];

/// What clients have written before the share is moved.
const WRITTEN: &str = "written before it was moved";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "migration-progress-read-only",
        "migration.migration-progress",
        [MIGRATION],
        progress_read_only,
        "Reads only, within 30 s. Only in the first phase."
    ),
    check!(
        "migration-complete-content",
        "migration.migration-complete",
        [MIGRATION],
        complete_content,
        "Cut over to the destination and delete the source's data."
    ),
    check!(
        "migration-cancel-content",
        "migration.migration-cancel",
        [MIGRATION],
        cancel_content,
        "Stop and leave the source as it was, the destination gone."
    ),
    check!(
        "connection-info",
        "migration.connection-info",
        [MIGRATION],
        connection_info,
        "How the host can mount `share` to copy it."
    ),
    check!(
        "connection-info-read-only",
        "migration.connection-info",
        [MIGRATION],
        connection_info_read_only,
        "Reads only. `not-implemented`: the host takes the first export location that is `admin-only`, else the first, and the option \
         `protocol_access_mapping`."
    ),
];

async fn progress_read_only(stage: &Stage) -> Found {
    let way = begun(stage, "").await?;
    let before = stage.holdings().await?;
    stage.driver().migration_progress(&stage.reason(), &way).await.prepare("migration-progress")?;
    require_unchanged(&before, &stage.holdings().await?, "migration-progress")
}

async fn complete_content(stage: &Stage) -> Found {
    let way = ready_to_cut_over(stage, WRITTEN).await?;
    stage.read(Resource::Share(way.source.id)).await?;
    let outcome = stage.driver().migration_complete(&stage.reason(), &way).await;
    outcome.prepare("migration-complete")?;
    has_moved(stage, &way);
    let content = stage.read_again(Resource::Share(way.destination.id)).await?;
    require(content == WRITTEN, || format!("the share that was moved holds {content:?} instead of its data"))
}

async fn cancel_content(stage: &Stage) -> Found {
    let way = movable(stage, WRITTEN).await?;
    let at = Resource::Share(way.source.id);
    stage.read(at).await?;
    may_begin(stage, &way);
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    stage.driver().migration_cancel(&stage.reason(), &way).await.prepare("migration-cancel")?;
    let content = stage.read_again(at).await?;
    require(content == WRITTEN, || {
        format!("after a cancelled migration the source holds {content:?} instead of its data")
    })
}

async fn connection_info(stage: &Stage) -> Found {
    let share = stage.share().await?;
    match stage.driver().connection_info(&stage.reason(), &share).await {
        Err(error) if error.is_not_implemented() => Ok(()),
        other => other.judge("connection-info").map(drop),
    }
}

async fn connection_info_read_only(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let before = stage.holdings().await?;
    // Also a driver that answers `not-implemented` may have written before.
    stage.driver().connection_info(&stage.reason(), &share).await.ok();
    require_unchanged(&before, &stage.holdings().await?, "connection-info")
}
