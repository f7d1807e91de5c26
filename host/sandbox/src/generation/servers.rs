//! Calls about share servers: counts, set-up and tear-down, choices, and taking over. A driver that answers `not-implemented` where the
//! contract has a base method for it gets what that does.

use super::Generation;
use crate::bindings::convert::network::allocations_to_wit;
use crate::bindings::convert::pairs_to_wit;
use crate::bindings::convert::server::{
    addresses_from_wit, choice_for_group_to_wit, choice_for_share_to_wit, choice_from_wit, count_from_wit,
    network_to_wit, outcome_from_wit, pools_from_wit, request_to_wit, security_services_to_wit,
    server_to_wit, share_network_to_wit, subnet_to_wit,
};
use crate::export::{
    AdminNetworkAllocationsNumber, AfterAllocation, BeforeRelease, ChooseShareServerForGroup,
    ChooseShareServerForShare, ManageServer, NetworkAllocationsNumber, SetupServer, ShareServerNetworkInfo,
    ShareServerPools, TeardownServer, UnmanageServer, UpdateSubnetFromMetadata,
};
use crate::server_driver::ServerDriver;
use crate::target;
use async_trait::async_trait;
use bulkhead_capability::network_allocation::NetworkProvider;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::{NetworkAllocation, SecurityService, ServerNetwork, SubnetMetadataUpdate};
use bulkhead_model::server_update::{
    AllocationChange, AllocationOutcome, RulesOfShares, ServiceChange, SubnetAddition,
};
use bulkhead_model::share_server::{
    ManagedServer, ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver, ServerOutcome,
    ServerRequest, choice_for_group, choice_for_share,
};
use bulkhead_model::target::CallTarget;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// What a driver answered, or what the base method does where it has none of its own.
fn or_base<T>(answer: Result<T, CallError>, base: impl FnOnce() -> T) -> Result<T, CallError> {
    match answer {
        Err(error) if error.is_not_implemented() => Ok(base()),
        answer => answer,
    }
}

#[async_trait]
impl ServerDriver for Generation {
    fn networks(&self) -> Option<Arc<dyn NetworkProvider>> {
        Some(Arc::clone(self.caller.backend.networks()))
    }

    async fn network_allocations_number(&self, reason: &CallReason) -> Result<u32, CallError> {
        let convert = |count| count_from_wit("network-allocations-number", count);
        self.call::<NetworkAllocationsNumber, _>(reason, CallTarget::default(), (), convert).await
    }

    async fn admin_network_allocations_number(&self, reason: &CallReason) -> Result<u32, CallError> {
        let convert = |count| count_from_wit("admin-network-allocations-number", count);
        let target = CallTarget::default();
        or_base(self.call::<AdminNetworkAllocationsNumber, _>(reason, target, (), convert).await, || 0)
    }

    async fn setup_server(
        &self,
        reason: &CallReason,
        network: &ServerNetwork,
        request: &ServerRequest,
    ) -> Result<ServerOutcome, CallError> {
        let target = CallTarget::server(network.server_id).with_security_services(&network.security_services);
        let (network, request) = (network_to_wit(network), request_to_wit(request));
        self.call::<SetupServer, _>(reason, target, (&network, &request), outcome_from_wit).await
    }

