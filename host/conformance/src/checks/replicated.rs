//! Snapshots of replicated shares, and reverting to them.

use super::replication::{Pair, settled, unmade_pair};
use crate::check::{Check, check};
use crate::finding::{Finding, Found, Judge as _, require, unjudged};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::replica::{
    InstanceStatus, ReplicaRemoval, ReplicaSnapshot, ReplicatedReversion, ReplicatedSnapshot,
    SnapshotProgress, SnapshotUpdate,
};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::Resource;

const REPLICATION: [Ability; 1] = [Ability::Replication];
const SNAPSHOTS: [Ability; 1] = [Ability::ReplicatedSnapshots];
const REVERT: [Ability; 1] = [Ability::ReplicatedRevert];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "replicated-snapshot",
        "replicated-snapshots.create-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        snapshot,
        "Take a snapshot on the active replica, and on the others as the backend does."
    ),
    check!(
        "replicated-snapshot-again",
        "replicated-snapshots.create-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        snapshot_again,
        "Idempotent: instances that are there are a success with the same answer."
    ),
    check!(
        "delete-replicated-snapshot-gone",
        "replicated-snapshots.delete-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        delete_snapshot_gone,
        "Idempotent: instances that are gone are answered as `deleted`."
    ),
    check!(
        "update-replicated-snapshot",
        "replicated-snapshots.update-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        update,
        "Idempotent: called every 300 s. May take the next small step."
    ),
    check!(
        "replicated-revert-content",
        "replicated-revert.revert-to-replicated-snapshot",
        [REPLICATION, SNAPSHOTS, REVERT],
        revert_content,
        "Put the active replica back to the content of the snapshot, in place, and see to it that the others follow."
    ),
    check!(
        "replicated-revert-again",
        "replicated-revert.revert-to-replicated-snapshot",
        [REPLICATION, SNAPSHOTS, REVERT],
        revert_again,
        "Idempotent: reverting what was reverted is a success."
    ),
];

/// A snapshot of a replicated share that nobody has taken yet.
pub(crate) async fn unmade_snapshot(stage: &Stage) -> Found<(Pair, ReplicatedSnapshot)> {
    let unmade = unmade_pair(stage).await?;
    let outcome = stage.peer()?.create_replica(&stage.reason(), &unmade.view()).await;
    let pair = settled(&unmade, &outcome.prepare("create-replica")?);
    let snapshots = stage.new_replicated_snapshot(&pair.all(), InstanceStatus::Creating);
    let snapshot = ReplicatedSnapshot { replicas: pair.all(), snapshots };
    // Whoever deletes the replica has to know of its snapshot.
    let on_replica = snapshot.snapshots.get(1).map(|one| one.snapshot.clone());
    let removal = ReplicaRemoval { snapshots: on_replica.into_iter().collect(), ..pair.removal() };
    stage.is_gone(&Made::Replica(Box::new(unmade.removal())));
    stage.will_make(Made::Replica(Box::new(removal)));
    stage.will_make(Made::ReplicatedSnapshot(Box::new(deleting(&snapshot))));
    Ok((pair, snapshot))
}

/// The snapshot as the calls that delete it are told.
pub(crate) fn deleting(snapshot: &ReplicatedSnapshot) -> ReplicatedSnapshot {
    let instances = snapshot.snapshots.iter();
    let deleting =
        |one: &ReplicaSnapshot| ReplicaSnapshot { status: InstanceStatus::Deleting, ..one.clone() };
    ReplicatedSnapshot { snapshots: instances.map(deleting).collect(), ..snapshot.clone() }
}

async fn snapshot(stage: &Stage) -> Found {
    let (_, snapshot) = unmade_snapshot(stage).await?;
    let answer = stage.driver().create_replicated_snapshot(&stage.reason(), &snapshot).await;
    let answer = answer.judge("create-replicated-snapshot")?;
    let broken = answer.iter().any(|update| update.progress == SnapshotProgress::Error);
    require(!broken, || "the answer calls an instance broken that was just taken".to_owned())
}

async fn snapshot_again(stage: &Stage) -> Found {
    let (_, snapshot) = unmade_snapshot(stage).await?;
    let first = stage.driver().create_replicated_snapshot(&stage.reason(), &snapshot).await;
    let first = first.prepare("create-replicated-snapshot")?;
    let second = stage.driver().create_replicated_snapshot(&stage.reason(), &snapshot).await;
    let second = second.judge("a second create-replicated-snapshot")?;
    require(first == second, || "a second create-replicated-snapshot answered otherwise".to_owned())
}

