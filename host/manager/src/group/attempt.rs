//! One attempt at an operation on a group: the gates of all shares it touches, its driver calls, its answer.

use super::fan_out::{self, Stop};
use super::settle::MadeShare;
use super::{carry, pending, settle, shares_at_work};
use crate::error::ManagerError;
use crate::gate::Gate;
use crate::journal::Attempt;
use crate::manager::Inner;
use crate::metadata::{self, Pairs};
use crate::runner::{Progress, Step, enter, failed, judged};
use crate::share_server;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId, ShareId, ShareServerId};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Creation;
use bulkhead_model::share_group::{CreatedShare, GroupShareSource};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known after the calls: how the operation goes on.
type Outcome = Result<settle::Answer, Stop>;

/// Make an attempt. The operation's share is no share: whatever it touches follows from its verb.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    let gates = gates(inner, operation);
    let mut passed = Vec::with_capacity(gates.len());
    for gate in &gates {
        passed.push(gate.change.lock().await);
    }
    if let Some(step) = share_server::provide::provide(inner, operation, progress).await? {
        return Ok(step);
    }
    let Some((serving, _slot)) = enter(inner, &operation.backend).await? else { return Ok(Step::Again) };
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(operation.id, &serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    let left = pending::left(&inner.records.read(), &attempt);
    if let Some(left) = left {
        return pending::ask(inner, &attempt, progress, &left).await;
    }
    let server = server_left(inner, operation);
    let step = match call(inner, &attempt, progress).await {
        Ok(Ok(answer)) => settle::answered(inner, &attempt, &answer).await,
        Ok(Err(Stop::NotWanted)) => Ok(Step::Wait),
        Ok(Err(Stop::Failed(error, judgement))) => judged(inner, &attempt, judgement, error).await,
        Err(error) => failed(inner, &attempt, progress, error).await,
    };
    share_server::left_alone(inner, server).await;
    step
}

/// The share server that a group which is to go lives on.
fn server_left(inner: &Inner, operation: &Operation) -> Option<ShareServerId> {
    match operation.verb {
        Verb::DeleteShareGroup { group, .. } => {
            inner.records.read().group(&Scope::Everything, group)?.share_server
        }
        _ => None,
    }
}

/// The gates of the group and its shares at work. All are passed in the order of their ids, so that no two attempts wait for each other.
fn gates(inner: &Inner, operation: &Operation) -> Vec<Arc<Gate>> {
    let mut ids: BTreeSet<ShareId> = shares_at_work(&inner.records.read(), operation).into_iter().collect();
    ids.insert(operation.share);
    ids.into_iter().map(|id| inner.gates.of(id)).collect()
}

async fn call(inner: &Inner, attempt: &Attempt, progress: &mut Progress) -> Result<Outcome, CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    match attempt.operation.verb {
        Verb::CreateShareGroup { group } => {
            let group = inner.read(|tables| carry::group(tables, group))?;
            or_nothing_to_do(driver.create_share_group(&reason, &group).await)?;
            Ok(Ok(settle::Answer::Done))
        }
        Verb::DeleteShareGroup { group, .. } => {
            let group = inner.read(|tables| carry::group(tables, group))?;
            or_nothing_to_do(driver.delete_share_group(&reason, &group).await)?;
            Ok(Ok(settle::Answer::Done))
        }
        Verb::CreateShareGroupFromSnapshot { group, group_snapshot } => {
            make(inner, attempt, progress, (group, group_snapshot)).await
        }
        Verb::CreateShareGroupSnapshot { group_snapshot, .. } => {
            let snapshot = inner.read(|tables| carry::snapshot(tables, group_snapshot))?;
            let taken = match driver.create_share_group_snapshot(&reason, &snapshot).await {
                Err(error) if error.is_not_implemented() => {
                    fan_out::take(inner, attempt, progress, &snapshot.members).await
                }
                answer => Ok(answer?),
            };
            Ok(taken.map(settle::Answer::Taken))
        }
        Verb::DeleteShareGroupSnapshot { group_snapshot, .. } => {
            let snapshot = inner.read(|tables| carry::snapshot(tables, group_snapshot))?;
            let removed = match driver.delete_share_group_snapshot(&reason, &snapshot).await {
                Err(error) if error.is_not_implemented() => {
                    fan_out::remove(inner, attempt, progress, &snapshot.members).await
                }
                answer => Ok(answer?),
            };
            Ok(removed.map(|()| settle::Answer::Done))
        }
        _ => Err(CallError::Host { reason: "this operation is about no group".to_owned() }),
    }
}

/// A driver without a function for it has nothing to do: the group is only a record.
fn or_nothing_to_do(answer: Result<(), CallError>) -> Result<(), CallError> {
    match answer {
        Err(error) if error.is_not_implemented() => Ok(()),
        answer => answer,
    }
}

async fn make(
    inner: &Inner,
    attempt: &Attempt,
    progress: &mut Progress,
    (group, group_snapshot): (ShareGroupId, ShareGroupSnapshotId),
) -> Result<Outcome, CallError> {
    let (shares, snapshot, group) = inner.read(|tables| {
        Ok((
            carry::made_from(tables, group)?,
            carry::snapshot(tables, group_snapshot)?,
            carry::group(tables, group)?,
        ))
    })?;
    let sources = match carry::collate(shares, &snapshot.members) {
        Ok(sources) => sources,
        Err(share) => return Ok(Ok(settle::Answer::NoMember(share))),
    };
    let driver = &attempt.serving.driver;
    let reason = attempt.reason();
    let made = match driver.create_share_group_from_snapshot(&reason, &group, &snapshot, &sources).await {
        Err(error) if error.is_not_implemented() => {
            fan_out::make(inner, attempt, progress, (&group, &sources)).await
        }
        answer => Ok(answer?),
    };
    let created = match made {
        Ok(created) => created,
        Err(stop) => return Ok(Err(stop)),
    };
    let mut made = Vec::with_capacity(created.len());
    for created in created {
        let metadata = supplied(inner, attempt, &sources, &created).await;
        made.push(MadeShare { created, metadata });
    }
    Ok(Ok(settle::Answer::Made(made)))
}

/// What the driver supplies for a share of the group that is ready.
async fn supplied(
    inner: &Inner,
    attempt: &Attempt,
    sources: &[GroupShareSource],
    created: &CreatedShare,
) -> Pairs {
    let share = sources.iter().find(|source| source.share.id == created.id).map(|source| source.share.share);
    match (share, &created.creation) {
        (Some(share), Creation::Available(locations)) => {
            metadata::supplied(inner, attempt, share, locations).await
        }
        _ => Pairs::new(),
    }
}
