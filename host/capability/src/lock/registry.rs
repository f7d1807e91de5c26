//! What the backends of this process share: locks, command slots, where their roots are and what their peers may read; and the locks that
//! one call holds. No await while a table is locked.

use super::MOST_HELD;
use crate::config::PeerOptions;
use crate::http::HttpShared;
use bulkhead_helper::files::Identity;
use bulkhead_helper::protocol::GroupKey;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{BackendName, Label, ShareServerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, OwnedMutexGuard, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many D-Bus calls of one backend run at once.
pub(crate) const MOST_DBUS_CALLS: usize = 8;

type NamedLock = Arc<tokio::sync::Mutex<()>>;

/// What the generations of all backends share: one for each process.
#[derive(Debug, Default)]
pub struct Locks {
    backends: Mutex<BTreeMap<BackendName, Arc<BackendLocks>>>,
}

impl Locks {
    /// What all generations of `backend` share.
    pub(crate) fn of(&self, backend: &BackendName) -> Arc<BackendLocks> {
        Arc::clone(locked(&self.backends).entry(backend.clone()).or_default())
    }

    /// What all generations of `backend` share, if it has any.
    pub(crate) fn known(&self, backend: &BackendName) -> Option<Arc<BackendLocks>> {
        locked(&self.backends).get(backend).cloned()
    }

    /// Log out of the sessions of all backends, at the end of the process.
    ///
    /// Idempotent. What cannot be logged out of is left to expire.
    pub async fn end_sessions(&self) {
        let backends: Vec<_> = locked(&self.backends).values().cloned().collect();
        let mut ending = JoinSet::new();
        for shared in backends {
            ending.spawn(async move { shared.http.end_sessions().await });
        }
        while ending.join_next().await.is_some() {}
    }

    /// The roots of all backends that are this directory.
    pub(crate) fn roots_at(&self, identity: Identity) -> Vec<(BackendName, Label)> {
        let backends: Vec<_> = {
            let known = locked(&self.backends);
            known.iter().map(|(name, shared)| (name.clone(), Arc::clone(shared))).collect()
        };
        let of = |(name, shared): (BackendName, Arc<BackendLocks>)| {
            let roots = locked(&shared.roots).clone();
            roots
                .into_iter()
                .filter(move |(_, at)| *at == identity)
                .map(move |(root, _)| (name.clone(), root))
        };
        backends.into_iter().flat_map(of).collect()
    }
}

/// What the generations of one backend share.
#[derive(Debug)]
pub(crate) struct BackendLocks {
    named: Mutex<BTreeMap<String, NamedLock>>,
    paths: Mutex<BTreeMap<String, NamedLock>>,
    private_bytes: OnceCell<Arc<Mutex<u64>>>,
    command_slots: CommandSlots,
    dbus_slots: Arc<Semaphore>,
    http: HttpShared,
    /// The roots of every generation there was: what an older one made stays owned.
    roots: Mutex<BTreeSet<(Label, Identity)>>,
    /// What the newest generation lets peers read.
    peer_options: Mutex<Arc<PeerOptions>>,
}

impl Default for BackendLocks {
    fn default() -> Self {
        Self {
            named: Mutex::default(),
            paths: Mutex::default(),
            private_bytes: OnceCell::default(),
            command_slots: CommandSlots::default(),
            dbus_slots: Arc::new(Semaphore::new(MOST_DBUS_CALLS)),
            http: HttpShared::default(),
            roots: Mutex::default(),
            peer_options: Mutex::default(),
        }
    }
}

/// How many commands of a backend may run at once, or requests to one of its endpoints, whichever of its generations they are of: a swap
/// does not double it.
#[derive(Debug)]
pub(crate) struct CommandSlots {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
}

impl Default for CommandSlots {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), size: Mutex::default() }
    }
}

impl CommandSlots {
    /// The newest generation's figure holds, at least 1. What more commands run at this moment than a smaller figure allows stays allowed
    /// until the next generation: none is ended for it.
    pub(crate) fn set_size(&self, wanted: u32) {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let mut size = locked(&self.size);
        self.permits.add_permits(wanted.saturating_sub(*size));
        let given_up = self.permits.forget_permits(size.saturating_sub(wanted));
        *size = wanted.max(size.saturating_sub(given_up));
    }

    /// One permit for each.
    pub(crate) const fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
    }
}

impl BackendLocks {
    /// The lock that drivers know by this name.
    pub(crate) fn named(&self, name: &str) -> NamedLock {
        entry(&self.named, name)
    }

    /// The host's own lock on a group: one change of it at a time. Instances are apart: one share server that does not become ready holds up
    /// no other. Fails with `timed-out` at `until`.
    pub(crate) async fn group(
        &self,
        group: &GroupKey,
        until: Instant,
    ) -> Result<OwnedMutexGuard<()>, CapabilityError> {
        let subject = match &group.instance {
            Some(instance) => format!("group '{}' of {instance}", group.group),
            None => format!("group '{}'", group.group),
        };
        self.path(&subject, until).await
    }

