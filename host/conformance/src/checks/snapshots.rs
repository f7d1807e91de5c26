//! Taking and deleting snapshots.

use super::{require_nothing_new, require_refusal};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::{Made, Stage, gone_is_done};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::Resource;

const SNAPSHOTS: [Ability; 1] = [Ability::Snapshots];

/// The sentence about repetition.
const AGAIN: &str = "Idempotent: if the snapshot is there, succeeds with the same answer; its content stays that of the first time.";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "create-snapshot",
        "snapshots.create-snapshot",
        [SNAPSHOTS],
        create,
        "Take a snapshot of `snapshot.share`."
    ),
    Check {
        sentence: AGAIN,
        ..check!("create-snapshot-again", "snapshots.create-snapshot", [SNAPSHOTS], create_again, "")
    },
    Check {
        sentence: AGAIN,
        ..check!("create-snapshot-again-content", "snapshots.create-snapshot", [SNAPSHOTS], again_content, "")
    },
    check!(
        "snapshots-apart",
        "snapshots.create-snapshot",
        [SNAPSHOTS],
        apart,
        "The instance's id. Names at the backend derive from it."
    ),
    check!(
        "create-snapshot-no-share",
        "snapshots.create-snapshot",
        [SNAPSHOTS],
        no_share,
        "Fails with `no-space`, `share-not-found` or another code: the snapshot goes to `error`; `delete-snapshot` must cope with what is \
         left."
    ),
    check!(
        "delete-snapshot-gone",
        "snapshots.delete-snapshot",
        [SNAPSHOTS],
        delete_gone,
        "Idempotent: a snapshot that is gone is a success; so is `snapshot-not-found`."
    ),
    check!(
        "delete-snapshot-leaves-nothing",
        "snapshots.delete-snapshot",
        [SNAPSHOTS],
        delete_leaves_nothing,
        "Remove a snapshot."
    ),
    check!(
        "delete-snapshot-keeps-others",
        "snapshots.delete-snapshot",
        [SNAPSHOTS],
        delete_keeps_others,
        "Remove a snapshot."
    ),
];

async fn create(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let snapshot = stage.new_snapshot(&share);
    stage.will_make(Made::Snapshot(snapshot.clone()));
    stage.driver().create_snapshot(&stage.reason(), &snapshot).await.judge("create-snapshot").map(drop)
}

async fn create_again(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let snapshot = stage.new_snapshot(&share);
    stage.will_make(Made::Snapshot(snapshot.clone()));
    let first =
        stage.driver().create_snapshot(&stage.reason(), &snapshot).await.prepare("create-snapshot")?;
    let second =
        stage.driver().create_snapshot(&stage.reason(), &snapshot).await.judge("a second create-snapshot")?;
    require(first == second, || {
        format!(
            "the handle was first {:?}, on repetition {:?}",
            first.provider_location, second.provider_location
        )
    })
}

async fn again_content(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "before the snapshot").await?;
    let snapshot = stage.snapshot(&share).await?;
    stage.write(Resource::Share(share.id), "after the snapshot").await?;
    let asked = SnapshotForDriver { provider_location: None, ..snapshot.clone() };
    stage.driver().create_snapshot(&stage.reason(), &asked).await.prepare("a second create-snapshot")?;
    let content = stage.read(Resource::Snapshot(snapshot.id)).await?;
    require(content == "before the snapshot", || {
        format!("after a repeated create-snapshot it holds what was written {content:?}")
    })
}

/// Each snapshot holds its own moment.
async fn apart(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let moments = ["the first moment", "the second moment"];
    let mut taken = Vec::new();
    for moment in moments {
        stage.write(Resource::Share(share.id), moment).await?;
        taken.push((stage.snapshot(&share).await?, moment));
    }
    for (snapshot, moment) in taken {
        let content = stage.read(Resource::Snapshot(snapshot.id)).await?;
        require(content == moment, || format!("the snapshot of {moment} holds {content:?}"))?;
    }
    Ok(())
}

async fn no_share(stage: &Stage) -> Found {
    let snapshot = stage.new_snapshot(&stage.new_share());
    stage.will_make(Made::Snapshot(snapshot.clone()));
    let answer = stage.driver().create_snapshot(&stage.reason(), &snapshot).await;
    let what = "create-snapshot of a share that is not there";
    require(answer.is_err(), || format!("{what} succeeded"))?;
    let answer = stage.driver().delete_snapshot(&stage.reason(), &snapshot).await;
    answer.or_else(gone_is_done).judge("delete-snapshot of a snapshot that could not be taken")
}

async fn delete_gone(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let never = stage.new_snapshot(&share);
    let answer = stage.driver().delete_snapshot(&stage.reason(), &never).await;
    answer.or_else(gone_is_done).judge("delete-snapshot of a snapshot that never was")?;
    let snapshot = stage.snapshot(&share).await?;
    for which in ["delete-snapshot", "a second delete-snapshot"] {
        let answer = stage.driver().delete_snapshot(&stage.reason(), &snapshot).await;
        answer.or_else(gone_is_done).judge(which)?;
    }
    Ok(())
}

async fn delete_leaves_nothing(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let before = stage.holdings().await?;
    let snapshot = stage.snapshot(&share).await?;
    stage.driver().delete_snapshot(&stage.reason(), &snapshot).await.judge("delete-snapshot")?;
    require_nothing_new(&before, &stage.holdings().await?, "create-snapshot and delete-snapshot")
}

async fn delete_keeps_others(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "of the snapshot that stays").await?;
    let (goes, stays) = (stage.snapshot(&share).await?, stage.snapshot(&share).await?);
    stage.read(Resource::Snapshot(stays.id)).await?;
    stage.driver().delete_snapshot(&stage.reason(), &goes).await.prepare("delete-snapshot")?;
    let content = stage.read_again(Resource::Snapshot(stays.id)).await?;
    require(content == "of the snapshot that stays", || {
        "another snapshot of the share lost its data with it".to_owned()
    })
}

/// What a function answers about a snapshot that is not there.
pub(super) fn require_not_found<T>(answer: Result<T, bulkhead_model::error::CallError>, what: &str) -> Found {
    require_refusal(answer, &[DriverErrorCode::SnapshotNotFound], what)
}
