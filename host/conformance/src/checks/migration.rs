//! Moving a share to another pool, or to the second backend, in two phases.

use super::{places, require_nothing_new};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::migration::{FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_model::share::ShareForDriver;

const MIGRATION: [Ability; 1] = [Ability::Migration];
/// How often the first phase is looked at. Nothing is in the shares of the kit, so that a backend that moves them is soon done.
const LOOKS: usize = 20;

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

/// A share that is there and that the driver can move, and how.
async fn movable(stage: &Stage) -> Found<ShareMigration> {
    let share = stage.share().await?;
    for way in ways(stage, &share).await? {
        let asked = stage.driver().migration_check_compatibility(&stage.reason(), &way).await;
        if asked.is_ok_and(|answer| answer.compatible) {
            return Ok(way);
        }
    }
    unjudged("the driver moves shares to none of the pools and backends of this run")
}

/// The same, begun.
async fn begun(stage: &Stage) -> Found<ShareMigration> {
    let way = movable(stage).await?;
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    Ok(way)
}

/// Look at the first phase until it is done.
async fn finish_first_phase(stage: &Stage, way: &ShareMigration, looks: usize) -> Found<bool> {
    for _ in 0..looks {
        let phase = stage.driver().migration_continue(&stage.reason(), way).await;
        if phase.judge("migration-continue")? == FirstPhase::Done {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A migration whose first phase is done.
async fn ready_to_cut_over(stage: &Stage) -> Found<ShareMigration> {
    let way = begun(stage).await?;
    if finish_first_phase(stage, &way, LOOKS).await? {
        return Ok(way);
    }
    give_up(stage, &way).await?;
    unjudged(format!("the first phase is not done after {LOOKS} looks"))
}

async fn give_up(stage: &Stage, way: &ShareMigration) -> Found {
    stage.driver().migration_cancel(&stage.reason(), way).await.prepare("migration-cancel")
}

/// From now on the destination is the share.
fn has_moved(stage: &Stage, way: &ShareMigration) {
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
    let after = stage.holdings().await?;
    let changes = before.changes(&after);
    require(changes.is_empty(), || format!("migration-check-compatibility changed {}", changes.join(", ")))
}

async fn start_again(stage: &Stage) -> Found {
    let way = begun(stage).await?;
    let again = stage.driver().migration_start(&stage.reason(), &way).await;
    let judged = again.judge("a second migration-start");
    give_up(stage, &way).await?;
    judged
}

async fn goes_on_after_restart(stage: &Stage) -> Found {
    let way = begun(stage).await?;
    let mut is_done = finish_first_phase(stage, &way, 1).await?;
    if let Err(error) = stage.world.restart().await {
        return unjudged(format!("the host cannot be restarted here: {}", crate::finding::told(&error)));
    }
    stage.driver().setup(&stage.reason()).await.prepare("setup after a restart")?;
    is_done = finish_first_phase(stage, &way, LOOKS).await? || is_done;
    give_up(stage, &way).await?;
    if is_done { Ok(()) } else { unjudged(format!("the first phase is not done after {LOOKS} looks")) }
}

async fn progress(stage: &Stage) -> Found {
    let way = begun(stage).await?;
    let told = stage.driver().migration_progress(&stage.reason(), &way).await;
    let judged = told.judge("migration-progress");
    give_up(stage, &way).await?;
    let percent = judged?;
    require(percent <= 100, || format!("migration-progress answers {percent} percent"))
}

async fn complete(stage: &Stage) -> Found {
    let before = stage.holdings().await?;
    let way = ready_to_cut_over(stage).await?;
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
    let way = ready_to_cut_over(stage).await?;
    let first = stage.driver().migration_complete(&stage.reason(), &way).await;
    let first = first.prepare("migration-complete")?;
    has_moved(stage, &way);
    let which = "a second migration-complete";
    let second = stage.driver().migration_complete(&stage.reason(), &way).await.judge(which)?;
    require(essence(&first) == essence(&second), || format!("{which} answered otherwise"))
}

async fn cancel(stage: &Stage) -> Found {
    let way = movable(stage).await?;
    let before = stage.holdings().await?;
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
    let way = movable(stage).await?;
    let what = "migration-cancel of a migration that never began";
    stage.driver().migration_cancel(&stage.reason(), &way).await.judge(what)?;
    stage.driver().migration_start(&stage.reason(), &way).await.prepare("migration-start")?;
    for which in ["migration-cancel", "a second migration-cancel"] {
        stage.driver().migration_cancel(&stage.reason(), &way).await.judge(which)?;
    }
    Ok(())
}
