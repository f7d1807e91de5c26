//! A backend without a daemon, for tests of this crate and of those above it: everything in memory but the roots.

use crate::backend::{Backend, BackendParts, GrantError};
use crate::execute::CommandRunner;
use crate::http::{Network, Transport};
use crate::lock::Locks;
use crate::network_allocation::{AddressBook, AllocationError};
use crate::secret::BackendSecrets;
use bulkhead_ledger::{Ledger, LedgerError, LedgerKey};
use bulkhead_model::ability::Capability;
use bulkhead_model::call::{CallOrigin, DriverLimits};
use bulkhead_model::effect::{Effect, LedgerEntry};
use bulkhead_model::grant::{Ceiling, Grant, RootGrant};
use bulkhead_model::id::{
    BackendName, CallId, GenerationNumber, InvalidId, OperationId, RequestId, ShareNetworkId,
    ShareNetworkSubnetId,
};
use bulkhead_model::manifest::{Manifest, OptionValue};
use bulkhead_model::network::ShareNetworkSubnet;
use bulkhead_store::{MemoryStore, Store};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// More records than a test writes.
const MOST_RECORDS: usize = 100_000;

/// What a test backend could not be made of.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// The name is no backend name.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// The addresses cannot be read.
    #[error(transparent)]
    Addresses(#[from] AllocationError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The grant does not fit.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// What a test backend shares with another that is made of it: the same store, ledger and locks.
#[derive(Debug, Clone)]
pub struct TestHost {
    /// The store, in memory.
    pub store: Arc<dyn Store>,
    /// The ledger in that store.
    pub ledger: Ledger,
    /// The locks.
    pub locks: Arc<Locks>,
    /// The addresses.
    pub addresses: AddressBook,
    /// Who runs commands.
    pub runner: Arc<dyn CommandRunner>,
    /// Who sends requests: over the network, unless a test says otherwise.
    pub http: Arc<dyn Transport>,
}

impl TestHost {
    /// An empty host.
    pub async fn new(runner: Arc<dyn CommandRunner>) -> Result<Self, TestingError> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let ledger = Ledger::open(Arc::clone(&store), LedgerKey::new([7; 32])).await?;
        let addresses = AddressBook::open(Arc::clone(&store), ledger.clone()).await?;
        Ok(Self {
            store,
            ledger,
            locks: Arc::new(Locks::default()),
            addresses,
            runner,
            http: Arc::new(Network),
        })
    }

    /// The parts of a backend with this manifest and grant, to be changed or handed to [`Backend::new`].
    pub fn parts(&self, name: &str, manifest: Manifest, grant: Grant) -> Result<BackendParts, TestingError> {
        Ok(BackendParts {
            name: name.parse::<BackendName>()?,
            generation: GenerationNumber(1),
            manifest: Arc::new(manifest),
            grant,
            ceiling: Ceiling::default(),
            options: BTreeMap::<String, OptionValue>::new(),
            secrets: BackendSecrets::default(),
            limits: DriverLimits::default(),
            store: Arc::clone(&self.store),
            ledger: self.ledger.clone(),
            helper: Arc::clone(&self.runner),
            http: Arc::clone(&self.http),
            locks: Arc::clone(&self.locks),
            addresses: self.addresses.clone(),
            tenure: None,
        })
    }

    /// A backend with this manifest and grant.
    pub fn backend(
        &self,
        name: &str,
        manifest: Manifest,
        grant: Grant,
    ) -> Result<Arc<Backend>, TestingError> {
        Ok(Backend::new(self.parts(name, manifest, grant)?)?)
    }

    /// What the ledger holds of effects at `backend`, oldest first.
    pub async fn effects(&self, backend: &BackendName) -> Result<Vec<Effect>, LedgerError> {
        self.ledger.flush(backend).await?;
        let records = self.ledger.tail(Some(backend), MOST_RECORDS).await?;
        let effect = |entry| match entry {
            LedgerEntry::Effect(effect) => Some(effect),
            LedgerEntry::StateChange(_) => None,
        };
        Ok(records.into_iter().filter_map(|record| effect(record.entry)).collect())
    }
}

/// A grant of everything that `manifest` declares; `roots` binds its roots by name.
#[must_use]
pub fn grant_everything(manifest: &Manifest, roots: &BTreeMap<&str, PathBuf>) -> Grant {
    let templates = manifest.templates().map(|(name, digest)| (name.clone(), digest));
    let bound = manifest.roots.iter().filter_map(|root| {
        let path = roots.get(root.name.as_str())?.clone();
        Some((root.name.clone(), RootGrant { path, pin: root.digest() }))
    });
    Grant {
        capabilities: Capability::ALL.iter().copied().collect(),
        roots: bound.collect(),
        templates: templates.collect(),
        ..Grant::default()
    }
}

/// The origin of a call of `function` in a fresh operation.
#[must_use]
pub fn origin(function: &str) -> CallOrigin {
    CallOrigin {
        call: CallId::next(),
        function: function.to_owned(),
        request: RequestId::random(),
        operation: Some(OperationId::next()),
        generation: GenerationNumber(1),
    }
}

/// A subnet of a share network of its own, of which nothing else is known.
#[must_use]
pub fn subnet() -> ShareNetworkSubnet {
    ShareNetworkSubnet::new(ShareNetworkSubnetId::random(), ShareNetworkId::random())
}
