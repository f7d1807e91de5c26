//! Shares from snapshots, and reverting to snapshots.

use super::snapshots::require_not_found;
use super::{places, require_nothing_new};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::share::{Reversion, RevertRules, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::Resource;

const SNAPSHOTS: [Ability; 1] = [Ability::Snapshots];
const FROM_SNAPSHOT: [Ability; 1] = [Ability::ShareFromSnapshot];
const REVERT: [Ability; 1] = [Ability::Revert];

/// The sentence about what a clone is.
const CLONE: &str =
    "Make `share` with the content of `source`, `share.size-gib` GiB large (at least the snapshot's size).";
/// The sentence about refused clones.
const REFUSED: &str = "Fails with `snapshot-not-found`, `no-space`, `conflict` or another code: the share goes to `error`, the snapshot \
                       stays as it is.";
/// The sentence about what a revert does.
const PUT_BACK: &str = "Put `snapshot.share` back to the content of `snapshot`, in place; the snapshot survives, and so do the rules.";

pub(crate) const CHECKS: &[Check] = &[
    Check {
        sentence: CLONE,
        ..check!(
            "clone",
            "share-from-snapshot.create-share-from-snapshot",
            [SNAPSHOTS, FROM_SNAPSHOT],
            clone,
            ""
        )
    },
    Check {
        sentence: CLONE,
        ..check!(
            "clone-content",
            "share-from-snapshot.create-share-from-snapshot",
            [SNAPSHOTS, FROM_SNAPSHOT],
            clone_content,
            ""
        )
    },
    check!(
        "clone-again",
        "share-from-snapshot.create-share-from-snapshot",
        [SNAPSHOTS, FROM_SNAPSHOT],
        clone_again,
        "Idempotent as `create-share`."
    ),
    Check {
        sentence: REFUSED,
        ..check!(
            "clone-no-snapshot",
            "share-from-snapshot.create-share-from-snapshot",
            [SNAPSHOTS, FROM_SNAPSHOT],
            clone_no_snapshot,
            ""
        )
    },
    check!(
        "clone-leaves-nothing",
        "shares.delete-share",
        [SNAPSHOTS, FROM_SNAPSHOT],
        clone_leaves_nothing,
        "Remove a share and everything made for it."
    ),
    Check {
        sentence: PUT_BACK,
        ..check!("revert", "revert.revert-to-snapshot", [SNAPSHOTS, REVERT], revert, "")
    },
    Check {
        sentence: PUT_BACK,
        ..check!("revert-content", "revert.revert-to-snapshot", [SNAPSHOTS, REVERT], revert_content, "")
    },
    Check {
        sentence: PUT_BACK,
        ..check!("revert-keeps-snapshot", "revert.revert-to-snapshot", [SNAPSHOTS, REVERT], revert_keeps, "")
    },
    check!(
        "revert-again",
        "revert.revert-to-snapshot",
        [SNAPSHOTS, REVERT],
        revert_again,
        "Idempotent: reverting what was reverted is a success."
    ),
    check!(
        "revert-no-snapshot",
        "revert.revert-to-snapshot",
        [SNAPSHOTS, REVERT],
        revert_no_snapshot,
        "Fails with `snapshot-not-found`, `snapshot-busy`, `no-space` or another code: the share goes to `reverting-error`, the snapshot \
         back to `available`."
    ),
];

/// A share that is to be made from `source`.
pub(crate) fn new_clone(stage: &Stage, source: &SnapshotForDriver) -> ShareForDriver {
    let size = Gibibytes::new(source.size.get().saturating_add(1)).unwrap_or(source.size);
    ShareForDriver { size, source_snapshot: Some(source.snapshot), ..stage.new_share() }
}

pub(crate) async fn made_clone(stage: &Stage, source: &SnapshotForDriver) -> Found<ShareForDriver> {
    let share = new_clone(stage, source);
    stage.will_make(Made::Share(share.clone()));
    let creation = stage.driver().create_share_from_snapshot(&stage.reason(), &share, source).await;
    let creation = creation.prepare("create-share-from-snapshot")?;
    let export_locations = stage.ready(creation, &share, source).await?;
    Ok(ShareForDriver { export_locations, ..share })
}

async fn clone(stage: &Stage) -> Found {
    let source = stage.snapshot(&stage.share().await?).await?;
    let share = new_clone(stage, &source);
    stage.will_make(Made::Share(share.clone()));
    let creation = stage.driver().create_share_from_snapshot(&stage.reason(), &share, &source).await;
    let creation = creation.judge("create-share-from-snapshot with a larger size")?;
    let locations = stage.ready(creation, &share, &source).await?;
    require(!locations.is_empty(), || "the new share has no export location: no client finds it".to_owned())
}

async fn clone_content(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "in the snapshot").await?;
    let source = stage.snapshot(&share).await?;
    stage.write(Resource::Share(share.id), "after the snapshot").await?;
    let clone = made_clone(stage, &source).await?;
    let content = stage.read(Resource::Share(clone.id)).await?;
    require(content == "in the snapshot", || {
        format!("the share from the snapshot holds {content:?} instead of what was in the snapshot")
    })?;
    stage.write(Resource::Share(clone.id), "of the clone").await?;
    let content = stage.read(Resource::Share(share.id)).await?;
    require(content == "after the snapshot", || {
        "what is written into the new share arrives in the old one".to_owned()
    })
}

