//! Snapshots of groups: taking, listing, showing, changing what the host alone knows, deleting.

use super::policy::{self, SnapshotFacts};
use super::verbs::{about, by_hand};
use super::{find, verbs};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::ShareFacts;
use crate::records::{Change, Row, Stored, Tables};
use crate::request::{Force, Update, check_text};
use crate::runner::launch;
use crate::share;
use crate::view::ShareGroupSnapshotView;
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{OperationId, ShareGroupId, ShareGroupSnapshotId, ShareId, SnapshotInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::share_group::{GroupMember, ShareGroup, ShareGroupSnapshot};
use bulkhead_model::status::{ShareGroupStatus, SnapshotStatus};
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tracing::instrument;

/// A snapshot of a group to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewShareGroupSnapshot {
    /// The group to take it of.
    pub group: ShareGroupId,
    /// The tenant's name for it, at most 255 letters.
    pub display_name: Option<String>,
    /// The tenant's words about it, at most 255 letters.
    pub display_description: Option<String>,
}

impl Manager {
    /// Take a snapshot of all shares of a group: committed as `creating` with its operation, which goes on in the background.
    ///
    /// Fails while the group or one of its shares is not `available`, and if the type of one does not offer snapshots.
    pub async fn create_share_group_snapshot(
        &self,
        context: &RequestContext,
        new: NewShareGroupSnapshot,
    ) -> Result<ShareGroupSnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// A group snapshot inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_share_group_snapshot(
        &self,
        scope: &Scope,
        id: ShareGroupSnapshotId,
    ) -> Result<ShareGroupSnapshotView, ManagerError> {
        view(&self.inner.records.read(), scope, id)
    }

    /// All group snapshots inside `scope`, oldest first.
    #[must_use]
    pub fn list_share_group_snapshots(&self, scope: &Scope) -> Vec<ShareGroupSnapshotView> {
        let tables = self.inner.records.read();
        let mut views: Vec<_> = tables.group_snapshots(scope).map(|one| view_of(&tables, one)).collect();
        views.sort_by_key(|view| (view.snapshot.created_at, view.snapshot.id));
        views
    }

    /// Change a group snapshot's name or description. No backend learns of it.
    pub async fn update_share_group_snapshot(
        &self,
        context: &RequestContext,
        id: ShareGroupSnapshotId,
        update: Update,
    ) -> Result<ShareGroupSnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_words(&inner, &context, id, update).await).await
    }

    /// Delete a group snapshot with all its members. With [`Force::Yes`], for operators, a failing driver does not stop it.
    ///
    /// Fails with [`ManagerError::Conflict`] while an operation is at work on it or a group is being made from it.
    pub async fn delete_share_group_snapshot(
        &self,
        context: &RequestContext,
        id: ShareGroupSnapshotId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id, force).await).await
    }

    /// Set a group snapshot's status by hand. Fails as [`Manager::reset_share_group_status`] does.
    pub async fn reset_share_group_snapshot_status(
        &self,
        context: &RequestContext,
        id: ShareGroupSnapshotId,
        status: ShareGroupStatus,
    ) -> Result<ShareGroupSnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, id, status).await).await
    }
}

