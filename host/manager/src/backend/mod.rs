//! Backends: what is attached, how far each is, and the pointer to the driver that serves now.
//!
//! ```text
//!   load --> starting --loaded--> starting --setup, ensure, statistics--> ready
//!              |  ^                 ^  |
//!              v  |                 +--+  fails: again after 2, 4, 8 ... 600 s
//!            unusable  fails: again after 2, 4, 8 ... 600 s
//! ```
//!
//! One supervisor task per backend: a backend that cannot be loaded or set up never holds up another, nor the start of the daemon. The driver
//! that serves stands behind a watched pointer with its generation; attaching the same name again sets the new driver up beside the
//! old one and then moves the pointer. A call that runs keeps the driver it began with.

mod ensure;
mod generation;
mod supervisor;

pub use generation::ConfigurationIdentity;

use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::view::{BackendDescription, BackendFailure, BackendState, BackendView, LoadedDriver};
use bulkhead_model::call::CallKind;
use bulkhead_model::id::BackendName;
use bulkhead_model::statistics::{IpVersion, Statistics};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::Driver;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// A driver that is set up, with what set-up found out.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) description: BackendDescription,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) ip_versions: BTreeSet<IpVersion>,
    /// Calls at once, statistics aside.
    pub(crate) slots: Arc<Semaphore>,
}

impl Serving {
    /// The moment at which a call of this kind that begins now must have ended, by the wall clock.
    pub(crate) fn deadline_at(&self, kind: CallKind) -> Timestamp {
        Timestamp::after_now(self.description.limits.deadline(kind))
    }
}

/// The latest statistics.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    pub(crate) statistics: Option<Arc<Statistics>>,
    pub(crate) at: Option<(Timestamp, Instant)>,
    pub(crate) failure: Option<BackendFailure>,
    /// GiB placed in each pool since they were read.
    pub(crate) placed_gib: BTreeMap<String, u64>,
}

impl Reported {
    /// Whether they are too old, or missing.
    pub(crate) fn is_stale(&self, limit: Duration) -> bool {
        self.at.is_none_or(|(_, read_at)| read_at.elapsed() > limit)
    }
}

/// One backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: BackendName,
    loaded: RwLock<Option<LoadedDriver>>,
    state: RwLock<BackendState>,
    serving: watch::Sender<Option<Arc<Serving>>>,
    reported: RwLock<Reported>,
    supervisor: Mutex<Option<AbortHandle>>,
}

impl Backend {
    /// The driver loaded last; none before one could be.
    pub(crate) fn loaded(&self) -> Option<LoadedDriver> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_loaded(&self, description: &BackendDescription, driver: &dyn Driver) {
        let loaded = LoadedDriver { description: description.clone(), abilities: driver.abilities().clone() };
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
    }

