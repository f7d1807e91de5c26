//! Moving a share to another pool, or to the second backend, in two phases.

use super::{places, require_nothing_new, require_unchanged};
use crate::check::{Check, check};
use crate::finding::{Finding, Found, Judge as _, require, told, unjudged};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::migration::{FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::target::Resource;
use std::time::Duration;

const MIGRATION: [Ability; 1] = [Ability::Migration];
/// How often the first phase is looked at. Nothing is in the shares of the kit, so that a backend that moves them is soon done.
const LOOKS: u32 = 20;
/// The pause after the first look; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "migration-check-changes-nothing",
        "migration.migration-check-compatibility",
        [MIGRATION],
        check_changes_nothing,
        "Reads only. `not-implemented`: as all false."
    ),
    check!(
        "migration-start-again",
        "migration.migration-start",
        [MIGRATION],
        start_again,
        "Idempotent: a migration to this destination that has begun is a success."
    ),
    check!(
        "migration-continue",
        "migration.migration-continue",
        [MIGRATION],
        goes_on_after_restart,
        "Idempotent: called every 60 s until `done`, after a restart of the host too."
    ),
    check!(
        "migration-progress",
        "migration.migration-progress",
        [MIGRATION],
        progress,
        "How far the first phase is, in percent, 0 to 100."
    ),
    check!(
        "migration-complete",
        "migration.migration-complete",
        [MIGRATION],
        complete,
        "Cut over to the destination and delete the source's data."
    ),
    check!(
        "migration-complete-again",
        "migration.migration-complete",
        [MIGRATION],
        complete_again,
        "Idempotent: a migration that was completed is a success with the same answer."
    ),
    check!(
        "migration-cancel",
        "migration.migration-cancel",
        [MIGRATION],
        cancel,
        "Stop and leave the source as it was, the destination gone."
    ),
    check!(
        "migration-cancel-again",
        "migration.migration-cancel",
        [MIGRATION],
        cancel_again,
        "Idempotent: a migration that was cancelled, or never began, is a success."
    ),
];

/// What would move `share` to each place of this run where it is not: other pools first, then the second backend.
async fn ways(stage: &Stage, share: &ShareForDriver) -> Found<Vec<ShareMigration>> {
    let statistics = stage.driver().stats(&stage.reason()).await.prepare("stats")?;
    let pools = statistics.pools.into_iter().map(|pool| pool.name);
    Ok(stage
        .other_places(share, pools.collect())
        .into_iter()
        .map(|(destination_host, pool)| ShareMigration {
            source: share.clone(),
            destination: ShareForDriver { share: share.share, pool: Some(pool), ..stage.new_share() },
            destination_host,
            snapshots: Vec::new(),
        })
        .collect())
}

/// A share that is there, in which is written `content` where the host can, and how the driver can move it.
pub(crate) async fn movable(stage: &Stage, content: &str) -> Found<ShareMigration> {
    let share = stage.share().await?;
    write_if_possible(stage, &share, content).await?;
    for way in ways(stage, &share).await? {
        let asked = stage.driver().migration_check_compatibility(&stage.reason(), &way).await;
        if asked.is_ok_and(|answer| answer.compatible) {
            return Ok(way);
        }
    }
    unjudged("the driver moves shares to none of the pools and backends of this run")
}

/// An empty text is written nowhere.
async fn write_if_possible(stage: &Stage, share: &ShareForDriver, content: &str) -> Found {
    if content.is_empty() {
        return Ok(());
    }
    match stage.write(Resource::Share(share.id), content).await {
        Err(Finding::Unjudged(_)) => Ok(()),
        other => other,
    }
}

/// From now on the migration is cancelled when all is cleaned up.
pub(crate) fn may_begin(stage: &Stage, way: &ShareMigration) {
    stage.will_make(Made::Migration(Box::new(way.clone())));
}

/// The same, begun.
pub(crate) async fn begun(stage: &Stage, content: &str) -> Found<ShareMigration> {
    let way = movable(stage, content).await?;
    may_begin(stage, &way);
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    Ok(way)
}

