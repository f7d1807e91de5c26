//! Share groups: listing, showing, changing what the host alone knows, deleting.

use super::policy::{self, GroupFacts};
use super::{NewShareGroup, creation, find};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Row, Stored, Tables};
use crate::request::{Force, Update, check_text};
use crate::runner::launch;
use crate::view::ShareGroupView;
use bulkhead_model::id::ShareGroupId;
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_group::ShareGroup;
use bulkhead_model::status::ShareGroupStatus;
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// Make a share group, empty or from a group snapshot: committed as `creating` with its operation, which goes on in the background.
    ///
    /// Fails with [`ManagerError::NoBackend`] naming the reason of every backend, with [`ManagerError::Conflict`] if the group snapshot is
    /// not fit, and with [`ManagerError::Invalid`] for unfit text and share types that do not go together.
    pub async fn create_share_group(
        &self,
        context: &RequestContext,
        new: NewShareGroup,
    ) -> Result<ShareGroupView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| creation::create(&inner, &context, new).await).await
    }

    /// A share group inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_share_group(&self, scope: &Scope, id: ShareGroupId) -> Result<ShareGroupView, ManagerError> {
        view(&self.inner.records.read(), scope, id)
    }

    /// All share groups inside `scope`, oldest first.
    #[must_use]
    pub fn list_share_groups(&self, scope: &Scope) -> Vec<ShareGroupView> {
        let tables = self.inner.records.read();
        let mut views: Vec<_> = tables.groups(scope).map(|group| view_of(&tables, group)).collect();
        views.sort_by_key(|view| (view.group.created_at, view.group.id));
        views
    }

    /// Change a share group's name or description. No backend learns of it.
    pub async fn update_share_group(
        &self,
        context: &RequestContext,
        id: ShareGroupId,
        update: Update,
    ) -> Result<ShareGroupView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_words(&inner, &context, id, update).await).await
    }

    /// Delete a share group. With [`Force::Yes`], for operators, a failing driver does not stop it.
    ///
    /// Fails with [`ManagerError::Conflict`] while it has shares or snapshots or an operation is at work on it.
    pub async fn delete_share_group(
        &self,
        context: &RequestContext,
        id: ShareGroupId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id, force).await).await
    }

    /// Set a share group's status by hand, after looking at the backend. For operators.
    ///
    /// Fails while an operation is at work on the group (abandon it first), and for statuses that need one.
    pub async fn reset_share_group_status(
        &self,
        context: &RequestContext,
        id: ShareGroupId,
        status: ShareGroupStatus,
    ) -> Result<ShareGroupView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, id, status).await).await
    }
}

#[instrument(name = "share_group.update", skip_all, fields(request.id = %context.request, share_group.id = %id))]
async fn change_words(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareGroupId,
    update: Update,
) -> Result<ShareGroupView, ManagerError> {
    context.require_change()?;
    check_text("name", update.display_name.as_ref().and_then(Option::as_deref))?;
    check_text("description", update.display_description.as_ref().and_then(Option::as_deref))?;
    inner
        .transact(|tables| {
            let group = find(tables, &context.scope(), id)?;
            let mut change = Change::default();
            change.edit_group(tables, id, &by_hand(context), |group| {
                if let Some(name) = &update.display_name {
                    group.display_name.clone_from(name);
                }
                if let Some(description) = &update.display_description {
                    group.display_description.clone_from(description);
                }
            });
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

#[instrument(name = "share_group.delete", skip_all, fields(request.id = %context.request, share_group.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareGroupId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_change()?;
    if force.is_forced() {
        context.require_operator()?;
    }
    let identity = Identity::of(context, "delete-share-group", &(id, force))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareGroupId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let group = find(tables, &context.scope(), id)?;
            policy::delete_group(&facts(tables, group), force)?;
            let backend = group.placement.backend.clone();
            inner.admit(tables, &backend)?;
            let verb = Verb::DeleteShareGroup { group: id, force: force.is_forced() };
            let operation = inner.new_operation(verb, about(group), &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_group(tables, id, &cause, |group| group.status = ShareGroupStatus::Deleting);
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
    id: ShareGroupId,
    status: ShareGroupStatus,
) -> Result<ShareGroupView, ManagerError> {
    context.require_operator()?;
    policy::rests(status)?;
    inner
        .transact(|tables| {
            let group = find(tables, &Scope::Everything, id)?;
            policy::at_rest(facts(tables, group).in_flight)?;
            let mut change = Change::default();
            change.edit_group(tables, id, &by_hand(context), |group| group.status = status);
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

/// The cause of what somebody changes without an operation.
pub(super) fn by_hand(context: &RequestContext) -> Cause {
    Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None }
}

/// What an operation on a group is about.
pub(super) fn about(group: &ShareGroup) -> About {
    About {
        share: group.id.queue(),
        project: group.project.clone(),
        backend: group.placement.backend.clone(),
    }
}

/// What the policy needs to know of a group.
pub(super) fn facts(tables: &Tables, group: &ShareGroup) -> GroupFacts {
    GroupFacts {
        status: group.status,
        shares: tables.shares_of_group(group.id).len(),
        snapshots: tables.group_snapshots_of(group.id).count(),
        in_flight: tables.unfinished_of_share(group.id.queue()).next().map(|one| one.verb.name()),
    }
}

/// A group inside `scope`, put together for reading.
pub(super) fn view(tables: &Tables, scope: &Scope, id: ShareGroupId) -> Result<ShareGroupView, ManagerError> {
    Ok(view_of(tables, find(tables, scope, id)?))
}

fn view_of(tables: &Tables, group: &Stored<ShareGroup>) -> ShareGroupView {
    let mut operations = tables.unfinished_of_share(group.id.queue());
    ShareGroupView {
        group: Arc::clone(&group.value),
        operation: operations
            .find(|operation| operation.verb.group_snapshot().is_none())
            .map(|operation| Arc::clone(&operation.value)),
    }
}