    /// The host's own lock on what a server's addresses are used for. Fails with `timed-out` at `until`.
    pub(crate) async fn addresses_of(
        &self,
        server: ShareServerId,
        until: Instant,
    ) -> Result<OwnedMutexGuard<()>, CapabilityError> {
        self.path(&format!("what share server {server} has addresses for"), until).await
    }

    /// The host's own lock on a path, so that a path is changed by one call at a time. Fails with `timed-out` at `until`.
    pub(crate) async fn path(
        &self,
        subject: &str,
        until: Instant,
    ) -> Result<OwnedMutexGuard<()>, CapabilityError> {
        let waiting = entry(&self.paths, subject).lock_owned();
        tokio::time::timeout_at(until, waiting).await.map_err(|_| {
            CapabilityError::new(
                CapabilityCode::TimedOut,
                format!("{subject} is being changed by another call"),
            )
        })
    }

    /// How many commands may run at once.
    pub(crate) const fn command_slots(&self) -> &CommandSlots {
        &self.command_slots
    }

    /// One permit for each D-Bus call.
    pub(crate) const fn dbus_slots(&self) -> &Arc<Semaphore> {
        &self.dbus_slots
    }

    /// Endpoints and sessions.
    pub(crate) const fn http(&self) -> &HttpShared {
        &self.http
    }

    /// Remember where a generation's roots are.
    pub(crate) fn add_roots(&self, roots: impl Iterator<Item = (Label, Identity)>) {
        locked(&self.roots).extend(roots);
    }

    /// Let peers read these options from now on.
    pub(crate) fn set_peer_options(&self, options: PeerOptions) {
        *locked(&self.peer_options) = Arc::new(options);
    }

    /// What peers may read.
    pub(crate) fn peer_options(&self) -> Arc<PeerOptions> {
        Arc::clone(&locked(&self.peer_options))
    }

    /// How many bytes of private data the backend holds; counted once, then kept.
    pub(crate) const fn private_bytes(&self) -> &OnceCell<Arc<Mutex<u64>>> {
        &self.private_bytes
    }
}

/// Locks that nobody holds or waits for are dropped on the way: a driver cannot fill the table with names.
fn entry(table: &Mutex<BTreeMap<String, NamedLock>>, name: &str) -> NamedLock {
    let mut table = locked(table);
    table.retain(|_, lock| Arc::strong_count(lock) > 1);
    Arc::clone(table.entry(name.to_owned()).or_default())
}

/// The locks one call holds; dropping it releases them.
#[derive(Debug, Default)]
pub(crate) struct HeldLocks {
    held: Mutex<BTreeMap<String, OwnedMutexGuard<()>>>,
}

impl HeldLocks {
    /// Whether one more may be taken under this name.
    pub(crate) fn check_room(&self, name: &str) -> Result<(), CapabilityError> {
        let held = locked(&self.held);
        if held.contains_key(name) {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("this call already holds the lock '{name}'; it would wait for itself"),
            ));
        }
        if held.len() >= MOST_HELD {
            return Err(CapabilityError::new(
                CapabilityCode::LimitExceeded,
                format!("a call holds at most {MOST_HELD} locks"),
            ));
        }
        Ok(())
    }

    /// Keep a lock that was taken.
    pub(crate) fn keep(&self, name: &str, guard: OwnedMutexGuard<()>) -> Result<(), CapabilityError> {
        self.check_room(name)?;
        locked(&self.held).insert(name.to_owned(), guard);
        Ok(())
    }

    pub(crate) fn release(&self, name: &str) {
        locked(&self.held).remove(name);
    }

    pub(crate) fn release_all(&self) {
        locked(&self.held).clear();
    }
}

/// A panic while a table is locked leaves it sound: every change is one insertion or removal.
fn locked<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_generations_share_as_many_command_slots_as_the_newest_says() {
        let slots = CommandSlots::default();
        slots.set_size(4);
        slots.set_size(4);
        assert_eq!(slots.permits().available_permits(), 4, "a second generation brings none of its own");
        slots.set_size(6);
        assert_eq!(slots.permits().available_permits(), 6);
        slots.set_size(0);
        assert_eq!(slots.permits().available_permits(), 1, "never none");
    }

    #[test]
    fn a_smaller_figure_ends_no_command_and_holds_once_they_are_through() {
        let slots = CommandSlots::default();
        slots.set_size(4);
        let running: Vec<_> = (0..3).map(|_| slots.permits().try_acquire().expect("a slot")).collect();
        slots.set_size(2);
        assert!(slots.permits().try_acquire().is_err());
        drop(running);
        assert_eq!(slots.permits().available_permits(), 3);
        slots.set_size(2);
        assert_eq!(slots.permits().available_permits(), 2);
    }
}
