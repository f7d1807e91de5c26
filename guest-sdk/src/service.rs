//! Long-running processes that `driver.toml` declares as `[[service]]`s of a `[[group]]`: an NFS server and its bus, for instance.
//! They belong to the backend: they run on when the call ends, when the driver is swapped and when the host restarts.

use crate::capability::{CapabilityError, CommandExit};
use crate::files::Path;
use crate::host::{Host, host};
use crate::resource::Resource;
use crate::slots::Slots;

/// Which instance of a group and its services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instance {
    /// The only one of the backend.
    Backend,
    /// The one of a resource of this call.
    Of(Resource),
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Started, but its `ready` does not hold yet.
    Starting,
    /// Running and ready.
    Ready,
    /// Not running, as it should be.
    Stopped,
    /// It ended by itself; see [`Status::exit`].
    Failed,
}

/// Who started a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This host process.
    ThisHost,
    /// An earlier one: it was running and was adopted.
    Adopted,
}

/// Facts about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How it is.
    pub state: State,
    /// When it was started, in milliseconds since 1970-01-01 UTC; none if it is not running.
    pub started_at_ms: Option<u64>,
    /// Who started it.
    pub origin: Origin,
    /// How it ended; with [`State::Failed`].
    pub exit: Option<CommandExit>,
}

/// Start a service with what it declares in `after`, and wait until its `ready` holds.
///
/// Idempotent: one that runs with these slots is left alone, one that failed is started again. Fails with `denied`,
/// `invalid-argument`, `conflict` if it runs with other slots (stop it first), `command-failed` if it ended before it was ready,
/// `timed-out` if it is not ready in the declared time, `limit-exceeded`, `unavailable`.
pub fn start(name: &str, instance: &Instance, slots: Slots) -> Result<Status, CapabilityError> {
    host().start_service(name, instance, slots)
}

/// How a service is. Reads only. Fails with `denied`, `unavailable`.
pub fn status(name: &str, instance: &Instance) -> Result<Status, CapabilityError> {
    host().service_status(name, instance)
}

/// Stop a service, after those that declare it in their `after`. Returns when nothing of it is left.
///
/// Idempotent: succeeds if it is not running. Fails with `denied`, `timed-out`, `unavailable`.
pub fn stop(name: &str, instance: &Instance) -> Result<(), CapabilityError> {
    host().stop_service(name, instance)
}

/// Stop all services of a group and remove its namespaces, mounts and tmpfs.
///
/// Idempotent: succeeds if there is nothing. Fails with `denied`, `timed-out`, `unavailable`.
pub fn stop_group(group: &str, instance: &Instance) -> Result<(), CapabilityError> {
    host().stop_group(group, instance)
}

/// Show the directory `source` to a group, at the place that its bind `bind` derives from the owner of `source`.
///
/// Idempotent: succeeds if it is shown there. Fails with `denied`, `not-found` if `source` is not there or the group does not run,
/// `conflict` if another directory is shown there, `not-owned`, `unavailable`.
pub fn bind(group: &str, instance: &Instance, bind: &str, source: &Path) -> Result<(), CapabilityError> {
    host().bind(group, instance, bind, source)
}

/// Take that directory away from the group again.
///
/// Idempotent: succeeds if it is not shown or the group does not run. Fails with `denied`, `unavailable`.
pub fn unbind(group: &str, instance: &Instance, bind: &str, source: &Path) -> Result<(), CapabilityError> {
    host().unbind(group, instance, bind, source)
}
