//! What operators ask about migrations.

use super::{carry, may_start};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Expect, Row, Stored, Tables};
use crate::runner::launch;
use crate::scheduler::{self, AskedShare, Wish};
use crate::share::{self, facts, new_instance};
use crate::share_type;
use crate::view::ShareView;
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{OperationId, ShareId};
use bulkhead_model::migration::{Migration, MigrationOptions, MigrationPhase, MigrationWish, NewType};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::status::{ShareStatus, TaskState};
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tracing::instrument;

/// A migration to be begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartMigration {
    /// Where to; without a pool the best one of the backend.
    pub to: Placement,
    /// What has to be kept.
    pub options: MigrationOptions,
    /// The share type, by name or id, that the share shall have afterwards; none keeps its type.
    pub new_type: Option<String>,
}

/// What a wish to begin came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It has begun.
    Begun,
    /// The share is there already.
    Already,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress {
    /// The word of the API.
    pub task_state: TaskState,
    /// In percent.
    pub total_percent: u8,
}

impl Manager {
    /// Begin to move a share to another pool or backend. Returns before anything has moved. For operators.
    ///
    /// Fails with [`ManagerError::NoBackend`] naming why the destination would not do, with [`ManagerError::Invalid`] for options that
    /// exclude each other, and while the share is not `available`, has replicas, belongs to a group, or has rules that are not in force.
    pub async fn start_migration(
        &self,
        context: &RequestContext,
        share: ShareId,
        wanted: StartMigration,
    ) -> Result<Started, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| start(&inner, &context, share, wanted).await).await
    }

    /// Cut over: the second phase. Returns before it is done. For operators.
    ///
    /// Fails with [`Denial::MigrationState`] unless the first phase is done or a cut-over failed.
    pub async fn complete_migration(
        &self,
        context: &RequestContext,
        share: ShareId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| wish(&inner, &context, share, MigrationWish::Complete).await).await
    }

    /// Stop, and leave the share as it was. Returns before that is done. For operators.
    ///
    /// Fails with [`Denial::MigrationState`] unless the data are on their way or wait for the second phase.
    pub async fn cancel_migration(
        &self,
        context: &RequestContext,
        share: ShareId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| wish(&inner, &context, share, MigrationWish::Cancel).await).await
    }

    /// How far the latest migration of a share is. Asks the driver while its backend moves the data. For operators.
    ///
    /// Fails with [`Denial::MigrationState`] if the share never moved, and with [`ManagerError::ProgressUnknown`] if the driver does not
    /// say.
    pub async fn migration_progress(
        &self,
        context: &RequestContext,
        share: ShareId,
    ) -> Result<MigrationProgress, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| progress(&inner, &context, share).await).await
    }

    /// Set the word that tells how far a share's migration is by hand; none takes it away. For operators.
    ///
    /// Nothing else changes: the way out of a migration that broke off is [`Manager::cancel_migration`]. Fails while an operation is at
    /// work on the share.
    pub async fn reset_task_state(
        &self,
        context: &RequestContext,
        share: ShareId,
        state: Option<TaskState>,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, share, state).await).await
    }
}

fn check_options(options: MigrationOptions) -> Result<(), ManagerError> {
    if options.force_host_assisted && options.needs_driver() {
        let reason = "excludes writable, preserve_metadata, nondisruptive and preserve_snapshots, which only a driver can keep";
        return Err(ManagerError::invalid("force_host_assisted_migration", reason));
    }
    Ok(())
}

#[instrument(name = "migration.start", skip_all, fields(request.id = %context.request, share.id = %id))]
async fn start(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    wanted: StartMigration,
) -> Result<Started, ManagerError> {
    context.require_operator()?;
    check_options(wanted.options)?;
    let identity = Identity::of(context, "migrate-share", &(id, &wanted))?;
    let _tie = inner.ties.read().await;
    let (started, operation) = inner
        .transact(|tables| match identity.first::<ShareId>(tables)? {
            Some(_) => Ok(Proposal::Settled((Started::Begun, None))),
            None => propose(inner, context, (id, &wanted), &identity, tables),
        })
        .await?;
    if let Some((operation, placement, gib)) = operation {
        if let (Some(backend), Some(pool)) = (inner.backends.get(&placement.backend), &placement.pool) {
            backend.count_placed(pool, gib);
        }
        launch(inner, operation, Freshness::Repeat);
    }
    Ok(started)
}

type Proposed = (Started, Option<(OperationId, Placement, u64)>);

