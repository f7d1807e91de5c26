//! Replicas: directories that are said to hold what the active one holds.

use crate::flaw::{has, once};
use crate::place::{self, SHARE, of, path};
use bulkhead_sdk::{
    Error, Promotion, Replica, ReplicaOutcome, ReplicaState, ReplicaView, Result, files, private_data,
};

fn outcome(replica: &Replica, state: ReplicaState) -> ReplicaOutcome {
    ReplicaOutcome {
        share_id: replica.share.id.clone(),
        replica_state: state,
        export_locations: None,
        access_rules_status: None,
        access_rules: Vec::new(),
    }
}

/// Make a replica.
pub(crate) fn create(view: &ReplicaView) -> Result<ReplicaOutcome> {
    let replica = &view.replica;
    if has("replicates-once")? {
        once(&of(&replica.share), "replicated")?;
    }
    files::create_directory(&path(SHARE, &replica.share))?;
    place::record_size(&replica.share, replica.share.size_gib)?;
    let state = if has("two-active-replicas")? { ReplicaState::Active } else { ReplicaState::InSync };
    Ok(outcome(replica, state))
}

/// Remove a replica.
pub(crate) fn delete(replica: &Replica) -> Result<()> {
    let owner = of(&replica.share);
    if has("replica-delete-wants-one")? && private_data::get(&owner, "size-gib")?.is_none() {
        return Err(Error::replication_failed("there is no such replica"));
    }
    files::remove(&path(SHARE, &replica.share))?;
    place::forget(&owner)
}

/// Make a replica the active one.
pub(crate) fn promote(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
    if has("promotes-once")? {
        once(&of(&promotion.replica.share), "promoted")?;
    }
    let leaves_the_old_one = has("promotes-beside")?;
    let state = |replica: &Replica| {
        let is_promoted = replica.share.id == promotion.replica.share.id;
        if is_promoted || leaves_the_old_one { ReplicaState::Active } else { ReplicaState::OutOfSync }
    };
    Ok(promotion.replicas.iter().map(|replica| outcome(replica, state(replica))).collect())
}
