//! Access rules on replicas that serve clients beside the active one.
//!
//! Each gets all rules of the share after every change, as a full synchronisation: empty lists mean "make the backend equal to the rules"
//! (contract 0.3, 4). Readable replicas get them read only. Replicas of type `dr` are never asked: they serve nobody.

use super::carry;
use crate::access::list::RuleList;
use crate::access::state;
use crate::backend::Serving;
use crate::manager::Inner;
use crate::records::{Cause, Change, Tables};
use bulkhead_model::access::{AccessLevel, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::replica::Replica;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ReplicationType, ShareStatus};

/// Whether a replica serves clients though it is not the active one.
pub(super) fn serves_beside(replication_type: Option<ReplicationType>, instance: &ShareInstance) -> bool {
    let is_type = matches!(replication_type, Some(ReplicationType::Readable | ReplicationType::Writable));
    is_type && instance.replica_state.is_some() && instance.status == ShareStatus::Available
}

/// The rules of a share have changed: the replicas that serve beside the active one are to hear of it.
pub(crate) fn changed(tables: &Tables, share: ShareId, cause: &Cause, change: &mut Change) {
    let replication_type = tables.share(&Scope::Everything, share).and_then(|share| share.replication_type);
    let active = tables.instance_of(share).map(|active| active.id);
    for other in tables.instances_of(share) {
        if Some(other.id) != active && serves_beside(replication_type, other) {
            change.edit_replica(tables, other.id, cause, |instance| {
                instance.access_rules_status = AccessRulesStatus::Syncing;
            });
        }
    }
}

/// Send all rules to a replica beside the active one.
pub(super) async fn send(
    inner: &Inner,
    serving: &Serving,
    reason: &CallReason,
    (share, id): (ShareId, ShareInstanceId),
) -> Result<AccessRulesStatus, CallError> {
    let (replica, rules) = inner.read(|tables| {
        let replicas = carry::replicas(tables, share)?;
        let replica = replicas.into_iter().find(|one| one.share.id == id);
        let replica =
            replica.ok_or_else(|| CallError::Host { reason: format!("replica {id} has no record") })?;
        Ok((replica, carry::rules(tables, share)))
    })?;
    let is_readable = replica.replication_type == ReplicationType::Readable;
    let cast = |mut rule: bulkhead_model::access::AccessRule| {
        if is_readable && replica.share.replica_state != Some(ReplicaState::Active) {
            rule.level = AccessLevel::Ro;
        }
        rule
    };
    let update = AccessUpdate { rules: rules.into_iter().map(cast).collect(), ..AccessUpdate::default() };
    let outcomes = serving.driver.update_access(reason, &replica.share, &update).await?;
    let is_broken = outcomes.iter().any(|one| one.state == bulkhead_model::status::AccessRuleState::Error);
    Ok(if is_broken { AccessRulesStatus::Error } else { AccessRulesStatus::Active })
}

/// Take all rules away from a replica that is going.
pub(super) async fn remove(
    inner: &Inner,
    serving: &Serving,
    reason: &CallReason,
    replica: &Replica,
) -> Result<(), CallError> {
    if replica.replication_type == ReplicationType::Dr {
        return Ok(());
    }
    let update = inner.read(|tables| Ok(state::removal_of_all(&RuleList::read(tables, replica.share.id))))?;
    if update.remove.is_empty() {
        return Ok(());
    }
    match serving.driver.update_access(reason, &replica.share, &update).await {
        Err(error) if error.code() == Some(DriverErrorCode::ShareNotFound) => Ok(()),
        answer => answer.map(drop),
    }
}
