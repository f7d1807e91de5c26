//! What operators ask of backends in the running daemon: load, swap, roll back, unload, and what came of it.
//!
//! A change is answered as soon as it has begun; [`Manager::show_change`] tells how it goes. Whoever asked may hang up, the change goes on.

use super::change::{Asked, ChangeView};
use super::generation::{self, GenerationView};
use super::steps::{self, Change, Plan};
use super::{Backend, Serving, resume};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{BackendRecord, Cause, Change as RecordChange, Expect, GenerationRecord, Row, Tables};
use bulkhead_model::id::{BackendName, GenerationNumber};
use bulkhead_model::time::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// How long calls of a backend that was let go may still take, before what they use is ended.
const LAST_CALLS: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whether a backend that holds shares is unloaded all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detach {
    /// The shares stay on record and at their storage, and services run on; what is asked of them waits until the backend is loaded again.
    Shares,
    /// A backend that is in use stays.
    Nothing,
}

impl Manager {
    /// Load a backend from a file that no configuration names. For operators.
    ///
    /// Fails if the backend has a generation already, and while another change of it runs.
    pub async fn load_backend(
        &self,
        context: &RequestContext,
        name: &BackendName,
        file: PathBuf,
    ) -> Result<ChangeView, ManagerError> {
        let is_there =
            self.inner.backends.get(name).is_some_and(|backend| !self.inner.stands_empty(&backend));
        if is_there {
            return Err(ManagerError::BackendExists { backend: name.clone() });
        }
        self.change(context, name, Asked::Load, Plan::File(file)).await
    }

    /// Give a backend another driver with the settings it has, or what its configuration says now. For operators.
    ///
    /// Fails if there is no such backend, and while another change of it runs.
    pub async fn swap_backend(
        &self,
        context: &RequestContext,
        name: &BackendName,
        package: Option<PathBuf>,
    ) -> Result<ChangeView, ManagerError> {
        self.show_backend(name)?;
        self.change(context, name, Asked::Swap, package.map_or(Plan::Reread, Plan::Package)).await
    }

    /// Make an earlier generation current again: `to`, or the one that served before. It keeps its number. For operators.
    ///
    /// Fails if there is no such backend or generation, and while another change of it runs.
    pub async fn roll_back_backend(
        &self,
        context: &RequestContext,
        name: &BackendName,
        to: Option<GenerationNumber>,
    ) -> Result<ChangeView, ManagerError> {
        self.show_backend(name)?;
        let number = self.inner.way_back(name, to)?;
        self.change(context, name, Asked::Rollback, Plan::Back(number)).await
    }

    /// Let a backend go. Calls that run end on their generation; its generations stay on record, its file is not taken again before it
    /// changes. For operators.
    ///
    /// Fails with [`ManagerError::BackendInUse`] while it holds shares or has unfinished operations, and with
    /// [`ManagerError::ServicesRunOn`] if what it keeps running cannot be ended, unless those are to be detached; and while a change of it
    /// runs. It serves on then.
    pub async fn unload_backend(
        &self,
        context: &RequestContext,
        name: &BackendName,
        detach: Detach,
    ) -> Result<(), ManagerError> {
        context.require_operator()?;
        let missing = || ManagerError::not_found("backend", name);
        let guard = try_begin(&self.inner, name)?;
        let backend = self.inner.backends.get(name).ok_or_else(missing)?;
        let cause = cause_of(context);
        self.detached(async move |inner| {
            let _guard = guard;
            unload(&inner, backend, detach, &cause).await
        })
        .await
    }

    /// The generations of a backend that are still known, oldest first. Fails if there is no such backend.
    pub fn list_generations(&self, name: &BackendName) -> Result<Vec<GenerationView>, ManagerError> {
        let backend = self.inner.backends.get(name);
        let calls = backend.as_ref().map(|backend| backend.running_calls()).unwrap_or_default();
        let tables = self.inner.records.read();
        let record = tables.backend(name);
        if backend.is_none() && record.is_none() {
            return Err(ManagerError::not_found("backend", name));
        }
        let current = record.and_then(|record| record.current);
        let running = |number| calls.get(&number).copied().unwrap_or_default();
        let view = |row: &GenerationRecord| GenerationView::of(row, current, running(row.number));
        Ok(tables.generations(name).map(|row| view(row)).collect())
    }

    /// A change of a backend, by the id of the request that asked for it. Fails if it is not remembered.
    pub fn show_change(&self, name: &BackendName, request: &str) -> Result<ChangeView, ManagerError> {
        let found = self.inner.backends.with_history(name, |history| history.find(request));
        found.ok_or_else(|| ManagerError::not_found("change", request))
    }

    async fn change(
        &self,
        context: &RequestContext,
        name: &BackendName,
        asked: Asked,
        plan: Plan,
    ) -> Result<ChangeView, ManagerError> {
        context.require_operator()?;
        let (cause, name) = (cause_of(context), name.clone());
        self.detached(async move |inner| {
            let guard = try_begin(&inner, &name)?;
            inner.begin_change(&name, guard, (asked, cause), plan).map(|(begun, _)| begun)
        })
        .await
    }
}

fn cause_of(context: &RequestContext) -> Cause {
    Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None }
}

fn try_begin(inner: &Inner, name: &BackendName) -> Result<OwnedMutexGuard<()>, ManagerError> {
    let turn = inner.backends.turn_of(name);
    turn.try_lock_owned().map_err(|_| ManagerError::ChangeRunning { backend: name.clone() })
}

