//! Calls about servers in service that get another security service or more addresses.

use super::{Generation, Judge};
use crate::bindings::convert::location::LocationRights;
use crate::bindings::convert::server_update::{
    addition_to_wit, allocation_to_wit, outcome_from_wit, rules_of_shares_from_wit, service_to_wit,
};
use crate::export::{
    CheckNetworkAllocationsUpdate, CheckSecurityServiceUpdate, UpdateNetworkAllocations,
    UpdateSecurityService,
};
use crate::target;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::server_update::{
    AllocationChange, AllocationOutcome, RulesOfShares, ServiceChange, SubnetAddition,
};
use bulkhead_model::target::CallTarget;

/// What a change of a security service is about: the server, what is on it, and the passwords of all services, the new one's among them.
fn target_of(change: &ServiceChange) -> CallTarget {
    target::server_with(&change.server, &change.shares, &[])
        .with_security_services(&change.network.security_services)
        .with_security_services(std::slice::from_ref(&change.new_service))
}

impl Generation {
    pub(super) async fn check_service_of(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<bool, CallError> {
        let arguments = service_to_wit(change);
        self.call::<CheckSecurityServiceUpdate, _>(reason, target_of(change), (&arguments,), Ok).await
    }

    pub(super) async fn update_service_of(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<RulesOfShares, CallError> {
        let arguments = service_to_wit(change);
        let why = (reason, target_of(change));
        let convert = |(_, keys): Judge<'_>, answer| rules_of_shares_from_wit(change, answer, keys);
        self.call_at_with_keys::<UpdateSecurityService, _>(None, why, (&arguments,), convert).await
    }

    pub(super) async fn check_allocations_of(
        &self,
        reason: &CallReason,
        addition: &SubnetAddition,
    ) -> Result<bool, CallError> {
        let target = target::server_with(&addition.server, &addition.shares, &[])
            .with_security_services(&addition.network.security_services);
        let arguments = addition_to_wit(addition);
        self.call::<CheckNetworkAllocationsUpdate, _>(reason, target, (&arguments,), Ok).await
    }

    pub(super) async fn update_allocations_of(
        &self,
        reason: &CallReason,
        change: &AllocationChange,
    ) -> Result<AllocationOutcome, CallError> {
        let target = target::server_with(&change.server, &change.shares, &change.snapshots)
            .with_security_services(&change.new_network.security_services);
        let arguments = allocation_to_wit(change);
        let convert = |rights: &LocationRights, answer| outcome_from_wit(rights, change, answer);
        let server = Some(&change.server);
        self.call_at::<UpdateNetworkAllocations, _>(server, (reason, target), (&arguments,), convert).await
    }
}
