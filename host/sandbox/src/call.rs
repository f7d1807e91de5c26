//! One call of a driver, from its slot to its end.
//!
//! ```text
//! slot -> deadline armed -> fresh store and instance -> guest, host calls -> answer | error | trap | time is up | panic of the host
//!                                                                                             `-> everything dropped
//! ```
//!
//! The deadline spans the guest and its host calls: the ticker makes even a guest in an endless loop give the executor a turn, and the
//! future of a host call is dropped with the rest. Whatever happens, the store is thrown away and the call's rights end.

use crate::bindings::v0_1::bulkhead::driver::types::Error;
use crate::component::Component;
use crate::export::{Export, Returned};
use crate::failure::{Bounds, failure};
use crate::limits::{Limiter, MOST_HANDLES, saturating_usize};
use crate::slots::Slots;
use crate::state::State;
use bulkhead_capability::backend::Backend;
use bulkhead_capability::call::Call;
use bulkhead_capability::secret::{HeldSecrets, Redactor};
use bulkhead_model::call::{CallKind, CallOrigin, CallReason};
use bulkhead_model::error::CallError;
use bulkhead_model::id::{CallId, ShareServerId};
use bulkhead_model::target::CallTarget;
use futures::FutureExt as _;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument as _;
use wasmtime::Store;
use wasmtime::component::ComponentExportIndex;

/// The function that the ledger names for what the host forgets by itself.
const LET_GO: &str = "host.let-go";
/// The function that the ledger names for what the host ends by itself.
const END_SERVER: &str = "host.end-server";

/// What all calls of one generation share.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) component: Component,
    pub(crate) backend: Arc<Backend>,
    pub(crate) slots: Slots,
}

impl Caller {
    /// Call `E` about `target`. The inner result is the driver's own; beside it what the references in it stand for.
    pub(crate) async fn call<E: Export>(
        &self,
        reason: &CallReason,
        target: CallTarget,
        arguments: E::Arguments<'_>,
    ) -> Result<(Result<E::Answer, Error>, HeldSecrets), CallError> {
        let missing = CallError::NotExported { interface: E::ABILITY.interface() };
        let function = self.component.function(E::LABEL).ok_or(missing)?;
        let origin = self.origin(reason, E::LABEL);
        let span = self.span(&origin, E::LABEL);
        let call = Prepared { function, origin, target, earlier_attempts: reason.earlier_attempts };
        let outcome = self.run::<E>(call, arguments).instrument(span.clone()).await;
        if let Err(error) = &outcome {
            span.record("error.blame", tracing::field::display(error.blame()));
        }
        outcome
    }

    /// Forget what the host keeps of the subject of `target`, recorded as a call of its own that runs no guest.
    pub(crate) async fn let_go(&self, reason: &CallReason, target: CallTarget) -> Result<(), CallError> {
        let call = self.begin_of_host((reason, LET_GO), target);
        let done = call.redactor().during(call.let_go()).await;
        let flushed = call.end();
        done.map_err(|error| CallError::Host {
            reason: format!("what was let go cannot be forgotten: {error}"),
        })?;
        flushed.map_err(|error| unrecorded(&error))
    }

    /// End what runs of a share server beside its calls, recorded as a call of its own that runs no guest.
    pub(crate) async fn end_server(
        &self,
        reason: &CallReason,
        server: ShareServerId,
    ) -> Result<(), CallError> {
        let call = self.begin_of_host((reason, END_SERVER), CallTarget::server(server));
        let done = call.redactor().during(call.end_server()).await;
        let flushed = call.end();
        done.map_err(|error| CallError::Host {
            reason: format!(
                "what runs of share server {server} cannot be ended, so its addresses are kept: {error}"
            ),
        })?;
        flushed.map_err(|error| unrecorded(&error))
    }

    fn begin_of_host(&self, (reason, function): (&CallReason, &str), target: CallTarget) -> Call {
        let deadline = Instant::now() + self.backend.limits().deadline(CallKind::Change);
        self.backend.begin(self.origin(reason, function), target, deadline, reason.earlier_attempts)
    }

    pub(crate) fn span(&self, origin: &CallOrigin, function: &'static str) -> tracing::Span {
        tracing::info_span!(
            "driver.call",
            driver.function = function,
            backend.name = %self.backend.name(),
            backend.generation = %origin.generation,
            call.id = %origin.call,
            request.id = %origin.request,
            operation.id = origin.operation.map(tracing::field::display),
            error.blame = tracing::field::Empty,
        )
    }

    pub(crate) fn origin(&self, reason: &CallReason, function: &str) -> CallOrigin {
        CallOrigin {
            call: CallId::next(),
            function: function.to_owned(),
            request: reason.request.clone(),
            operation: reason.operation,
            generation: self.backend.generation(),
        }
    }

    async fn run<E: Export>(
        &self,
        prepared: Prepared,
        arguments: E::Arguments<'_>,
    ) -> Result<(Result<E::Answer, Error>, HeldSecrets), CallError> {
        let limits = self.backend.limits();
        let time = limits.deadline(E::KIND);
        let _slot = self.slots.enter(E::KIND, time).await.map_err(|reason| CallError::Host { reason })?;
        let deadline = Instant::now() + time;
        let function = prepared.function;
        let call = self.backend.begin(prepared.origin, prepared.target, deadline, prepared.earlier_attempts);
        let (redactor, secrets) = (call.redactor().clone(), call.held_secrets().clone());
        let ended = redactor.during(self.see_to_its_end::<E>(call, function, arguments)).await;
        let kept = ended.and_then(|answer| keeps_secrets::<E>(&redactor, answer));
        Ok((kept.map_err(|error| redactor.redact_call_error(error))?, secrets))
    }