/// Look at the first phase until it is done.
async fn finish_first_phase(stage: &Stage, way: &ShareMigration, looks: u32) -> Result<bool, CallError> {
    let mut pause = FIRST_PAUSE;
    for _ in 0..looks {
        match stage.driver().migration_continue(&stage.reason(), way).await {
            Ok(FirstPhase::Done) => return Ok(true),
            Ok(FirstPhase::InProgress) => {}
            Err(error) if error.code().is_some_and(DriverErrorCode::is_repeated) => {}
            Err(error) => return Err(error),
        }
        stage.world.pause(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
    Ok(false)
}

/// Go on with what has begun until it can be cut over.
pub(crate) async fn finish(stage: &Stage, way: &ShareMigration) -> Found {
    if finish_first_phase(stage, way, LOOKS).await.prepare("migration-continue")? {
        return Ok(());
    }
    unjudged(format!("the first phase is not done after {LOOKS} looks"))
}

/// A migration whose first phase is done.
pub(crate) async fn ready_to_cut_over(stage: &Stage, content: &str) -> Found<ShareMigration> {
    let way = begun(stage, content).await?;
    finish(stage, &way).await?;
    Ok(way)
}

/// From now on the destination is the share.
pub(crate) fn has_moved(stage: &Stage, way: &ShareMigration) {
    stage.is_gone(&Made::Migration(Box::new(way.clone())));
    let made = ShareForDriver { export_locations: Vec::new(), ..way.source.clone() };
    stage.is_gone(&Made::Share(made));
    stage.will_make(Made::Share(way.destination.clone()));
}

async fn check_changes_nothing(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let before = stage.holdings().await?;
    for way in ways(stage, &share).await? {
        // Whatever it answers: a driver may decide at run time that it moves nothing.
        stage.driver().migration_check_compatibility(&stage.reason(), &way).await.ok();
    }
    require_unchanged(&before, &stage.holdings().await?, "migration-check-compatibility")
}

async fn start_again(stage: &Stage) -> Found {
    let way = begun(stage, "").await?;
    let again = stage.driver().migration_start(&stage.reason(), &way).await;
    again.judge("a second migration-start")
}

async fn goes_on_after_restart(stage: &Stage) -> Found {
    let way = begun(stage, "").await?;
    let was_done = finish_first_phase(stage, &way, 1).await.judge("migration-continue")?;
    if let Err(error) = stage.world.restart().await {
        return unjudged(format!("the host cannot be restarted here: {}", told(&error)));
    }
    stage.driver().setup(&stage.reason()).await.prepare("setup after a restart")?;
    let is_done = finish_first_phase(stage, &way, LOOKS).await;
    let is_done = is_done.judge("migration-continue after a restart of the host")?;
    require(is_done || !was_done, || {
        "what was done before a restart of the host is not done after it".to_owned()
    })?;
    if is_done { Ok(()) } else { unjudged(format!("the first phase is not done after {LOOKS} looks")) }
}

async fn progress(stage: &Stage) -> Found {
    let way = begun(stage, "").await?;
    // More than the whole is refused by the host already.
    stage.driver().migration_progress(&stage.reason(), &way).await.judge("migration-progress").map(drop)
}

async fn complete(stage: &Stage) -> Found {
    let before = stage.holdings().await?;
    let way = ready_to_cut_over(stage, "").await?;
    let outcome = stage.driver().migration_complete(&stage.reason(), &way).await;
    outcome.judge("migration-complete")?;
    has_moved(stage, &way);
    stage.driver().delete_share(&stage.reason(), &way.destination).await.prepare("delete-share")?;
    require_nothing_new(&before, &stage.holdings().await?, "a completed migration and delete-share")
}

/// What of an answer has to stay the same.
fn essence(outcome: &MigrationOutcome) -> Option<Vec<String>> {
    outcome.export_locations.as_deref().map(places)
}

async fn complete_again(stage: &Stage) -> Found {
    let way = ready_to_cut_over(stage, "").await?;
    let first = stage.driver().migration_complete(&stage.reason(), &way).await;
    let first = first.prepare("migration-complete")?;
    has_moved(stage, &way);
    let which = "a second migration-complete";
    let second = stage.driver().migration_complete(&stage.reason(), &way).await.judge(which)?;
    require(essence(&first) == essence(&second), || format!("{which} answered otherwise"))
}

async fn cancel(stage: &Stage) -> Found {
    let way = movable(stage, "").await?;
    let before = stage.holdings().await?;
    may_begin(stage, &way);
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    stage.driver().migration_cancel(&stage.reason(), &way).await.judge("migration-cancel")?;
    require_nothing_new(&before, &stage.holdings().await?, "a cancelled migration")?;
    let asked = ShareForDriver { export_locations: Vec::new(), ..way.source.clone() };
    let again = stage.driver().create_share(&stage.reason(), &asked).await;
    let again = again.judge("create-share of the source, which must still be there,")?;
    require(places(&again) == places(&way.source.export_locations), || {
        "after a cancelled migration the source is found at other places".to_owned()
    })
}

async fn cancel_again(stage: &Stage) -> Found {
    let way = movable(stage, "").await?;
    may_begin(stage, &way);
    let what = "migration-cancel of a migration that never began";
    stage.driver().migration_cancel(&stage.reason(), &way).await.judge(what)?;
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    for which in ["migration-cancel", "a second migration-cancel"] {
        stage.driver().migration_cancel(&stage.reason(), &way).await.judge(which)?;
    }
    Ok(())
}