fn propose(
    inner: &Inner,
    context: &RequestContext,
    (id, wanted): (ShareId, &StartMigration),
    identity: &Identity,
    tables: &Tables,
) -> Result<Proposal<Proposed>, ManagerError> {
    let (share, source) = share::find(tables, &Scope::Everything, id)?;
    may_start(&facts(tables, share, source))?;
    if wanted.options.force_host_assisted && tables.snapshots_of(id).next().is_some() {
        return Err(Denial::HasSnapshots { count: tables.snapshots_of(id).count() }.into());
    }
    let new_type = new_type(tables, share, wanted.new_type.as_deref())?;
    let cause = Initiator::of(context);
    if new_type.is_none() && is_there(&source.placement, &wanted.to) {
        let cause = Cause { actor: cause.actor, request: cause.request, operation: None };
        let mut change = Change::default();
        change.edit_instance(tables, id, &cause, |_| {});
        change.edit_share(tables, id, |share| share.task_state = Some(TaskState::MigrationSuccess));
        let backend = source.placement.backend.clone();
        return Ok(Proposal::Commit(backend, change, (Started::Already, None)));
    }
    let placement = choose(inner, tables, share, new_type.as_ref(), &wanted.to)?;
    let backend = source.placement.backend.clone();
    inner.admit(tables, &backend)?;
    if source.share_server.is_some() && placement.backend != backend {
        return Err(Denial::OnServer { what: "moving it to another backend" }.into());
    }
    let destination = ShareInstance {
        share_network: source.share_network,
        share_server: source.share_server,
        status: ShareStatus::MigratingTo,
        replica_state: None,
        created_at: Timestamp::now(),
        ..new_instance(share, &placement)
    };
    let about = About { share: id, project: share.project.clone(), backend: backend.clone() };
    let mut operation =
        inner.new_operation(Verb::MigrateShare { to: placement.clone() }, about, &context.request);
    operation.attempts = 0;
    let cause = cause.cause(operation.id);
    let migration = Migration {
        source: source.id,
        destination: destination.id,
        options: wanted.options,
        phase: MigrationPhase::Checking,
        wish: None,
        has_cast_rules: false,
        ends_as: None,
        progress_percent: None,
        failure: None,
        new_type,
    };
    let mut change = Change::default();
    change.note(&cause, format_args!("share/{id}"), format_args!("begins to move to {}", placement.backend));
    change.edit_instance(tables, id, &cause, |instance| instance.status = ShareStatus::Migrating);
    change.edit_share(tables, id, |share| {
        share.task_state = Some(TaskState::MigrationStarting);
        share.rules_home = share.rules_home.or(Some(migration.source));
        share.migration = Some(migration.clone());
    });
    identity.remember(tables, &mut change, id);
    let started = (operation.id, placement, share.size.get());
    change.insert(Row::Instance(destination));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(backend, change, (Started::Begun, Some(started))))
}

fn new_type(tables: &Tables, share: &Share, wanted: Option<&str>) -> Result<Option<NewType>, ManagerError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = share_type::find(tables, Some(wanted))?;
    let extra_specs = share_type::kept_specs(&found);
    share_type::specs::check_size(&extra_specs, share.size)?;
    Ok((found.id != share.share_type).then_some(NewType { id: found.id, extra_specs }))
}

fn is_there(place: &Placement, wanted: &Placement) -> bool {
    place.backend == wanted.backend && (wanted.pool.is_none() || wanted.pool == place.pool)
}

fn choose(
    inner: &Inner,
    tables: &Tables,
    share: &Share,
    new_type: Option<&NewType>,
    to: &Placement,
) -> Result<Placement, ManagerError> {
    let mut asked = AskedShare::of(share, share.size);
    if let Some(new) = new_type {
        asked.share_type = new.id;
        asked.extra_specs.clone_from(&new.extra_specs);
    }
    let wish = Wish {
        needs: share_type::needs(&asked.extra_specs),
        asked,
        beside: None,
        group: None,
        replica: None,
    };
    scheduler::choose_at(inner, tables, &wish, to)
}

/// Take down what the operator wants next, and let the operation go on, or a new one if the last one has ended before the migration.
#[instrument(name = "migration.wish", skip_all, fields(request.id = %context.request, share.id = %id, ?wish))]
async fn wish(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    wish: MigrationWish,
) -> Result<(), ManagerError> {
    context.require_operator()?;
    let operation = inner
        .transact(|tables| {
            let (share, instance) = share::find(tables, &Scope::Everything, id)?;
            let running = at_work(tables, id);
            let migration = migration_for(share, wish, running)?;
            let mut change = Change::default();
            let operation = match running {
                Some(stored) => take_up(stored, &mut change),
                None => begin_anew(inner, context, tables, (share, instance), &migration)?,
            };
            let cause = Initiator::of(context).cause(operation.id);
            change.edit_instance(tables, id, &cause, |instance| {
                if !migration.phase.has_cut_over() {
                    instance.status = ShareStatus::Migrating;
                }
            });
            let word = match wish {
                MigrationWish::Complete => "migration_complete asked for",
                MigrationWish::Cancel => "migration_cancel asked for",
            };
            change.note(&cause, format_args!("share/{id}"), word);
            change.edit_share(tables, id, |share| {
                if wish == MigrationWish::Complete {
                    share.task_state = Some(TaskState::MigrationCompleting);
                }
                share.migration = Some(Migration { wish: Some(wish), failure: None, ..migration.clone() });
            });
            let (chain, started) = (operation.backend.clone(), operation.id);
            if at_work(tables, id).is_none() {
                change.insert(Row::Operation(operation));
            }
            Ok(Proposal::Commit(chain, change, started))
        })
        .await?;
    launch(inner, operation, Freshness::Repeat);
    inner.runners.wake(operation);
    Ok(())
}

