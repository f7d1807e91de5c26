//! What people do with replicas.

use super::{ability_of, creation, status_during};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Row, Stored, Tables};
use crate::request::Force;
use crate::runner::launch;
use crate::share::{self, facts, require_ability};
use crate::view::ShareReplicaView;
use crate::{replica::follow, share_type};
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::status::{ReplicaState, ShareStatus};
use serde::Serialize;
use std::sync::Arc;
use tracing::instrument;

/// A replica to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NewReplica {
    /// The share.
    pub share: ShareId,
}

impl Manager {
    /// Make a replica of a share on another backend of its replication domain: committed as `creating`, `out_of_sync` with its operation.
    ///
    /// Fails with [`Denial::NotOffered`] if the share's type is not replicated, with [`ManagerError::NoBackend`] naming the reason of
    /// every backend, and while the share is not `available` with an active replica.
    pub async fn create_replica(
        &self,
        context: &RequestContext,
        new: NewReplica,
    ) -> Result<ShareReplicaView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| creation::create(&inner, &context, new).await).await
    }

    /// The replicas inside `scope`, oldest first; of one share, or of all. A share of a replicated type has at least one.
    #[must_use]
    pub fn list_replicas(&self, scope: &Scope, share: Option<ShareId>) -> Vec<ShareReplicaView> {
        let tables = self.inner.records.read();
        let shares = match share {
            Some(share) => tables.share(scope, share).into_iter().collect(),
            None => tables.shares(scope),
        };
        let of_share = |share: &Stored<Share>| {
            let instances = tables.instances_of(share.id).into_iter();
            let replicas = instances.filter(|instance| instance.replica_state.is_some());
            replicas.map(|instance| view_of(&tables, share, instance)).collect::<Vec<_>>()
        };
        let mut views: Vec<_> = shares.into_iter().flat_map(of_share).collect();
        views.sort_by_key(|view| (view.instance.created_at, view.instance.id));
        views
    }

    /// A replica inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_replica(&self, scope: &Scope, id: ShareInstanceId) -> Result<ShareReplicaView, ManagerError> {
        view(&self.inner.records.read(), scope, id)
    }

    /// Remove a replica with its snapshots. With [`Force::Yes`], for operators, a failing driver does not stop it.
    ///
    /// Fails with [`Denial::LastActiveReplica`], and while an operation is at work on the share.
    pub async fn delete_replica(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id, force).await).await
    }

    /// Make a replica the active one. Well if it is. Writes may be held back for `quiesce_wait_seconds` before.
    ///
    /// Fails while the replica is not `available` or an operation is at work on the share; one that is not `in_sync`, whose promotion may
    /// lose what was written since, is promoted by operators only.
    pub async fn promote_replica(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
        quiesce_wait_seconds: Option<u32>,
    ) -> Result<ShareReplicaView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| promote(&inner, &context, id, quiesce_wait_seconds).await).await
    }

    /// Ask the replica's backend now how far it is, which brings it in step. Returns before that is known. For operators.
    pub async fn resync_replica(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
    ) -> Result<(), ManagerError> {
        context.require_operator()?;
        let share = self.show_replica(&Scope::Everything, id)?.share.id;
        self.detached(async move |inner| {
            follow::follow(&inner, share);
            Ok(())
        })
        .await
    }

    /// Set a replica's status by hand, after looking at the backend. For operators; as [`Manager::reset_share_status`].
    pub async fn reset_replica_status(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
        status: ShareStatus,
    ) -> Result<ShareReplicaView, ManagerError> {
        if status.is_transient() {
            let reason = format_args!("'{status}' needs an operation at work; set a status that rests");
            return Err(ManagerError::invalid("status", reason));
        }
        self.reset(context, id, move |instance| instance.status = status).await
    }

    /// Set a replica's state by hand, after looking at the backend. For operators; as [`Manager::reset_share_status`].
    pub async fn reset_replica_state(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
        state: ReplicaState,
    ) -> Result<ShareReplicaView, ManagerError> {
        self.reset(context, id, move |instance| instance.replica_state = Some(state)).await
    }

    async fn reset(
        &self,
        context: &RequestContext,
        id: ShareInstanceId,
        alter: impl Fn(&mut ShareInstance) + Send + Sync + 'static,
    ) -> Result<ShareReplicaView, ManagerError> {
        context.require_operator()?;
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, id, alter).await).await
    }
}

fn find<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareInstanceId,
) -> Result<(&'a Stored<Share>, &'a Stored<ShareInstance>), ManagerError> {
    let missing = || ManagerError::not_found("replica", id);
    let instance = tables.instance(id).filter(|one| one.replica_state.is_some()).ok_or_else(missing)?;
    Ok((tables.share(scope, instance.share).ok_or_else(missing)?, instance))
}

pub(super) fn view(
    tables: &Tables,
    scope: &Scope,
    id: ShareInstanceId,
) -> Result<ShareReplicaView, ManagerError> {
    let (share, instance) = find(tables, scope, id)?;
    Ok(view_of(tables, share, instance))
}

