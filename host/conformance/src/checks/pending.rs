//! Work that a backend goes on with by itself: a clone or a revert that was answered with `pending`.

use super::copies;
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, broken, require, told, unjudged};
use crate::stage::{Followed, Made, Stage, creation_from, revert_to};
use bulkhead_model::ability::Ability;
use bulkhead_model::share::{Creation, FinishedShare, PendingWork, Reversion, ShareForDriver};

const STATUS: [Ability; 1] = [Ability::ShareStatus];
const SNAPSHOTS: [Ability; 1] = [Ability::Snapshots];
const FROM_SNAPSHOT: [Ability; 1] = [Ability::ShareFromSnapshot];
const REVERT: [Ability; 1] = [Ability::Revert];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "share-status",
        "share-status.share-status",
        [SNAPSHOTS, FROM_SNAPSHOT, STATUS],
        clone,
        "How far `share` is, which an earlier call left `pending`."
    ),
    check!(
        "share-status-again",
        "share-status.share-status",
        [SNAPSHOTS, FROM_SNAPSHOT, STATUS],
        again,
        "Idempotent: called every 60 s, after a restart of the host too."
    ),
    check!(
        "share-status-after-restart",
        "share-status.share-status",
        [SNAPSHOTS, FROM_SNAPSHOT, STATUS],
        after_restart,
        "Idempotent: called every 60 s, after a restart of the host too."
    ),
    check!(
        "share-status-revert",
        "share-status.share-status",
        [SNAPSHOTS, REVERT, STATUS],
        revert,
        "Done: the host sets the share `available`, after a revert the snapshot too."
    ),
];

/// A share that the backend goes on making by itself, and of what.
pub(crate) async fn pending_clone(stage: &Stage) -> Found<(ShareForDriver, PendingWork)> {
    let source = stage.snapshot(&stage.share().await?).await?;
    let share = copies::new_clone(stage, &source);
    stage.will_make(Made::Share(share.clone()));
    let creation = stage.driver().create_share_from_snapshot(&stage.reason(), &share, &source).await;
    match creation.prepare("create-share-from-snapshot")? {
        Creation::Pending => Ok((share, creation_from(&source))),
        Creation::Available(_) => unjudged("the driver answers nothing with 'pending' here"),
    }
}

/// What is done after as many looks as it takes.
async fn judged(
    stage: &Stage,
    share: &ShareForDriver,
    work: &PendingWork,
    which: &str,
) -> Found<FinishedShare> {
    match stage.follow(share, work).await.judge(which)? {
        Followed::Finished(finished) => Ok(finished),
        Followed::Failed => broken(format!("{which} says that it failed, though nothing was wrong")),
        Followed::StillAtIt => unjudged("the backend is still at it when the kit has lost patience"),
    }
}

async fn clone(stage: &Stage) -> Found {
    let (share, work) = pending_clone(stage).await?;
    let finished = judged(stage, &share, &work, "share-status").await?;
    require(finished.export_locations.is_some_and(|locations| !locations.is_empty()), || {
        "the share that is done has no export location: no client finds it".to_owned()
    })
}

async fn again(stage: &Stage) -> Found {
    let (share, work) = pending_clone(stage).await?;
    let first = stage.finish(&share, &work).await?;
    // The host may be killed when it was told that the share is done, and asks once more.
    let second = judged(stage, &share, &work, "share-status of a share that is done").await?;
    require(first == second, || "a second share-status of a share that is done answered otherwise".to_owned())
}

async fn after_restart(stage: &Stage) -> Found {
    let (share, work) = pending_clone(stage).await?;
    if let Err(error) = stage.world.restart().await {
        return unjudged(format!("the host cannot be restarted here: {}", told(&error)));
    }
    stage.driver().setup(&stage.reason()).await.prepare("setup after a restart")?;
    judged(stage, &share, &work, "share-status after a restart of the host").await.map(drop)
}

async fn revert(stage: &Stage) -> Found {
    let snapshot = stage.snapshot(&stage.share().await?).await?;
    match copies::begin_revert(stage, &snapshot).await.prepare("revert-to-snapshot")? {
        Reversion::Pending => {
            let which = "share-status of a share that is put back";
            judged(stage, &snapshot.share, &revert_to(&snapshot), which).await.map(drop)
        }
        Reversion::Done | Reversion::DoneWithSize(_) => {
            unjudged("the driver does not answer a revert with 'pending' here")
        }
    }
}
