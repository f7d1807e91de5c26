//! Somebody who stands between guests and their host calls and decides what becomes of each: the conformance kit fails them, delays
//! them, and ends a driver call right after an effect. A daemon has nobody there.

use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// What a host call answers, as a tape keeps it.
pub type TapedAnswer = Result<Value, CapabilityError>;

/// What becomes of one host call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done and answered.
    Proceed,
    /// It is not done; this is the answer.
    Instead(CapabilityError),
    /// It is done; this is the answer, whatever came of it.
    After(CapabilityError),
    /// It is done and never answered. Whoever made the driver call drops it: so a call ends whose daemon is killed.
    Never,
}

/// Decides about host calls, in the order in which they are made. `log` and `clock` are not among them: they have no effect to lose.
pub trait Interceptor: Send + Sync + Debug {
    /// What becomes of `deed`, which is about to be done.
    fn decide(&self, deed: &Deed) -> Verdict;

    /// What was to be [`Verdict::Never`] answered has been done.
    fn left_unanswered(&self, deed: &Deed);

    /// The answer of `deed` that was recorded earlier and stands for doing it; none does it.
    fn replayed(&self, _deed: &Deed) -> Option<TapedAnswer> {
        None
    }

    /// Whether [`Interceptor::keep`] wants to be told.
    fn keeps_answers(&self) -> bool {
        false
    }

    /// `deed` was done, and this came of it.
    fn keep(&self, _deed: &Deed, _answer: TapedAnswer) {}
}

impl Call {
    /// Do `work` as the backend's interceptor, if it has one, says.
    pub(crate) async fn intercepted<T: Serialize + DeserializeOwned>(
        &self,
        deed: &Deed,
        work: impl Future<Output = Result<T, CapabilityError>>,
    ) -> Result<T, CapabilityError> {
        let Some(interceptor) = self.backend().interceptor() else { return work.await };
        let verdict = interceptor.decide(deed);
        if let Verdict::Instead(error) = verdict {
            return Err(error);
        }
        let answer = match interceptor.replayed(deed) {
            Some(answer) => answer.and_then(from_tape),
            None => {
                let answer = work.await;
                if interceptor.keeps_answers() {
                    interceptor.keep(deed, to_tape(&answer));
                }
                answer
            }
        };
        match verdict {
            Verdict::Proceed | Verdict::Instead(_) => answer,
            Verdict::After(error) => {
                answer?;
                Err(error)
            }
            Verdict::Never => {
                // A failure has no effect that could be lost: it is told.
                answer?;
                interceptor.left_unanswered(deed);
                std::future::pending().await
            }
        }
    }
}

fn to_tape<T: Serialize>(answer: &Result<T, CapabilityError>) -> TapedAnswer {
    let done = answer.as_ref().map_err(CapabilityError::clone)?;
    serde_json::to_value(done).map_err(|error| unfit(&error))
}

fn from_tape<T: DeserializeOwned>(value: Value) -> Result<T, CapabilityError> {
    serde_json::from_value(value).map_err(|error| unfit(&error))
}

fn unfit(error: &serde_json::Error) -> CapabilityError {
    CapabilityError::new(CapabilityCode::Io, format!("an answer does not fit the tape: {error}"))
}
