//! Shares: creating, showing, changing what the host alone knows, deleting.
//!
//! ```text
//!   create --> creating --> available --delete--> deleting --> gone
//!                  |                                  |
//!                  +--> error --delete--> deleting    +--> error_deleting --delete--> deleting
//! ```

pub(crate) mod removal;
mod show;

use show::view_of;
pub(crate) use show::{for_driver, view};

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::group;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::metadata;
use crate::operation::{self, ShareFacts, SnapshotFacts};
use crate::records::{Change, Expect, Row, Stored, Tables};
use crate::request::{Force, NewShare, Update, check_metadata, check_text};
use crate::runner::launch;
use crate::scheduler::{self, AskedShare, Wish};
use crate::share_server::{self, network::NetworkWish, network_change};
use crate::share_type;
use crate::view::{ShareTypeView, ShareView};
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{OperationId, ShareGroupId, ShareId, ShareInstanceId, ShareNetworkId, SnapshotId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance, ShareSupport};
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ShareStatus};
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The most metadata of a share or snapshot, in bytes: 64 pairs of the longest would burst a record.
pub(crate) const METADATA_BYTES: usize = 32 * 1024;

impl Manager {
    /// Make a share: committed as `creating` with its operation, which goes on in the background.
    ///
    /// Fails with [`ManagerError::NoBackend`] naming the reason of every backend, with [`ManagerError::Conflict`] if the snapshot is
    /// not fit, and with [`ManagerError::Invalid`] for unfit text.
    pub async fn create_share(
        &self,
        context: &RequestContext,
        new: NewShare,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// A share inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_share(&self, scope: &Scope, id: ShareId) -> Result<ShareView, ManagerError> {
        view(&self.inner.records.read(), scope, id)
    }

    /// All shares inside `scope`, oldest first.
    #[must_use]
    pub fn list_shares(&self, scope: &Scope) -> Vec<ShareView> {
        let tables = self.inner.records.read();
        let mut views: Vec<_> =
            tables.shares(scope).into_iter().filter_map(|share| view_of(&tables, share)).collect();
        views.sort_by_key(|view| (view.share.created_at, view.share.id));
        views
    }

    /// Change a share's name, description, metadata or visibility. The backend learns of metadata that its driver follows, by an operation
    /// that is committed with the change; of nothing else.
    pub async fn update_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        update: Update,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_words(&inner, &context, id, update).await).await
    }

    /// Delete a share with its access rules. With [`Force::Yes`], for operators, a failing driver does not stop it, and a transient
    /// status without an operation does not either.
    ///
    /// Fails with [`ManagerError::Conflict`] while an operation is at work on it or it has snapshots.
    pub async fn delete_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id, force).await).await
    }
}

