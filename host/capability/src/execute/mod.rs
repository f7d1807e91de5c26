//! Named command templates: the guest names one and fills its slots; the helper builds the words and runs them.
//!
//! The right: a template that the manifest declares and the grant pins by its hash, a program that the grant binds and the reviewed
//! table knows (or the site's ceiling names), paths of the call's target in granted roots. `policy` decides, `request` puts together,
//! a [`CommandRunner`] runs, `outcome` says what came of it.
//!
//! What a template creates is recorded as owned before it starts; what it destroys must be so recorded, and its record goes once the
//! command has succeeded. A dropped call ends its command; the paths it changes stay locked until nothing of it runs any more.

mod client;
pub mod fake;
mod once;
mod outcome;
mod policy;
mod provider;
mod request;

pub use client::{HelperClient, HelperPlace};
pub use provider::{Abandoned, CommandRequest, CommandRunner, RunError, Waiting};

use crate::call::Call;
use crate::ownership::{self, OwnedKind};
use crate::record::Deed;
use crate::resolve::ResolvedPath;
use crate::slot::Slot;
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::base_option::share_opts;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::OptionValue;
use bulkhead_store::Revision;
use policy::Allowed;
use request::Prepared;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a command waits for others of its backend, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The option that says how often a failed command is tried.
const TRIES: &str = "num_shell_tries";
/// The most tries, whatever the option says: the waits between them grow to minutes.
const MOST_TRIES: u64 = 20;

/// What a command that left with 0 wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, at most the template's `capture` bytes.
    pub stdout: Vec<u8>,
    /// Standard error, cleaned, at most 64 KiB.
    pub stderr: String,
    /// Whether either was cut.
    pub truncated: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// The `execute` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Execute<'call> {
    call: &'call Call,
}

