//! The driver call of an operation: arguments from the records, one call, the answer.

use crate::access::list::RuleList;
use crate::journal::Attempt;
use crate::manager::Inner;
use crate::pool;
use crate::records::Tables;
use crate::share::for_driver;
use bulkhead_model::error::CallError;
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::SnapshotId;
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Creation, FinishedShare, ManagedShare, Reversion, RevertRules, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotForDriver, SnapshotOutcome};
use bulkhead_model::status::AccessRuleState;
use std::collections::BTreeMap;

/// What a driver said.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The share is there.
    Created {
        /// Where clients find it.
        locations: Vec<ExportLocation>,
        /// What the driver supplies for it.
        metadata: BTreeMap<String, String>,
    },
    /// The share has this size now.
    Resized(Gibibytes),
    /// The snapshot is there.
    Snapshot(SnapshotOutcome),
    /// The share was taken over.
    ManagedShare {
        /// What the driver found.
        found: ManagedShare,
        /// The pool it is in; none if nobody knows, or the operator said so.
        pool: Option<String>,
    },
    /// The snapshot was taken over.
    ManagedSnapshot(ManagedSnapshot),
    /// The share is as the snapshot was; with the size and the locations the driver named, if it did.
    Reverted(FinishedShare),
    /// The backend goes on by itself, so many percent of the way.
    Pending(u8),
}

/// Make the call that `attempt` journalled.
pub(crate) async fn driver(inner: &Inner, attempt: &Attempt) -> Result<Answer, CallError> {
    let operation = &attempt.operation;
    let driver = &attempt.serving.driver;
    let reason = attempt.reason();
    match &operation.verb {
        Verb::CreateShare => {
            let share = inner.read(|tables| share(tables, operation))?;
            driver.create_share(&reason, &share).await.map(created)
        }
        Verb::CreateShareFromSnapshot { snapshot: source } => {
            let share = inner.read(|tables| share(tables, operation))?;
            let source = inner.read(|tables| snapshot(tables, *source))?;
            driver.create_share_from_snapshot(&reason, &share, &source).await.map(|creation| match creation {
                Creation::Available(locations) => created(locations),
                Creation::Pending => Answer::Pending(0),
            })
        }
        Verb::ExtendShare { new_size } => {
            let share = inner.read(|tables| share(tables, operation))?;
            driver.extend_share(&reason, &share, *new_size).await.map(|()| Answer::Resized(*new_size))
        }
        Verb::ShrinkShare { new_size } => {
            let share = inner.read(|tables| share(tables, operation))?;
            driver.shrink_share(&reason, &share, *new_size).await.map(|()| Answer::Resized(*new_size))
        }
        Verb::CreateSnapshot { snapshot: id } => {
            let snapshot = inner.read(|tables| snapshot(tables, *id))?;
            driver.create_snapshot(&reason, &snapshot).await.map(Answer::Snapshot)
        }
        Verb::RevertShare { snapshot: id } => {
            let snapshot = inner.read(|tables| snapshot(tables, *id))?;
            let rules = inner.read(|tables| Ok(revert_rules(tables, operation, *id)))?;
            driver.revert_to_snapshot(&reason, &snapshot, &rules).await.map(|reversion| match reversion {
                Reversion::Done => Ok(Answer::Reverted(FinishedShare::default())),
                Reversion::DoneWithSize(size) => {
                    reverted(&snapshot, FinishedShare { export_locations: None, size: Some(size) })
                }
                Reversion::Pending => Ok(Answer::Pending(0)),
            })?
        }
        Verb::ManageShare { managed, driver_options } => {
            let share = inner.read(|tables| share(tables, operation))?;
            let found = driver.manage_existing(&reason, &share, managed, driver_options).await?;
            let pool = found_pool(inner, attempt, share, &found).await;
            Ok(Answer::ManagedShare { found, pool })
        }
        Verb::ManageSnapshot { snapshot: id, managed, driver_options } => {
            let snapshot = inner.read(|tables| snapshot(tables, *id))?;
            let found = driver.manage_existing_snapshot(&reason, &snapshot, managed, driver_options).await;
            found.map(Answer::ManagedSnapshot)
        }
        // Those with steps of their own, and those about replicas.
        _ => Err(CallError::Host { reason: "this operation has steps of its own".to_owned() }),
    }
}

