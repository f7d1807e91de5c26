//! Finite background work: the guest names a declared job, a key of its own and the slots; it runs on when the call has ended.
//!
//! The right: a job and what it runs, a command or a pipeline, that the manifest declares and the grant pins by their hashes; else as for
//! `execute`. A job is the call's subject's: no other share or snapshot finds it.
//!
//! What it makes is recorded as owned before it starts. What it removes must be so recorded and stays recorded, because nobody of this
//! process sees it end: a record whose object is gone is harmless, and `files.remove` drops it. Nothing about jobs is remembered here; every
//! question goes to the place, so that a lost helper or a new daemon changes nothing. Calls about one job are made one after the other, to
//! their end even if the driver's call is dropped.

mod state;

pub use state::{JobExit, JobProgress, JobState};

use crate::call::Call;
use crate::execute::claim::Claims;
use crate::execute::policy::{self, Allowed};
use crate::execute::request::{self, Prepared};
use crate::execute::{CommandRequest, RunError, once};
use crate::ownership;
use crate::record::Deed;
use crate::service::undeclared;
use crate::slot::{Slot, SlotValue};
use bulkhead_helper::protocol::{JobAnswer, JobCall, JobEntry as PlaceEntry, JobKey, StartJob};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::JobTemplate;
use bulkhead_model::target::Resource;
use bulkhead_model::text::GuestText;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// The longest key, in bytes.
pub const LONGEST_KEY: usize = 255;
/// The most jobs of a subject that are told of.
pub const MOST_ENTRIES: usize = 1000;
/// The longest name in a ledger's record, in bytes.
const SHOWN: usize = 128;

/// A job of the call's subject.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobEntry {
    /// Its name in the manifest.
    pub name: String,
    /// The driver's key.
    pub key: String,
    /// How it is.
    pub state: JobState,
}

/// The `job` interface of one call. Every method fails with `denied` where the capability or the job is not granted or the call has no
/// subject, `invalid-argument` for a job that is not declared or a key that is none, and `unavailable` if the place cannot be reached.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'call> {
    call: &'call Call,
}

