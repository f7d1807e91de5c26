//! The functions of servers in service that change, as the host calls them.

use super::lab::Lab;
use super::place::Target;
use crate::error::Result;
use crate::network::SecurityService;
use crate::server_updates::{
    AllocationOutcome, AllocationUpdate, SecurityServiceUpdate, ServerUpdates, ShareRuleOutcomes,
    SubnetAddition,
};

fn target_of(update: &SecurityServiceUpdate) -> Target {
    let new: &[SecurityService] = std::slice::from_ref(&update.new_service);
    Target::server_with(&update.server.id, &update.shares, &[])
        .with_security_services(&update.network.security_services)
        .with_security_services(new)
}

impl Lab {
    /// [`ServerUpdates::check_security_service_update`].
    pub fn check_security_service_update<D: ServerUpdates>(
        &self,
        update: &SecurityServiceUpdate,
    ) -> Result<bool> {
        self.call(target_of(update), || D::check_security_service_update(update))
    }

    /// [`ServerUpdates::update_security_service`]: the passwords of the services it has and of the new one are there.
    pub fn update_security_service<D: ServerUpdates>(
        &self,
        update: &SecurityServiceUpdate,
    ) -> Result<Vec<ShareRuleOutcomes>> {
        self.call(target_of(update), || D::update_security_service(update))
    }

    /// [`ServerUpdates::check_network_allocations_update`].
    pub fn check_network_allocations_update<D: ServerUpdates>(
        &self,
        addition: &SubnetAddition,
    ) -> Result<bool> {
        let target = Target::server_with(&addition.server.id, &addition.shares, &[])
            .with_security_services(&addition.network.security_services);
        self.call(target, || D::check_network_allocations_update(addition))
    }

    /// [`ServerUpdates::update_network_allocations`]. The addresses of the new network are the server's from now on, as if the host had
    /// allocated them.
    pub fn update_network_allocations<D: ServerUpdates>(
        &self,
        update: &AllocationUpdate,
    ) -> Result<AllocationOutcome> {
        self.state.addresses.borrow_mut().keep_for_host(&update.new_network);
        let target = Target::server_with(&update.server.id, &update.shares, &update.snapshots)
            .with_security_services(&update.new_network.security_services);
        self.call(target, || D::update_network_allocations(update))
    }
}
