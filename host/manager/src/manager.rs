//! The manager: what the API and the binary hold.
//!
//! The verbs stand in one file for each noun. Every verb that changes something runs in a task of its own, so that a caller who hangs
//! up in the middle tears nothing: commits and what follows them always happen together.

use crate::backend::{Backends, DriverLoader};
use crate::error::ManagerError;
use crate::gate::Gates;
use crate::network::NetworkChecks;
use crate::records::{Change, CommitError, Records, Tables};
use crate::recovery::Inherited;
use crate::replica::follow::Followers;
use crate::runner::Runners;
use crate::settings::ManagerSettings;
use bulkhead_ledger::Ledger;
use bulkhead_model::id::{
    BackendName, OperationId, ShareGroupId, ShareGroupSnapshotId, ShareId, ShareServerId, SnapshotId,
};
use bulkhead_sandbox::SealingKey;
use bulkhead_store::Store;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;
use tracing::Instrument as _;

/// How often a request decides anew because others changed the same rows first.
const COMMIT_ATTEMPTS: u32 = 64;

/// Something changed: the hint to read again. Carries no content, so that nobody sees what is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A share, its instance or its rules.
    Share(ShareId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A share group.
    Group(ShareGroupId),
    /// A snapshot of a share group.
    GroupSnapshot(ShareGroupSnapshotId),
    /// A share server.
    Server(ShareServerId),
    /// An operation.
    Operation(OperationId),
}

/// The share manager. Clones are the same manager.
#[derive(Debug, Clone)]
pub struct Manager {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) records: Records,
    pub(crate) settings: ManagerSettings,
    pub(crate) backends: Backends,
    /// What brings drivers in.
    pub(crate) loader: OnceLock<Arc<dyn DriverLoader>>,
    pub(crate) gates: Gates,
    pub(crate) runners: Runners,
    pub(crate) followers: Followers,
    /// Held by the one request that makes a share type or a type of share groups, or removes a share type.
    pub(crate) share_types: tokio::sync::Mutex<()>,
    /// Shared by whoever makes something on a network, of a type or at a backend, from the look to the commit; held alone by whoever
    /// changes a network or takes one of these away. So nothing ever names what is gone.
    pub(crate) ties: tokio::sync::RwLock<()>,
    /// What seals what tenants entrust to this host.
    pub(crate) sealing_key: OnceLock<SealingKey>,
    pub(crate) inherited: Inherited,
    /// Whether share servers could follow changes of their networks.
    pub(crate) network_checks: NetworkChecks,
}

/// What a request came to after looking at the records.
pub(crate) enum Proposal<T> {
    /// This change, in the chain of this backend; then the result.
    Commit(BackendName, Change, T),
    /// Nothing to do; the result.
    Settled(T),
}

impl Manager {
    /// Read the records of `store`. Nothing is called until backends are attached and [`Manager::recover`] has run.
    ///
    /// Fails if the state was written by a newer version or a record cannot be understood.
    pub async fn open(
        store: Arc<dyn Store>,
        ledger: Ledger,
        settings: ManagerSettings,
    ) -> Result<Self, ManagerError> {
        let records = Records::open(&*store, ledger).await?;
        let inherited = Inherited::of(&records.read());
        let inner = Inner {
            store,
            inherited,
            records,
            settings,
            backends: Backends::default(),
            loader: OnceLock::new(),
            gates: Gates::default(),
            runners: Runners::default(),
            followers: Followers::default(),
            share_types: tokio::sync::Mutex::default(),
            ties: tokio::sync::RwLock::default(),
            sealing_key: OnceLock::new(),
            network_checks: NetworkChecks::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Hints about every change from now on. A listener that lags far behind loses hints and is told so: read again then.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.records.events()
    }

    /// Stop: requests that change something are refused, nothing new is begun at a backend, and driver calls that run get `within`
    /// to end. What is left then stands in the journal and goes on at the next start.
    pub async fn drain(&self, within: Duration) {
        self.inner.backends.stop();
        let left = self.inner.runners.drain(within).await;
        if left > 0 {
            tracing::warn!(operations = left, "ended with operations at work; they go on at the next start");
        }
    }

    /// Run a verb in a task that nobody cancels.
    pub(crate) async fn detached<T, F>(&self, verb: impl FnOnce(Arc<Inner>) -> F) -> Result<T, ManagerError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ManagerError>> + Send + 'static,
    {
        if self.inner.runners.is_draining() {
            return Err(ManagerError::ShuttingDown);
        }
        let task = tokio::spawn(verb(Arc::clone(&self.inner)).in_current_span());
        task.await.unwrap_or(Err(ManagerError::Interrupted))
    }
}

impl Inner {
    /// Look at the records, decide, commit; again from the start when somebody else was faster.
    pub(crate) async fn transact<T>(
        &self,
        propose: impl Fn(&Tables) -> Result<Proposal<T>, ManagerError>,
    ) -> Result<T, ManagerError> {
        let mut turn = None;
        for attempt in 0..COMMIT_ATTEMPTS {
            let proposal = propose(&self.records.read())?;
            let (backend, change, result) = match proposal {
                Proposal::Settled(result) => return Ok(result),
                Proposal::Commit(backend, change, result) => (backend, change, result),
            };
            if let (None, Some(instance)) = (&turn, change.turnstile()) {
                let commit = self.gates.turn(instance);
                match Arc::clone(&commit).try_lock_owned() {
                    Ok(guard) => turn = Some(guard),
                    Err(_) => {
                        turn = Some(commit.lock_owned().await);
                        // Whoever was first has changed the share: decide anew.
                        continue;
                    }
                }
            }
            match self.records.commit(&backend, change).await {
                Ok(()) => return Ok(result),
                Err(CommitError::Failed(error)) => return Err(error),
                // The winner's rows reach the memory a moment after the store: wait for them, longer each time.
                Err(CommitError::Conflict) => {
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)))).await;
                }
            }
        }
        Err(ManagerError::Contended)
    }
}