impl<'call> Jobs<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Start the job `name` under `key`. Idempotent: one that is there, whatever its state, is the answer.
    ///
    /// Fails with `conflict` if one runs under this key with other slots, `not-found`, `already-exists`, `not-owned` as in `execute`,
    /// `busy` if too many run.
    pub async fn start(&self, name: &str, key: &str, slots: &[Slot]) -> Result<JobState, CapabilityError> {
        let deed = deed("job.start", name, key);
        let prepared = self.prepare(name, key, slots).await;
        if let Ok(start) = &prepared {
            self.call.record(&deed, EffectOutcome::Begun, &start.prepared.detail).await?;
        }
        let work = async {
            let start = prepared?;
            let detail = start.prepared.detail.clone();
            Ok((self.begin(start).await?, detail))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    /// How the job is. Fails with `not-found` if there is none under this key.
    pub async fn poll(&self, name: &str, key: &str) -> Result<JobState, CapabilityError> {
        let work = async { state_of(self.ask(JobCall::Poll(self.key(name, key)?)).await?) };
        self.call.recorded(deed("job.poll", name, key), work).await
    }

    /// All jobs of the call's subject, in order of name and key; at most [`MOST_ENTRIES`].
    pub async fn entries(&self) -> Result<Vec<JobEntry>, CapabilityError> {
        let subject = self.call.target().subject();
        let shown = subject.map_or_else(String::new, |subject| subject.to_string());
        let work = async {
            self.call.require(Capability::Job)?;
            let backend = self.call.backend().name().as_str().to_owned();
            let asked = JobCall::Entries { backend, subject: self.subject()?.to_string() };
            match self.ask(asked).await? {
                JobAnswer::Entries(entries) => Ok(sorted(entries)),
                JobAnswer::State(_) | JobAnswer::Done => Err(nothing_told()),
            }
        };
        self.call.recorded(Deed::new("job.entries", shown), work).await
    }

    /// End the job with everything it started. Idempotent. Fails with `timed-out` if something cannot be ended.
    pub async fn cancel(&self, name: &str, key: &str) -> Result<(), CapabilityError> {
        let deed = deed("job.cancel", name, key);
        let begun = deed.clone();
        let work = async {
            let key = self.key(name, key)?;
            let alone = self.alone(&key).await?;
            self.call.record(&begun, EffectOutcome::Begun, "").await?;
            done_or_absent(self.change(JobCall::Cancel(key), alone).await)
        };
        self.call.recorded(deed, work).await
    }

    /// Forget a job that has ended or was lost. Idempotent. Fails with `busy` if it is running.
    pub async fn forget(&self, name: &str, key: &str) -> Result<(), CapabilityError> {
        let work = async {
            let key = self.key(name, key)?;
            let alone = self.alone(&key).await?;
            done_or_absent(self.change(JobCall::Forget(key), alone).await)
        };
        self.call.recorded(deed("job.forget", name, key), work).await
    }

    /// End and forget all jobs of the call's subject, whatever the manifest says of them by now. For the host; idempotent. Answers how many
    /// there were: none where the backend may have no jobs.
    ///
    /// All are tried; fails with the first that could not be ended.
    pub(crate) async fn end_all(&self) -> Result<usize, CapabilityError> {
        let backend = self.call.backend();
        if !backend.allows(Capability::Job) {
            return Ok(0);
        }
        let (name, subject) = (backend.name().as_str().to_owned(), self.subject()?.to_string());
        let entries = match self.ask(JobCall::Entries { backend: name, subject }).await {
            Ok(JobAnswer::Entries(entries)) => entries,
            Ok(JobAnswer::State(_) | JobAnswer::Done) => return Err(nothing_told()),
            Err(error) if error.code == CapabilityCode::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let count = entries.len();
        let mut outcome = Ok(count);
        for entry in entries {
            if let Err(error) = self.end(entry.key).await {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    async fn end(&self, key: JobKey) -> Result<(), CapabilityError> {
        let alone = self.alone(&key).await?;
        done_or_absent(self.change(JobCall::Cancel(key.clone()), alone).await)?;
        let alone = self.alone(&key).await?;
        done_or_absent(self.change(JobCall::Forget(key), alone).await)
    }

    async fn prepare(&self, name: &str, key: &str, slots: &[Slot]) -> Result<Start<'call>, CapabilityError> {
        let key = self.key(name, key)?;
        let template = self.template(name)?;
        let allowed = policy::allow_template(self.call, template.runs.as_str())?;
        if allowed.stages.iter().any(|stage| !stage.template.captures.is_empty()) {
            return Err(CapabilityError::denied(
                format!("job '{}', whose output holds a secret,", template.name),
                "no line; a job's output outlives its call: run the command by itself",
            ));
        }
        if let Some(slot) = slots.iter().find(|slot| matches!(slot.value, SlotValue::Secret(_))) {
            return Err(CapabilityError::denied(
                format!("a secret for a job, in slot '{}'", GuestText::new(&slot.name, SHOWN)),
                "no line; a job outlives its call and is written down, which no secret is: use [[execute]]",
            ));
        }
        let prepared = request::prepare(self.call, &allowed, slots)?;
        prepared.keep_apart(self.call).await?;
        Ok(Start { key, template, allowed, prepared })
    }

    async fn begin(&self, start: Start<'call>) -> Result<JobState, CapabilityError> {
        let call = self.call;
        let alone = self.alone(&start.key).await?;
        if self.is_there(&start.key).await? {
            // Asked all the same: the place knows whether one that runs has these slots.
            return state_of(self.change(start.request()?, alone).await?);
        }
        let _changed = start.prepared.alone(call).await?;
        for at in &start.prepared.destroys {
            ownership::require(call, at).await?;
        }
        let claims = Claims::of(call, &start.prepared.creates).await?;
        let repeat = (&start.template.name, start.allowed.repeat());
        let begun = once::begin(call, repeat, &start.prepared.slots).await?;
        let answer = self.run(start.request()?, alone).await;
        if matches!(answer, Err(RunError::Refused(_) | RunError::Unavailable { .. })) {
            claims.withdraw(call).await?;
            if let Some(begun) = begun {
                once::withdraw(call, begun).await?;
            }
        }
        state_of(answer?)
    }

    async fn is_there(&self, key: &JobKey) -> Result<bool, CapabilityError> {
        match self.ask(JobCall::Poll(key.clone())).await {
            Ok(_) => Ok(true),
            Err(error) if error.code == CapabilityCode::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn template(&self, name: &str) -> Result<&'call JobTemplate, CapabilityError> {
        self.call.require(Capability::Job)?;
        let backend = self.call.backend();
        let template = backend.manifest().job(name).ok_or_else(|| undeclared("job", name))?;
        backend.require_template(&template.name, template.digest())?;
        Ok(template)
    }

    fn subject(&self) -> Result<Resource, CapabilityError> {
        self.call.target().subject().ok_or_else(|| {
            CapabilityError::denied(
                "a job of a call about no share or snapshot",
                "no line; a job is a share's or snapshot's",
            )
        })
    }

    fn key(&self, name: &str, key: &str) -> Result<JobKey, CapabilityError> {
        let template = self.template(name)?;
        if key.is_empty() || key.len() > LONGEST_KEY || key.contains('\0') {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!(
                    "a job's key is 1 to {LONGEST_KEY} bytes long, without NUL; this one has {}",
                    key.len()
                ),
            ));
        }
        Ok(JobKey {
            backend: self.call.backend().name().as_str().to_owned(),
            subject: self.subject()?.to_string(),
            job: template.name.clone(),
            key: key.to_owned(),
        })
    }

    /// Wait until nobody else changes this job.
    async fn alone(&self, key: &JobKey) -> Result<OwnedMutexGuard<()>, CapabilityError> {
        let subject = format!("job '{}' of {} under '{}'", key.job, key.subject, key.key);
        self.call.backend().shared().path(&subject, self.call.deadline()).await
    }

    async fn ask(&self, asked: JobCall) -> Result<JobAnswer, CapabilityError> {
        self.call.check_time()?;
        Ok(self.call.redactor().redact_job(self.call.backend().runner().job(asked).await?))
    }

    async fn change(&self, asked: JobCall, alone: OwnedMutexGuard<()>) -> Result<JobAnswer, CapabilityError> {
        Ok(self.run(asked, alone).await?)
    }

    async fn run(&self, asked: JobCall, alone: OwnedMutexGuard<()>) -> Result<JobAnswer, RunError> {
        let (backend, redactor) = (Arc::clone(self.call.backend()), self.call.redactor().clone());
        let done = tokio::spawn(async move {
            let answer = backend.runner().job(asked).await.map(|answer| redactor.redact_job(answer));
            drop(alone);
            answer
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a call about a job ended abruptly");
            Err(RunError::OutcomeUnknown { reason: "the host failed inside".to_owned() })
        })
    }
}

/// A job that may start.
#[derive(Debug)]
struct Start<'call> {
    key: JobKey,
    template: &'call JobTemplate,
    allowed: Allowed<'call>,
    prepared: Prepared,
}

impl Start<'_> {
    /// As the place takes it. What a job may take is what its templates say, whatever is left of the call.
    fn request(&self) -> Result<JobCall, CapabilityError> {
        let stage = |request: &CommandRequest| {
            let timeout = Duration::from_secs(request.template.timeout);
            CommandRequest { timeout, ..request.clone() }.to_helper(0).map_err(|error| {
                let message = format!("the request cannot be sent: {error}");
                CapabilityError::new(CapabilityCode::InvalidArgument, message)
            })
        };
        let stages = self.prepared.stages.iter().map(stage).collect::<Result<_, _>>()?;
        let counts_bytes = self.template.counts_bytes;
        Ok(JobCall::Start(StartJob { key: self.key.clone(), stages, counts_bytes }))
    }
}

fn deed(function: &'static str, name: &str, key: &str) -> Deed {
    Deed::new(function, format!("{}: {}", GuestText::new(name, SHOWN), GuestText::new(key, SHOWN)))
}

fn state_of(answer: JobAnswer) -> Result<JobState, CapabilityError> {
    match answer {
        JobAnswer::State(state) => Ok(state.into()),
        JobAnswer::Entries(_) | JobAnswer::Done => Err(nothing_told()),
    }
}

fn sorted(mut entries: Vec<PlaceEntry>) -> Vec<JobEntry> {
    entries.sort_by(|first, second| first.key.cmp(&second.key));
    entries.truncate(MOST_ENTRIES);
    let entry = |entry: PlaceEntry| JobEntry {
        name: entry.key.job.as_str().to_owned(),
        key: entry.key.key,
        state: entry.state.into(),
    };
    entries.into_iter().map(entry).collect()
}

/// What is not there has ended and is forgotten.
fn done_or_absent(answer: Result<JobAnswer, CapabilityError>) -> Result<(), CapabilityError> {
    match answer {
        Err(error) if error.code == CapabilityCode::NotFound => Ok(()),
        answer => answer.map(drop),
    }
}

fn nothing_told() -> CapabilityError {
    CapabilityError::new(CapabilityCode::OutcomeUnknown, "the helper told nothing about the job")
}
