//! Access rules of mountable snapshots.

use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessLevel, AccessRule};
use bulkhead_model::error::CallError;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::snapshot::{SnapshotAccessUpdate, SnapshotForDriver};

const SNAPSHOTS: [Ability; 1] = [Ability::Snapshots];
const MOUNTABLE: [Ability; 1] = [Ability::MountableSnapshots];

/// The sentence about what is asked twice.
const AGAIN: &str =
    "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error.";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "mountable-location",
        "snapshots.create-snapshot",
        [SNAPSHOTS, MOUNTABLE],
        location,
        "Where it can be mounted; kept only for shares with `mount-snapshot-support`."
    ),
    check!(
        "mountable-add",
        "mountable-snapshots.snapshot-update-access",
        [SNAPSHOTS, MOUNTABLE],
        add,
        "Make the backend's rules for `snapshot` what `update.rules` says."
    ),
    Check {
        sentence: AGAIN,
        ..check!(
            "mountable-add-again",
            "mountable-snapshots.snapshot-update-access",
            [SNAPSHOTS, MOUNTABLE],
            add_again,
            ""
        )
    },
    Check {
        sentence: AGAIN,
        ..check!(
            "mountable-remove-absent",
            "mountable-snapshots.snapshot-update-access",
            [SNAPSHOTS, MOUNTABLE],
            remove_absent,
            ""
        )
    },
    check!(
        "mountable-full-sync-removes",
        "mountable-snapshots.snapshot-update-access",
        [SNAPSHOTS, MOUNTABLE],
        full_sync_removes,
        "When `add` and `remove` are both empty this is a full synchronisation: whatever the backend has beside `rules` goes."
    ),
];

/// A snapshot of a share whose snapshots can be mounted.
pub(crate) async fn mountable(stage: &Stage) -> Found<SnapshotForDriver> {
    let share = ShareForDriver { mount_snapshot_support: true, ..stage.new_share() };
    stage.snapshot(&stage.create(share).await?).await
}

pub(crate) async fn update(
    stage: &Stage,
    snapshot: &SnapshotForDriver,
    update: SnapshotAccessUpdate,
) -> Result<(), CallError> {
    stage.driver().snapshot_update_access(&stage.reason(), snapshot, &update).await
}

pub(crate) fn adding(rules: Vec<AccessRule>) -> SnapshotAccessUpdate {
    SnapshotAccessUpdate { add: rules.clone(), rules, remove: Vec::new() }
}

async fn location(stage: &Stage) -> Found {
    let share = ShareForDriver { mount_snapshot_support: true, ..stage.new_share() };
    let snapshot = stage.new_snapshot(&stage.create(share).await?);
    stage.will_make(Made::Snapshot(snapshot.clone()));
    let outcome =
        stage.driver().create_snapshot(&stage.reason(), &snapshot).await.judge("create-snapshot")?;
    require(!outcome.export_locations.is_empty(), || {
        "a mountable snapshot has no export location: no client finds it".to_owned()
    })
}

async fn add(stage: &Stage) -> Found {
    let snapshot = mountable(stage).await?;
    let rule = stage.new_rule(AccessLevel::Ro)?;
    update(stage, &snapshot, adding(vec![rule])).await.judge("snapshot-update-access with a new rule")
}

async fn add_again(stage: &Stage) -> Found {
    let snapshot = mountable(stage).await?;
    let rules = vec![stage.new_rule(AccessLevel::Ro)?];
    update(stage, &snapshot, adding(rules.clone())).await.prepare("snapshot-update-access")?;
    update(stage, &snapshot, adding(rules)).await.judge("snapshot-update-access that adds a rule again")
}

async fn remove_absent(stage: &Stage) -> Found {
    let snapshot = mountable(stage).await?;
    let remove = vec![stage.new_rule(AccessLevel::Ro)?];
    let asked = SnapshotAccessUpdate { remove, ..SnapshotAccessUpdate::default() };
    update(stage, &snapshot, asked).await.judge("snapshot-update-access that removes a rule that never was")
}

async fn full_sync_removes(stage: &Stage) -> Found {
    let snapshot = mountable(stage).await?;
    let (stays, goes) = (stage.new_rule(AccessLevel::Ro)?, stage.new_rule(AccessLevel::Ro)?);
    let both = adding(vec![stays.clone(), goes.clone()]);
    update(stage, &snapshot, both).await.prepare("snapshot-update-access")?;
    if stage.seen(&goes).await?.is_empty() {
        return unjudged("the host cannot see the rules that this driver keeps");
    }
    let asked = SnapshotAccessUpdate { rules: vec![stays], ..SnapshotAccessUpdate::default() };
    update(stage, &snapshot, asked).await.judge("snapshot-update-access that only lists one of two rules")?;
    let still = stage.seen(&goes).await?;
    require(still.is_empty(), || format!("{} stands still in {}", goes.access_to, still.join(", ")))
}
