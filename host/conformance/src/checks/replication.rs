//! Replicas of shares, their snapshots, and promotion.

use super::{places, require_nothing_new};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::{Made, Side, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::replica::{
    InstanceStatus, Promotion, Replica, ReplicaOutcome, ReplicaRemoval, ReplicaView,
};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::{ReplicaState, ReplicationType};
use std::collections::BTreeMap;

const REPLICATION: [Ability; 1] = [Ability::Replication];

/// The sentence about what a new replica is.
const CREATE: &str = "Make `view.replica` as a replica of the share's active one, with its rules as far as they make sense there.";

pub(crate) const CHECKS: &[Check] = &[
    Check {
        sentence: CREATE,
        ..check!("create-replica", "replication.create-replica", [REPLICATION], create, "")
    },
    check!(
        "create-replica-again",
        "replication.create-replica",
        [REPLICATION],
        create_again,
        "Idempotent: a replica that is there is a success with its present state."
    ),
    check!(
        "update-replica-state",
        "replication.update-replica-state",
        [REPLICATION],
        update_state,
        "Idempotent: called every 300 s and when an operator asks."
    ),
    check!(
        "promote-replica",
        "replication.promote-replica",
        [REPLICATION],
        promote,
        "Make `promotion.replica` the active one."
    ),
    check!(
        "promote-replica-again",
        "replication.promote-replica",
        [REPLICATION],
        promote_again,
        "Idempotent: a replica that is active is a success with the same answer."
    ),
    check!(
        "delete-replica-gone",
        "replication.delete-replica",
        [REPLICATION],
        delete_gone,
        "Idempotent: a replica that is gone, or was made only in part, is a success."
    ),
    check!(
        "delete-replica-leaves-nothing",
        "replication.delete-replica",
        [REPLICATION],
        delete_leaves_nothing,
        "Remove `replica`, which is not the last active one, and its snapshots, some of which may still be in the making."
    ),
];

/// A share with a replica on the peer.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) active: Replica,
    pub(crate) other: Replica,
}

impl Pair {
    pub(crate) fn all(&self) -> Vec<Replica> {
        vec![self.active.clone(), self.other.clone()]
    }

