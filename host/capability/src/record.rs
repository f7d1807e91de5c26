//! Every host call, allowed or denied, becomes one effect in the ledger: capability and function, what it was about, how it went.
//!
//! A driver call makes at most [`MOST_HOST_CALLS`] of them. A host call that is dropped before it ends, because its driver call was, leaves a begin without an end: nobody knows how far it came.
//! `log` and `clock` leave none: they are always granted, reach nothing outside the call, and a guest would drown the ledger with them.

use crate::call::Call;
use bulkhead_ledger::Ledger;
use bulkhead_model::effect::{Effect, EffectOutcome};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::BackendName;
use bulkhead_model::text::GuestText;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::Ordering;

/// The most host calls that one driver call makes: each leaves a record for ever, and a loop would fill the disk with them. A batch of 500
/// shares has 40 for each.
pub const MOST_HOST_CALLS: u64 = 20_000;
/// The longest subject of an effect, in bytes.
const SUBJECT_BYTES: usize = 512;
/// The longest detail of an effect, in bytes.
const DETAIL_BYTES: usize = 1024;

/// What a host call is recorded as.
#[derive(Debug, Clone)]
pub struct Deed {
    /// Capability and function, for example `files.remove`.
    pub capability: &'static str,
    /// What it is about. Never a secret.
    pub subject: String,
}

impl Deed {
    /// A deed about `subject`.
    #[must_use]
    pub fn new(capability: &'static str, subject: impl Into<String>) -> Self {
        Self { capability, subject: subject.into() }
    }
}

impl Call {
    /// Do `work` and record how it went. Beyond [`MOST_HOST_CALLS`] nothing is done: `limit-exceeded`.
    pub async fn recorded<T: Serialize + DeserializeOwned>(
        &self,
        deed: Deed,
        work: impl Future<Output = Result<T, CapabilityError>>,
    ) -> Result<T, CapabilityError> {
        let explained = async { work.await.map(|done| (done, String::new())) };
        self.recorded_with_detail(deed, explained).await
    }

    /// As [`Call::recorded`], with the detail that `work` answers beside its result.
    pub async fn recorded_with_detail<T: Serialize + DeserializeOwned>(
        &self,
        deed: Deed,
        work: impl Future<Output = Result<(T, String), CapabilityError>>,
    ) -> Result<T, CapabilityError> {
        if let Some(refused) = self.beyond_budget(&deed).await? {
            return Err(refused);
        }
        let cut_short = self.effect(&deed, EffectOutcome::Begun, "the call ended before this did");
        let mut unfinished = Unfinished {
            ledger: self.backend().ledger().clone(),
            chain: self.backend().name().clone(),
            effect: Some(cut_short),
        };
        let work = async {
            let redactor = self.redactor();
            work.await.map_err(|error| redactor.redact_error(error))
        };
        let result = self.intercepted(&deed, work).await;
        let (outcome, detail) = match &result {
            Ok((_, detail)) => (EffectOutcome::Done, detail),
            Err(error) if error.code == CapabilityCode::Denied => (EffectOutcome::Denied, &error.message),
            Err(error) => (EffectOutcome::Failed, &error.message),
        };
        let ended = self.effect(&deed, outcome, detail);
        // Should the call end while the ledger's queue is full, it is this that is recorded.
        unfinished.effect = Some(ended.clone());
        let recorded = self.hand_over(ended).await;
        unfinished.effect = None;
        recorded?;
        result.map(|(done, _)| done)
    }

    /// The error of a host call beyond the call's budget; the first of them is recorded.
    async fn beyond_budget(&self, deed: &Deed) -> Result<Option<CapabilityError>, CapabilityError> {
        let before = self.host_calls().fetch_add(1, Ordering::Relaxed);
        if before < MOST_HOST_CALLS {
            return Ok(None);
        }
        let refused = too_many();
        if before == MOST_HOST_CALLS {
            let further = format!("{refused}, nor is any further one");
            self.hand_over(self.effect(deed, EffectOutcome::Failed, &further)).await?;
        }
        Ok(Some(refused))
    }

    /// Hand one effect to the ledger; cleaned of secrets and cut here. Waits only while the ledger's queue is full.
    ///
    /// Fails with `io` when the ledger records no more: nothing is done unseen, and what was done is not reported as done. Fails with
    /// `limit-exceeded` beyond [`MOST_HOST_CALLS`].
    pub async fn record(
        &self,
        deed: &Deed,
        outcome: EffectOutcome,
        detail: &str,
    ) -> Result<(), CapabilityError> {
        if self.host_calls().load(Ordering::Relaxed) > MOST_HOST_CALLS {
            return Err(too_many());
        }
        self.hand_over(self.effect(deed, outcome, detail)).await
    }

    async fn hand_over(&self, effect: Effect) -> Result<(), CapabilityError> {
        self.backend().ledger().effect(self.backend().name(), effect).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an effect could not be recorded");
            CapabilityError::new(CapabilityCode::Io, "the host's ledger failed; see the host's log")
        })
    }

    fn effect(&self, deed: &Deed, outcome: EffectOutcome, detail: &str) -> Effect {
        let redactor = self.redactor();
        let cleaned = |text: &str, most| GuestText::new(&redactor.redact(text), most).as_str().to_owned();
        Effect {
            origin: self.origin().clone(),
            capability: deed.capability.to_owned(),
            subject: cleaned(&deed.subject, SUBJECT_BYTES),
            outcome,
            detail: cleaned(detail, DETAIL_BYTES),
        }
    }
}

fn too_many() -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::LimitExceeded,
        format!("one driver call makes at most {MOST_HOST_CALLS} host calls; this one is not made"),
    )
}

/// Records, when dropped, that a host call never ended; nothing if it did.
struct Unfinished {
    ledger: Ledger,
    chain: BackendName,
    effect: Option<Effect>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(effect), Ok(runtime)) = (self.effect.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (ledger, chain) = (self.ledger.clone(), self.chain.clone());
        runtime.spawn(async move {
            if let Err(error) = ledger.effect(&chain, effect).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an effect cut short could not be recorded"
                );
            }
        });
    }
}