    /// What the guest answered, once the call has ended and its effects are on their way.
    async fn see_to_its_end<E: Export>(
        &self,
        call: Call,
        function: ComponentExportIndex,
        arguments: E::Arguments<'_>,
    ) -> Result<Result<E::Answer, Error>, CallError> {
        let (limits, deadline) = (self.backend.limits(), call.deadline());
        let mut store = self.store(State { call, limiter: Limiter::new(limits) });
        let guest = AssertUnwindSafe(self.guest::<E>(&mut store, function, arguments)).catch_unwind();
        let ended = tokio::time::timeout_at(deadline, guest).await;
        let bounds = Bounds { function: E::LABEL, limits, hit: store.data().limiter.hit() };
        let flushed = store.into_data().call.end();
        let answer = match ended {
            Ok(ended) => of_guest(ended, &bounds)?,
            Err(_) => {
                let limit_ms = u64::try_from(limits.deadline(E::KIND).as_millis()).unwrap_or(u64::MAX);
                return Err(CallError::DeadlineExceeded { function: E::LABEL, limit_ms });
            }
        };
        // What cannot be recorded is not reported as done.
        flushed.map_err(|error| unrecorded(&error))?;
        Ok(answer)
    }

    pub(crate) fn store(&self, state: State) -> Store<State> {
        let limits = self.backend.limits();
        let mut store = Store::new(self.component.prepared().engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(saturating_usize(limits.host_call_kib.saturating_mul(1 << 10)));
        store.set_max_component_handles(MOST_HANDLES);
        store
    }

    async fn guest<E: Export>(
        &self,
        store: &mut Store<State>,
        function: ComponentExportIndex,
        arguments: E::Arguments<'_>,
    ) -> wasmtime::Result<Result<E::Answer, Error>> {
        let instance = self.component.prepared().instantiate_async(&mut *store).await?;
        let function = instance.get_typed_func::<E::Arguments<'_>, Returned<E>>(&mut *store, &function)?;
        let (answer,) = function.call_async(store, arguments).await?;
        Ok(answer)
    }
}

/// An answer that tells a secret of its call or backend is none, in whatever text of it and spelling that stands: where it goes is not
/// known. An error's message is kept without it.
fn keeps_secrets<E: Export>(
    redactor: &Redactor,
    answer: Result<E::Answer, Error>,
) -> Result<Result<E::Answer, Error>, CallError> {
    let tells = |printed: String| texts_in(&printed).any(|text| redactor.finds_in(text.as_bytes()));
    let answer =
        answer.map_err(|error| Error { message: redactor.redact(&error.message).into_owned(), ..error });
    let is_told = match &answer {
        Ok(answer) => tells(format!("{answer:?}")),
        Err(error) => tells(format!("{:?}", error.detail)),
    };
    if is_told {
        let reason = "no field of an answer holds a secret; secrets are answered by reference".to_owned();
        return Err(CallError::InvalidAnswer { function: E::LABEL, reason });
    }
    Ok(answer)
}

/// The texts in what `Debug` prints, escaped as they stand there. The names around them are ours: a secret that is called like one of them
/// is not told by them.
fn texts_in(printed: &str) -> impl Iterator<Item = &str> {
    let mut rest = printed;
    std::iter::from_fn(move || {
        let (_, text) = rest.split_once('"')?;
        let mut is_escaped = false;
        let end = text.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        })?;
        let (text, after) = text.split_at_checked(end)?;
        rest = after.get(1..)?;
        Some(text)
    })
}

/// What a call is made of, once its function is found.
struct Prepared {
    function: ComponentExportIndex,
    origin: CallOrigin,
    target: CallTarget,
    earlier_attempts: u32,
}

/// What a guest that ended in time said.
pub(crate) fn of_guest<T>(
    ended: std::thread::Result<wasmtime::Result<T>>,
    bounds: &Bounds<'_>,
) -> Result<T, CallError> {
    match ended {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure(&error, bounds)),
        Err(panic) => Err(CallError::Host { reason: panicked(&*panic) }),
    }
}

pub(crate) fn unrecorded(error: &impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("the ledger cannot record the effects: {error}") }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a fault of the host ended the call: {}", text.unwrap_or("it panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Record {
        statistics: Vec<&'static str>,
        size: u64,
        other: Option<String>,
    }

    #[test]
    fn of_an_answer_the_texts_are_looked_at_and_neither_names_nor_numbers() {
        let record = Record { statistics: vec![r#"a "b" \"#, ""], size: 7, other: Some("\n\"".to_owned()) };
        let printed = format!("{record:?}");
        assert_eq!(texts_in(&printed).collect::<Vec<_>>(), [r#"a \"b\" \\"#, "", r#"\n\""#]);
        assert_eq!(texts_in("Record { size: 7 }").count(), 0);
    }
}
