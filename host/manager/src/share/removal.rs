//! Deleting a share at its backend, or letting it go: first its access rules, all at once, then the share (contract 3.3, 3.7, 4.3).
//!
//! Both calls may be repeated: rules that are gone are no error for a driver, nor is a share that is gone. That all rules have been
//! taken away is committed between the two, so that what the records say is never more than what the backend was told.

use crate::access::list::RuleList;
use crate::access::state::GivenUp;
use crate::access::{self, state};
use crate::backend::Serving;
use crate::call;
use crate::error::ManagerError;
use crate::failure::describe;
use crate::journal::{Attempt, Conclusion, End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::operation::{Judgement, judge};
use crate::records::{Change, Stored, Tables};
use crate::runner::{Progress, Step, failed};
use crate::settle;
use crate::share_server;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{OperationId, ShareId, ShareServerId};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::AccessRulesStatus;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;

/// A running update of the rules has no point any more: the deletion takes all of them away; nor has following the metadata. Its call, if
/// one is out, holds the gate that the deletion waits for, and its answer is dropped.
pub(crate) fn supersede(inner: &Inner, tables: &Tables, share: ShareId, change: &mut Change) {
    let is_superseded =
        |one: &&Stored<Operation>| matches!(one.verb, Verb::UpdateAccess | Verb::UpdateShareMetadata { .. });
    for operation in tables.unfinished_of_share(share).filter(is_superseded) {
        inner.end(tables, change, &operation.value, End::well());
    }
}

/// One attempt at deleting a share or letting it go.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    id: OperationId,
    serving: &Arc<Serving>,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(id, serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    if let Some(step) = remove_rules(inner, &attempt, progress).await? {
        return Ok(step);
    }
    let answer = match inner.read(|tables| call::share(tables, &attempt.operation)) {
        Ok(share) if is_let_go(&attempt.operation.verb) => let_go(&attempt, &share).await.map(|()| None),
        Ok(share) => serving.driver.delete_share(&attempt.reason(), &share).await.map(|()| Some(share)),
        Err(error) => Err(error),
    };
    match answer {
        Ok(deleted) => {
            let server = server_of(inner, &attempt);
            let conclusion = inner
                .conclude(&attempt, |tables, cause, change| {
                    let id = attempt.operation.share;
                    change.remove_share(tables, id, cause);
                    if is_let_go(&attempt.operation.verb) {
                        let words = "let go; its data stay at the backend";
                        change.note(cause, format_args!("share/{id}"), words);
                        share_server::holds_unknown(tables, change, server, cause);
                    }
                    End::well()
                })
                .await?;
            share_server::left_alone(inner, server).await;
            if let (Conclusion::Taken, Some(share)) = (conclusion, deleted) {
                count_deleted(inner, &attempt, &share);
            }
            Ok(Step::Ended)
        }
        Err(error) => {
            let server = server_of(inner, &attempt);
            let step = failed(inner, &attempt, progress, error).await?;
            // The share may be gone all the same: what was not found, or what was forced.
            share_server::left_alone(inner, server).await;
            Ok(step)
        }
    }
}

/// The share server that the share of an operation lives on.
fn server_of(inner: &Inner, attempt: &Attempt) -> Option<ShareServerId> {
    inner.records.read().instance_of(attempt.operation.share)?.share_server
}

fn count_deleted(inner: &Inner, attempt: &Attempt, share: &ShareForDriver) {
    let backend = inner.backends.get(&attempt.operation.backend);
    if let (Some(backend), Some(pool)) = (backend, &share.pool) {
        backend.count_deleted(pool, share.size.get());
    }
}

const fn is_let_go(verb: &Verb) -> bool {
    matches!(verb, Verb::UnmanageShare { .. })
}

/// Whether a share loses its rules before the call that `verb` names.
pub(crate) const fn takes_rules_away(verb: &Verb) -> bool {
    matches!(verb, Verb::DeleteShare { .. } | Verb::UnmanageShare { remove_access_rules: true })
}

/// Let the driver let go, then forget what the host kept for it.
async fn let_go(attempt: &Attempt, share: &ShareForDriver) -> Result<(), CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    match driver.unmanage(&reason, share).await {
        Err(error) if judge(&attempt.operation.verb, &error, 0, 1) == Judgement::Reached => {}
        answer => answer?,
    }
    driver.let_go(&reason, CallTarget::share(share.id)).await
}

/// Take all rules away. Returns a step if the attempt ends with it.
async fn remove_rules(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
) -> Result<Option<Step>, ManagerError> {
    let operation = &attempt.operation;
    let (share, update) = {
        let tables = inner.records.read();
        let Some(instance) = tables.instance_of(operation.share) else { return Ok(None) };
        let rules = RuleList::read(&tables, instance.id);
        if rules.len() == 0 || !takes_rules_away(&operation.verb) {
            return Ok(None);
        }
        (call::share(&tables, operation), state::removal_of_all(&rules))
    };
    let answer = match share {
        Ok(share) => attempt.serving.driver.update_access(&attempt.reason(), &share, &update).await,
        Err(error) => Err(error),
    };
    let is_forced = matches!(operation.verb, Verb::DeleteShare { force: true });
    match answer {
        // Whatever it says of single rules: they are gone (contract 0.3, 13).
        Ok(_) => {}
        Err(error) if error.code() == Some(DriverErrorCode::ShareNotFound) => {}
        Err(error) => match progress.judge(inner, &operation.verb, &error) {
            Judgement::Repeat => return failed(inner, attempt, progress, error).await.map(Some),
            _ if is_forced => {
                tracing::warn!(share.id = %operation.share, "removing the access rules failed; forced on: {error}");
            }
            _ => return rules_failed(inner, attempt, &error).await.map(Some),
        },
    }
    forget_rules(inner, attempt).await?;
    Ok(None)
}

/// The rules could not be taken away: they are in error, the share is in `error_deleting` or `unmanage_error`.
async fn rules_failed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    error: &CallError,
) -> Result<Step, ManagerError> {
    let operation = &attempt.operation;
    let failure = describe(error);
    tracing::warn!(
        share.id = %operation.share, error.code = %failure.code, error.blame = %failure.blame,
        "removing the access rules of a share before {} failed: {}", operation.verb.name(), failure.message
    );
    access::give_up(inner, operation.share, GivenUp::All, &cause_of(operation)).await?;
    inner
        .conclude(attempt, |tables, cause, change| {
            settle::fail(tables, operation, (&[], None), cause, change);
            End::badly(failure.clone())
        })
        .await?;
    Ok(Step::Ended)
}

async fn forget_rules(inner: &Arc<Inner>, attempt: &Attempt) -> Result<(), ManagerError> {
    let operation = &attempt.operation;
    inner
        .transact(|tables| {
            if unfinished(tables, operation.id).is_none() {
                return Ok(Proposal::Settled(()));
            }
            let cause = cause_of(operation);
            let mut change = Change::default();
            change.remove_rules(tables, operation.share, &cause);
            change.edit_instance(tables, operation.share, &cause, |instance| {
                instance.access_rules_status = AccessRulesStatus::Active;
            });
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}
