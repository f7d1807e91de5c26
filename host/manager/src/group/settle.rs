//! What a driver's answer about a group does to the records: the groups' rows of the operation matrix (contract 4.9, 4.10).

use super::pending;
use super::policy::group_status_after_failure;
use super::shares_at_work;
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Attempt, Conclusion, End};
use crate::manager::Inner;
use crate::metadata::{self, Pairs};
use crate::records::{Cause, Change, Tables};
use crate::runner::Step;
use bulkhead_model::error::Blame;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share::{Creation, ShareInstance};
use bulkhead_model::share_group::{Consistency, CreatedShare, ShareGroupSnapshot};
use bulkhead_model::status::{ShareGroupStatus, ShareStatus, SnapshotStatus};
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// What the calls of an operation came to.
#[derive(Debug)]
pub(super) enum Answer {
    /// The group is there, or it or its snapshot is gone.
    Done,
    /// The members are taken; one that is not named is.
    Taken(Vec<SnapshotUpdate>),
    /// The shares are made; one that is not named is not.
    Made(Vec<MadeShare>),
    /// This share of the new group is made from none of the snapshot's members.
    NoMember(ShareId),
}

/// What became of one share.
#[derive(Debug)]
pub(super) struct MadeShare {
    /// What the driver said.
    pub(super) created: CreatedShare,
    /// The metadata that it supplies for it.
    pub(super) metadata: Pairs,
}

/// Take in an answer that is no failure of a call.
pub(super) async fn answered(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    answer: &Answer,
) -> Result<Step, ManagerError> {
    if let Answer::Made(shares) = answer
        && shares.iter().any(|share| share.created.creation == Creation::Pending)
    {
        return pending::begin(inner, attempt, shares).await;
    }
    let operation = &attempt.operation;
    let consistency = inner.backends.get(&operation.backend).and_then(|backend| backend.consistency());
    let conclusion = inner
        .conclude(attempt, |tables, cause, change| {
            if let Answer::NoMember(share) = answer {
                fail(tables, operation, cause, change);
                return End::badly(no_member(*share));
            }
            succeed(tables, operation, (answer, consistency), cause, change);
            End::well()
        })
        .await?;
    match conclusion {
        Conclusion::Taken => tracing::info!(
            operation.verb = operation.verb.name(),
            operation.subject = operation.subject(),
            operation.attempts = operation.attempts,
            "operation ended"
        ),
        Conclusion::TooLate => tracing::warn!(
            operation.verb = operation.verb.name(),
            operation.subject = operation.subject(),
            "the driver answered after the operation had been ended or taken over; its answer is dropped"
        ),
    }
    Ok(Step::Ended)
}

/// Manila's `InvalidShareGroup`.
fn no_member(share: ShareId) -> OperationFailure {
    OperationFailure {
        code: "invalid-share-group".to_owned(),
        blame: Blame::Host,
        message: format!("share {share} of the group is made from none of the snapshot's members"),
    }
}

fn succeed(
    tables: &Tables,
    operation: &Operation,
    (answer, consistency): (&Answer, Option<Consistency>),
    cause: &Cause,
    change: &mut Change,
) {
    match operation.verb {
        Verb::CreateShareGroup { group } | Verb::CreateShareGroupFromSnapshot { group, .. } => {
            change.edit_group(tables, group, cause, |group| {
                group.status = ShareGroupStatus::Available;
                group.consistency = consistency;
            });
        }
        Verb::CreateShareGroupSnapshot { group_snapshot, .. } => {
            change.edit_group_snapshot(tables, group_snapshot, cause, |snapshot| {
                snapshot.status = ShareGroupStatus::Available;
                if let Answer::Taken(updates) = answer {
                    take_members(snapshot, updates);
                }
            });
        }
        _ => remove(tables, operation, cause, change),
    }
    if let Answer::Made(created) = answer {
        take_shares(tables, operation, created, cause, change);
    }
    touch_shares(tables, operation, cause, change);
}

/// Members that the driver calls broken are; all others are taken.
fn take_members(snapshot: &mut ShareGroupSnapshot, updates: &[SnapshotUpdate]) {
    for member in &mut snapshot.members {
        let update = updates.iter().find(|update| update.id == member.id);
        let is_broken = update.is_some_and(|update| update.progress == SnapshotProgress::Error);
        member.status = if is_broken { SnapshotStatus::Error } else { SnapshotStatus::Available };
        if let Some(handle) = update.and_then(|update| update.provider_location.clone()) {
            member.provider_location = Some(handle);
        }
    }
}

/// Give each new share what the driver says of it; one that it leaves out is in error.
pub(super) fn take_shares(
    tables: &Tables,
    operation: &Operation,
    made: &[MadeShare],
    cause: &Cause,
    change: &mut Change,
) {
    for share in shares_at_work(tables, operation) {
        let Some(id) = tables.instance_of(share).map(|instance| instance.id) else { continue };
        let found = made.iter().find(|made| made.created.id == id);
        if let Some(made) = found.filter(|made| !made.metadata.is_empty()) {
            change.edit_share(tables, share, |share| {
                metadata::merge(share, &operation.backend, &made.metadata);
            });
        }
        change.edit_instance(tables, share, cause, |instance| {
            match found.map(|made| &made.created.creation) {
                Some(Creation::Available(locations)) => {
                    instance.export_locations =
                        export::replace(&instance.export_locations, locations.clone());
                    instance.status = ShareStatus::Available;
                    instance.progress_percent = Some(100);
                    instance.launched_at = Some(Timestamp::now());
                }
                Some(Creation::Pending) => {
                    instance.status = ShareStatus::CreatingFromSnapshot;
                    instance.progress_percent = Some(0);
                }
                None => instance.status = ShareStatus::Error,
            }
        });
    }
}

/// The turnstile of the shares: whoever decided while the operation was in flight on them decides anew.
fn touch_shares(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    if operation.verb.group_snapshot().is_none() {
        return;
    }
    for share in shares_at_work(tables, operation) {
        change.edit_instance(tables, share, cause, |_: &mut ShareInstance| {});
    }
}

/// What was to be removed is gone, or is forgotten with the failure on record.
pub(crate) fn remove(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    match operation.verb {
        Verb::DeleteShareGroup { group, .. } => change.remove_group(tables, group, cause),
        Verb::DeleteShareGroupSnapshot { group_snapshot, .. } => {
            change.remove_group_snapshot(tables, group_snapshot, cause);
        }
        _ => {}
    }
}

/// Give the group of a failed operation, its snapshot or its new shares the statuses of the failure; nothing for an operation on a share.
pub(crate) fn fail(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    if let (Some(group), Some(status)) = (operation.verb.group(), group_status_after_failure(&operation.verb))
    {
        change.edit_group(tables, group, cause, |group| group.status = status);
    }
    if let Some(id) = operation.verb.group_snapshot() {
        change.edit_group_snapshot(tables, id, cause, |snapshot| {
            snapshot.status = ShareGroupStatus::Error;
            snapshot.members.iter_mut().for_each(|member| member.status = SnapshotStatus::Error);
        });
        touch_shares(tables, operation, cause, change);
    }
    if let Verb::CreateShareGroupFromSnapshot { .. } = operation.verb {
        for share in shares_at_work(tables, operation) {
            change.edit_instance(tables, share, cause, |instance| instance.status = ShareStatus::Error);
        }
    }
}