/// The pool of a share that was taken over, if the operator named none.
async fn found_pool(
    inner: &Inner,
    attempt: &Attempt,
    share: ShareForDriver,
    found: &ManagedShare,
) -> Option<String> {
    if share.pool.is_some() {
        return None;
    }
    let locations = found.export_locations.clone();
    let export_locations = locations.unwrap_or_else(|| share.export_locations.clone());
    let share = ShareForDriver { size: found.size, export_locations, ..share };
    pool::of(inner, &attempt.serving, &attempt.reason(), &share).await
}

/// A share that is there, before its driver supplied anything.
pub(crate) const fn created(locations: Vec<ExportLocation>) -> Answer {
    Answer::Created { locations, metadata: BTreeMap::new() }
}

/// A revert leaves the share with the snapshot's size or with its own; it makes nothing larger or smaller than both.
pub(crate) fn reverted(snapshot: &SnapshotForDriver, finished: FinishedShare) -> Result<Answer, CallError> {
    let (one, other) = (snapshot.size, snapshot.share.size);
    match finished.size {
        Some(size) if !(one.min(other)..=one.max(other)).contains(&size) => Err(CallError::InvalidAnswer {
            function: "revert.revert-to-snapshot",
            reason: format!("a share of {other} has {size} after it was put back to a snapshot of {one}"),
        }),
        _ => Ok(Answer::Reverted(finished)),
    }
}

impl Inner {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Tables) -> Result<T, CallError>) -> Result<T, CallError> {
        look(&self.records.read())
    }
}

/// The share of an operation, as drivers see it.
pub(crate) fn share(tables: &Tables, operation: &Operation) -> Result<ShareForDriver, CallError> {
    let share = tables.share(&Scope::Everything, operation.share);
    match (share, tables.instance_of(operation.share)) {
        (Some(share), Some(instance)) => Ok(for_driver(tables, share, instance)),
        _ => Err(CallError::Host { reason: format!("share {} has no record", operation.share) }),
    }
}

/// A snapshot, as drivers see it.
pub(crate) fn snapshot(tables: &Tables, id: SnapshotId) -> Result<SnapshotForDriver, CallError> {
    let missing = || CallError::Host { reason: format!("snapshot {id} has no record") };
    let snapshot = tables.snapshot(&Scope::Everything, id).ok_or_else(missing)?;
    let instance = tables.snapshot_instance_of(id).ok_or_else(missing)?;
    let share = tables.share(&Scope::Everything, snapshot.share).ok_or_else(missing)?;
    let share_instance = tables.instance(instance.share_instance).ok_or_else(missing)?;
    Ok(SnapshotForDriver {
        id: instance.id,
        snapshot: id,
        size: snapshot.size,
        provider_location: instance.provider_location.clone(),
        share: for_driver(tables, share, share_instance),
    })
}

/// Active rules of the share, and all rules of the snapshot.
fn revert_rules(tables: &Tables, operation: &Operation, snapshot: SnapshotId) -> RevertRules {
    let Some(instance) = tables.instance_of(operation.share) else { return RevertRules::default() };
    let rules = RuleList::read(tables, instance.id);
    let active = rules.iter().filter(|rule| rule.state == AccessRuleState::Active);
    let of_snapshot = tables.snapshot_instance_of(snapshot).map(|found| found.access_rules.clone());
    RevertRules {
        share: active.map(|rule| rule.rule.clone()).collect(),
        snapshot: of_snapshot.unwrap_or_default().into_iter().map(|stored| stored.rule).collect(),
    }
}
