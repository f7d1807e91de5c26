//! One (driver, options, grant, limits) of a backend, ready for calls: the driver in this process.

mod access;
mod following;
mod groups;
mod migration;
mod replication;
mod serve;
mod server_updates;
mod servers;

use crate::bindings::convert::Breach;
use crate::bindings::convert::access::AccessKeys;
use crate::bindings::convert::error::error_from_wit;
use crate::bindings::convert::location::LocationRights;
use crate::bindings::convert::share::CanBePolled;
use crate::bindings::v0_1::bulkhead::driver::types::Error;
use crate::call::Caller;
use crate::component::Component;
use crate::engine::Engine;
use crate::export::Export;
use crate::load::{self, LoadError};
use crate::slots::Slots;
use bulkhead_capability::backend::Backend;
use bulkhead_capability::network_allocation::AllocationError;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::manifest::MetadataKeysDeclaration;
use bulkhead_model::share_server::ServerForDriver;
use bulkhead_model::target::CallTarget;
use std::borrow::Cow;
use std::collections::BTreeMap;
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
        let (answer, _) = self.caller.call::<E>(reason, target, arguments).await?;
        answered::<E, T>(answer, &self.rights, convert)
    }

    /// As [`Self::call`], for answers with export locations. They, and those that a failure leaves behind, may be at the addresses that
    /// `server` has at the end of the call. Where an answer is about several servers there is none, and each one's rights are those
    /// [at](LocationRights::at) it.
    async fn call_at<E: Export, T>(
        &self,
        server: Option<&ServerForDriver>,
        why: (&CallReason, CallTarget),
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(&LocationRights, E::Answer) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        let convert = |(rights, _): Judge<'_>, answer| convert(rights, answer);
        self.call_at_with_keys::<E, T>(server, why, arguments, convert).await
    }

    /// As [`Self::call_at`], for answers that hold references to secrets too.
    async fn call_at_with_keys<E: Export, T>(
        &self,
        server: Option<&ServerForDriver>,
        (reason, target): (&CallReason, CallTarget),
        arguments: E::Arguments<'_>,
        convert: impl FnOnce(Judge<'_>, E::Answer) -> Result<T, Breach> + Send,
    ) -> Result<T, CallError> {
        let servers = target.servers.clone();
        let (answer, held) = self.caller.call::<E>(reason, target, arguments).await?;
        let rights = self.rights_at_the_end(&servers).await?;
        let rights = rights.at(server);
        let keys = AccessKeys::of_call(&held, &self.caller.backend);
        answered::<E, T>(answer, &rights, |answer| convert((&rights, &keys), answer))
    }

    /// The rights once a call about `servers` is over: it may have allocated addresses, and given others back.
    async fn rights_at_the_end(
        &self,
        servers: &[ShareServerId],
    ) -> Result<Cow<'_, LocationRights>, CallError> {
        let mut kept = BTreeMap::new();
        for server in servers {
            match self.caller.backend.networks().allocations(*server).await {
                Ok(all) => {
                    kept.insert(*server, all.iter().map(|one| one.allocation.ip_address).collect());
                }
                // A replica's, on another backend: nothing of it may be named here.
                Err(AllocationError::Foreign { .. }) => {}
                Err(error) => {
                    let reason = format!("the addresses of share server {server} cannot be read: {error}");
                    return Err(CallError::Host { reason });
                }
            }
        }
        Ok(self.rights.with_servers(&kept))
    }

    fn can_be_polled(&self) -> CanBePolled {
        if self.caller.component.has(Ability::ShareStatus) { CanBePolled::Yes } else { CanBePolled::No }
    }
}

/// What the host judges an answer by: where export locations may be, and what references to secrets stand for.
type Judge<'call> = (&'call LocationRights, &'call AccessKeys<'call>);

/// What a driver answered, or its own error: both as far as the contract allows.
fn answered<E: Export, T>(
    answer: Result<E::Answer, Error>,
    rights: &LocationRights,
    convert: impl FnOnce(E::Answer) -> Result<T, Breach>,
) -> Result<T, CallError> {
    let against = |Breach(reason)| CallError::InvalidAnswer { function: E::LABEL, reason };
    match answer {
        Ok(answer) => convert(answer).map_err(against),
        Err(error) => Err(CallError::Answered(error_from_wit(rights, error).map_err(against)?)),
    }
}

#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod replication_tests;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod servers_tests;
#[cfg(test)]
mod tests;
