//! What is swept of replicas.

use super::{Facts, Prepared, Sweep, Trial, sweep};
use crate::checks::replication::{self, Pair};
use crate::finding::{Found, told};
use crate::stage::Stage;
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use std::sync::Arc;

const REPLICATION: &[Ability] = &[Ability::Replication];

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
];

/// One call with what it is about; all of them go to the peer.
enum Call {
    Create(Pair),
    Delete(Pair),
    Promote(Pair),
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
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        match self {
            Self::Create(pair) => {
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
