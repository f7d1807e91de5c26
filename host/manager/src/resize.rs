//! Extending and shrinking shares.
//!
//! ```text
//!   available --extend--> extending --> available (new size) | extending_error
//!   available --shrink--> shrinking --> available (new size) | shrinking_error
//!                                   --> available (old size): more is used than the new size, or the driver does not shrink
//! ```

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::{self, ability_of, share_status_during};
use crate::records::{Change, Row, Stored, Tables};
use crate::runner::launch;
use crate::scheduler::{self, AskedShare};
use crate::share::{facts, find, require_ability, view};
use crate::share_type;
use crate::view::ShareView;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::size::Gibibytes;
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// Make a share larger. Fails with [`Denial::NotLarger`], with [`Denial::NoRoom`] if its pool has too little left, with
    /// [`ManagerError::Unsupported`], and while the share is not `available`.
    pub async fn extend_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        new_size: Gibibytes,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| resize(&inner, &context, id, Verb::ExtendShare { new_size }).await)
            .await
    }

    /// Make a share smaller. Fails with [`Denial::NotSmaller`], with [`ManagerError::Unsupported`], and while the share is not
    /// `available`. If more is used than the new size the driver refuses, and the share is `available` again with its old size.
    pub async fn shrink_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        new_size: Gibibytes,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| resize(&inner, &context, id, Verb::ShrinkShare { new_size }).await)
            .await
    }
}

#[instrument(name = "share.resize", skip_all, fields(request.id = %context.request, share.id = %id, operation.verb = verb.name()))]
async fn resize(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    verb: Verb,
) -> Result<ShareView, ManagerError> {
    context.require_change()?;
    let identity = Identity::of(context, verb.name(), &(id, &verb))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let (share, instance) = find(tables, &context.scope(), id)?;
            let growth_gib = check(inner, tables, share, instance, &verb)?;
            let placement = &instance.placement;
            inner.admit(tables, &placement.backend)?;
            let about =
                About { share: id, project: share.project.clone(), backend: placement.backend.clone() };
            let operation = inner.new_operation(verb.clone(), about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, id, &cause, |instance| {
                instance.status = share_status_during(&verb).unwrap_or(instance.status);
            });
            identity.remember(tables, &mut change, id);
            let started = (operation.id, placement.clone(), growth_gib);
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(placement.backend.clone(), change, Some(started)))
        })
        .await?;
    if let Some((operation, placement, growth_gib)) = started {
        if let (Some(backend), Some(pool)) = (inner.backends.get(&placement.backend), &placement.pool) {
            backend.count_placed(pool, growth_gib);
        }
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

/// Whether the resize may begin; returns by how many GiB the share grows.
fn check(
    inner: &Inner,
    tables: &Tables,
    share: &Stored<Share>,
    instance: &Stored<ShareInstance>,
    verb: &Verb,
) -> Result<u64, ManagerError> {
    let facts = facts(tables, share, instance);
    let new_size = match verb {
        Verb::ExtendShare { new_size } => {
            operation::extend_share(&facts, *new_size)?;
            share_type::specs::check_extended_size(&share.extra_specs, *new_size)?;
            *new_size
        }
        Verb::ShrinkShare { new_size } => {
            operation::shrink_share(&facts, *new_size)?;
            *new_size
        }
        _ => share.size,
    };
    let growth_gib = new_size.get().saturating_sub(share.size.get());
    require_ability(inner, tables, &instance.placement, ability_of(verb))?;
    if growth_gib > 0 {
        let grown = AskedShare::of(share, new_size);
        scheduler::may_grow(inner, tables, &instance.placement, &grown, growth_gib)
            .map_err(|reason| Denial::NoRoom { reason })?;
    }
    Ok(growth_gib)
}
