//! Recovery: every operation that had not ended when the daemon did goes on.
//!
//! Called once after the start, when the helper has confirmed that the commands of the previous daemon have ended: from then on nobody
//! else works for these operations. Each is taken over by raising its fencing token, rules that were with a driver go back into the
//! queue, and a runner repeats the driver call. What a call does is bound to ids, so the repeat finds what the first attempt did. How
//! many calls run at once is bounded by each backend's slots; operations of a backend that is not set up wait visibly.
//!
//! Until then an operation of the previous daemon is held back ([`Inherited`]), whoever would launch it: a request that joins its queue,
//! a person who says retry, the driver's set-up; and so is every other operation on the same share, because a command of the previous
//! daemon may still be at work on it.
//!
//! A resource in a transient status without an operation cannot come from this program, since both are one transaction. If the records
//! say so all the same (edited by hand, restored in part) it is put into its error status, and the log says so.

use crate::access::list::RuleList;
use crate::access::state::{self, Reapply};
use crate::access::{self};
use crate::error::ManagerError;
use crate::journal::{Freshness, unfinished};
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Expect, Row, Tables};
use crate::runner::launch;
use crate::{group, mountable, replica, share, share_server, snapshot};
use bulkhead_model::id::{OperationId, ShareId, ShareInstanceId, SnapshotId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The operations of the previous daemon that were not taken over yet, with the shares they touch.
#[derive(Debug)]
pub(crate) struct Inherited(Mutex<BTreeMap<OperationId, Vec<ShareId>>>);

impl Inherited {
    /// Everything unfinished, when the records were just read.
    pub(crate) fn of(tables: &Tables) -> Self {
        let shares = |id| {
            let operation = tables.operation(&Scope::Everything, id)?;
            let mut shares = group::shares_at_work(tables, operation);
            shares.push(operation.share);
            Some((id, shares))
        };
        Self(Mutex::new(tables.unfinished().into_iter().filter_map(shares).collect()))
    }

    /// Whether an operation on `share` has to wait for recovery.
    pub(crate) fn holds_back(&self, share: ShareId) -> bool {
        self.lock().values().any(|inherited| inherited.contains(&share))
    }

    fn list(&self) -> Vec<OperationId> {
        self.lock().keys().copied().collect()
    }

    fn release(&self, id: OperationId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OperationId, Vec<ShareId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager {
    /// Take over every unfinished operation and let it go on. Returns when all have a runner, not when they have ended.
    ///
    /// Call it after the helper has confirmed that every command of the previous daemon has ended; backends may be attached before or
    /// after. Fails if an operation could not be taken over; the others go on. Call it again then: what was taken over is left alone.
    pub async fn recover(&self) -> Result<(), ManagerError> {
        self.detached(async move |inner| recover(&inner).await).await
    }
}

async fn recover(inner: &Arc<Inner>) -> Result<(), ManagerError> {
    let inherited = inner.inherited.list();
    if !inherited.is_empty() {
        tracing::info!(operations = inherited.len(), "going on with the operations of the previous daemon");
    }
    let mut failure = None;
    for id in inherited {
        match take_over(inner, id).await {
            Ok(()) => inner.inherited.release(id),
            Err(error) => {
                tracing::error!(operation.id = %id, "the operation was not taken over: {error}");
                failure = Some(error);
            }
        }
    }
    let unfinished = inner.records.read().unfinished();
    for id in unfinished {
        launch(inner, id, Freshness::Repeat);
    }
    match failure {
        Some(error) => Err(error),
        None => {
            repair(inner).await?;
            replica::follow::start(inner);
            share_server::start(inner);
            Ok(())
        }
    }
}

/// Give what is transient without an operation a status that rests.
async fn repair(inner: &Arc<Inner>) -> Result<(), ManagerError> {
    let (shares, snapshots, instances) = {
        let tables = inner.records.read();
        (instances_without_owner(&tables), snapshots_without_owner(&tables), rules_without_owner(&tables))
    };
    for id in shares {
        repair_share(inner, id).await?;
    }
    for id in snapshots {
        repair_snapshot(inner, id).await?;
    }
    for id in instances {
        tracing::error!(share_instance.id = %id, "access rules were on their way without an operation; they get one");
        requeue(inner, id).await?;
        access::start_if_queued(inner, id, "recovery").await;
    }
    share_server::recovery::repair(inner).await?;
    group::recovery::repair(inner).await
}

/// Raise the fencing token, and put rules that were with a driver back into the queue.
async fn take_over(inner: &Arc<Inner>, id: OperationId) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(())) };
            let mut operation = (*stored.value).clone();
            operation.fencing_token = operation.fencing_token.saturating_add(1);
            "taken up again after a restart".clone_into(&mut operation.step);
            operation.deadline_at = None;
            operation.updated_at = Timestamp::now();
            let mut change = Change::default();
            if operation.verb == Verb::UpdateAccess
                && let Some(instance) = tables.instance_of(operation.share)
            {
                let mut rules = RuleList::read(tables, instance.id);
                state::requeue(&mut rules, Reapply::InWork);
                let mut cause = Cause::host("recovery");
                cause.operation = Some(id);
                rules.write(&cause, &mut change);
                change.edit_instance(tables, operation.share, &cause, |_| {});
            }
            if let Verb::UpdateSnapshotAccess { snapshot } = operation.verb {
                let mut cause = Cause::host("recovery");
                cause.operation = Some(id);
                change.edit_snapshot_instance(tables, snapshot, &cause, |instance| {
                    mountable::state::requeue(&mut instance.access_rules, Reapply::InWork);
                });
            }
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
            Ok(Proposal::Commit(stored.backend.clone(), change, ()))
        })
        .await
}

