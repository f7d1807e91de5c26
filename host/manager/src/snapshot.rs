//! Snapshots: taking, showing, deleting.
//!
//! ```text
//!   create --> creating --> available --delete--> deleting --> gone
//!                  +--> error --delete--> deleting +--> error_deleting --delete--> deleting
//! ```

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::mountable;
use crate::operation::{self, SnapshotFacts, ability_of};
use crate::records::{Change, Expect, Row, Stored, Tables};
use crate::replica;
use crate::request::{Force, NewSnapshot, Update, check_metadata, check_text};
use crate::runner::launch;
use crate::share::{self, METADATA_BYTES, require_ability};
use crate::share_server::network_change;
use crate::view::SnapshotView;
use bulkhead_model::id::{OperationId, ShareId, SnapshotId, SnapshotInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::status::SnapshotStatus;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// Take a snapshot of a share: committed as `creating` with its operation, which goes on in the background.
    ///
    /// Fails with [`crate::Denial::NotOffered`] if the share's type has no snapshots, and while the share is not `available`.
    pub async fn create_snapshot(
        &self,
        context: &RequestContext,
        new: NewSnapshot,
    ) -> Result<SnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// A snapshot inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_snapshot(&self, scope: &Scope, id: SnapshotId) -> Result<SnapshotView, ManagerError> {
        view(&self.inner.records.read(), scope, id)
    }

    /// The snapshots inside `scope`, oldest first; of one share, or of all.
    #[must_use]
    pub fn list_snapshots(&self, scope: &Scope, share: Option<ShareId>) -> Vec<SnapshotView> {
        let tables = self.inner.records.read();
        let snapshots: Vec<&Stored<Snapshot>> = match share {
            Some(share) => {
                tables.snapshots_of(share).filter(|snapshot| scope.contains(&snapshot.project)).collect()
            }
            None => tables.snapshots(scope),
        };
        let mut views: Vec<_> =
            snapshots.into_iter().filter_map(|snapshot| view_of(&tables, snapshot)).collect();
        views.sort_by_key(|view| (view.snapshot.created_at, view.snapshot.sequence, view.snapshot.id));
        views
    }

    /// Change a snapshot's name, description or metadata. No backend learns of it.
    pub async fn update_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        update: Update,
    ) -> Result<SnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_words(&inner, &context, id, update).await).await
    }

    /// Delete a snapshot. With [`Force::Yes`], for operators, a failing driver does not stop it.
    ///
    /// Fails with [`ManagerError::Conflict`] while an operation is at work on it or a share is being made from it.
    pub async fn delete_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id, force).await).await
    }
}