fn at_work(tables: &Tables, share: ShareId) -> Option<&Stored<Operation>> {
    tables.unfinished_of_share(share).find(|one| matches!(one.verb, Verb::MigrateShare { .. }))
}

/// The migration, if the wish makes sense now. With an operation at work only at the points where one waits or data move; without one
/// whatever is left of it can be ended.
fn migration_for(
    share: &Share,
    wish: MigrationWish,
    running: Option<&Stored<Operation>>,
) -> Result<Migration, ManagerError> {
    let what = match wish {
        MigrationWish::Complete => "completing it",
        MigrationWish::Cancel => "cancelling it",
    };
    let refused = Denial::MigrationState { what, state: share.task_state };
    let Some(migration) = &share.migration else { return Err(refused.into()) };
    let phase = migration.phase;
    let fits = match (wish, running.is_some()) {
        (MigrationWish::Complete, true) => phase.may_be_completed(),
        (MigrationWish::Complete, false) => phase.may_be_completed() || phase.has_cut_over(),
        (MigrationWish::Cancel, true) => phase.may_be_cancelled(),
        (MigrationWish::Cancel, false) => !phase.has_cut_over(),
    };
    if fits && migration.wish.is_none_or(|earlier| earlier == wish) {
        Ok(migration.clone())
    } else {
        Err(refused.into())
    }
}

fn take_up(stored: &Stored<Operation>, change: &mut Change) -> Operation {
    let mut operation = (*stored.value).clone();
    "going on at an operator's word".clone_into(&mut operation.step);
    operation.failure = None;
    operation.updated_at = Timestamp::now();
    change.put(Expect::Unchanged(stored.revision), Row::Operation(operation.clone()));
    operation
}

fn begin_anew(
    inner: &Inner,
    context: &RequestContext,
    tables: &Tables,
    (share, instance): (&Share, &Stored<ShareInstance>),
    migration: &Migration,
) -> Result<Operation, ManagerError> {
    let facts = facts(tables, share, instance);
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running }.into());
    }
    // A side that is gone already has nothing left to do: the other one stands for it.
    let source = tables.instance(migration.source).unwrap_or(instance);
    let destination = tables.instance(migration.destination).unwrap_or(instance);
    let backend = super::backend_of(migration, source, destination).clone();
    let about = About { share: share.id, project: share.project.clone(), backend };
    let verb = Verb::MigrateShare { to: destination.placement.clone() };
    let mut operation = inner.new_operation(verb, about, &context.request);
    operation.attempts = 0;
    Ok(operation)
}

async fn progress(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
) -> Result<MigrationProgress, ManagerError> {
    context.require_operator()?;
    let (task_state, migration, backend) = {
        let tables = inner.records.read();
        let (share, instance) = share::find(&tables, &Scope::Everything, id)?;
        let nothing = Denial::MigrationState { what: "asking for its progress", state: None };
        let task_state = share.task_state.ok_or(nothing)?;
        (task_state, share.migration.clone(), instance.placement.backend.clone())
    };
    let total_percent = match task_state {
        TaskState::MigrationDriverInProgress => {
            let unknown = || ManagerError::ProgressUnknown { backend: backend.clone() };
            let serving = inner.serving(&backend).ok_or_else(unknown)?;
            let asked = inner.read(|tables| carry::migration(tables, id)).map_err(|_| unknown())?;
            let reason =
                CallReason { request: context.request.clone(), operation: None, earlier_attempts: 0 };
            serving.driver.migration_progress(&reason, &asked).await.map_err(|error| {
                tracing::warn!(share.id = %id, backend.name = %backend, "the progress of a migration is unknown: {error}");
                unknown()
            })?
        }
        TaskState::DataCopyingInProgress => migration.and_then(|one| one.progress_percent).unwrap_or(0),
        TaskState::MigrationStarting
        | TaskState::MigrationInProgress
        | TaskState::MigrationDriverStarting
        | TaskState::DataCopyingStarting => 0,
        _ => 100,
    };
    Ok(MigrationProgress { task_state, total_percent })
}

async fn reset(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareId,
    state: Option<TaskState>,
) -> Result<ShareView, ManagerError> {
    context.require_operator()?;
    let cause =
        Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None };
    inner
        .transact(|tables| {
            let (share, instance) = share::find(tables, &Scope::Everything, id)?;
            if let Some(running) = facts(tables, share, instance).in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let word = |state: Option<TaskState>| state.map_or("none", TaskState::as_str);
            let words = format_args!("task state {} -> {}", word(share.task_state), word(state));
            let mut change = Change::default();
            change.note(&cause, format_args!("share/{id}"), words);
            change.edit_instance(tables, id, &cause, |_| {});
            change.edit_share(tables, id, |share| share.task_state = state);
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await?;
    share::view(&inner.records.read(), &Scope::Everything, id)
}