#[instrument(name = "share_group_snapshot.create", skip_all, fields(request.id = %context.request, share_group.id = %new.group))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShareGroupSnapshot,
) -> Result<ShareGroupSnapshotView, ManagerError> {
    context.require_change()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    let identity = Identity::of(context, "create-share-group-snapshot", &new)?;
    let (id, started) = inner
        .transact(|tables| match identity.first::<ShareGroupSnapshotId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose_creation(inner, (context, &new), &identity, tables),
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

type Started = (ShareGroupSnapshotId, Option<OperationId>);

fn propose_creation(
    inner: &Inner,
    (context, new): (&RequestContext, &NewShareGroupSnapshot),
    identity: &Identity,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let group = find(tables, &context.scope(), new.group)?;
    let shares = shares_of(tables, group);
    let facts: Vec<(ShareId, ShareFacts)> =
        shares.iter().map(|(share, instance)| (share.id, share::facts(tables, share, instance))).collect();
    policy::create_snapshot(&verbs::facts(tables, group), &facts)?;
    let backend = group.placement.backend.clone();
    let abilities = inner.loaded(tables, &backend)?.abilities;
    if !abilities.has(Ability::GroupSnapshots) && !abilities.has(Ability::Snapshots) {
        return Err(ManagerError::Unsupported { backend, what: "snapshots" });
    }
    inner.admit(tables, &backend)?;
    let snapshot = new_snapshot(context, new, group, &shares);
    let verb = Verb::CreateShareGroupSnapshot { group: group.id, group_snapshot: snapshot.id };
    let operation = inner.new_operation(verb, about(group), &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (snapshot.id, Some(operation.id));
    let mut change = Change::default();
    let words = format_args!("none -> creating, of group {} with {} shares", group.id, shares.len());
    change.note(&cause, format_args!("share-group-snapshot/{}", snapshot.id), words);
    // The turnstiles of the group and all its shares: nothing else is begun on them between this look and the commit.
    change.edit_group(tables, group.id, &cause, |_| {});
    for (share, _) in &shares {
        change.edit_instance(tables, share.id, &cause, |_| {});
    }
    identity.remember(tables, &mut change, snapshot.id);
    change.insert(Row::GroupSnapshot(snapshot));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(backend, change, started))
}

type GroupShare<'a> = (&'a Stored<Share>, &'a Stored<ShareInstance>);

fn shares_of<'a>(tables: &'a Tables, group: &ShareGroup) -> Vec<GroupShare<'a>> {
    let shares = tables.shares_of_group(group.id).into_iter();
    shares.filter_map(|share| Some((share, tables.instance_of(share.id)?))).collect()
}

fn new_snapshot(
    context: &RequestContext,
    new: &NewShareGroupSnapshot,
    group: &ShareGroup,
    shares: &[GroupShare<'_>],
) -> ShareGroupSnapshot {
    let now = Timestamp::now();
    let member = |(share, instance): &GroupShare<'_>| GroupMember {
        id: SnapshotInstanceId::random(),
        share: share.id,
        share_instance: instance.id,
        size: share.size,
        protocol: share.protocol,
        status: SnapshotStatus::Creating,
        provider_location: None,
    };
    ShareGroupSnapshot {
        id: ShareGroupSnapshotId::random(),
        project: group.project.clone(),
        user: context.actor.user.clone(),
        group: group.id,
        display_name: new.display_name.clone(),
        display_description: new.display_description.clone(),
        status: ShareGroupStatus::Creating,
        members: shares.iter().map(member).collect(),
        created_at: now,
        updated_at: now,
    }
}