#[instrument(name = "snapshot.create", skip_all, fields(request.id = %context.request, share.id = %new.share))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewSnapshot,
) -> Result<SnapshotView, ManagerError> {
    context.require_change()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    check_metadata(&new.metadata, METADATA_BYTES)?;
    let identity = Identity::of(context, "create-snapshot", &new)?;
    let (id, started) = inner
        .transact(|tables| match identity.first::<SnapshotId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose_creation(inner, context, &new, &identity, tables),
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

type Started = (SnapshotId, Option<OperationId>);

fn propose_creation(
    inner: &Inner,
    context: &RequestContext,
    new: &NewSnapshot,
    identity: &Identity,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let (share, share_instance) = share::find(tables, &context.scope(), new.share)?;
    operation::create_snapshot(&share::facts(tables, share, share_instance))?;
    let now = Timestamp::now();
    let sequence = tables.snapshots_of(share.id).last().map_or(0, |newest| newest.sequence);
    let snapshot = Snapshot {
        id: SnapshotId::random(),
        project: share.project.clone(),
        user: context.actor.user.clone(),
        share: share.id,
        size: share.size,
        protocol: share.protocol,
        display_name: new.display_name.clone(),
        display_description: new.display_description.clone(),
        metadata: new.metadata.clone(),
        created_at: now,
        updated_at: now,
        sequence: sequence.saturating_add(1),
    };
    let instance = SnapshotInstance {
        id: SnapshotInstanceId::random(),
        snapshot: snapshot.id,
        share_instance: share_instance.id,
        status: SnapshotStatus::Creating,
        provider_location: None,
        export_locations: Vec::new(),
        access_rules: Vec::new(),
    };
    let verb = Verb::CreateSnapshot { snapshot: snapshot.id };
    let ability = match tables.has_replicas(share.id) {
        true => replica::ability_of(&verb),
        false => ability_of(&verb),
    };
    require_ability(inner, tables, &share_instance.placement, ability)?;
    let backend = share_instance.placement.backend.clone();
    inner.admit(tables, &backend)?;
    let about = About { share: share.id, project: share.project.clone(), backend: backend.clone() };
    let operation = inner.new_operation(verb, about, &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (snapshot.id, Some(operation.id));
    let mut change = Change::default();
    change.note(
        &cause,
        format_args!("snapshot/{}", snapshot.id),
        format_args!("none -> creating, of share {}", share.id),
    );
    // The share's turnstile: it is not deleted, nor anything else begun on it, between this look and the commit.
    change.edit_instance(tables, share.id, &cause, |_| {});
    identity.remember(tables, &mut change, snapshot.id);
    change.insert(Row::Snapshot(snapshot));
    change.insert(Row::SnapshotInstance(instance));
    replica::twin::add_to_replicas(tables, started.0, share_instance, &mut change);
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(backend, change, started))
}

#[instrument(name = "snapshot.update", skip_all, fields(request.id = %context.request, snapshot.id = %id))]
async fn change_words(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
    update: Update,
) -> Result<SnapshotView, ManagerError> {
    context.require_change()?;
    check_text("name", update.display_name.as_ref().and_then(Option::as_deref))?;
    check_text("description", update.display_description.as_ref().and_then(Option::as_deref))?;
    check_metadata(update.metadata.as_ref().unwrap_or(&BTreeMap::new()), METADATA_BYTES)?;
    inner
        .transact(|tables| {
            let missing = || ManagerError::not_found("snapshot", id);
            let snapshot = tables.snapshot(&context.scope(), id).ok_or_else(missing)?;
            let backend = &tables.instance_of(snapshot.share).ok_or_else(missing)?.placement.backend;
            let mut changed = (*snapshot.value).clone();
            if let Some(name) = &update.display_name {
                changed.display_name.clone_from(name);
            }
            if let Some(description) = &update.display_description {
                changed.display_description.clone_from(description);
            }
            if let Some(metadata) = &update.metadata {
                changed.metadata.clone_from(metadata);
            }
            changed.updated_at = Timestamp::now();
            let mut change = Change::default();
            change.put(Expect::Unchanged(snapshot.revision), Row::Snapshot(changed));
            Ok(Proposal::Commit(backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

#[instrument(name = "snapshot.delete", skip_all, fields(request.id = %context.request, snapshot.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_change()?;
    if force.is_forced() {
        context.require_operator()?;
    }
    let identity = Identity::of(context, "delete-snapshot", &(id, force))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<SnapshotId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let missing = || ManagerError::not_found("snapshot", id);
            let snapshot = tables.snapshot(&context.scope(), id).ok_or_else(missing)?;
            let share_instance = tables.instance_of(snapshot.share).ok_or_else(missing)?;
            operation::delete_snapshot(&facts(tables, snapshot).ok_or_else(missing)?, force)?;
            let backend = &share_instance.placement.backend;
            inner.admit(tables, backend)?;
            let about =
                About { share: snapshot.share, project: snapshot.project.clone(), backend: backend.clone() };
            let verb = Verb::DeleteSnapshot { snapshot: id, force: force.is_forced() };
            let operation = inner.new_operation(verb, about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, snapshot.share, &cause, |_| {});
            change.edit_snapshot_instance(tables, id, &cause, |instance| {
                instance.status = SnapshotStatus::Deleting;
            });
            replica::twin::set_on_replicas(tables, id, SnapshotStatus::Deleting, &cause, &mut change);
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

/// What the policy needs to know of a snapshot.
pub(crate) fn facts(tables: &Tables, snapshot: &Snapshot) -> Option<SnapshotFacts> {
    let id = snapshot.id;
    let status = replica::twin::aggregate(tables, id);
    tables.snapshot_instance_of(id)?;
    let share = tables.instance_of(snapshot.share)?;
    let on_share = tables.unfinished_of_share(snapshot.share);
    let in_flight = on_share
        .filter(|operation| {
            // A share takes all its snapshots with it.
            operation::snapshot_of(&operation.verb) == Some(id)
                || matches!(operation.verb, Verb::MigrateShare { .. })
        })
        .map(|operation| operation.verb.name())
        .next()
        .or_else(|| network_change::in_flight_under(tables, snapshot.share));
    let is_source = tables
        .unfinished_of_backend(&share.placement.backend)
        .any(|operation| operation.verb == Verb::CreateShareFromSnapshot { snapshot: id });
    Some(SnapshotFacts { status, in_flight, is_source })
}

/// A snapshot inside `scope`, put together for reading.
pub(crate) fn view(tables: &Tables, scope: &Scope, id: SnapshotId) -> Result<SnapshotView, ManagerError> {
    let missing = || ManagerError::not_found("snapshot", id);
    let snapshot = tables.snapshot(scope, id).ok_or_else(missing)?;
    view_of(tables, snapshot).ok_or_else(missing)
}

/// The instance that clients are shown: with the status of the snapshot as a whole.
fn as_one(tables: &Tables, instance: &Stored<SnapshotInstance>) -> Arc<SnapshotInstance> {
    let status = replica::twin::aggregate(tables, instance.snapshot);
    if status == instance.status {
        return Arc::clone(&instance.value);
    }
    Arc::new(SnapshotInstance { status, ..(*instance.value).clone() })
}

fn view_of(tables: &Tables, snapshot: &Stored<Snapshot>) -> Option<SnapshotView> {
    let instance = tables.snapshot_instance_of(snapshot.id)?;
    let operation = tables
        .unfinished_of_share(snapshot.share)
        .find(|operation| operation::snapshot_of(&operation.verb) == Some(snapshot.id))
        .map(|operation| Arc::clone(&operation.value));
    Some(SnapshotView {
        snapshot: Arc::clone(&snapshot.value),
        instance: as_one(tables, instance),
        operation,
    })
}
