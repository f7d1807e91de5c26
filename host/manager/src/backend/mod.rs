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
//! that serves stands behind a watched pointer with its generation. A call that runs keeps the driver it began with.
//!
//! What a backend shall be comes from files ([`Manager::offer_backend`]), from commands ([`Manager::swap_backend`] and its like), and after
//! a restart from the records ([`Manager::resume_backends`]). Each change goes through the steps of [`steps`], one at a time for each
//! backend; [`generation`] keeps what is current in the records, [`change`] what people see.

mod addresses;
mod change;
mod ensure;
mod generation;
mod hook;
mod loader;
mod offer;
mod pointer;
mod reconcile;
mod resume;
mod steps;
mod supervisor;
mod usage;
mod verbs;

pub use addresses::{AddressView, AddressesView, MOST_ADDRESSES, NetworkView};
pub use change::{Asked, ChangeState, ChangeView, Step};
pub use ensure::EnsureReport;
pub use generation::{GenerationState, GenerationView};
pub use hook::{HookShareView, HookView};
pub use loader::{Candidate, ConfigurationIdentity, DriverLoader, Needed, PackageSource, Wanted, Written};
pub use offer::Offer;
pub use reconcile::{EnsureView, Occasion};
pub use usage::UsageView;
pub use verbs::Detach;

use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::records::Tables;
use crate::scheduler::Functions;
use crate::view::{BackendDescription, BackendFailure, BackendState, BackendView, LoadedDriver};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallKind;
use bulkhead_model::id::{BackendName, RequestId, ShareServerId};
use bulkhead_model::share_group::Consistency;
use bulkhead_model::statistics::{IpVersion, Statistics};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::Driver;
use change::History;
use hook::Told;
use offer::Offered;
use pointer::{Supervision, Term};
use reconcile::Ensurings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, watch};
use usage::Figures;

/// A driver that is set up, with what set-up found out.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) description: BackendDescription,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) ip_versions: BTreeSet<IpVersion>,
    /// What else than room decides whether shares go to it.
    pub(crate) functions: Functions,
    /// Calls at once, statistics aside.
    pub(crate) slots: Arc<Semaphore>,
}

impl Serving {
    /// The moment at which a call of this kind that begins now must have ended, by the wall clock.
    pub(crate) fn deadline_at(&self, kind: CallKind) -> Timestamp {
        Timestamp::after_now(self.description.limits.deadline(kind))
    }

    /// The version of the addresses that the host keeps for a share server: IPv4 where its driver and its networks have both. None where
    /// they have none in common; then it is that of the first network, and the operator was told.
    pub(crate) fn address_version(&self) -> Option<IpVersion> {
        self.ip_versions.first().copied()
    }

    /// Calls for shares that run on it now.
    pub(crate) fn running_calls(&self) -> usize {
        concurrent_calls(&self.description).saturating_sub(self.slots.available_permits())
    }
}

fn concurrent_calls(description: &BackendDescription) -> usize {
    let calls = usize::try_from(description.limits.concurrent_calls).unwrap_or(usize::MAX);
    calls.clamp(1, Semaphore::MAX_PERMITS)
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
    supervision: Mutex<Supervision>,
    /// The content of its file that is being taken in, or could not be.
    offered: Mutex<Option<Offered>>,
    /// Generations that served before, as long as calls run on them.
    draining: Mutex<Vec<Weak<Serving>>>,
    /// Held by the one ensuring that runs.
    ensuring: tokio::sync::Mutex<()>,
    /// What ensurings found.
    ensurings: Mutex<Ensurings>,
    /// The fingerprint is not the one of the last ensuring.
    has_other_fingerprint: Notify,
    /// What its shares use.
    usage: Mutex<Figures>,
    /// What the operator's hooks were told.
    told: Mutex<Told>,
    /// The pools that shares of each share server may live in, as its driver last said.
    server_pools: RwLock<BTreeMap<ShareServerId, BTreeSet<String>>>,
}

