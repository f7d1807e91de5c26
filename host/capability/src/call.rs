//! One driver call's rights, and what it holds. Made by [`Backend::begin`](crate::backend::Backend::begin), lent to the guest's
//! imports, ended by [`Call::end`] or by being dropped: a dropped call releases its locks and ends its commands.

use crate::backend::Backend;
use crate::clock::Clock;
use crate::config::Config;
use crate::dbus::Dbus;
use crate::execute::Execute;
use crate::files::Files;
use crate::http::Http;
use crate::job::Jobs;
use crate::lock::{HeldLocks, LocksHandle};
use crate::log::{Log, LogBudget};
use crate::network_allocation::Addresses;
use crate::private_data::PrivateData;
use crate::secret::{HeldSecrets, Redactor, Secrets};
use crate::service::Services;
use bulkhead_ledger::LedgerError;
use bulkhead_model::ability::Capability;
use bulkhead_model::call::CallOrigin;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::target::CallTarget;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::time::Instant;

/// One call of a driver.
#[derive(Debug)]
pub struct Call {
    backend: Arc<Backend>,
    origin: CallOrigin,
    target: CallTarget,
    deadline: Instant,
    earlier_attempts: u32,
    held: HeldLocks,
    redactor: Redactor,
    secrets: HeldSecrets,
    log: LogBudget,
    host_calls: AtomicU64,
}

impl Call {
    pub(crate) fn new(
        backend: Arc<Backend>,
        origin: CallOrigin,
        target: CallTarget,
        deadline: Instant,
        earlier_attempts: u32,
    ) -> Self {
        let redactor = backend.redactor().for_call();
        let log = LogBudget::new(&backend, &origin, redactor.clone());
        let call = Self {
            backend,
            origin,
            target,
            deadline,
            earlier_attempts,
            held: HeldLocks::default(),
            redactor,
            secrets: HeldSecrets::default(),
            log,
            host_calls: AtomicU64::new(0),
        };
        call.secrets().know_passwords();
        call
    }

    /// Named command templates.
    #[must_use]
    pub const fn execute(&self) -> Execute<'_> {
        Execute::new(self)
    }

    /// Long-running processes.
    #[must_use]
    pub const fn services(&self) -> Services<'_> {
        Services::new(self)
    }

    /// Background work.
    #[must_use]
    pub const fn jobs(&self) -> Jobs<'_> {
        Jobs::new(self)
    }

    /// Calls on groups' buses.
    #[must_use]
    pub const fn dbus(&self) -> Dbus<'_> {
        Dbus::new(self)
    }

    /// Files and directories.
    #[must_use]
    pub const fn files(&self) -> Files<'_> {
        Files::new(self)
    }

    /// Requests to the backend's management.
    #[must_use]
    pub const fn http(&self) -> Http<'_> {
        Http::new(self)
    }

    /// Options.
    #[must_use]
    pub const fn config(&self) -> Config<'_> {
        Config::new(self)
    }

    /// Key/values per resource.
    #[must_use]
    pub const fn private_data(&self) -> PrivateData<'_> {
        PrivateData::new(self)
    }

    /// Secrets by reference.
    #[must_use]
    pub const fn secrets(&self) -> Secrets<'_> {
        Secrets::new(self)
    }

    /// Named locks.
    #[must_use]
    pub const fn locks(&self) -> LocksHandle<'_> {
        LocksHandle::new(self)
    }

    /// Addresses for share servers.
    #[must_use]
    pub const fn addresses(&self) -> Addresses<'_> {
        Addresses::new(self)
    }

    /// Log lines.
    #[must_use]
    pub const fn log(&self) -> Log<'_> {
        Log::new(self)
    }

    /// Time.
    #[must_use]
    pub const fn clock(&self) -> Clock<'_> {
        Clock::new(self)
    }

    /// End the call: its locks are released. Its effects are on their way to the ledger: on the disk no later than what its operation
    /// changes, and within 100 ms. Fails if the ledger cannot be written any more.
    pub fn end(self) -> Result<(), LedgerError> {
        self.held.release_all();
        self.backend.ledger().sound(self.backend.name())
    }

    /// The backend it runs on.
    #[must_use]
    pub const fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// What it belongs to.
    #[must_use]
    pub const fn origin(&self) -> &CallOrigin {
        &self.origin
    }

    /// What it is about.
    #[must_use]
    pub const fn target(&self) -> &CallTarget {
        &self.target
    }

    /// When its time is up.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How often this step of the operation has been tried before.
    #[must_use]
    pub const fn earlier_attempts(&self) -> u32 {
        self.earlier_attempts
    }

    /// The secrets that it was given, by reference. For who has to know one that the guest answered.
    #[must_use]
    pub const fn held_secrets(&self) -> &HeldSecrets {
        &self.secrets
    }

    /// Who takes out of what it gets, says and leaves behind the secrets that it and its backend know.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(crate) const fn held_locks(&self) -> &HeldLocks {
        &self.held
    }

    pub(crate) const fn log_budget(&self) -> &LogBudget {
        &self.log
    }

    /// How many host calls it has made.
    pub(crate) const fn host_calls(&self) -> &AtomicU64 {
        &self.host_calls
    }

    /// Denied unless grant and ceiling allow `capability`.
    pub(crate) fn require(&self, capability: Capability) -> Result<(), CapabilityError> {
        if self.backend.allows(capability) {
            return Ok(());
        }
        Err(CapabilityError::denied(
            format!("capability '{capability}'"),
            format!("grant.capabilities = [\"{capability}\"]"),
        ))
    }

    /// Fails with `timed-out` once the call's time is up.
    pub(crate) fn check_time(&self) -> Result<(), CapabilityError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(CapabilityError::new(CapabilityCode::TimedOut, "the time of this call is up"))
    }
}
