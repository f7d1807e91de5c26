//! What is swept of replicas.

use super::trials::{content, write_if_possible};
use super::{Facts, Prepared, Sweep, Trial, deleted, sweep};
use crate::checks::replicated;
use crate::checks::replication::{self, Pair};
use crate::finding::{Found, told};
use crate::stage::Stage;
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::replica::{ReplicatedReversion, ReplicatedSnapshot};
use bulkhead_model::target::Resource;
use std::sync::Arc;

const REPLICATION: &[Ability] = &[Ability::Replication];
const SNAPSHOTS: &[Ability] = &[Ability::ReplicatedSnapshots];

/// Sweeps of functions about replicas.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "create-replica-converges",
        "replication.create-replica",
        [REPLICATION],
        create_replica,
        "Idempotent: a replica that is there is a success with its present state."
    ),
    sweep!(
        "delete-replica-converges",
        "replication.delete-replica",
        [REPLICATION],
        delete_replica,
        "Idempotent: a replica that is gone, or was made only in part, is a success."
    ),
    sweep!(
        "promote-replica-converges",
        "replication.promote-replica",
        [REPLICATION],
        promote_replica,
        "Idempotent: a replica that is active is a success with the same answer."
    ),
    sweep!(
        "update-replica-state-converges",
        "replication.update-replica-state",
        [REPLICATION],
        update_state,
        "Idempotent: called every 300 s and when an operator asks."
    ),
    sweep!(
        "replicated-snapshot-converges",
        "replicated-snapshots.create-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        create_snapshot,
        "Idempotent: instances that are there are a success with the same answer."
    ),
    sweep!(
        "delete-replicated-snapshot-converges",
        "replicated-snapshots.delete-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        delete_snapshot,
        "Idempotent: instances that are gone are answered as `deleted`."
    ),
    sweep!(
        "update-replicated-snapshot-converges",
        "replicated-snapshots.update-replicated-snapshot",
        [REPLICATION, SNAPSHOTS],
        update_snapshot,
        "Idempotent: called every 300 s. May take the next small step."
    ),
    sweep!(
        "replicated-revert-converges",
        "replicated-revert.revert-to-replicated-snapshot",
        [REPLICATION, SNAPSHOTS, &[Ability::ReplicatedRevert]],
        revert,
        "Until it has succeeded either the old or the new content is there, never a mix."
    ),
];

/// One call with what it is about. Those about a replica go to the peer, those about a snapshot on all of them to the active one.
enum Call {
    Create(Pair),
    Delete(Pair),
    Promote(Pair),
    UpdateState(Pair),
    CreateSnapshot(ReplicatedSnapshot),
    DeleteSnapshot(ReplicatedSnapshot),
    UpdateSnapshot(Pair, ReplicatedSnapshot),
    Revert(Box<ReplicatedReversion>),
}

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        let peer = stage.world.peer().unwrap_or_else(|| Arc::clone(&driver));
        match self {
            Self::Create(pair) => peer.create_replica(reason, &pair.view()).await.map(drop),
            Self::Delete(pair) => peer.delete_replica(reason, &pair.removal()).await,
            Self::Promote(pair) => peer.promote_replica(reason, &pair.promotion()).await.map(drop),
            Self::UpdateState(pair) => peer.update_replica_state(reason, &pair.view()).await.map(drop),
            Self::CreateSnapshot(snapshot) => {
                driver.create_replicated_snapshot(reason, snapshot).await.map(drop)
            }
            Self::DeleteSnapshot(snapshot) => {
                deleted(driver.delete_replicated_snapshot(reason, snapshot).await.map(drop))
            }
            Self::UpdateSnapshot(pair, snapshot) => {
                let replica = pair.other.share.id;
                peer.update_replicated_snapshot(reason, replica, snapshot).await.map(drop)
            }
            Self::Revert(reversion) => driver.revert_to_replicated_snapshot(reason, reversion).await,
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        match self {
            Self::Create(pair) | Self::UpdateState(pair) => {
                let state = stage.peer()?.update_replica_state(&stage.reason(), &pair.view()).await;
                let state = state.map_or_else(|error| told(&error), |state| format!("{state:?}"));
                facts.insert("the replica's state", state);
            }
            Self::Delete(_) => {}
            Self::Promote(pair) => {
                let again = stage.peer()?.promote_replica(&stage.reason(), &pair.promotion()).await;
                let states = again.map(|answer| format!("{:?}", replication::states(&answer).values()));
                facts.insert("the replicas' states", states.unwrap_or_else(|error| told(&error)));
            }
            Self::CreateSnapshot(snapshot) | Self::DeleteSnapshot(snapshot) => {
                for one in snapshot.snapshots.iter().take(1) {
                    let data = content(stage, Resource::Snapshot(one.snapshot.id)).await;
                    facts.insert("the data of the snapshot on the active replica", data);
                }
            }
            Self::UpdateSnapshot(pair, snapshot) => {
                let (peer, replica) = (stage.peer()?, pair.other.share.id);
                let again = peer.update_replicated_snapshot(&stage.reason(), replica, snapshot).await;
                let told = again.map(|answer| format!("{:?}", answer.map(|update| update.progress)));
                facts.insert(
                    "how far the snapshot is",
                    told.unwrap_or_else(|error| crate::finding::told(&error)),
                );
            }
            Self::Revert(reversion) => {
                let at = Resource::Share(reversion.active_replica.share.id);
                facts.insert("the data of the active replica", content(stage, at).await);
            }
        }
        Ok(facts)
    }
}

async fn create_replica(stage: &Stage) -> Prepared {
    stage.peer()?;
    Ok(Box::new(Call::Create(replication::unmade_pair(stage).await?)))
}

async fn delete_replica(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Delete(replication::made_pair(stage).await?.1)))
}

async fn promote_replica(stage: &Stage) -> Prepared {
    let (unmade, pair) = replication::made_pair(stage).await?;
    // A promotion that was struck may have happened; what is deleted then is what it would have made.
    replication::is_promoted(stage, &unmade, &pair);
    Ok(Box::new(Call::Promote(pair)))
}

async fn update_state(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::UpdateState(replication::made_pair(stage).await?.1)))
}

async fn create_snapshot(stage: &Stage) -> Prepared {
    let (pair, snapshot) = replicated::unmade_snapshot(stage).await?;
    write_if_possible(stage, &pair.active.share).await?;
    Ok(Box::new(Call::CreateSnapshot(snapshot)))
}

async fn delete_snapshot(stage: &Stage) -> Prepared {
    let (_, snapshot) = replicated::taken_snapshot(stage, "in the snapshot").await?;
    Ok(Box::new(Call::DeleteSnapshot(replicated::deleting(&snapshot))))
}

async fn update_snapshot(stage: &Stage) -> Prepared {
    let (pair, snapshot) = replicated::taken_snapshot(stage, "in the snapshot").await?;
    Ok(Box::new(Call::UpdateSnapshot(pair, snapshot)))
}

async fn revert(stage: &Stage) -> Prepared {
    let (pair, snapshot) = replicated::taken_snapshot(stage, "in the snapshot").await?;
    write_if_possible(stage, &pair.active.share).await?;
    Ok(Box::new(Call::Revert(Box::new(replicated::reversion(&pair, &snapshot)?))))
}
