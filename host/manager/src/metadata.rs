//! Metadata of shares that the backend supplies or follows (contract 5.1).
//!
//! What a driver supplies for a new share is merged into the tenant's with the end of the creation. When a tenant sets or changes keys that
//! the driver follows, an operation is committed with the change: it calls the driver with the values the share has by then, so that
//! operations may overtake each other. What the backend did not follow stays as the tenant wrote it; the failed operation is the tenant's
//! message. Keys that are taken away are not told, as in Manila.

use crate::backend::Serving;
use crate::call::Answer;
use crate::error::ManagerError;
use crate::journal::{Attempt, End, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Expect, Row, Tables};
use crate::request::check_metadata;
use crate::runner::{Progress, Step, failed};
use crate::share::{METADATA_BYTES, for_driver};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{Blame, CallError};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{BackendName, OperationId, ShareId};
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareForDriver, ShareInstance};
use bulkhead_model::status::ShareStatus;
use bulkhead_model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) type Pairs = BTreeMap<String, String>;

/// The keys of `wanted` that the backend of a share is told of. Before its driver was loaded for the first time nobody knows which it
/// follows: then all that changed, and the call decides.
pub(crate) fn to_follow(
    inner: &Inner,
    share: &Share,
    instance: &ShareInstance,
    wanted: &Pairs,
) -> BTreeSet<String> {
    if is_beyond(instance.status) {
        return BTreeSet::new();
    }
    let followed = inner.backends.get(&instance.placement.backend).and_then(|backend| backend.loaded());
    let is_followed =
        |key: &String| followed.as_ref().is_none_or(|loaded| loaded.updatable_metadata.contains(key));
    let changed = wanted.iter().filter(|(key, value)| share.metadata.get(*key) != Some(*value));
    changed.map(|(key, _)| key).filter(|key| is_followed(key)).cloned().collect()
}

/// Whether nothing at the backend can follow any more.
const fn is_beyond(status: ShareStatus) -> bool {
    matches!(
        status,
        ShareStatus::Error
            | ShareStatus::Inactive
            | ShareStatus::ManageError
            | ShareStatus::Deleting
            | ShareStatus::ErrorDeleting
            | ShareStatus::UnmanageStarting
    )
}

/// Whether there is nothing at the backend yet.
const fn is_early(status: ShareStatus) -> bool {
    matches!(status, ShareStatus::Creating | ShareStatus::CreatingFromSnapshot | ShareStatus::ManageStarting)
}

/// One attempt at letting the backend follow.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    id: OperationId,
    serving: &Arc<Serving>,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(operation) = inner.unfinished(id) else { return Ok(Step::Ended) };
    let instance = inner.records.read().instance_of(operation.share).map(|stored| Arc::clone(&stored.value));
    let Some(instance) = instance else { return Ok(Step::Again) };
    if instance.placement.backend != operation.backend {
        move_on(inner, id, &instance.placement.backend).await?;
        return Ok(Step::Again);
    }
    if is_early(instance.status) {
        let waits = OperationFailure {
            code: "busy".to_owned(),
            blame: Blame::Host,
            message: "the share is being made; its backend follows its metadata then".to_owned(),
        };
        inner.wait(id, "waiting for the share", waits).await?;
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(id, serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    match follow(inner, &attempt).await {
        Ok(followed) => {
            inner
                .conclude(&attempt, |_, cause, change| {
                    if !followed.is_empty() {
                        let keys = followed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                        let words = format_args!("its backend followed the metadata {keys}");
                        change.note(cause, format_args!("share/{}", attempt.operation.share), words);
                    }
                    End::well()
                })
                .await?;
            Ok(Step::Ended)
        }
        Err(error) => failed(inner, &attempt, progress, error).await,
    }
}

/// The share has moved since: its backend now is the one that follows.
async fn move_on(inner: &Inner, id: OperationId, backend: &BackendName) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(())) };
            let moved = Operation {
                backend: backend.clone(),
                fencing_token: stored.fencing_token.saturating_add(1),
                step: "going on at the backend that the share has moved to".to_owned(),
                updated_at: Timestamp::now(),
                ..(*stored.value).clone()
            };
            let mut change = Change::default();
            change.put(Expect::Unchanged(stored.revision), Row::Operation(moved));
            Ok(Proposal::Commit(backend.clone(), change, ()))
        })
        .await
}