    pub(crate) fn view(&self) -> ReplicaView {
        ReplicaView {
            replicas: self.all(),
            replica: self.other.clone(),
            access_rules: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    pub(crate) fn removal(&self) -> ReplicaRemoval {
        ReplicaRemoval { replicas: self.all(), replica: self.other.clone(), snapshots: Vec::new() }
    }

    pub(crate) fn promotion(&self) -> Promotion {
        Promotion {
            replicas: self.all(),
            replica: self.other.clone(),
            access_rules: Vec::new(),
            quiesce_wait_seconds: None,
            snapshots: Vec::new(),
        }
    }
}

/// A share that may be replicated, and a replica that nobody has made yet.
pub(crate) async fn unmade_pair(stage: &Stage) -> Found<Pair> {
    let share = ShareForDriver { replica_state: Some(ReplicaState::Active), ..stage.new_share() };
    let share = stage.create(share).await?;
    let active = stage.replica(&share, ReplicaState::Active, Side::Here);
    let other = stage.new_replica(&share);
    let pair = Pair { active, other };
    stage.will_make(Made::Replica(Box::new(pair.removal())));
    Ok(pair)
}

/// The replica as it is known after `outcome`.
pub(crate) fn settled(pair: &Pair, outcome: &ReplicaOutcome) -> Pair {
    let export_locations =
        outcome.export_locations.clone().unwrap_or_else(|| pair.other.share.export_locations.clone());
    let share =
        ShareForDriver { replica_state: Some(outcome.state), export_locations, ..pair.other.share.clone() };
    Pair { other: Replica { share, status: InstanceStatus::Available, ..pair.other.clone() }, ..pair.clone() }
}

/// A share with a replica that is there; before and after it was made.
pub(crate) async fn made_pair(stage: &Stage) -> Found<(Pair, Pair)> {
    let unmade = unmade_pair(stage).await?;
    let outcome = stage.peer()?.create_replica(&stage.reason(), &unmade.view()).await;
    let made = settled(&unmade, &outcome.prepare("create-replica")?);
    Ok((unmade, made))
}

async fn create(stage: &Stage) -> Found {
    let pair = unmade_pair(stage).await?;
    let outcome =
        stage.peer()?.create_replica(&stage.reason(), &pair.view()).await.judge("create-replica")?;
    let may_be_active = stage.sample.replication == ReplicationType::Writable;
    require(outcome.state != ReplicaState::Error, || "the new replica is called broken".to_owned())?;
    require(may_be_active || outcome.state != ReplicaState::Active, || {
        "the new replica is called active beside the one that is".to_owned()
    })
}

async fn create_again(stage: &Stage) -> Found {
    let pair = unmade_pair(stage).await?;
    let first =
        stage.peer()?.create_replica(&stage.reason(), &pair.view()).await.prepare("create-replica")?;
    let second = stage.peer()?.create_replica(&stage.reason(), &pair.view()).await;
    let second = second.judge("a second create-replica")?;
    let (first, second) = (first.export_locations, second.export_locations);
    let same = match (&first, &second) {
        (Some(first), Some(second)) => places(first) == places(second),
        _ => true,
    };
    require(same, || "a repeated create-replica found the replica at other places".to_owned())
}

async fn update_state(stage: &Stage) -> Found {
    let (_, pair) = made_pair(stage).await?;
    for which in ["update-replica-state", "a second update-replica-state"] {
        let state = stage.peer()?.update_replica_state(&stage.reason(), &pair.view()).await.judge(which)?;
        require(state != Some(ReplicaState::Error), || format!("{which} calls a new replica broken"))?;
    }
    Ok(())
}

/// What a promotion left: exactly the promoted one active.
fn require_promoted(pair: &Pair, answer: &[ReplicaOutcome], which: &str) -> Found {
    // An empty answer means just that.
    if answer.is_empty() {
        return Ok(());
    }
    let state_of = |id| answer.iter().find(|one| one.id == id).map(|one| one.state);
    let promoted = state_of(pair.other.share.id);
    require(promoted.is_none_or(|state| state == ReplicaState::Active), || {
        format!("{which} calls the promoted replica {}", promoted.unwrap_or(ReplicaState::Error))
    })?;
    let old = state_of(pair.active.share.id);
    let several = pair.active.replication_type == ReplicationType::Writable;
    require(several || old != Some(ReplicaState::Active), || {
        format!("{which} leaves the old replica active beside the promoted one")
    })
}

async fn promote(stage: &Stage) -> Found {
    let (unmade, pair) = made_pair(stage).await?;
    let which = "promote-replica";
    let answer = stage.peer()?.promote_replica(&stage.reason(), &pair.promotion()).await.judge(which)?;
    is_promoted(stage, &unmade, &pair);
    require_promoted(&pair, &answer, which)
}

async fn promote_again(stage: &Stage) -> Found {
    let (unmade, pair) = made_pair(stage).await?;
    let first = stage.peer()?.promote_replica(&stage.reason(), &pair.promotion()).await;
    let first = first.prepare("promote-replica")?;
    is_promoted(stage, &unmade, &pair);
    let which = "a second promote-replica";
    let second = stage.peer()?.promote_replica(&stage.reason(), &pair.promotion()).await.judge(which)?;
    let (first, second) = (states(&first), states(&second));
    require(first == second, || "a second promote-replica answered otherwise".to_owned())
}

/// Who is what after an answer.
pub(crate) fn states(answer: &[ReplicaOutcome]) -> BTreeMap<ShareInstanceId, ReplicaState> {
    answer.iter().map(|one| (one.id, one.state)).collect()
}

async fn delete_gone(stage: &Stage) -> Found {
    let pair = unmade_pair(stage).await?;
    let what = "delete-replica of a replica that never was";
    stage.peer()?.delete_replica(&stage.reason(), &pair.removal()).await.judge(what)?;
    let outcome = stage.peer()?.create_replica(&stage.reason(), &pair.view()).await;
    let pair = settled(&pair, &outcome.prepare("create-replica")?);
    for which in ["delete-replica", "a second delete-replica"] {
        stage.peer()?.delete_replica(&stage.reason(), &pair.removal()).await.judge(which)?;
    }
    Ok(())
}

async fn delete_leaves_nothing(stage: &Stage) -> Found {
    let pair = unmade_pair(stage).await?;
    let before = stage.holdings().await?;
    let outcome = stage.peer()?.create_replica(&stage.reason(), &pair.view()).await;
    let pair = settled(&pair, &outcome.prepare("create-replica")?);
    stage.peer()?.delete_replica(&stage.reason(), &pair.removal()).await.judge("delete-replica")?;
    require_nothing_new(&before, &stage.holdings().await?, "create-replica and delete-replica")
}

/// From now on the replica on the peer is the share, and what it was made of goes as a replica.
pub(crate) fn is_promoted(stage: &Stage, unmade: &Pair, pair: &Pair) {
    stage.is_gone(&Made::Replica(Box::new(unmade.removal())));
    stage.is_gone(&Made::Share(ShareForDriver { export_locations: Vec::new(), ..pair.active.share.clone() }));
    let with_state = |replica: &Replica, state| Replica {
        share: ShareForDriver { replica_state: Some(state), ..replica.share.clone() },
        ..replica.clone()
    };
    let active = with_state(&pair.other, ReplicaState::Active);
    let demoted = with_state(&pair.active, ReplicaState::OutOfSync);
    stage.will_make(Made::PeerShare(active.share.clone()));
    let replicas = vec![demoted.clone(), active];
    stage.will_make(Made::Demoted(Box::new(ReplicaRemoval {
        replicas,
        replica: demoted,
        snapshots: Vec::new(),
    })));
}
