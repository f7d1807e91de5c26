//! What the share manager calls about share servers: the second half of [`Driver`](crate::Driver).

use async_trait::async_trait;
use bulkhead_capability::network_allocation::NetworkProvider;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::{NetworkAllocation, SecurityService, ServerNetwork, SubnetMetadataUpdate};
use bulkhead_model::server_update::{
    AllocationChange, AllocationOutcome, RulesOfShares, ServiceChange, SubnetAddition,
};
use bulkhead_model::share_server::{
    ManagedServer, ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver, ServerOutcome,
    ServerRequest,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// A driver on one backend, as far as it handles share servers. One that handles none implements nothing of it.
///
/// Fails and is bounded as [`Driver`](crate::Driver). Where the contract has a base method for a function, a driver that answers
/// `not-implemented` gets what that does.
#[async_trait]
pub trait ServerDriver {
    /// Where addresses of its share servers come from; none for a backend that has no such place. No call of the driver.
    fn networks(&self) -> Option<Arc<dyn NetworkProvider>> {
        None
    }

    /// `share-servers.network-allocations-number`: how many addresses a server needs in each subnet, at most 64.
    async fn network_allocations_number(&self, _reason: &CallReason) -> Result<u32, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.admin-network-allocations-number`: how many of the administrators' network, at most 64; 0 unless a driver says otherwise.
    async fn admin_network_allocations_number(&self, _reason: &CallReason) -> Result<u32, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.after-allocation`: before [`ServerDriver::setup_server`], whenever that is about to be called. Nothing to do for a driver
    /// without a function of its own.
    async fn after_allocation(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.setup-server`.
    async fn setup_server(
        &self,
        _reason: &CallReason,
        _network: &ServerNetwork,
        _request: &ServerRequest,
    ) -> Result<ServerOutcome, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.teardown-server`.
    async fn teardown_server(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _services: &[SecurityService],
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// End the services and jobs that the host runs for a server, whatever its driver has left of them: called once the server is torn down,
    /// before its addresses go back. No call of the driver.
    ///
    /// Idempotent. Fails if something could not be ended; the rest is ended nevertheless.
    async fn end_server(&self, _reason: &CallReason, _server: ShareServerId) -> Result<(), CallError> {
        Ok(())
    }

    /// `share-servers.before-release`: after [`ServerDriver::teardown_server`]. Nothing to do for a driver without a function of its own.
    async fn before_release(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.choose-share-server-for-share`; the answer is one of the candidates. The base method's choice for a driver without a
    /// function of its own.
    async fn choose_server_for_share(
        &self,
        _reason: &CallReason,
        _choice: &ServerChoiceForShare,
    ) -> Result<ServerChoice, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.choose-share-server-for-group`: as [`ServerDriver::choose_server_for_share`].
    async fn choose_server_for_group(
        &self,
        _reason: &CallReason,
        _choice: &ServerChoiceForGroup,
    ) -> Result<ServerChoice, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `share-servers.share-server-pools`: with every `stats`; empty for all pools, also for a driver without a function of its own.
    async fn share_server_pools(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
    ) -> Result<BTreeSet<String>, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareServers.interface() })
    }

    /// `manage-servers.share-server-network-info`: the addresses of the server that the operator named.
    async fn share_server_network_info(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _managed: &ManagedServer,
    ) -> Result<BTreeSet<IpAddr>, CallError> {
        Err(CallError::NotExported { interface: Ability::ManageServers.interface() })
    }

    /// `manage-servers.manage-server`.
    async fn manage_server(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _managed: &ManagedServer,
    ) -> Result<ServerOutcome, CallError> {
        Err(CallError::NotExported { interface: Ability::ManageServers.interface() })
    }

    /// `manage-servers.unmanage-server`.
    async fn unmanage_server(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _services: &[SecurityService],
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::ManageServers.interface() })
    }

    /// `server-updates.check-security-service-update`: whether [`ServerDriver::update_security_service`] could do it. A driver without a
    /// function of its own could not.
    async fn check_security_service_update(
        &self,
        _reason: &CallReason,
        _change: &ServiceChange,
    ) -> Result<bool, CallError> {
        Err(CallError::NotExported { interface: Ability::ServerUpdates.interface() })
    }

    /// `server-updates.update-security-service`: what became of rules that are not all in force.
    async fn update_security_service(
        &self,
        _reason: &CallReason,
        _change: &ServiceChange,
    ) -> Result<RulesOfShares, CallError> {
        Err(CallError::NotExported { interface: Ability::ServerUpdates.interface() })
    }

    /// `server-updates.check-network-allocations-update`: whether [`ServerDriver::update_network_allocations`] could do it. A driver without
    /// a function of its own could not.
    async fn check_network_allocations_update(
        &self,
        _reason: &CallReason,
        _addition: &SubnetAddition,
    ) -> Result<bool, CallError> {
        Err(CallError::NotExported { interface: Ability::ServerUpdates.interface() })
    }

    /// `server-updates.update-network-allocations`. Locations are at the addresses of the changed server, which has the new ones.
    async fn update_network_allocations(
        &self,
        _reason: &CallReason,
        _change: &AllocationChange,
    ) -> Result<AllocationOutcome, CallError> {
        Err(CallError::NotExported { interface: Ability::ServerUpdates.interface() })
    }

    /// `metadata-updates.update-subnet-from-metadata`: the keys are of [`Driver::updatable_subnet_metadata`](crate::Driver).
    async fn update_subnet_from_metadata(
        &self,
        _reason: &CallReason,
        _server: &ServerForDriver,
        _update: &SubnetMetadataUpdate,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::MetadataUpdates.interface() })
    }
}