async fn delete_snapshot_gone(stage: &Stage) -> Found {
    let (_, snapshot) = unmade_snapshot(stage).await?;
    let answer = stage.driver().create_replicated_snapshot(&stage.reason(), &snapshot).await;
    answer.prepare("create-replicated-snapshot")?;
    let deleting = deleting(&snapshot);
    for which in ["delete-replicated-snapshot", "a second delete-replicated-snapshot"] {
        let answer =
            stage.driver().delete_replicated_snapshot(&stage.reason(), &deleting).await.judge(which)?;
        let on_active = deleting.snapshots.first().map(|one| one.snapshot.id);
        let progress =
            answer.iter().find(|update| Some(update.id) == on_active).map(|update| update.progress);
        let goes = matches!(progress, None | Some(SnapshotProgress::Deleted | SnapshotProgress::Deleting));
        require(goes, || format!("{which} does not call the instance on the active replica deleted"))?;
    }
    Ok(())
}

/// The answer about the instance on the active replica, as the host keeps it.
fn known(snapshot: &ReplicatedSnapshot, answer: &[SnapshotUpdate]) -> ReplicatedSnapshot {
    let known = |one: &ReplicaSnapshot| {
        let Some(update) = answer.iter().find(|update| update.id == one.snapshot.id) else {
            return one.clone();
        };
        let provider_location =
            update.provider_location.clone().or_else(|| one.snapshot.provider_location.clone());
        ReplicaSnapshot {
            snapshot: SnapshotForDriver { provider_location, ..one.snapshot.clone() },
            status: InstanceStatus::Available,
        }
    };
    ReplicatedSnapshot { snapshots: snapshot.snapshots.iter().map(known).collect(), ..snapshot.clone() }
}

/// A snapshot of a replicated share that was taken on the active replica; what was written into the share before is in it.
pub(crate) async fn taken_snapshot(stage: &Stage, content: &str) -> Found<(Pair, ReplicatedSnapshot)> {
    let (pair, snapshot) = unmade_snapshot(stage).await?;
    match stage.write(Resource::Share(pair.active.share.id), content).await {
        Ok(()) | Err(Finding::Unjudged(_)) => {}
        Err(broken) => return Err(broken),
    }
    let answer = stage.driver().create_replicated_snapshot(&stage.reason(), &snapshot).await;
    let answer = answer.prepare("create-replicated-snapshot")?;
    let snapshot = known(&snapshot, &answer);
    Ok((pair, snapshot))
}

async fn update(stage: &Stage) -> Found {
    let (pair, snapshot) = taken_snapshot(stage, "").await?;
    for which in ["update-replicated-snapshot", "a second update-replicated-snapshot"] {
        let replica = pair.other.share.id;
        let answer = stage.peer()?.update_replicated_snapshot(&stage.reason(), replica, &snapshot).await;
        let progress = answer.judge(which)?.map(|update| update.progress);
        let is_sound =
            matches!(progress, None | Some(SnapshotProgress::Creating | SnapshotProgress::Available));
        require(is_sound, || format!("{which} calls an instance that is being made broken or gone"))?;
    }
    Ok(())
}

/// What is asked of a revert to `snapshot`, which was taken on the active replica of `pair`.
pub(crate) fn reversion(pair: &Pair, snapshot: &ReplicatedSnapshot) -> Found<ReplicatedReversion> {
    let available =
        |one: &ReplicaSnapshot| ReplicaSnapshot { status: InstanceStatus::Available, ..one.clone() };
    let snapshots: Vec<ReplicaSnapshot> = snapshot.snapshots.iter().map(available).collect();
    let Some(active_snapshot) = snapshots.first().cloned() else {
        return unjudged("the kit made no snapshot");
    };
    Ok(ReplicatedReversion {
        active_replica: pair.active.clone(),
        replicas: pair.all(),
        active_snapshot,
        snapshots,
        share_rules: Vec::new(),
        snapshot_rules: Vec::new(),
    })
}

async fn revert_content(stage: &Stage) -> Found {
    let (pair, snapshot) = taken_snapshot(stage, "in the snapshot").await?;
    let at = Resource::Share(pair.active.share.id);
    stage.write(at, "after the snapshot").await?;
    let reversion = reversion(&pair, &snapshot)?;
    let answer = stage.driver().revert_to_replicated_snapshot(&stage.reason(), &reversion).await;
    answer.prepare("revert-to-replicated-snapshot")?;
    let content = stage.read(at).await?;
    require(content == "in the snapshot", || {
        format!("the active replica holds {content:?} instead of what was in the snapshot")
    })
}

async fn revert_again(stage: &Stage) -> Found {
    let (pair, snapshot) = taken_snapshot(stage, "").await?;
    let reversion = reversion(&pair, &snapshot)?;
    for which in ["revert-to-replicated-snapshot", "a second revert-to-replicated-snapshot"] {
        stage.driver().revert_to_replicated_snapshot(&stage.reason(), &reversion).await.judge(which)?;
    }
    Ok(())
}