impl Backend {
    /// The pools that shares of a server may live in; empty for all, none if its driver has not said yet.
    pub(crate) fn pools_of_server(&self, id: ShareServerId) -> Option<BTreeSet<String>> {
        self.server_pools.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The driver loaded last; none before one could be.
    pub(crate) fn loaded(&self) -> Option<LoadedDriver> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_loaded(&self, description: &BackendDescription, driver: &dyn Driver) {
        let abilities = driver.abilities();
        let follows = abilities.has(Ability::MetadataUpdates);
        let keys = |listed: &[String]| if follows { listed.to_vec() } else { Vec::new() };
        let loaded = LoadedDriver {
            description: description.clone(),
            abilities: abilities.clone(),
            updatable_metadata: keys(driver.updatable_metadata()),
            updatable_subnet_metadata: keys(driver.updatable_subnet_metadata()),
        };
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

    /// Show the driver of a backend that is loaded for the first time before it is set up.
    fn show_first(&self, description: &BackendDescription, driver: &dyn Driver, inner: &Inner) {
        let has_current = inner.records.read().current_generation(&self.name).is_some();
        if !has_current {
            self.set_loaded(description, driver);
        }
    }

    /// The unit in which it takes snapshots of groups; none if they are not consistent, or it has not said yet.
    pub(crate) fn consistency(&self) -> Option<Consistency> {
        self.with_reported(|reported| reported.statistics.as_ref().and_then(|known| known.consistency))
    }

    /// The names of the pools it reports; none before the first statistics.
    pub(crate) fn pool_names(&self) -> Vec<String> {
        self.with_reported(|reported| {
            let pools = reported.statistics.iter().flat_map(|statistics| &statistics.pools);
            pools.map(|pool| pool.name.clone()).collect()
        })
    }

    /// Count a share that was just placed, until the next statistics show it.
    pub(crate) fn count_placed(&self, pool: &str, gib: u64) {
        self.change_reported(|reported| {
            let placed = reported.placed_gib.entry(pool.to_owned()).or_default();
            *placed = placed.saturating_add(gib);
        });
    }

    /// Take a share that was just deleted off that count: who makes and removes shares all the time never fills the pool.
    pub(crate) fn count_deleted(&self, pool: &str, gib: u64) {
        self.change_reported(|reported| {
            if let Some(placed) = reported.placed_gib.get_mut(pool) {
                *placed = placed.saturating_sub(gib);
            }
        });
    }
}

/// All backends.
#[derive(Debug)]
pub(crate) struct Backends {
    all: RwLock<BTreeMap<BackendName, Arc<Backend>>>,
    /// What changed since the daemon started; outlives a backend that could not be loaded.
    histories: Mutex<BTreeMap<BackendName, History>>,
    /// Held by the one change of a name that runs; outlives a backend that is unloaded, so that none is loaded before it is gone.
    turns: Mutex<BTreeMap<BackendName, Arc<tokio::sync::Mutex<()>>>>,
    /// Counts attachments and set-ups: what runners wait for.
    changes: watch::Sender<u64>,
}

impl Default for Backends {
    fn default() -> Self {
        Self {
            all: RwLock::default(),
            histories: Mutex::default(),
            turns: Mutex::default(),
            changes: watch::Sender::new(0),
        }
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
            backend.end_supervision();
            backend.end_offer();
        }
    }

    /// Look at or add to the changes of a backend.
    fn with_history<T>(&self, name: &BackendName, look: impl FnOnce(&mut History) -> T) -> T {
        let mut histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        look(histories.entry(name.clone()).or_default())
    }

    fn alter_change(&self, name: &BackendName, request: &RequestId, alter: impl FnOnce(&mut ChangeView)) {
        self.with_history(name, |history| history.alter(request, alter));
    }

    /// Its guard is held by the one change of the backend that runs.
    fn turn_of(&self, name: &BackendName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.clone()).or_default())
    }

    /// Take a backend off the list; calls that run go on.
    fn leave(&self, name: &BackendName) -> Option<Arc<Backend>> {
        let left = self.all.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changed();
        left
    }

    /// Put back a backend that was taken off the list.
    fn come_back(&self, backend: Arc<Backend>) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(backend.name.clone(), backend);
        self.changed();
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
            supervision: Mutex::default(),
            offered: Mutex::default(),
            draining: Mutex::default(),
            ensuring: tokio::sync::Mutex::default(),
            ensurings: Mutex::default(),
            has_other_fingerprint: Notify::new(),
            usage: Mutex::default(),
            told: Mutex::default(),
            server_pools: RwLock::default(),
        });
        all.insert(name.clone(), Arc::clone(&backend));
        backend
    }
}

impl Manager {
    /// Serve a backend with `driver`, which is in no record. Returns at once: set-up goes on in a task of its own and is tried again until
    /// it succeeds.
    ///
    /// Attaching a name again replaces its driver once the new one is set up; running calls keep theirs.
    pub fn attach(&self, description: BackendDescription, driver: Arc<dyn Driver>) {
        let backend = self.inner.backends.enter(&description.name);
        backend.set_loaded(&description, &*driver);
        self.inner.backends.changed();
        let (inner, supervised) = (Arc::clone(&self.inner), Arc::clone(&backend));
        backend.supervise_with(|term| supervisor::supervise(inner, supervised, term, (description, driver)));
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

fn unreachable(tables: &Tables, name: &BackendName) -> ManagerError {
    let waiting = tables.count_unfinished_of_backend(name);
    ManagerError::BackendUnreachable { backend: name.clone(), waiting }
}

impl Inner {
    /// The generation that serves a backend now.
    pub(crate) fn serving(&self, name: &BackendName) -> Option<Arc<Serving>> {
        self.backends.get(name)?.serving()
    }

    /// The driver of a backend, if that is configured and was ever loaded.
    pub(crate) fn driver_of(&self, name: &BackendName) -> Option<LoadedDriver> {
        self.backends.get(name)?.loaded()
    }

    /// The driver of the backend that holds a share. Fails if the backend is not configured any more or its driver not loaded yet.
    pub(crate) fn loaded(&self, tables: &Tables, name: &BackendName) -> Result<LoadedDriver, ManagerError> {
        self.driver_of(name).ok_or_else(|| unreachable(tables, name))
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
            ip_versions: backend.serving().map(|serving| serving.ip_versions.clone()).unwrap_or_default(),
            statistics: reported.statistics.clone(),
            statistics_at: reported.at.map(|(at, _)| at),
            statistics_stale: reported.is_stale(self.settings.statistics_stale_after),
            statistics_failure: reported.failure.clone(),
            shares,
            provisioned_gib,
            unfinished_operations,
            last_ensured: backend.last_ensured(),
            last_change: self.backends.with_history(&backend.name, |history| history.newest()),
        })
    }
}