fn instances_without_owner(tables: &Tables) -> Vec<ShareInstanceId> {
    let is_left = |id: ShareId| {
        share::find(tables, &Scope::Everything, id)
            .is_ok_and(|(share, instance)| share::facts(tables, share, instance).in_flight.is_none())
    };
    tables
        .instances()
        .filter(|instance| instance.status.is_transient() && is_left(instance.share))
        .map(|instance| instance.id)
        .collect()
}

fn snapshots_without_owner(tables: &Tables) -> Vec<SnapshotId> {
    let is_left =
        |facts: crate::operation::SnapshotFacts| facts.status.is_transient() && facts.in_flight.is_none();
    tables
        .snapshots(&Scope::Everything)
        .into_iter()
        .filter(|one| !replica::twin::is_followed(tables, one.id))
        .filter(|one| snapshot::facts(tables, one).is_some_and(is_left))
        .map(|one| one.id)
        .collect()
}

fn rules_without_owner(tables: &Tables) -> Vec<ShareInstanceId> {
    let has_owner = |share: ShareId| {
        tables.unfinished_of_share(share).any(|operation| {
            let verbs = |verb: &Verb| {
                matches!(verb, Verb::UpdateAccess | Verb::DeleteShare { .. } | Verb::UnmanageShare { .. })
            };
            verbs(&operation.verb)
        })
    };
    let is_active =
        |one: &ShareInstance| tables.instance_of(one.share).is_some_and(|active| active.id == one.id);
    tables
        .instances()
        .filter(|instance| {
            let rules = RuleList::read(tables, instance.id);
            is_active(instance)
                && (state::is_in_work(&rules) || state::has_queued(&rules))
                && !has_owner(instance.share)
        })
        .map(|instance| instance.id)
        .collect()
}

async fn repair_share(inner: &Inner, id: ShareInstanceId) -> Result<(), ManagerError> {
    tracing::error!(share_instance.id = %id, "the share was in a transient status without an operation; it is put in error");
    inner
        .transact(|tables| {
            let Some(instance) = tables.instance(id) else { return Ok(Proposal::Settled(())) };
            let mut change = Change::default();
            change.edit_replica(tables, id, &Cause::host("recovery"), |instance| {
                instance.status = match instance.status {
                    ShareStatus::Deleting => ShareStatus::ErrorDeleting,
                    ShareStatus::Extending => ShareStatus::ExtendingError,
                    ShareStatus::Shrinking => ShareStatus::ShrinkingError,
                    ShareStatus::Reverting | ShareStatus::RevertingToSnapshot => ShareStatus::RevertingError,
                    ShareStatus::ManageStarting => ShareStatus::ManageError,
                    ShareStatus::UnmanageStarting => ShareStatus::UnmanageError,
                    _ => ShareStatus::Error,
                };
            });
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await
}

async fn repair_snapshot(inner: &Inner, id: SnapshotId) -> Result<(), ManagerError> {
    tracing::error!(snapshot.id = %id, "the snapshot was in a transient status without an operation; it is put right");
    inner
        .transact(|tables| {
            let share = tables.snapshot(&Scope::Everything, id).map(|snapshot| snapshot.share);
            let Some(instance) = share.and_then(|share| tables.instance_of(share)) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            change.edit_snapshot_instance(tables, id, &Cause::host("recovery"), |instance| {
                instance.status = match instance.status {
                    SnapshotStatus::Deleting => SnapshotStatus::ErrorDeleting,
                    // The snapshot survives a revert whatever became of it.
                    SnapshotStatus::Restoring => SnapshotStatus::Available,
                    SnapshotStatus::ManageStarting => SnapshotStatus::ManageError,
                    SnapshotStatus::UnmanageStarting => SnapshotStatus::UnmanageError,
                    _ => SnapshotStatus::Error,
                };
            });
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await
}

async fn requeue(inner: &Inner, id: ShareInstanceId) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(instance) = tables.instance(id) else { return Ok(Proposal::Settled(())) };
            let mut rules = RuleList::read(tables, id);
            state::requeue(&mut rules, Reapply::InWork);
            let cause = Cause::host("recovery");
            let mut change = Change::default();
            rules.write(&cause, &mut change);
            change.edit_instance(tables, instance.share, &cause, |_| {});
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await
}
