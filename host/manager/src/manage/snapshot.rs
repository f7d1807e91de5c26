//! Taking over snapshots that somebody made at a share's backend, and letting snapshots go without deleting them. For operators.
//!
//! ```text
//!   manage ----> manage_starting ----> available | manage_error
//!   unmanage --> unmanage_starting --> gone      | unmanage_error
//! ```
//!
//! What is taken over counts as the newest snapshot of its share, as in Manila.

use super::{check_driver_options, managed_name};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::mountable;
use crate::operation::{self, ability_of};
use crate::records::{Change, Row, Tables};
use crate::request::check_text;
use crate::runner::launch;
use crate::share::{self, require_ability};
use crate::snapshot::{facts, view};
use crate::view::SnapshotView;
use bulkhead_model::id::{OperationId, ShareId, SnapshotId, SnapshotInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Share;
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::status::SnapshotStatus;
use bulkhead_model::target::ManagedName;
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The longest provider location, in bytes: the contract's.
const PROVIDER_LOCATION_BYTES: usize = 255;

/// A snapshot to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManageSnapshot {
    /// The share it was taken of.
    pub share: ShareId,
    /// What names it at the backend; at most 255 bytes, the last component of it is a safe name.
    pub provider_location: String,
    /// The name it shall have for people, at most 255 letters.
    pub display_name: Option<String>,
    /// Words about it, at most 255 letters.
    pub display_description: Option<String>,
    /// Words for the driver, as the operator wrote them.
    pub driver_options: BTreeMap<String, String>,
}

impl Manager {
    /// Take a snapshot over: committed as `manage_starting` with its operation, which goes on in the background. For operators.
    ///
    /// Fails with [`ManagerError::Unsupported`] if the driver takes no snapshots over, with [`ManagerError::Invalid`] for a provider
    /// location whose last component is no safe name, and while the share is not `available`.
    pub async fn manage_snapshot(
        &self,
        context: &RequestContext,
        new: ManageSnapshot,
    ) -> Result<SnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| manage(&inner, &context, new).await).await
    }

    /// Let a snapshot go: the host forgets it, its data stay at the backend, and it can be taken over again. Its access rules are taken
    /// away before if the settings say so. For operators.
    ///
    /// Fails with [`ManagerError::Conflict`] while an operation is at work on it or a share is being made from it.
    pub async fn unmanage_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| unmanage(&inner, &context, id).await).await
    }
}

#[instrument(name = "snapshot.manage", skip_all, fields(request.id = %context.request, share.id = %new.share))]
async fn manage(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: ManageSnapshot,
) -> Result<SnapshotView, ManagerError> {
    context.require_operator()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    check_driver_options(&new.driver_options)?;
    if new.provider_location.len() > PROVIDER_LOCATION_BYTES {
        let reason = format_args!("at most {PROVIDER_LOCATION_BYTES} bytes");
        return Err(ManagerError::invalid("provider_location", reason));
    }
    let managed = managed_name("provider_location", &new.provider_location)?;
    let identity = Identity::of(context, "manage-snapshot", &new)?;
    let (id, operation) = inner
        .transact(|tables| match identity.first::<SnapshotId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose(inner, context, (&new, &managed), &identity, tables),
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

type Started = (SnapshotId, Option<OperationId>);

fn propose(
    inner: &Inner,
    context: &RequestContext,
    (new, managed): (&ManageSnapshot, &ManagedName),
    identity: &Identity,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let (share, share_instance) = share::find(tables, &Scope::Everything, new.share)?;
    operation::manage_snapshot(&share::facts(tables, share, share_instance))?;
    let sequence = tables.snapshots_of(share.id).last().map_or(0, |newest| newest.sequence);
    let snapshot = new_snapshot(context, new, share, sequence.saturating_add(1));
    let instance = SnapshotInstance {
        id: SnapshotInstanceId::random(),
        snapshot: snapshot.id,
        share_instance: share_instance.id,
        status: SnapshotStatus::ManageStarting,
        provider_location: Some(new.provider_location.clone()),
        export_locations: Vec::new(),
        access_rules: Vec::new(),
    };
    let verb = Verb::ManageSnapshot {
        snapshot: snapshot.id,
        managed: managed.clone(),
        driver_options: new.driver_options.clone(),
    };
    require_ability(inner, tables, &share_instance.placement, ability_of(&verb))?;
    let backend = share_instance.placement.backend.clone();
    inner.admit(tables, &backend)?;
    let about = About { share: share.id, project: share.project.clone(), backend: backend.clone() };
    let operation = inner.new_operation(verb, about, &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (snapshot.id, Some(operation.id));
    let mut change = Change::default();
    let words = format_args!("none -> manage_starting, '{managed}' of share {}", share.id);
    change.note(&cause, format_args!("snapshot/{}", snapshot.id), words);
    // The share's turnstile: nothing else begins on it between this look and the commit.
    change.edit_instance(tables, share.id, &cause, |_| {});
    identity.remember(tables, &mut change, snapshot.id);
    change.insert(Row::Snapshot(snapshot));
    change.insert(Row::SnapshotInstance(instance));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(backend, change, started))
}

fn new_snapshot(context: &RequestContext, new: &ManageSnapshot, share: &Share, sequence: u64) -> Snapshot {
    let now = Timestamp::now();
    Snapshot {
        id: SnapshotId::random(),
        project: share.project.clone(),
        user: context.actor.user.clone(),
        share: share.id,
        size: share.size,
        protocol: share.protocol,
        display_name: new.display_name.clone(),
        display_description: new.display_description.clone(),
        metadata: BTreeMap::new(),
        created_at: now,
        updated_at: now,
        sequence,
    }
}

#[instrument(name = "snapshot.unmanage", skip_all, fields(request.id = %context.request, snapshot.id = %id))]
async fn unmanage(inner: &Arc<Inner>, context: &RequestContext, id: SnapshotId) -> Result<(), ManagerError> {
    context.require_operator()?;
    let identity = Identity::of(context, "unmanage-snapshot", &id)?;
    let started = inner
        .transact(|tables| {
            if identity.first::<SnapshotId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let missing = || ManagerError::not_found("snapshot", id);
            let snapshot = tables.snapshot(&Scope::Everything, id).ok_or_else(missing)?;
            let share_instance = tables.instance_of(snapshot.share).ok_or_else(missing)?;
            operation::unmanage_snapshot(&facts(tables, snapshot).ok_or_else(missing)?)?;
            let backend = &share_instance.placement.backend;
            inner.admit(tables, backend)?;
            let about =
                About { share: snapshot.share, project: snapshot.project.clone(), backend: backend.clone() };
            let remove_access_rules = inner.settings.unmanage_removes_access_rules;
            let verb = Verb::UnmanageSnapshot { snapshot: id, remove_access_rules };
            let operation = inner.new_operation(verb, about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, snapshot.share, &cause, |_| {});
            change.edit_snapshot_instance(tables, id, &cause, |instance| {
                instance.status = SnapshotStatus::UnmanageStarting;
            });
            mountable::supersede(inner, tables, snapshot, &mut change);
            identity.remember(tables, &mut change, id);
            let started = operation.id;
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(backend.clone(), change, Some(started)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}