fn view_of(tables: &Tables, share: &Stored<Share>, instance: &Stored<ShareInstance>) -> ShareReplicaView {
    let mut operations = tables.unfinished_of_share(share.id);
    ShareReplicaView {
        share: Arc::clone(&share.value),
        instance: Arc::clone(&instance.value),
        share_type_name: share_type::name_of(tables, share.share_type),
        operation: operations
            .find(|operation| super::of(&operation.verb) == Some(instance.id))
            .map(|operation| Arc::clone(&operation.value)),
    }
}

#[instrument(name = "replica.delete", skip_all, fields(request.id = %context.request, replica.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareInstanceId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_change()?;
    if force.is_forced() {
        context.require_operator()?;
    }
    let identity = Identity::of(context, "delete-replica", &(id, force))?;
    let verb = Verb::DeleteReplica { replica: id, force: force.is_forced() };
    begin(inner, context, (id, verb), &identity, |tables, share, replica| {
        let is_active = |one: &&Stored<ShareInstance>| one.replica_state == Some(ReplicaState::Active);
        let others = tables.instances_of(share.id).into_iter().filter(|one| one.id != id);
        if is_active(&replica) && others.clone().filter(is_active).count() == 0 {
            return Err(Denial::LastActiveReplica.into());
        }
        if others.count() == 0 {
            return Err(Denial::LastActiveReplica.into());
        }
        if replica.status.is_transient() && !force.is_forced() {
            return Err(Denial::ReplicaStatus { what: "deleting it", status: replica.status }.into());
        }
        Ok(Wanted::Yes)
    })
    .await
}

#[instrument(name = "replica.promote", skip_all, fields(request.id = %context.request, replica.id = %id))]
async fn promote(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareInstanceId,
    quiesce_wait_seconds: Option<u32>,
) -> Result<ShareReplicaView, ManagerError> {
    context.require_change()?;
    let identity = Identity::of(context, "promote-replica", &(id, quiesce_wait_seconds))?;
    let verb = Verb::PromoteReplica { replica: id, quiesce_wait_seconds };
    begin(inner, context, (id, verb), &identity, |_, _, replica| {
        let state = replica.replica_state.unwrap_or(ReplicaState::Error);
        if state == ReplicaState::Active {
            return Ok(Wanted::Already);
        }
        if replica.status != ShareStatus::Available {
            return Err(Denial::ReplicaStatus { what: "promoting it", status: replica.status }.into());
        }
        if state != ReplicaState::InSync && context.require_operator().is_err() {
            let advice = "; wait until it is in_sync, or ask an operator, who may promote it all the same";
            return Err(Denial::ReplicaState { what: "promoting it", state, advice }.into());
        }
        Ok(Wanted::Yes)
    })
    .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}

/// Whether a wish leads to an operation.
enum Wanted {
    Yes,
    /// It is so already.
    Already,
}

type Check<'a> = dyn Fn(&Tables, &Stored<Share>, &Stored<ShareInstance>) -> Result<Wanted, ManagerError>
    + Send
    + Sync
    + 'a;

/// Begin an operation on a replica that exists, if `check` lets it.
async fn begin(
    inner: &Arc<Inner>,
    context: &RequestContext,
    (id, verb): (ShareInstanceId, Verb),
    identity: &Identity,
    check: impl Fn(&Tables, &Stored<Share>, &Stored<ShareInstance>) -> Result<Wanted, ManagerError> + Send + Sync,
) -> Result<(), ManagerError> {
    let check: &Check<'_> = &check;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareInstanceId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let (share, replica) = find(tables, &context.scope(), id)?;
            let (_, active) = share::find(tables, &Scope::Everything, share.id)?;
            if let Wanted::Already = check(tables, share, replica)? {
                return Ok(Proposal::Settled(None));
            }
            if let Some(running) = facts(tables, share, active).in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let backend = replica.placement.backend.clone();
            if !matches!(verb, Verb::DeleteReplica { .. }) {
                require_ability(inner, tables, &replica.placement, ability_of(&verb))?;
            }
            inner.admit(tables, &backend)?;
            let about = About { share: share.id, project: share.project.clone(), backend: backend.clone() };
            let operation = inner.new_operation(verb.clone(), about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, share.id, &cause, |_| {});
            change.edit_replica(tables, id, &cause, |instance| {
                instance.status = status_during(&verb).unwrap_or(instance.status);
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
    id: ShareInstanceId,
    alter: impl Fn(&mut ShareInstance) + Send + Sync,
) -> Result<ShareReplicaView, ManagerError> {
    let cause =
        Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None };
    inner
        .transact(|tables| {
            let (share, replica) = find(tables, &Scope::Everything, id)?;
            let (_, active) = share::find(tables, &Scope::Everything, share.id)?;
            if let Some(running) = facts(tables, share, active).in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let mut change = Change::default();
            change.edit_instance(tables, share.id, &cause, |_| {});
            change.edit_replica(tables, id, &cause, |instance| alter(instance));
            Ok(Proposal::Commit(replica.placement.backend.clone(), change, ()))
        })
        .await?;
    view(&inner.records.read(), &Scope::Everything, id)
}