async fn clone_again(stage: &Stage) -> Found {
    let source = stage.snapshot(&stage.share().await?).await?;
    let clone = made_clone(stage, &source).await?;
    let asked = ShareForDriver { export_locations: Vec::new(), ..clone.clone() };
    let again = stage.driver().create_share_from_snapshot(&stage.reason(), &asked, &source).await;
    let again = again.judge("a second create-share-from-snapshot")?;
    let again = stage.ready(again, &asked, &source).await?;
    let (first, second) = (places(&clone.export_locations), places(&again));
    require(first == second, || {
        format!("first the share was at {}, a repeat found it at {}", first.join(", "), second.join(", "))
    })
}

async fn clone_no_snapshot(stage: &Stage) -> Found {
    let source = stage.new_snapshot(&stage.share().await?);
    let share = new_clone(stage, &source);
    stage.will_make(Made::Share(share.clone()));
    let answer = stage.driver().create_share_from_snapshot(&stage.reason(), &share, &source).await;
    require_not_found(answer, "create-share-from-snapshot of a snapshot that is not there")
}

async fn clone_leaves_nothing(stage: &Stage) -> Found {
    let source = stage.snapshot(&stage.share().await?).await?;
    let before = stage.holdings().await?;
    let clone = made_clone(stage, &source).await?;
    stage.delete(&clone).await.judge("delete-share of a share from a snapshot")?;
    require_nothing_new(&before, &stage.holdings().await?, "create-share-from-snapshot and delete-share")
}

/// Begin to revert to `snapshot`.
pub(crate) async fn begin_revert(
    stage: &Stage,
    snapshot: &SnapshotForDriver,
) -> Result<Reversion, CallError> {
    stage.driver().revert_to_snapshot(&stage.reason(), snapshot, &RevertRules::default()).await
}

/// Revert to `snapshot`, which comes before what is judged.
async fn put_back(stage: &Stage, snapshot: &SnapshotForDriver) -> Found {
    let reversion = begin_revert(stage, snapshot).await.prepare("revert-to-snapshot")?;
    stage.reverted(reversion, snapshot).await
}

async fn revert(stage: &Stage) -> Found {
    let snapshot = stage.snapshot(&stage.share().await?).await?;
    let reversion = begin_revert(stage, &snapshot).await.judge("revert-to-snapshot")?;
    stage.reverted(reversion, &snapshot).await
}

async fn revert_content(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let at = Resource::Share(share.id);
    // Two snapshots: a revert goes to the newest, not to any.
    stage.write(at, "in the first snapshot").await?;
    stage.snapshot(&share).await?;
    stage.write(at, "in the newest snapshot").await?;
    let snapshot = stage.snapshot(&share).await?;
    stage.write(at, "after the snapshots").await?;
    put_back(stage, &snapshot).await?;
    let content = stage.read(at).await?;
    require(content == "in the newest snapshot", || {
        format!("the reverted share holds {content:?} instead of what was in the snapshot")
    })
}

async fn revert_keeps(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "in the snapshot").await?;
    let snapshot = stage.snapshot(&share).await?;
    stage.read(Resource::Snapshot(snapshot.id)).await?;
    put_back(stage, &snapshot).await?;
    let content = stage.read_again(Resource::Snapshot(snapshot.id)).await?;
    require(content == "in the snapshot", || "the snapshot did not survive the revert".to_owned())
}

async fn revert_again(stage: &Stage) -> Found {
    let snapshot = stage.snapshot(&stage.share().await?).await?;
    put_back(stage, &snapshot).await?;
    let again = begin_revert(stage, &snapshot).await.judge("a second revert-to-snapshot")?;
    stage.reverted(again, &snapshot).await
}

async fn revert_no_snapshot(stage: &Stage) -> Found {
    let snapshot = stage.new_snapshot(&stage.share().await?);
    require_not_found(
        begin_revert(stage, &snapshot).await,
        "revert-to-snapshot of a snapshot that is not there",
    )
}