    /// The driver that serves now; none before the first set-up has succeeded.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.borrow().clone()
    }

    /// How far it is.
    pub(crate) fn state(&self) -> BackendState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_state(&self, state: BackendState) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Look at the latest statistics.
    pub(crate) fn with_reported<T>(&self, look: impl FnOnce(&Reported) -> T) -> T {
        look(&self.reported.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_reported(&self, change: impl FnOnce(&mut Reported)) {
        change(&mut self.reported.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Run `task` for this backend instead of the one that ran for it before.
    fn supervise_with(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task);
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = supervisor.replace(task.abort_handle()) {
            earlier.abort();
        }
    }

    /// Count a share that was just placed, until the next statistics show it.
    pub(crate) fn count_placed(&self, pool: &str, gib: u64) {
        self.change_reported(|reported| {
            let placed = reported.placed_gib.entry(pool.to_owned()).or_default();
            *placed = placed.saturating_add(gib);
        });
    }
}

/// All backends.
#[derive(Debug)]
pub(crate) struct Backends {
    all: RwLock<BTreeMap<BackendName, Arc<Backend>>>,
    /// Counts attachments and set-ups: what runners wait for.
    changes: watch::Sender<u64>,
}

impl Default for Backends {
    fn default() -> Self {
        Self { all: RwLock::default(), changes: watch::Sender::new(0) }
    }
}

impl Backends {
    pub(crate) fn get(&self, name: &BackendName) -> Option<Arc<Backend>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Arc<Backend>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Wakes whenever a backend is attached or becomes ready.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// End the supervisors: nothing more is set up or measured.
    pub(crate) fn stop(&self) {
        for backend in self.list() {
            let supervisor = backend.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(supervisor) = supervisor {
                supervisor.abort();
            }
        }
    }

    /// The backend with this name, made if there is none yet.
    fn enter(&self, name: &BackendName) -> Arc<Backend> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = all.get(name) {
            return Arc::clone(backend);
        }
        let starting = BackendState::Starting { failed_attempts: 0, failure: None, next_attempt_at: None };
        let backend = Arc::new(Backend {
            name: name.clone(),
            loaded: RwLock::default(),
            state: RwLock::new(starting),
            serving: watch::Sender::new(None),
            reported: RwLock::default(),
            supervisor: Mutex::default(),
        });
        all.insert(name.clone(), Arc::clone(&backend));
        backend
    }
}

impl Manager {
    /// Serve a backend with `driver`. Returns at once: set-up goes on in a task of its own and is tried again until it succeeds.
    ///
    /// Attaching a name again replaces its driver once the new one is set up; running calls keep theirs.
    pub fn attach(&self, description: BackendDescription, driver: Arc<dyn Driver>) {
        let backend = self.inner.backends.enter(&description.name);
        backend.set_loaded(&description, &*driver);
        self.inner.backends.changed();
        let (inner, supervised) = (Arc::clone(&self.inner), Arc::clone(&backend));
        backend.supervise_with(supervisor::supervise(inner, supervised, description, driver));
    }

    /// Serve the backend `name` with the driver that `load` brings. Returns at once: the backend is listed from now on, and is
    /// [`BackendState::Unusable`] while `load` fails; it is called again after 2, 4, 8 … 600 s (the waits of set-up) until it succeeds.
    /// What it brings is then attached as by [`Manager::attach`].
    pub fn load_backend<Loading>(
        &self,
        name: &BackendName,
        load: impl Fn() -> Loading + Send + Sync + 'static,
    ) where
        Loading: Future<Output = Result<(BackendDescription, Arc<dyn Driver>), BackendFailure>> + Send,
    {
        let backend = self.inner.backends.enter(name);
        let (inner, supervised) = (Arc::clone(&self.inner), Arc::clone(&backend));
        backend.supervise_with(async move {
            let (description, driver) = supervisor::load(&inner, &supervised, load).await;
            supervised.set_loaded(&description, &*driver);
            inner.backends.changed();
            supervisor::supervise(inner, supervised, description, driver).await;
        });
    }

    /// All backends, by name.
    #[must_use]
    pub fn list_backends(&self) -> Vec<BackendView> {
        self.inner.backends.list().iter().map(|backend| self.inner.view_backend(backend)).collect()
    }

    /// One backend. Fails with [`ManagerError::NotFound`].
    pub fn show_backend(&self, name: &BackendName) -> Result<BackendView, ManagerError> {
        let backend =
            self.inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
        Ok(self.inner.view_backend(&backend))
    }
}

impl Inner {
    /// The backend that holds a share. Fails if it is not configured any more.
    pub(crate) fn backend(&self, name: &BackendName) -> Result<Arc<Backend>, ManagerError> {
        self.backends.get(name).ok_or_else(|| self.unreachable(name))
    }

    /// The driver of the backend that holds a share. Fails if the backend is not configured any more or its driver not loaded yet.
    pub(crate) fn loaded(&self, name: &BackendName) -> Result<LoadedDriver, ManagerError> {
        self.backend(name)?.loaded().ok_or_else(|| self.unreachable(name))
    }

    fn unreachable(&self, name: &BackendName) -> ManagerError {
        let waiting = self.records.read().count_unfinished_of_backend(name);
        ManagerError::BackendUnreachable { backend: name.clone(), waiting }
    }

    fn view_backend(&self, backend: &Backend) -> BackendView {
        let (shares, provisioned_gib, unfinished_operations) = {
            let tables = self.records.read();
            let sizes: Vec<u64> = tables.sizes_on(&backend.name).map(|(_, size)| size.get()).collect();
            let provisioned = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
            (sizes.len(), provisioned, tables.count_unfinished_of_backend(&backend.name))
        };
        backend.with_reported(|reported| BackendView {
            name: backend.name.clone(),
            loaded: backend.loaded(),
            state: backend.state(),
            statistics: reported.statistics.clone(),
            statistics_at: reported.at.map(|(at, _)| at),
            statistics_stale: reported.is_stale(self.settings.statistics_stale_after),
            statistics_failure: reported.failure.clone(),
            shares,
            provisioned_gib,
            unfinished_operations,
        })
    }
}
