//! Named locks of a backend. The right: names of its own, shared by its generations, held until released or the call's end.
//!
//! The lock itself lives in memory: only this process runs the backend's calls. Fencing numbers are kept in the store, so that they grow
//! over restarts: one counter for all locks of a backend, for a driver could fill the store with names.

mod registry;

pub use registry::Locks;
pub(crate) use registry::{BackendLocks, CommandSlots, HeldLocks, MOST_DBUS_CALLS};

use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::key;
use bulkhead_model::text::is_harmless;
use bulkhead_store::Key;
use std::time::Duration;

/// The longest name of a lock, in bytes.
pub const NAME_BYTES: usize = 255;
/// How many locks one call may hold.
pub const MOST_HELD: usize = 16;

/// The `lock` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct LocksHandle<'call> {
    call: &'call Call,
}

impl<'call> LocksHandle<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Take the lock `name`, waiting at most `wait_ms` milliseconds and never past the call's deadline. Answers its fencing number,
    /// which grows each time it is taken.
    ///
    /// Fails with `invalid-argument` if this call holds it or the name is malformed, `timed-out`, `limit-exceeded` above
    /// [`MOST_HELD`], `denied`.
    pub async fn acquire(&self, name: &str, wait_ms: u64) -> Result<u64, CapabilityError> {
        self.call.recorded(Deed::new("lock.acquire", name), self.take(name, wait_ms)).await
    }

    /// Give the lock back. Succeeds if this call does not hold it.
    ///
    /// Fails with `invalid-argument` for a malformed name, `denied`.
    pub async fn release(&self, name: &str) -> Result<(), CapabilityError> {
        let work = async {
            self.call.require(Capability::Lock)?;
            check_name(name)?;
            self.call.held_locks().release(name);
            Ok(())
        };
        self.call.recorded(Deed::new("lock.release", name), work).await
    }

    async fn take(&self, name: &str, wait_ms: u64) -> Result<u64, CapabilityError> {
        self.call.require(Capability::Lock)?;
        check_name(name)?;
        self.call.held_locks().check_room(name)?;
        let until = tokio::time::Instant::now()
            .checked_add(Duration::from_millis(wait_ms))
            .map_or(self.call.deadline(), |until| until.min(self.call.deadline()));
        let lock = self.call.backend().shared().named(name);
        let guard = match std::sync::Arc::clone(&lock).try_lock_owned() {
            Ok(guard) => guard,
            Err(_) => tokio::time::timeout_at(until, lock.lock_owned()).await.map_err(|_| {
                CapabilityError::new(
                    CapabilityCode::TimedOut,
                    format!("lock '{name}' is held by another call; waited {wait_ms} ms at most"),
                )
            })?,
        };
        let key = Key::new(&[key::LOCK, self.call.backend().name().as_str()]);
        let number = crate::number::next(self.call, &key).await?;
        self.call.held_locks().keep(name, guard)?;
        Ok(number)
    }
}

fn check_name(name: &str) -> Result<(), CapabilityError> {
    if !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(is_harmless) {
        return Ok(());
    }
    Err(CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("the name of a lock is 1 to {NAME_BYTES} bytes without control characters"),
    ))
}
