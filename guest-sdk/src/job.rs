//! Finite background work that outlives its call, as `driver.toml` declares it in `[[job]]`. A job is known by its name, the call's
//! subject and a key that the driver chooses: every later call with the same subject finds it.

use crate::capability::{CapabilityError, CommandExit};
use crate::host::{Host, host};
use crate::slots::Slots;
use std::time::Duration;

/// How far a running job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes moved, where its declaration counts them.
    pub bytes_done: Option<u64>,
    /// How long it has been running.
    pub running: Duration,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit; of a pipeline that of the first stage that failed, else of the last.
    pub exit: CommandExit,
    /// Bytes moved, where its declaration counts them.
    pub bytes_done: Option<u64>,
    /// How long it ran.
    pub duration: Duration,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Still at it.
    Running(Progress),
    /// It ended with exit code 0, all stages of a pipeline did.
    Succeeded(Exit),
    /// It ended otherwise, or was cancelled.
    Failed(Exit),
    /// It is not running and nobody saw it end. Look at the backend before starting it again.
    Lost,
}

/// A job of the call's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in `driver.toml`.
    pub name: String,
    /// The driver's key.
    pub key: String,
    /// How it is.
    pub state: State,
}

/// Start a job under `key` (at most 255 bytes) and return.
///
/// Idempotent: if there is one under this key, its state is the answer and nothing is started; [`forget`] it to run it again. Fails
/// with `denied`, `invalid-argument`, `conflict` if one runs under this key with other slots, `not-found`, `already-exists`,
/// `not-owned`, `busy` above 4 running jobs of one backend, `limit-exceeded`, `unavailable`.
pub fn start(name: &str, key: &str, slots: Slots) -> Result<State, CapabilityError> {
    host().start_job(name, key, slots)
}

/// How a job is. Reads only. Fails with `not-found`, `denied`, `unavailable`.
pub fn poll(name: &str, key: &str) -> Result<State, CapabilityError> {
    host().poll_job(name, key)
}

/// All jobs of the call's subject, in order of name and key. Reads only. Fails with `unavailable`.
pub fn entries() -> Result<Vec<Entry>, CapabilityError> {
    host().jobs()
}

/// End a job with everything it started. It is [`State::Failed`] afterwards.
///
/// Idempotent: succeeds if it has ended or there is none. Fails with `denied`, `timed-out`, `unavailable`.
pub fn cancel(name: &str, key: &str) -> Result<(), CapabilityError> {
    host().cancel_job(name, key)
}

/// Forget a job that has ended or was lost, so that the key is free.
///
/// Idempotent: succeeds if there is none. Fails with `busy` if it is running, `denied`.
pub fn forget(name: &str, key: &str) -> Result<(), CapabilityError> {
    host().forget_job(name, key)
}
