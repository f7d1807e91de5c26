//! Putting a share back to its newest snapshot.
//!
//! ```text
//!   share     available --revert--> reverting --> available (the snapshot's size) | reverting_error
//!   snapshot  available --revert--> restoring --> available                       | available
//! ```

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::{self, ability_of};
use crate::records::{Change, Row};
use crate::replica;
use crate::runner::launch;
use crate::share::{facts, find, require_ability, view};
use crate::view::ShareView;
use bulkhead_model::id::{ShareId, SnapshotId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// Put a share back to what it was when `snapshot`, its newest one, was taken. What was written since is lost.
    ///
    /// Fails with [`crate::Denial::ForeignSnapshot`], [`crate::Denial::NotNewest`], [`crate::Denial::RulesNotActive`],
    /// [`crate::Denial::NewerGroupSnapshot`], and while share or snapshot are not `available`.
    pub async fn revert_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        snapshot: SnapshotId,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| revert(&inner, &context, id, snapshot).await).await
    }
}

#[instrument(name = "share.revert", skip_all, fields(request.id = %context.request, share.id = %id, snapshot.id = %snapshot))]
async fn revert(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    snapshot: SnapshotId,
) -> Result<ShareView, ManagerError> {
    context.require_change()?;
    let identity = Identity::of(context, "revert-share", &(id, snapshot))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let scope = context.scope();
            let (share, instance) = find(tables, &scope, id)?;
            // One of another tenant is not even said to exist.
            let found = tables
                .snapshot(&scope, snapshot)
                .ok_or_else(|| ManagerError::not_found("snapshot", snapshot))?;
            operation::revert_share(&facts(tables, share, instance), snapshot)?;
            // A member of a group snapshot is a snapshot to the backend, where reverting may cost all newer ones.
            if tables.group_snapshots_with(share).any(|newer| newer.created_at >= found.created_at) {
                return Err(Denial::NewerGroupSnapshot.into());
            }
            let verb = Verb::RevertShare { snapshot };
            let ability = match tables.has_replicas(id) {
                true => replica::ability_of(&verb),
                false => ability_of(&verb),
            };
            require_ability(inner, tables, &instance.placement, ability)?;
            let backend = &instance.placement.backend;
            inner.admit(tables, backend)?;
            let about = About { share: id, project: share.project.clone(), backend: backend.clone() };
            let operation = inner.new_operation(verb, about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, id, &cause, |instance| instance.status = ShareStatus::Reverting);
            change.edit_snapshot_instance(tables, snapshot, &cause, |instance| {
                instance.status = SnapshotStatus::Restoring;
            });
            identity.remember(tables, &mut change, id);
            let started = operation.id;
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(backend.clone(), change, Some(started)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}
