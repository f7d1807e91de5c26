//! Every host call, allowed or denied, becomes one effect in the ledger: capability and function, what it was about, how it went.
//!
//! A host call that is dropped before it ends, because its driver call was, leaves a begin without an end: nobody knows how far it came.
//! `log` and `clock` leave none: they are always granted, reach nothing outside the call, and a guest would drown the ledger with them.

use crate::call::Call;
use bulkhead_ledger::Ledger;
use bulkhead_model::effect::{Effect, EffectOutcome};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::BackendName;
use bulkhead_model::text::GuestText;

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
    /// Do `work` and record how it went.
    pub async fn recorded<T>(
        &self,
        deed: Deed,
        work: impl Future<Output = Result<T, CapabilityError>>,
    ) -> Result<T, CapabilityError> {
        let explained = async { work.await.map(|done| (done, String::new())) };
        self.recorded_with_detail(deed, explained).await
    }

    /// Do `work` and record how it went, with the detail that it answers beside its result.
    pub async fn recorded_with_detail<T>(
        &self,
        deed: Deed,
        work: impl Future<Output = Result<(T, String), CapabilityError>>,
    ) -> Result<T, CapabilityError> {
        let cut_short = self.effect(&deed, EffectOutcome::Begun, "the call ended before this did");
        let mut unfinished = Unfinished {
            ledger: self.backend().ledger().clone(),
            chain: self.backend().name().clone(),
            effect: Some(cut_short),
        };
        let result = work.await;
        unfinished.effect = None;
        match result {
            Ok((done, detail)) => {
                self.record(&deed, EffectOutcome::Done, &detail).await?;
                Ok(done)
            }
            Err(error) => {
                let outcome = match error.code {
                    CapabilityCode::Denied => EffectOutcome::Denied,
                    _ => EffectOutcome::Failed,
                };
                self.record(&deed, outcome, &error.message).await?;
                Err(error)
            }
        }
    }

    /// Hand one effect to the ledger; cleaned and cut here. Waits only while the ledger's queue is full.
    ///
    /// Fails with `io` when the ledger records no more: nothing is done unseen, and what was done is not reported as done.
    pub async fn record(
        &self,
        deed: &Deed,
        outcome: EffectOutcome,
        detail: &str,
    ) -> Result<(), CapabilityError> {
        let effect = self.effect(deed, outcome, detail);
        self.backend().ledger().effect(self.backend().name(), effect).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an effect could not be recorded");
            CapabilityError::new(CapabilityCode::Io, "the host's ledger failed; see the host's log")
        })
    }

    fn effect(&self, deed: &Deed, outcome: EffectOutcome, detail: &str) -> Effect {
        Effect {
            origin: self.origin().clone(),
            capability: deed.capability.to_owned(),
            subject: GuestText::new(&deed.subject, SUBJECT_BYTES).as_str().to_owned(),
            outcome,
            detail: GuestText::new(detail, DETAIL_BYTES).as_str().to_owned(),
        }
    }
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
