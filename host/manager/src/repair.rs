//! Repairs by operators: statuses set by hand, and resources forgotten whose backend is gone for good.

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change};
use crate::view::{ShareView, SnapshotView};
use crate::{share, share_server, snapshot};
use bulkhead_model::id::{ShareId, SnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use std::sync::Arc;

impl Manager {
    /// Set a share's status by hand, after looking at the backend. For operators.
    ///
    /// Fails while an operation is at work on the share (abandon it first), and for statuses that need one.
    pub async fn reset_share_status(
        &self,
        context: &RequestContext,
        id: ShareId,
        status: ShareStatus,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset_share(&inner, &context, id, status).await).await
    }

    /// Set a snapshot's status by hand. Fails as [`Manager::reset_share_status`] does.
    pub async fn reset_snapshot_status(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        status: SnapshotStatus,
    ) -> Result<SnapshotView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset_snapshot(&inner, &context, id, status).await).await
    }

    /// Forget a share and its rules without asking its backend, where its data stay. For operators.
    ///
    /// Fails while an operation is at work on the share, and while it has snapshots.
    pub async fn forget_share(&self, context: &RequestContext, id: ShareId) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| forget_share(&inner, &context, id).await).await
    }

    /// Forget a snapshot without asking its backend, where its data stay. For operators.
    ///
    /// Fails while an operation is at work on the snapshot, and while a share is being made from it.
    pub async fn forget_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| forget_snapshot(&inner, &context, id).await).await
    }
}

fn by_hand(context: &RequestContext) -> Result<Cause, ManagerError> {
    context.require_operator()?;
    Ok(Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None })
}

fn no_owner(status: &'static str) -> ManagerError {
    let reason = format_args!("'{status}' needs an operation at work; set a status that rests");
    ManagerError::invalid("status", reason)
}

async fn reset_share(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    status: ShareStatus,
) -> Result<ShareView, ManagerError> {
    let cause = by_hand(context)?;
    if status.is_transient() {
        return Err(no_owner(status.as_str()));
    }
    inner
        .transact(|tables| {
            let (share, instance) = share::find(tables, &Scope::Everything, id)?;
            if let Some(running) = share::facts(tables, share, instance).in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let mut change = Change::default();
            change.edit_instance(tables, id, &cause, |instance| instance.status = status);
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await?;
    share::view(&inner.records.read(), &Scope::Everything, id)
}

async fn reset_snapshot(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
    status: SnapshotStatus,
) -> Result<SnapshotView, ManagerError> {
    let cause = by_hand(context)?;
    if status.is_transient() {
        return Err(no_owner(status.as_str()));
    }
    inner
        .transact(|tables| {
            let missing = || ManagerError::not_found("snapshot", id);
            let snapshot = tables.snapshot(&Scope::Everything, id).ok_or_else(missing)?;
            let share = tables.instance_of(snapshot.share).ok_or_else(missing)?;
            let facts = snapshot::facts(tables, snapshot).ok_or_else(missing)?;
            if let Some(running) = facts.in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let mut change = Change::default();
            change.edit_snapshot_instance(tables, id, &cause, |instance| instance.status = status);
            Ok(Proposal::Commit(share.placement.backend.clone(), change, ()))
        })
        .await?;
    snapshot::view(&inner.records.read(), &Scope::Everything, id)
}

async fn forget_share(inner: &Arc<Inner>, context: &RequestContext, id: ShareId) -> Result<(), ManagerError> {
    let cause = by_hand(context)?;
    inner
        .transact(|tables| {
            let (share, instance) = share::find(tables, &Scope::Everything, id)?;
            if let Some(running) = tables.unfinished_of_share(id).next() {
                return Err(Denial::InFlight { running: running.verb.name() }.into());
            }
            let facts = share::facts(tables, share, instance);
            if facts.replicas > 1 {
                return Err(Denial::HasReplicas { count: facts.replicas }.into());
            }
            if let Some(running) = facts.in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            facts.require_no_snapshots()?;
            let backend = instance.placement.backend.clone();
            let server = instance.share_server;
            let mut change = Change::default();
            change.remove_share(tables, id, &cause);
            share_server::holds_unknown(tables, &mut change, server, &cause);
            change.note(&cause, format_args!("share/{id}"), "forgotten; its data stay at the backend");
            Ok(Proposal::Commit(backend, change, ()))
        })
        .await
}

async fn forget_snapshot(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
) -> Result<(), ManagerError> {
    let cause = by_hand(context)?;
    inner
        .transact(|tables| {
            let missing = || ManagerError::not_found("snapshot", id);
            let snapshot = tables.snapshot(&Scope::Everything, id).ok_or_else(missing)?;
            let share = tables.instance_of(snapshot.share).ok_or_else(missing)?;
            let facts = snapshot::facts(tables, snapshot).ok_or_else(missing)?;
            if let Some(running) = facts.in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            if facts.is_source {
                return Err(Denial::SnapshotInUse.into());
            }
            let mut change = Change::default();
            change.edit_instance(tables, snapshot.share, &cause, |_| {});
            change.remove_snapshot(tables, id, &cause);
            share_server::holds_unknown(tables, &mut change, share.share_server, &cause);
            change.note(&cause, format_args!("snapshot/{id}"), "forgotten; its data stay at the backend");
            Ok(Proposal::Commit(share.placement.backend.clone(), change, ()))
        })
        .await
}