impl Inner {
    /// Begin a change in a task of its own: how it stands now, and how it will have ended. It is the listed backend that changes: the one
    /// that was there before the guard was held may have left the list.
    pub(super) fn begin_change(
        self: &Arc<Self>,
        name: &BackendName,
        guard: OwnedMutexGuard<()>,
        (asked, cause): (Asked, Cause),
        plan: Plan,
    ) -> Result<(ChangeView, JoinHandle<ChangeView>), ManagerError> {
        let loader = self.loader()?;
        let backend = self.backends.enter(name);
        let begun = steps::begun(asked, &cause, &backend);
        self.backends.with_history(name, |history| history.begin(begun.clone()));
        let change = Change { inner: Arc::clone(self), backend: Arc::clone(&backend), loader, cause, asked };
        let inner = Arc::clone(self);
        let span = tracing::info_span!(parent: None, "backend.change", backend.name = %backend.name, %asked);
        let ending = async move {
            let outcome = change.run(plan).await;
            // What only a failed `load` has made is no backend.
            if inner.stands_empty(&backend) && backend.offered().is_none() {
                inner.backends.leave(&backend.name);
            }
            drop(guard);
            change.end(&outcome)
        };
        Ok((begun, tokio::spawn(ending.instrument(span))))
    }

    fn way_back(
        &self,
        name: &BackendName,
        to: Option<GenerationNumber>,
    ) -> Result<GenerationNumber, ManagerError> {
        let tables = self.records.read();
        let Some(number) = to else {
            return generation::previous(&tables, name)
                .ok_or_else(|| ManagerError::not_found("generation before the current one of", name));
        };
        let row = tables.generation(name, number);
        let served = row.is_some_and(|row| row.stage == crate::records::Stage::Accepted);
        if served { Ok(number) } else { Err(ManagerError::not_found("generation to go back to:", number)) }
    }
}

async fn unload(
    inner: &Arc<Inner>,
    backend: Arc<Backend>,
    detach: Detach,
    cause: &Cause,
) -> Result<(), ManagerError> {
    let name = backend.name.clone();
    {
        let _alone = inner.ties.write().await;
        refuse_if_in_use(&inner.records.read(), &name, detach)?;
        // Off the list first, so that nothing new is placed while the records are looked at.
        inner.backends.leave(&name);
    }
    let serving = backend.serving();
    backend.withdraw();
    // Who detaches shares leaves them to their clients. Before the record says that it is gone: a daemon that is killed in between finds
    // the backend again, not services that are nobody's.
    if detach == Detach::Nothing
        && let Err(error) = end_services(inner, &name, serving).await
    {
        return Err(stay(inner, backend, error));
    }
    let file = backend.offered();
    let recorded = inner
        .transact(|tables| {
            refuse_if_in_use(tables, &name, detach)?;
            let mut change = RecordChange::default();
            change.note(cause, format_args!("backend/{name}"), "unloaded");
            if let Some(stored) = tables.backend(&name) {
                let mut record = BackendRecord { current: None, ..(*stored.value).clone() };
                record.file = file.clone().or(record.file);
                change.put(Expect::Unchanged(stored.revision), Row::Backend(record));
            }
            if let Some(row) = tables.current_generation(&name) {
                let retired = GenerationRecord { retired_at: Some(Timestamp::now()), ..(*row.value).clone() };
                change.put(Expect::Unchanged(row.revision), Row::Generation(retired));
            }
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await;
    if let Err(error) = recorded {
        return Err(stay(inner, backend, error));
    }
    backend.end_offer();
    inner.backends.changed();
    tracing::info!(backend.name = %name, by = %cause.actor, "backend {name} is unloaded");
    Ok(())
}

/// Serve a backend again that could not be let go, for the reason that is answered.
fn stay(inner: &Arc<Inner>, backend: Arc<Backend>, why: ManagerError) -> ManagerError {
    let name = backend.name.clone();
    inner.backends.come_back(backend);
    match inner.resume_backend(&name) {
        Ok(()) => why,
        Err(error) => {
            tracing::error!(backend.name = %name, "backend {name} was to be unloaded, and stays: {why}");
            error
        }
    }
}

/// End what the backend keeps running, once no call is left that could start it again. One that is not set up may keep running what an
/// earlier daemon's did: its recorded generation is asked.
///
/// Fails with [`ManagerError::ServicesRunOn`] if its driver cannot be loaded, or not everything could be ended.
async fn end_services(
    inner: &Inner,
    name: &BackendName,
    serving: Option<Arc<Serving>>,
) -> Result<(), ManagerError> {
    let run_on = |why: String| ManagerError::ServicesRunOn { backend: name.clone(), why };
    let driver = match serving {
        Some(serving) => {
            let began = Instant::now();
            while serving.running_calls() > 0 && began.elapsed() < LAST_CALLS {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Arc::clone(&serving.driver)
        }
        None => match resume::recorded_driver(inner, name).await {
            Ok(Some(driver)) => driver,
            Ok(None) => return Ok(()),
            Err(failure) => {
                return Err(run_on(format!("its driver cannot be loaded: {}", failure.message)));
            }
        },
    };
    driver.end_services().await.map_err(|error| run_on(error.to_string()))
}

fn refuse_if_in_use(tables: &Tables, name: &BackendName, detach: Detach) -> Result<(), ManagerError> {
    let (shares, groups) = (tables.sizes_on(name).count(), tables.count_groups_on(name));
    let (servers, unfinished) = (tables.servers_at(name).count(), tables.count_unfinished_of_backend(name));
    if detach == Detach::Shares || [shares, groups, servers, unfinished].iter().all(|count| *count == 0) {
        return Ok(());
    }
    Err(ManagerError::BackendInUse { backend: name.clone(), shares, groups, servers, unfinished })
}