impl<'call> Execute<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Run the template `name` once. Idempotent where the template's `repeat` says so.
    ///
    /// Fails with `denied`, naming the line that would allow it; `invalid-argument` for an undeclared template, a slot that is missing,
    /// unknown or outside its type, and slots of two shares; `not-found`, `already-exists`, `not-owned` for its paths;
    /// `command-failed` if the exit code is not 0; `timed-out`, `busy`, `limit-exceeded`, `unavailable`, `outcome-unknown`.
    pub async fn run(&self, name: &str, slots: &[Slot]) -> Result<Output, CapabilityError> {
        self.attempt("execute.run", name, slots, policy::allow(self.call, name)).await
    }

    /// As [`Execute::run`], again after 1, 4, 9 … seconds on `command-failed`, at most `num_shell_tries` runs in all and never past the
    /// call's deadline. Each run is recorded; the last failure is answered. Idempotent.
    ///
    /// Fails with `denied` unless the template's `repeat` is `safe`.
    pub async fn run_with_retries(&self, name: &str, slots: &[Slot]) -> Result<Output, CapabilityError> {
        let tries = self.tries();
        let mut done = 1_u64;
        loop {
            let allowed = policy::allow_repeated(self.call, name);
            let failure = match self.attempt("execute.run-with-retries", name, slots, allowed).await {
                Err(error) if error.code == CapabilityCode::CommandFailed => error,
                other => return other,
            };
            let again = Instant::now().checked_add(Duration::from_secs(done.saturating_mul(done)));
            match again {
                Some(again) if done < tries && again < self.call.deadline() => {
                    tokio::time::sleep_until(again).await
                }
                _ => return Err(failure),
            }
            done = done.saturating_add(1);
        }
    }

    fn tries(&self) -> u64 {
        let backend = self.call.backend();
        let declared = || backend.manifest().options.iter().find(|option| option.name == TRIES).cloned();
        let inherited = || share_opts().into_iter().find(|option| option.name == TRIES);
        let value = backend.options().get(TRIES).cloned();
        match value.or_else(|| declared().or_else(inherited)?.default) {
            Some(OptionValue::Integer(tries)) => u64::try_from(tries).unwrap_or(1).clamp(1, MOST_TRIES),
            _ => 1,
        }
    }

    async fn attempt(
        &self,
        function: &'static str,
        name: &str,
        slots: &[Slot],
        allowed: Result<Allowed<'_>, CapabilityError>,
    ) -> Result<Output, CapabilityError> {
        let deed = Deed::new(function, name);
        let prepared = self.prepare(allowed, slots).await;
        let begun = prepared.as_ref().ok().map(|prepared| prepared.detail.clone());
        if let Some(detail) = &begun {
            self.call.record(&deed, EffectOutcome::Begun, detail).await?;
        }
        let work = async { self.perform(prepared?).await.map(|output| (output, begun.unwrap_or_default())) };
        self.call.recorded_with_detail(deed, work).await
    }

    async fn prepare(
        &self,
        allowed: Result<Allowed<'_>, CapabilityError>,
        slots: &[Slot],
    ) -> Result<Prepared, CapabilityError> {
        let prepared = request::prepare(self.call, &allowed?, slots)?;
        prepared.keep_apart(self.call).await?;
        Ok(prepared)
    }

    async fn perform(&self, prepared: Prepared) -> Result<Output, CapabilityError> {
        let call = self.call;
        let alone = prepared.alone(call).await?;
        let permit = self.permit().await?;
        if let Some(at) = &prepared.destroys {
            ownership::require(call, at).await?;
        }
        let claimed = self.claim(prepared.creates.as_ref()).await?;
        let begun = once::begin(call, &prepared.request).await?;
        let template = prepared.request.template.clone();
        let backend = Arc::clone(call.backend());
        let (waiting, abandoned) = Abandoned::pair();
        // A task of its own, so that a call that is dropped lets go of place and paths only when its command has ended.
        let running = tokio::spawn(async move {
            let ended = backend.runner().run(prepared.request, abandoned).await;
            drop(permit);
            (ended, alone)
        });
        let (ended, _alone) = running.await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the task of a command ended abruptly");
            CapabilityError::new(CapabilityCode::OutcomeUnknown, "the host failed inside; see the host's log")
        })?;
        drop(waiting);
        if nothing_started(&ended) {
            if let Some((at, revision)) = claimed {
                ownership::withdraw(call, at, revision).await?;
            }
            if let Some(begun) = begun {
                once::withdraw(call, begun).await?;
            }
        }
        if let (Some(at), Ok(Finished { ending: Ending::Exited(0), .. })) = (&prepared.destroys, &ended) {
            ownership::forget(call, at).await?;
        }
        outcome::judge(&template, ended)
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, CapabilityError> {
        let slots = Arc::clone(self.call.backend().command_slots());
        let longest = Instant::now().checked_add(LONGEST_WAIT).unwrap_or_else(|| self.call.deadline());
        let until = longest.min(self.call.deadline());
        match tokio::time::timeout_at(until, slots.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CapabilityError::new(
                CapabilityCode::Busy,
                format!(
                    "{} commands of this backend run already (limits.concurrent-commands); try again later",
                    self.call.backend().limits().concurrent_commands
                ),
            )),
        }
    }

    /// Record what is about to be made, after a look that nothing stands there: what somebody else made is never claimed.
    async fn claim<'path>(
        &self,
        at: Option<&'path ResolvedPath>,
    ) -> Result<Option<(&'path ResolvedPath, Revision)>, CapabilityError> {
        let Some(at) = at else { return Ok(None) };
        let (place, subject) = (at.clone(), at.subject());
        let is_there = tokio::task::spawn_blocking(move || stands_there(&place)).await;
        match is_there {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => {
                return Err(CapabilityError::new(
                    CapabilityCode::AlreadyExists,
                    format!("{subject} is already there"),
                ));
            }
            Ok(Err(error)) => {
                return Err(CapabilityError::new(CapabilityCode::Io, format!("{subject}: {error}")));
            }
            Err(_) => {
                return Err(CapabilityError::new(
                    CapabilityCode::Io,
                    format!("{subject} could not be looked at"),
                ));
            }
        }
        let revision = ownership::claim(self.call, at, OwnedKind::ByCommand).await?;
        Ok(Some((at, revision)))
    }
}

const fn nothing_started(ended: &Result<Finished, RunError>) -> bool {
    matches!(ended, Err(RunError::Refused(_) | RunError::Unavailable { .. }))
}

/// Whether anything stands at a path; a link counts as something.
fn stands_there(at: &ResolvedPath) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(at.root.directory(), at.path.as_str(), flags, Mode::empty(), resolve) {
        Ok(_) | Err(Errno::LOOP) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error),
    }
}