/// Call the driver with what is left to follow; the keys it was called with.
async fn follow(inner: &Inner, attempt: &Attempt) -> Result<BTreeSet<String>, CallError> {
    let driver = &attempt.serving.driver;
    let (share, asked) = inner.read(|tables| {
        let share = share(tables, attempt.operation.share)?;
        let asked = left_to_follow(tables, &attempt.operation, &share, driver.updatable_metadata());
        Ok((share, asked))
    })?;
    if !asked.is_empty() && driver.abilities().has(Ability::MetadataUpdates) {
        driver.update_share_from_metadata(&attempt.reason(), &share, &asked).await?;
        return Ok(asked.into_keys().collect());
    }
    Ok(BTreeSet::new())
}

fn left_to_follow(
    tables: &Tables,
    operation: &Operation,
    share: &ShareForDriver,
    updatable: &[String],
) -> Pairs {
    let status = tables.instance_of(operation.share).map(|instance| instance.status);
    let Verb::UpdateShareMetadata { keys } = &operation.verb else { return Pairs::new() };
    if status.is_none_or(is_beyond) {
        return Pairs::new();
    }
    let now = |key: &String| Some((key.clone(), share.metadata.get(key)?.clone()));
    keys.iter().filter(|key| updatable.contains(key)).filter_map(now).collect()
}

/// A share as calls about metadata carry it.
fn share(tables: &Tables, id: ShareId) -> Result<ShareForDriver, CallError> {
    match (tables.share(&Scope::Everything, id), tables.instance_of(id)) {
        (Some(share), Some(instance)) => {
            Ok(ShareForDriver { metadata: share.metadata.clone(), ..for_driver(tables, share, instance) })
        }
        _ => Err(CallError::Host { reason: format!("share {id} has no record") }),
    }
}

/// Add to the answer about a share that was made what its driver supplies. A failure is logged: the share is as good without.
pub(crate) async fn complete(inner: &Inner, attempt: &Attempt, answer: Answer) -> Answer {
    match answer {
        Answer::Created { locations, .. } => {
            let metadata = supplied(inner, attempt, attempt.operation.share, &locations).await;
            Answer::Created { locations, metadata }
        }
        other => other,
    }
}

/// What the driver supplies for a share that was made and is found at `locations`; nothing if that fails, which is logged.
pub(crate) async fn supplied(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareId,
    locations: &[ExportLocation],
) -> Pairs {
    let driver = &attempt.serving.driver;
    if !driver.abilities().has(Ability::MetadataUpdates) {
        return Pairs::new();
    }
    let answer = match inner.read(|tables| share(tables, id)) {
        Ok(share) => {
            let share = ShareForDriver { export_locations: locations.to_vec(), ..share };
            driver.share_creation_metadata(&attempt.reason(), &share).await
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(supplied) => {
            for key in &supplied.dropped {
                warn_dropped(
                    &attempt.operation.backend,
                    key,
                    "the manifest's [metadata-keys] supplied does not list it",
                );
            }
            supplied.pairs
        }
        Err(error) => {
            tracing::warn!(
                backend.name = %attempt.operation.backend, share.id = %id,
                "the driver supplied no metadata for a new share: {error}"
            );
            Pairs::new()
        }
    }
}

fn warn_dropped(backend: &BackendName, key: impl std::fmt::Display, why: &str) {
    tracing::warn!(backend.name = %backend, "metadata '{key}' of a new share was dropped: {why}");
}

/// The tenant's metadata with what the driver supplies, which wins; no more than a share may carry.
pub(crate) fn merge(share: &mut Share, backend: &BackendName, supplied: &Pairs) {
    for (key, value) in supplied {
        let mut merged = share.metadata.clone();
        merged.insert(key.clone(), value.clone());
        match check_metadata(&merged, METADATA_BYTES) {
            Ok(()) => share.metadata = merged,
            Err(_) => warn_dropped(backend, key, "the share carries as much metadata as it may"),
        }
    }
}
