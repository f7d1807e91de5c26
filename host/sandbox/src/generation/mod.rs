//! One (driver, options, grant, limits) of a backend, ready for calls: the driver in this process.

mod access;
mod following;
mod groups;
mod migration;
mod replication;
mod serve;
mod servers;

use crate::bindings::convert::Breach;
use crate::bindings::convert::access::AccessKeys;
use crate::bindings::convert::error::error_from_wit;
use crate::bindings::convert::location::LocationRights;
use crate::bindings::convert::share::CanBePolled;
use crate::call::Caller;
use crate::component::Component;
use crate::engine::Engine;
use crate::export::Export;
use crate::load::{self, LoadError};
use crate::slots::Slots;
use bulkhead_capability::backend::Backend;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::manifest::MetadataKeysDeclaration;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;

/// A generation of a backend in this process: a [`Driver`](crate::Driver). It keeps nothing between calls but what was fixed when it
/// was made.
#[derive(Debug)]
pub struct Generation {
    caller: Caller,
    rights: LocationRights,
    metadata_keys: MetadataKeysDeclaration,
    // Keeps the thread that interrupts guests alive as long as there may be a guest.
    _engine: Arc<Engine>,
}

impl Generation {
    /// Bind a loaded driver to a backend's rights. Cheap: all linking was done when the component was loaded.
    ///
    /// Fails if a bare instance is beyond the backend's limits already.
    pub fn new(engine: &Arc<Engine>, component: Component, backend: Arc<Backend>) -> Result<Self, LoadError> {
        load::check_limits(&component, backend.limits())?;
        let wanted = backend.manifest().driver.max_concurrency.unwrap_or(u32::MAX);
        let slots = Slots::new(backend.limits().concurrent_calls.min(wanted));
        let rights = LocationRights::of(&backend);
        let metadata_keys = backend.manifest().metadata_keys.clone().unwrap_or_default();
        let caller = Caller { component, backend, slots };
        Ok(Self { caller, rights, metadata_keys, _engine: Arc::clone(engine) })
    }

    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Call `E` and convert its answer; the driver's own errors, and answers against the contract, become errors.
    async fn call<E: Export, T>(
        &self,
        reason: &CallReason,
        target: CallTarget,
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(E::Answer) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        let convert = |answer, _: &AccessKeys<'_>| convert(answer);
        self.call_at_with_keys::<E, T>(&self.rights, (reason, target), arguments, convert).await
    }

    /// As [`Self::call`], where locations that a failure leaves behind may be at the addresses of `rights`.
    async fn call_at<E: Export, T>(
        &self,
        rights: &LocationRights,
        (reason, target): (&CallReason, CallTarget),
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(E::Answer) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        let convert = |answer, _: &AccessKeys<'_>| convert(answer);
        self.call_at_with_keys::<E, T>(rights, (reason, target), arguments, convert).await
    }

    /// As [`Self::call`], for answers that hold references to secrets.
    async fn call_with_keys<E: Export, T>(
        &self,
        reason: &CallReason,
        target: CallTarget,
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(E::Answer, &AccessKeys<'_>) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        self.call_at_with_keys::<E, T>(&self.rights, (reason, target), arguments, convert).await
    }

    async fn call_at_with_keys<E: Export, T>(
        &self,
        rights: &LocationRights,
        (reason, target): (&CallReason, CallTarget),
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(E::Answer, &AccessKeys<'_>) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        let against = |Breach(reason)| CallError::InvalidAnswer { function: E::LABEL, reason };
        let (answer, held) = self.caller.call::<E>(reason, target, arguments).await?;
        match answer {
            Ok(answer) => {
                let keys = AccessKeys::of_call(&held, &self.caller.backend);
                convert(answer, &keys).map_err(against)
            }
            Err(error) => Err(CallError::Answered(error_from_wit(rights, error).map_err(against)?)),
        }
    }

    fn can_be_polled(&self) -> CanBePolled {
        if self.caller.component.has(Ability::ShareStatus) { CanBePolled::Yes } else { CanBePolled::No }
    }
}

#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod replication_tests;
#[cfg(test)]
mod servers_tests;
#[cfg(test)]
mod tests;