#[instrument(name = "share_group_snapshot.update", skip_all, fields(request.id = %context.request, share_group_snapshot.id = %id))]
async fn change_words(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareGroupSnapshotId,
    update: Update,
) -> Result<ShareGroupSnapshotView, ManagerError> {
    context.require_change()?;
    check_text("name", update.display_name.as_ref().and_then(Option::as_deref))?;
    check_text("description", update.display_description.as_ref().and_then(Option::as_deref))?;
    inner
        .transact(|tables| {
            let (_, group) = find_with_group(tables, &context.scope(), id)?;
            let mut change = Change::default();
            change.edit_group_snapshot(tables, id, &by_hand(context), |snapshot| {
                if let Some(name) = &update.display_name {
                    snapshot.display_name.clone_from(name);
                }
                if let Some(description) = &update.display_description {
                    snapshot.display_description.clone_from(description);
                }
            });
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

#[instrument(name = "share_group_snapshot.delete", skip_all, fields(request.id = %context.request, share_group_snapshot.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareGroupSnapshotId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_change()?;
    if force.is_forced() {
        context.require_operator()?;
    }
    let identity = Identity::of(context, "delete-share-group-snapshot", &(id, force))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareGroupSnapshotId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let (snapshot, group) = find_with_group(tables, &context.scope(), id)?;
            policy::delete_snapshot(&facts(tables, snapshot), force)?;
            let backend = group.placement.backend.clone();
            inner.admit(tables, &backend)?;
            let verb = Verb::DeleteShareGroupSnapshot {
                group: group.id,
                group_snapshot: id,
                force: force.is_forced(),
            };
            let operation = inner.new_operation(verb, about(group), &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_group(tables, group.id, &cause, |_| {});
            for member in &snapshot.members {
                change.edit_instance(tables, member.share, &cause, |_| {});
            }
            change.edit_group_snapshot(tables, id, &cause, |snapshot| {
                snapshot.status = ShareGroupStatus::Deleting;
                snapshot.members.iter_mut().for_each(|member| member.status = SnapshotStatus::Deleting);
            });
            identity.remember(tables, &mut change, id);
            let started = operation.id;
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(backend, change, Some(started)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}

async fn reset(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareGroupSnapshotId,
    status: ShareGroupStatus,
) -> Result<ShareGroupSnapshotView, ManagerError> {
    context.require_operator()?;
    policy::rests(status)?;
    let of_members = match status {
        ShareGroupStatus::Available => SnapshotStatus::Available,
        _ => SnapshotStatus::Error,
    };
    inner
        .transact(|tables| {
            let (snapshot, group) = find_with_group(tables, &Scope::Everything, id)?;
            policy::at_rest(facts(tables, snapshot).in_flight)?;
            let mut change = Change::default();
            change.edit_group_snapshot(tables, id, &by_hand(context), |snapshot| {
                snapshot.status = status;
                snapshot.members.iter_mut().for_each(|member| member.status = of_members);
            });
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

type WithGroup<'a> = (&'a Stored<ShareGroupSnapshot>, &'a Stored<ShareGroup>);

fn find_with_group<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareGroupSnapshotId,
) -> Result<WithGroup<'a>, ManagerError> {
    let missing = || ManagerError::not_found("share group snapshot", id);
    let snapshot = tables.group_snapshot(scope, id).ok_or_else(missing)?;
    Ok((snapshot, tables.group(&Scope::Everything, snapshot.group).ok_or_else(missing)?))
}

/// What the policy needs to know of a group snapshot.
pub(super) fn facts(tables: &Tables, snapshot: &ShareGroupSnapshot) -> SnapshotFacts {
    let mut of_group = tables.unfinished_of_share(snapshot.group.queue());
    let in_flight = of_group
        .find(|operation| operation.verb.group_snapshot() == Some(snapshot.id))
        .map(|operation| operation.verb.name());
    let backend = tables.group(&Scope::Everything, snapshot.group).map(|group| &group.placement.backend);
    let is_made_from = |verb: &Verb| matches!(verb, Verb::CreateShareGroupFromSnapshot { group_snapshot, .. } if *group_snapshot == snapshot.id);
    let is_source = backend.is_some_and(|backend| {
        tables.unfinished_of_backend(backend).any(|operation| is_made_from(&operation.verb))
    });
    SnapshotFacts { status: snapshot.status, in_flight, is_source }
}

fn view(
    tables: &Tables,
    scope: &Scope,
    id: ShareGroupSnapshotId,
) -> Result<ShareGroupSnapshotView, ManagerError> {
    let found = tables.group_snapshot(scope, id);
    found
        .map(|snapshot| view_of(tables, snapshot))
        .ok_or_else(|| ManagerError::not_found("share group snapshot", id))
}

fn view_of(tables: &Tables, snapshot: &Stored<ShareGroupSnapshot>) -> ShareGroupSnapshotView {
    let mut of_group = tables.unfinished_of_share(snapshot.group.queue());
    ShareGroupSnapshotView {
        snapshot: Arc::clone(&snapshot.value),
        operation: of_group
            .find(|operation| operation.verb.group_snapshot() == Some(snapshot.id))
            .map(|operation| Arc::clone(&operation.value)),
    }
}
