//! Shares of a new group that the backend goes on making by itself: each is asked about through `share-status`.
//!
//! The first answer of the driver is kept in the shares' statuses: what is ready is available, what is pending is
//! `creating_from_snapshot`. Manila makes pending shares available with their group; here the group is being made as long as one of them is.
//! A share that fails is in error, and its group is there, as with one that the driver's answer leaves out.

use super::settle::MadeShare;
use super::{carry, settle, shares_at_work};
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Attempt, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::metadata::{self, Pairs};
use crate::operation::Judgement;
use crate::pending;
use crate::records::{Change, Expect, Row, Tables};
use crate::runner::{Progress, Step};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::share::{PendingWork, ShareInstance, ShareProgress};
use bulkhead_model::status::ShareStatus;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// The shares that the backend still makes; none before the driver has answered, or if it cannot be asked.
pub(super) fn left(tables: &Tables, attempt: &Attempt) -> Option<Vec<ShareId>> {
    let operation = &attempt.operation;
    let can_be_asked = attempt.serving.driver.abilities().has(Ability::ShareStatus);
    if !can_be_asked || !matches!(operation.verb, Verb::CreateShareGroupFromSnapshot { .. }) {
        return None;
    }
    let shares = shares_at_work(tables, operation);
    let status = |share: &ShareId| tables.instance_of(*share).map(|instance| instance.status);
    let is_answered = shares.iter().any(|share| status(share) != Some(ShareStatus::Creating));
    let is_left = |share: &ShareId| status(share) == Some(ShareStatus::CreatingFromSnapshot);
    is_answered.then(|| shares.into_iter().filter(is_left).collect())
}

/// Take in the first answer: one transaction with the operation that waits.
pub(super) async fn begin(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    made: &[MadeShare],
) -> Result<Step, ManagerError> {
    let operation = &attempt.operation;
    change(inner, operation, |tables, change| {
        settle::take_shares(tables, operation, made, &cause_of(operation), change);
        0
    })
    .await?;
    Ok(Step::Ask)
}

/// Ask about each share that is left, one after the other. The group is there once none is.
pub(super) async fn ask(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    left: &[ShareId],
) -> Result<Step, ManagerError> {
    let mut lowest = None;
    for share in left {
        let told = match ask_one(inner, attempt, *share).await {
            Err(error) if progress.judge(inner, &attempt.operation.verb, &error) == Judgement::Repeat => {
                tracing::warn!(share.id = %share, "a share of a new group is asked about again: {error}");
                lowest = Some(0);
                continue;
            }
            Err(error) => {
                tracing::warn!(share.id = %share, "a share of a new group is in error: {error}");
                ShareProgress::Failed
            }
            Ok(told) => told,
        };
        if let ShareProgress::Pending(percent) = told {
            lowest = Some(lowest.map_or(percent, |lowest: u8| lowest.min(percent)));
        }
        take_in(inner, attempt, *share, &told).await?;
    }
    let Some(percent) = lowest else {
        return settle::answered(inner, attempt, &settle::Answer::Done).await;
    };
    change(inner, &attempt.operation, |_, _| percent).await?;
    Ok(Step::Ask)
}

async fn ask_one(inner: &Inner, attempt: &Attempt, share: ShareId) -> Result<ShareProgress, CallError> {
    let Verb::CreateShareGroupFromSnapshot { group, group_snapshot } = attempt.operation.verb else {
        return Err(CallError::Host { reason: "this operation makes no shares of a group".to_owned() });
    };
    let (shares, snapshot) = inner
        .read(|tables| Ok((carry::made_from(tables, group)?, carry::snapshot(tables, group_snapshot)?)))?;
    let asked: Vec<_> = shares.into_iter().filter(|(one, _)| one.share == share).collect();
    let missing = |share| CallError::Host { reason: format!("share {share} has no source") };
    let sources = carry::collate(asked, &snapshot.members).map_err(missing)?;
    let source = sources.first().ok_or_else(|| missing(share))?;
    pending::ask(attempt, &source.share, &PendingWork::Creation(pending::of(&source.member))).await
}

async fn take_in(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    share: ShareId,
    told: &ShareProgress,
) -> Result<(), ManagerError> {
    let operation = &attempt.operation;
    let metadata = match told {
        ShareProgress::Available(finished) => {
            let locations = finished.export_locations.as_deref().unwrap_or_default();
            metadata::supplied(inner, attempt, share, locations).await
        }
        _ => Pairs::new(),
    };
    let alter = |instance: &mut ShareInstance| match told {
        ShareProgress::Pending(percent) => instance.progress_percent = Some(*percent),
        ShareProgress::Available(finished) => {
            let locations = finished.export_locations.clone().unwrap_or_default();
            instance.export_locations = export::replace(&instance.export_locations, locations);
            instance.status = ShareStatus::Available;
            instance.progress_percent = Some(100);
            instance.launched_at = Some(Timestamp::now());
        }
        ShareProgress::Failed => {
            instance.status = ShareStatus::Error;
            instance.progress_percent = None;
        }
    };
    inner
        .transact(|tables| {
            if !is_ours(tables, operation) {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            change.edit_instance(tables, share, &cause_of(operation), alter);
            if !metadata.is_empty() {
                change.edit_share(tables, share, |share| {
                    metadata::merge(share, &operation.backend, &metadata);
                });
            }
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}

fn is_ours(tables: &Tables, operation: &Operation) -> bool {
    unfinished(tables, operation.id).is_some_and(|stored| stored.fencing_token == operation.fencing_token)
}

/// Let the operation wait, so many percent of the way, with what `also` changes.
async fn change(
    inner: &Arc<Inner>,
    operation: &Operation,
    also: impl Fn(&Tables, &mut Change) -> u8,
) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, operation.id).filter(|_| is_ours(tables, operation)) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            let percent = also(tables, &mut change);
            let waiting = pending::waiting(&stored, percent);
            change.put(Expect::Unchanged(stored.revision), Row::Operation(waiting));
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}
