//! One call taken apart, for `cargo xtask measure` alone: where the time of a call goes, and what a kept instance would save. The daemon has
//! no way in here: every call of a driver runs in a fresh instance.

use crate::bindings::convert::access::{AccessKeys, outcomes_from_wit, update_to_wit};
use crate::bindings::convert::share::share_to_wit;
use crate::bindings::v0_1::bulkhead::driver::access::AccessUpdate as WitAccessUpdate;
use crate::bindings::v0_1::bulkhead::driver::types::Share as WitShare;
use crate::export::{Export as _, Returned, UpdateAccess};
use crate::failure::Bounds;
use crate::generation::Generation;
use crate::limits::{Limiter, saturating_usize};
use crate::state::State;
use crate::{call, target};
use bulkhead_model::access::{AccessOutcome, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::target::CallTarget;
use futures::FutureExt as _;
use std::fmt;
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;
use tracing::Instrument as _;
use wasmtime::Store;
use wasmtime::component::TypedFunc;

type UpdateAccessFunction =
    TypedFunc<<UpdateAccess as crate::export::Export>::Arguments<'static>, Returned<UpdateAccess>>;

/// An instance that serves call after call, and its function.
pub struct Kept {
    store: Store<State>,
    function: UpdateAccessFunction,
}

/// The arguments of `update-access` in the words of the component.
#[derive(Debug)]
pub struct Converted {
    share: WitShare,
    update: WitAccessUpdate,
}

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// What a call does before it enters the guest with its arguments.
#[must_use]
pub fn convert(share: &ShareForDriver, update: &AccessUpdate) -> Converted {
    Converted { share: share_to_wit(share), update: update_to_wit(update) }
}

/// Name what an `update-access` is about, as every call does first.
pub fn name_target(share: &ShareForDriver, update: &AccessUpdate) {
    std::hint::black_box(target::access(share, update));
}

impl Generation {
    /// Make a store and an instance in it, and find its function.
    ///
    /// Fails with what the engine says, as a fault of the host.
    pub async fn instantiate(&self, reason: &CallReason) -> Result<Kept, CallError> {
        let caller = self.caller();
        let limits = caller.backend.limits();
        let deadline = Instant::now() + limits.deadline(UpdateAccess::KIND);
        let origin = caller.origin(reason, UpdateAccess::LABEL);
        let call = caller.backend.begin(origin, CallTarget::default(), deadline, reason.earlier_attempts);
        let mut store = caller.store(State { call, limiter: Limiter::new(limits) });
        let instance = caller.component.prepared().instantiate_async(&mut store).await;
        let failed = |error: wasmtime::Error| CallError::Host { reason: error.to_string() };
        let missing = CallError::NotExported { interface: UpdateAccess::ABILITY.interface() };
        let index = caller.component.function(UpdateAccess::LABEL).ok_or(missing)?;
        let function = instance.map_err(failed)?.get_typed_func(&mut store, index).map_err(failed)?;
        Ok(Kept { store, function })
    }

    /// `update-access` in a kept instance and nothing around it: no rights, no deadline, no conversion, no check of the answer.
    pub async fn update_access_bare(&self, kept: &mut Kept, arguments: &Converted) -> Result<(), CallError> {
        let answer =
            kept.function.call_async(&mut kept.store, (&arguments.share, &arguments.update, None)).await;
        answer.map(|_| ()).map_err(|error| CallError::Host { reason: error.to_string() })
    }

    /// `update-access` in a kept instance with everything else that a call has: slot, rights, deadline, limits, span, conversion, the check
    /// of the answer, and the end of the call before it.
    pub async fn update_access_kept(
        &self,
        kept: &mut Kept,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError> {
        let converted = convert(share, update);
        let target = target::access(share, update);
        let caller = self.caller();
        let origin = caller.origin(reason, UpdateAccess::LABEL);
        let span = caller.span(&origin, UpdateAccess::LABEL);
        let answer = async {
            let limits = caller.backend.limits();
            let time = limits.deadline(UpdateAccess::KIND);
            let entered = caller.slots.enter(UpdateAccess::KIND, time).await;
            let _slot = entered.map_err(|reason| CallError::Host { reason })?;
            let deadline = Instant::now() + time;
            let call = caller.backend.begin(origin, target, deadline, reason.earlier_attempts);
            let before = std::mem::replace(&mut kept.store.data_mut().call, call);
            kept.store.set_epoch_deadline(1);
            kept.store.set_hostcall_fuel(saturating_usize(limits.host_call_kib.saturating_mul(1 << 10)));
            let arguments = (&converted.share, &converted.update, None);
            let guest = AssertUnwindSafe(kept.function.call_async(&mut kept.store, arguments)).catch_unwind();
            let ended = tokio::time::timeout_at(deadline, guest).await;
            let bounds =
                Bounds { function: UpdateAccess::LABEL, limits, hit: kept.store.data().limiter.hit() };
            before.end().map_err(|error| call::unrecorded(&error))?;
            let ended = ended.map_err(|_| CallError::Host { reason: "too slow".to_owned() })?;
            call::of_guest(ended, &bounds)
        };
        let (answer,) = answer.instrument(span).await?;
        let answer = answer.map_err(|error| CallError::Host { reason: error.message })?;
        outcomes_from_wit(update, answer, &AccessKeys::none())
            .map_err(|breach| CallError::Host { reason: breach.0 })
    }
}