    async fn teardown_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        services: &[SecurityService],
    ) -> Result<(), CallError> {
        let target = CallTarget::server(server.id).with_security_services(services);
        let (server, services) = (server_to_wit(server), security_services_to_wit(services));
        self.call::<TeardownServer, _>(reason, target, (&server, &services[..]), Ok).await
    }

    async fn end_server(&self, reason: &CallReason, server: ShareServerId) -> Result<(), CallError> {
        self.caller.end_server(reason, server).await
    }

    async fn choose_server_for_share(
        &self,
        reason: &CallReason,
        choice: &ServerChoiceForShare,
    ) -> Result<ServerChoice, CallError> {
        let of_group = choice.group.as_ref().map(|group| group.server.as_ref().map(|server| server.id));
        let convert = |chosen| choice_from_wit(&choice.candidates, chosen);
        let arguments = choice_for_share_to_wit(choice);
        let target = target::server_for_share(choice);
        let answer = self.call::<ChooseShareServerForShare, _>(reason, target, (&arguments,), convert).await;
        or_base(answer, || choice_for_share(&choice.candidates, of_group))
    }

    async fn choose_server_for_group(
        &self,
        reason: &CallReason,
        choice: &ServerChoiceForGroup,
    ) -> Result<ServerChoice, CallError> {
        let convert = |chosen| choice_from_wit(&choice.candidates, chosen);
        let arguments = choice_for_group_to_wit(choice);
        let target = target::server_for_group(choice);
        let answer = self.call::<ChooseShareServerForGroup, _>(reason, target, (&arguments,), convert).await;
        or_base(answer, || choice_for_group(&choice.candidates))
    }

    async fn share_server_pools(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
    ) -> Result<BTreeSet<String>, CallError> {
        let arguments = server_to_wit(server);
        let target = CallTarget::server(server.id);
        let answer = self.call::<ShareServerPools, _>(reason, target, (&arguments,), pools_from_wit).await;
        or_base(answer, BTreeSet::new)
    }

    async fn after_allocation(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        let target = CallTarget::server(server.id);
        let (server, allocations) = (server_to_wit(server), allocations_to_wit(allocations));
        or_base(self.call::<AfterAllocation, _>(reason, target, (&server, &allocations[..]), Ok).await, || ())
    }

    async fn before_release(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        let target = CallTarget::server(server.id);
        let (server, allocations) = (server_to_wit(server), allocations_to_wit(allocations));
        or_base(self.call::<BeforeRelease, _>(reason, target, (&server, &allocations[..]), Ok).await, || ())
    }

    async fn share_server_network_info(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        managed: &ManagedServer,
    ) -> Result<BTreeSet<IpAddr>, CallError> {
        let target = target::managed_server(server, managed);
        let (server, options) = (server_to_wit(server), pairs_to_wit(&managed.driver_options));
        let arguments = (&server, managed.identifier.as_str(), &options[..]);
        self.call::<ShareServerNetworkInfo, _>(reason, target, arguments, addresses_from_wit).await
    }

    async fn manage_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        managed: &ManagedServer,
    ) -> Result<ServerOutcome, CallError> {
        let target = target::managed_server(server, managed);
        let (server, options) = (server_to_wit(server), pairs_to_wit(&managed.driver_options));
        let arguments = (&server, managed.identifier.as_str(), &options[..]);
        self.call::<ManageServer, _>(reason, target, arguments, outcome_from_wit).await
    }

    async fn unmanage_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        services: &[SecurityService],
    ) -> Result<(), CallError> {
        let target = CallTarget::server(server.id).with_security_services(services);
        let (server, services) = (server_to_wit(server), security_services_to_wit(services));
        self.call::<UnmanageServer, _>(reason, target, (&server, &services[..]), Ok).await
    }

    async fn check_security_service_update(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<bool, CallError> {
        or_base(self.check_service_of(reason, change).await, || false)
    }

    async fn update_security_service(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<RulesOfShares, CallError> {
        self.update_service_of(reason, change).await
    }

    async fn check_network_allocations_update(
        &self,
        reason: &CallReason,
        addition: &SubnetAddition,
    ) -> Result<bool, CallError> {
        or_base(self.check_allocations_of(reason, addition).await, || false)
    }

    async fn update_network_allocations(
        &self,
        reason: &CallReason,
        change: &AllocationChange,
    ) -> Result<AllocationOutcome, CallError> {
        self.update_allocations_of(reason, change).await
    }

    async fn update_subnet_from_metadata(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        update: &SubnetMetadataUpdate,
    ) -> Result<(), CallError> {
        let target = CallTarget::server(server.id).with_security_services(&update.security_services);
        let network = share_network_to_wit(&update.network, &update.security_services);
        let (subnet, metadata) = (subnet_to_wit(&update.subnet), pairs_to_wit(&update.metadata));
        let arguments = (&network, &subnet, &server_to_wit(server), &metadata[..]);
        self.call::<UpdateSubnetFromMetadata, _>(reason, target, arguments, Ok).await
    }
}
