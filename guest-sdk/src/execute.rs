//! Run *named command templates* of `driver.toml` with typed slots: no shell, no free argument, no search path.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use crate::slots::Slots;
use std::time::Duration;

/// A command that ended with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Standard output, at most the template's `capture` limit.
    pub stdout: Vec<u8>,
    /// Standard error, cleaned and masked.
    pub stderr: String,
    /// Whether all of it is here.
    pub completeness: Completeness,
    /// How long it ran.
    pub duration: Duration,
}

/// Whether output was cut at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Completeness {
    /// All of it.
    #[default]
    Whole,
    /// Cut at a limit.
    Cut,
}

/// Run a template once.
///
/// Idempotent exactly where its `repeat` says `safe`. Fails with `denied`, `invalid-argument`, `not-found` or `already-exists` if a
/// path slot of kind `existing` or `new` does not hold, `not-owned`, `command-failed` if the exit code is not 0, `timed-out`, `busy`,
/// `limit-exceeded`, `unavailable` or `outcome-unknown`.
pub fn run(template: &str, slots: Slots) -> Result<Output, CapabilityError> {
    host().run(template, slots)
}

/// As [`run`], repeated on `command-failed` after 1, 4, 9 … seconds, at most `num_shell_tries` runs in all.
///
/// Fails with `denied` if the template's `repeat` is not `safe`; otherwise as [`run`].
pub fn run_with_retries(template: &str, slots: Slots) -> Result<Output, CapabilityError> {
    host().run_with_retries(template, slots)
}
