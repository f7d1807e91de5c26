//! Named command templates and pipelines of them: the guest names one and fills its slots; the helper builds the words and runs them.
//!
//! The right: a template that the manifest declares and the grant pins by its hash, a program that the grant binds and the reviewed
//! table knows (or the site's ceiling names), paths of the call's target in granted roots. `policy` decides, `request` puts together,
//! a [`CommandRunner`] runs, `outcome` says what came of it.
//!
//! What a template creates is recorded as owned before it starts; what it destroys must be so recorded, and its record goes once the
//! command has succeeded. A dropped call ends its command; the paths it changes stay locked until nothing of it runs any more. All that
//! holds for a pipeline as a whole: what any stage makes is recorded before the first starts.

mod capture;
pub(crate) mod claim;
mod client;
mod dial;
pub mod fake;
pub(crate) mod once;
pub(crate) mod outcome;
pub(crate) mod policy;
mod provider;
pub(crate) mod request;

pub use client::{HelperClient, HelperPlace};
pub use dial::{Carried, Dial, DialError};
pub use provider::{Abandoned, CommandRequest, CommandRunner, Directories, RunError, Waiting};

use crate::call::Call;
use crate::ownership;
use crate::record::Deed;
use crate::slot::Slot;
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::base_option::share_opts;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::OptionValue;
use claim::Claims;
use policy::Allowed;
use request::Prepared;
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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
        let prepared = self.prepare(&allowed, slots).await;
        let begun = prepared.as_ref().ok().map(|prepared| prepared.detail.clone());
        if let Some(detail) = &begun {
            self.call.record(&deed, EffectOutcome::Begun, detail).await?;
        }
        let work = async {
            let output = self.perform(&allowed?, prepared?).await?;
            Ok((output, begun.unwrap_or_default()))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    async fn prepare(
        &self,
        allowed: &Result<Allowed<'_>, CapabilityError>,
        slots: &[Slot],
    ) -> Result<Prepared, CapabilityError> {
        let allowed = allowed.as_ref().map_err(Clone::clone)?;
        self.call.secrets().take_out(slots).await?;
        let prepared = request::prepare(self.call, allowed, slots)?;
        prepared.keep_apart(self.call).await?;
        Ok(prepared)
    }

    async fn perform(&self, allowed: &Allowed<'_>, prepared: Prepared) -> Result<Output, CapabilityError> {
        let call = self.call;
        let alone = prepared.alone(call).await?;
        let permit = self.permit(prepared.stages.len()).await?;
        for at in &prepared.destroys {
            ownership::require(call, at).await?;
        }
        let claims = Claims::of(call, &prepared.creates).await?;
        let begun = once::begin(call, (allowed.name, allowed.repeat()), &prepared.slots).await?;
        let (backend, secrets) = (Arc::clone(call.backend()), call.held_secrets().clone());
        let (waiting, abandoned) = Abandoned::pair();
        // A task of its own, so that a call that is dropped lets go of place, paths and secrets only when its command has ended.
        let running = tokio::spawn(async move {
            let ended = run(backend.runner(), prepared.stages, abandoned).await;
            drop((permit, secrets));
            (ended, alone)
        });
        let (ended, _alone) = running.await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the task of a command ended abruptly");
            CapabilityError::new(CapabilityCode::OutcomeUnknown, "the host failed inside; see the host's log")
        })?;
        drop(waiting);
        if nothing_started(&ended) {
            claims.withdraw(call).await?;
            if let Some(begun) = begun {
                once::withdraw(call, begun).await?;
            }
        }
        let ended = ended?;
        if ended.iter().all(|(_, finished)| finished.ending == Ending::Exited(0)) {
            for at in &prepared.destroys {
                ownership::forget(call, at).await?;
            }
        }
        let _alive_until_redacted = capture::hold(call, allowed, &ended)?;
        let redactor = call.redactor();
        let clean = |(name, finished)| (name, redactor.redact_finished(finished));
        outcome::judge_all(ended.into_iter().map(clean).collect())
    }

    /// One place for each command that runs at once; a pipeline longer than all of them takes all.
    async fn permit(&self, commands: usize) -> Result<tokio::sync::OwnedSemaphorePermit, CapabilityError> {
        let most = self.call.backend().limits().concurrent_commands;
        let commands = u32::try_from(commands).unwrap_or(u32::MAX).min(most).max(1);
        let slots = Arc::clone(self.call.backend().command_slots());
        let longest = Instant::now().checked_add(LONGEST_WAIT).unwrap_or_else(|| self.call.deadline());
        let until = longest.min(self.call.deadline());
        match tokio::time::timeout_at(until, slots.acquire_many_owned(commands)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CapabilityError::new(
                CapabilityCode::Busy,
                format!(
                    "{most} commands of this backend run already (limits.concurrent-commands); try again later"
                ),
            )),
        }
    }
}

/// Run one command or the stages of a pipeline, and answer how each ended.
async fn run(
    runner: &dyn CommandRunner,
    mut stages: Vec<CommandRequest>,
    abandoned: Abandoned,
) -> Result<Vec<(Label, Finished)>, RunError> {
    let names: Vec<Label> = stages.iter().map(|stage| stage.template.name.clone()).collect();
    let finished = match stages.pop() {
        Some(only) if stages.is_empty() => vec![runner.run(only, abandoned).await?],
        Some(last) => {
            stages.push(last);
            runner.pipe(stages, abandoned).await?.stages
        }
        None => Vec::new(),
    };
    if finished.len() != names.len() {
        let reason = format!("it told of {} of {} stages", finished.len(), names.len());
        return Err(RunError::OutcomeUnknown { reason });
    }
    Ok(names.into_iter().zip(finished).collect())
}

const fn nothing_started<T>(ended: &Result<T, RunError>) -> bool {
    matches!(ended, Err(RunError::Refused(_) | RunError::Unavailable { .. }))
}