#[instrument(name = "share.create", skip_all, fields(request.id = %context.request))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShare,
) -> Result<ShareView, ManagerError> {
    context.require_change()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    check_metadata(&new.metadata, METADATA_BYTES)?;
    let _tie = inner.ties.read().await;
    let share_type = type_of(context, &new, &inner.records.read())?;
    let specs = share_type::kept_specs(&share_type);
    share_type::specs::check_size(&specs, new.size)?;
    let identity = Identity::of(context, "create-share", &new)?;
    let asked = Asked { context, new: &new, share_type: &share_type, identity: &identity };
    let (id, started) = inner
        .transact(|tables| {
            if let Some(first) = identity.first::<ShareId>(tables)? {
                return Ok(Proposal::Settled((first, None)));
            }
            propose_creation(inner, &asked, tables)
        })
        .await?;
    if let Some((operation, placement)) = started {
        if let (Some(backend), Some(pool)) = (inner.backends.get(&placement.backend), &placement.pool) {
            backend.count_placed(pool, new.size.get());
        }
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

/// The type of a new share: the one it names, else that of the share it is a copy of or of its group, else the default one.
fn type_of(context: &RequestContext, new: &NewShare, tables: &Tables) -> Result<ShareTypeView, ManagerError> {
    let inherited = match (&new.share_type, new.source_snapshot, new.group) {
        (Some(_), _, _) => None,
        (None, Some(id), _) => {
            let snapshot = tables.snapshot(&context.scope(), id);
            let source = snapshot.and_then(|one| tables.share(&Scope::Everything, one.share));
            Some(source.ok_or_else(|| ManagerError::not_found("snapshot", id))?.share_type)
        }
        (None, None, Some(id)) => {
            let own = Scope::Project(context.actor.project.clone());
            let group = tables.group(&own, id).ok_or_else(|| ManagerError::not_found("share group", id))?;
            // Of several the tenant has to choose; without a word that is the default one, if the group has it.
            <[_; 1]>::try_from(group.share_types.clone()).ok().map(|[only]| only)
        }
        (None, None, None) => None,
    };
    let inherited = inherited.map(|id| id.to_string());
    share_type::find(tables, new.share_type.as_deref().or(inherited.as_deref()))
}

type Started = (ShareId, Option<(OperationId, Placement)>);

/// A request for a share, checked as far as it can be without the records.
struct Asked<'a> {
    context: &'a RequestContext,
    new: &'a NewShare,
    share_type: &'a ShareTypeView,
    identity: &'a Identity,
}

fn propose_creation(
    inner: &Inner,
    asked: &Asked<'_>,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let Asked { context, new, share_type, identity } = *asked;
    let specs = share_type::kept_specs(share_type);
    let share_network = network_of(context, new, share_type, tables)?;
    let placement = scheduler::choose(inner, tables, &wish(context, new, share_type, tables)?)?;
    inner.admit(tables, &placement.backend)?;
    let now = Timestamp::now();
    let share = Share {
        id: ShareId::random(),
        project: context.actor.project.clone(),
        user: context.actor.user.clone(),
        size: new.size,
        display_name: new.display_name.clone(),
        display_description: new.display_description.clone(),
        metadata: new.metadata.clone(),
        protocol: new.protocol,
        share_type: share_type.id,
        source_snapshot: new.source_snapshot,
        is_public: new.is_public,
        support: share_type::support(&specs, support_on(inner, tables, &placement)?),
        replication_type: share_type::replication_type(&specs),
        extra_specs: specs,
        rules_home: None,
        group: new.group,
        source_member: None,
        task_state: None,
        migration: None,
        created_at: now,
        updated_at: now,
    };
    let instance = ShareInstance { share_network, ..new_instance(&share, &placement) };
    let verb = match new.source_snapshot {
        None => Verb::CreateShare,
        Some(snapshot) => Verb::CreateShareFromSnapshot { snapshot },
    };
    let about = About { share: share.id, project: share.project.clone(), backend: placement.backend.clone() };
    let operation = inner.new_operation(verb, about, &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (share.id, Some((operation.id, placement.clone())));
    let mut change = Change::default();
    change.note(&cause, format_args!("share/{}", share.id), format_args!("none -> creating, {}", share.size));
    if let Some(snapshot) = new.source_snapshot {
        // The snapshot's turnstile: it is not deleted between this look and the commit.
        change.edit_snapshot_instance(tables, snapshot, &cause, |_| {});
    }
    if let Some(group) = new.group {
        // The group's turnstile, for the same reason.
        change.edit_group(tables, group, &cause, |_| {});
    }
    identity.remember(tables, &mut change, share.id);
    change.insert(Row::Share(share));
    change.insert(Row::Instance(instance));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(placement.backend, change, started))
}

/// The share network of a new share: that of the snapshot it is made from, that of its group, or the one that was named.
fn network_of(
    context: &RequestContext,
    new: &NewShare,
    share_type: &ShareTypeView,
    tables: &Tables,
) -> Result<Option<ShareNetworkId>, ManagerError> {
    let of_snapshot = new.source_snapshot.and_then(|id| {
        let instance = tables.instance(tables.snapshot_instance_of(id)?.share_instance)?;
        Some(("the snapshot's share", instance.share_network))
    });
    let of_group =
        new.group.and_then(|id| Some(("the share group", tables.group(&context.scope(), id)?.share_network)));
    let wish = NetworkWish {
        named: new.share_network,
        inherited: of_snapshot.or(of_group),
        extra_specs: &share_type.extra_specs,
    };
    share_server::network::of_new(tables, context, wish)
}

/// What the scheduler is asked for a new share.
pub(crate) fn wish(
    context: &RequestContext,
    new: &NewShare,
    share_type: &ShareTypeView,
    tables: &Tables,
) -> Result<Wish, ManagerError> {
    let specs = share_type::kept_specs(share_type);
    Ok(Wish {
        beside: new.source_snapshot.map(|id| source_of(context, new, tables, id)).transpose()?,
        group: new.group.map(|id| joined(context, tables, id, share_type)).transpose()?,
        needs: share_type::needs(&specs),
        replica: None,
        asked: AskedShare {
            size: new.size,
            protocol: Some(new.protocol),
            project: context.actor.project.clone(),
            user: context.actor.user.clone(),
            share_type: share_type.id,
            source_snapshot: new.source_snapshot,
            extra_specs: specs,
        },
    })
}

/// Where the shares of a group are, if one of this type may be made there.
fn joined(
    context: &RequestContext,
    tables: &Tables,
    id: ShareGroupId,
    share_type: &ShareTypeView,
) -> Result<Placement, ManagerError> {
    // A share belongs to the project of its group: also an operator makes it in one of their own.
    let own = Scope::Project(context.actor.project.clone());
    Ok(group::joined(tables, &own, id, share_type.id)?.placement.clone())
}

pub(crate) fn new_instance(share: &Share, placement: &Placement) -> ShareInstance {
    ShareInstance {
        id: ShareInstanceId::random(),
        share: share.id,
        placement: placement.clone(),
        share_network: None,
        share_server: None,
        status: ShareStatus::Creating,
        progress_percent: Some(0),
        access_rules_status: AccessRulesStatus::Active,
        replica_state: share.replication_type.map(|_| ReplicaState::Active),
        export_locations: Vec::new(),
        launched_at: None,
        unsound_since: None,
        created_at: share.created_at,
        updated_at: share.updated_at,
    }
}

/// Where the share of the source snapshot lives, if a share may be made from it.
fn source_of(
    context: &RequestContext,
    new: &NewShare,
    tables: &Tables,
    id: SnapshotId,
) -> Result<Placement, ManagerError> {
    let missing = || ManagerError::not_found("snapshot", id);
    let snapshot = tables.snapshot(&context.scope(), id).ok_or_else(missing)?;
    let instance = tables.snapshot_instance_of(id).ok_or_else(missing)?;
    let share = tables.share(&Scope::Everything, snapshot.share).ok_or_else(missing)?;
    let placement = &tables.instance(instance.share_instance).ok_or_else(missing)?.placement;
    let facts = SnapshotFacts { status: instance.status, in_flight: None, is_source: false };
    operation::create_from_snapshot(&facts, share.support, snapshot.size, new.size)?;
    if share.protocol != new.protocol {
        return Err(Denial::UnlikeSnapshot.into());
    }
    Ok(placement.clone())
}

/// What a share on this backend offers: what its driver can do now, kept with the share.
pub(crate) fn support_on(
    inner: &Inner,
    tables: &Tables,
    placement: &Placement,
) -> Result<ShareSupport, ManagerError> {
    Ok(inner.loaded(tables, &placement.backend)?.abilities.share_support())
}

#[instrument(name = "share.update", skip_all, fields(request.id = %context.request, share.id = %id))]
async fn change_words(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    update: Update,
) -> Result<ShareView, ManagerError> {
    context.require_change()?;
    check_text("name", update.display_name.as_ref().and_then(Option::as_deref))?;
    check_text("description", update.display_description.as_ref().and_then(Option::as_deref))?;
    check_metadata(update.metadata.as_ref().unwrap_or(&BTreeMap::new()), METADATA_BYTES)?;
    let started = inner
        .transact(|tables| {
            let (share, instance) = find(tables, &context.scope(), id)?;
            let mut changed = (*share.value).clone();
            if let Some(name) = &update.display_name {
                changed.display_name.clone_from(name);
            }
            if let Some(description) = &update.display_description {
                changed.display_description.clone_from(description);
            }
            if let Some(metadata) = &update.metadata {
                changed.metadata.clone_from(metadata);
            }
            if let Some(is_public) = update.is_public {
                changed.is_public = is_public;
            }
            changed.updated_at = Timestamp::now();
            let mut change = Change::default();
            let keys = metadata::to_follow(inner, share, instance, &changed.metadata);
            change.put(Expect::Unchanged(share.revision), Row::Share(changed));
            let backend = &instance.placement.backend;
            let mut started = None;
            if !keys.is_empty() {
                inner.admit(tables, backend)?;
                let about = About { share: id, project: share.project.clone(), backend: backend.clone() };
                let verb = Verb::UpdateShareMetadata { keys };
                let operation = inner.new_operation(verb, about, &context.request);
                started = Some(operation.id);
                change.insert(Row::Operation(operation));
            }
            Ok(Proposal::Commit(backend.clone(), change, started))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

#[instrument(name = "share.delete", skip_all, fields(request.id = %context.request, share.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_change()?;
    if force.is_forced() {
        context.require_operator()?;
    }
    let identity = Identity::of(context, "delete-share", &(id, force))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let (share, instance) = find(tables, &context.scope(), id)?;
            operation::delete_share(&facts(tables, share, instance), force)?;
            let backend = &instance.placement.backend;
            inner.admit(tables, backend)?;
            let about = About { share: id, project: share.project.clone(), backend: backend.clone() };
            let verb = Verb::DeleteShare { force: force.is_forced() };
            let operation = inner.new_operation(verb, about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, id, &cause, |instance| instance.status = ShareStatus::Deleting);
            removal::supersede(inner, tables, id, &mut change);
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

/// A share inside `scope`, with its instance.
pub(crate) fn find<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareId,
) -> Result<(&'a Stored<Share>, &'a Stored<ShareInstance>), ManagerError> {
    let missing = || ManagerError::not_found("share", id);
    let share = tables.share(scope, id).ok_or_else(missing)?;
    let instance = tables.instance_of(id).ok_or_else(missing)?;
    Ok((share, instance))
}

/// What the policy needs to know of a share.
pub(crate) fn facts(tables: &Tables, share: &Share, instance: &ShareInstance) -> ShareFacts {
    let snapshots = tables
        .snapshots_of(share.id)
        .filter_map(|snapshot| Some((snapshot.id, tables.snapshot_instance_of(snapshot.id)?.status)));
    let in_flight = tables
        .unfinished_of_share(share.id)
        .find(|operation| !operation.verb.runs_beside_others())
        .map(|operation| operation.verb.name())
        .or_else(|| group::in_flight_on(tables, share))
        .or_else(|| network_change::in_flight_under(tables, share.id));
    ShareFacts {
        status: instance.status,
        rules_status: instance.access_rules_status,
        size: share.size,
        support: share.support,
        replicas: tables.count_replicas(share.id),
        has_open_migration: share.migration.is_some(),
        snapshots: snapshots.collect(),
        is_in_group: share.group.is_some(),
        group_snapshots: tables.group_snapshots_with(share).count(),
        in_flight,
    }
}

/// Fail if the driver of the share's backend does not have `ability`, or is not known yet.
pub(crate) fn require_ability(
    inner: &Inner,
    tables: &Tables,
    placement: &Placement,
    ability: Option<(Ability, &'static str)>,
) -> Result<(), ManagerError> {
    let Some((ability, what)) = ability else { return Ok(()) };
    if inner.loaded(tables, &placement.backend)?.abilities.has(ability) {
        Ok(())
    } else {
        Err(ManagerError::Unsupported { backend: placement.backend.clone(), what })
    }
}
