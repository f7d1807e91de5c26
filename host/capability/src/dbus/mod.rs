//! Typed calls on a group's private bus: the guest names a declared call and fills its slots; the helper makes it.
//!
//! The right: a call and its group that the manifest declares and the grant pins by their hashes, slots of the call's target. A value
//! stands in an argument of type `s` only where its alphabet keeps it in its place. A call with `repeat = "once"` that an earlier attempt
//! of the same operation began is not made again. At most [`MOST_CALLS`] of one backend are under way.
//!
//! A refusal of the called method is an answer; a failure is the place's: nothing was sent, or nobody knows what came of it.

mod policy;

pub use bulkhead_helper::protocol::{DbusItem, DbusReply, DbusValue};

use crate::call::Call;
use crate::execute::{RunError, once};
use crate::lock::MOST_DBUS_CALLS;
use crate::record::Deed;
use crate::service::ServiceInstance;
use crate::slot::Slot;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::text::GuestText;
use policy::Prepared;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How many calls of one backend are under way at once.
pub const MOST_CALLS: usize = MOST_DBUS_CALLS;
/// How long a call waits for others of its backend, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest name in a ledger's record, in bytes.
const SHOWN: usize = 128;

/// The `dbus` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Dbus<'call> {
    call: &'call Call,
}

impl<'call> Dbus<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Make the call `template` once, on the bus of its group's instance `owner`. Idempotent where the template's `repeat` says so.
    ///
    /// Fails with `denied`, naming the line that would allow it; `invalid-argument` for what is not declared and slots outside their
    /// types; `unavailable` if nothing was sent; `outcome-unknown`, `timed-out` if it was; `busy`, `limit-exceeded`.
    pub async fn call(
        &self,
        template: &str,
        owner: &ServiceInstance,
        slots: &[Slot],
    ) -> Result<DbusReply, CapabilityError> {
        let deed = Deed::new("dbus.call", GuestText::new(template, SHOWN).as_str());
        let prepared = policy::prepare(self.call, template, owner, slots).await;
        if let Ok(prepared) = &prepared {
            self.call.record(&deed, EffectOutcome::Begun, &prepared.detail).await?;
        }
        let work = async {
            let prepared = prepared?;
            let detail = prepared.detail.clone();
            let reply = self.perform(prepared).await?;
            let detail = match &reply {
                DbusReply::Results(_) => detail,
                DbusReply::Fault { name, message } => format!("{detail}: refused with {name}: {message}"),
            };
            Ok((reply, detail))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    async fn perform(&self, prepared: Prepared<'_>) -> Result<DbusReply, CapabilityError> {
        let call = self.call;
        let permit = self.permit().await?;
        let template = prepared.template;
        let begun = once::begin(call, (&template.name, template.repeat), &prepared.request.slots).await?;
        let (backend, redactor) = (Arc::clone(call.backend()), call.redactor().clone());
        let made = tokio::spawn(async move {
            let answer = backend.runner().dbus(prepared.request).await;
            let answer = answer.map(|reply| redactor.redact_reply(reply));
            drop(permit);
            answer
        });
        let answer = made.await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a D-Bus call ended abruptly");
            Err(RunError::OutcomeUnknown { reason: "the host failed inside".to_owned() })
        });
        if let (Some(begun), true) = (begun, nothing_sent(&answer)) {
            once::withdraw(call, begun).await?;
        }
        answer.map_err(|error| unavailable_if_absent(error.into()))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, CapabilityError> {
        let slots = Arc::clone(self.call.backend().shared().dbus_slots());
        let longest = Instant::now().checked_add(LONGEST_WAIT).unwrap_or_else(|| self.call.deadline());
        let until = longest.min(self.call.deadline());
        match tokio::time::timeout_at(until, slots.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CapabilityError::new(
                CapabilityCode::Busy,
                format!("{MOST_CALLS} D-Bus calls of this backend are under way; try again later"),
            )),
        }
    }
}

/// A group that does not run is no failure of the driver's to name one: nothing was sent.
fn unavailable_if_absent(error: CapabilityError) -> CapabilityError {
    let code = match error.code {
        CapabilityCode::NotFound => CapabilityCode::Unavailable,
        code => code,
    };
    CapabilityError { code, ..error }
}

/// Whether the method was certainly not called.
fn nothing_sent(answer: &Result<DbusReply, RunError>) -> bool {
    match answer {
        Err(RunError::Refused(refusal)) => {
            !matches!(refusal.code, CapabilityCode::OutcomeUnknown | CapabilityCode::TimedOut)
        }
        Err(RunError::Unavailable { .. }) => true,
        Err(RunError::OutcomeUnknown { .. }) | Ok(_) => false,
    }
}
