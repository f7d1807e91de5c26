//! The functions of share servers as the host calls them: about one server, or about a share or group with the servers it may go to.

use super::lab::Lab;
use super::place::Target;
use crate::error::Result;
use crate::network::{NetworkAllocation, SecurityService};
use crate::resource::Resource;
use crate::share_server::{
    ManageServers, ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork, ServerOutcome, ServerRequest,
    ShareServer, ShareServers,
};

impl Lab {
    /// [`ShareServers::network_allocations_number`].
    pub fn network_allocations_number<D: ShareServers>(&self) -> Result<u32> {
        self.call(Target::default(), D::network_allocations_number)
    }

    /// [`ShareServers::admin_network_allocations_number`].
    pub fn admin_network_allocations_number<D: ShareServers>(&self) -> Result<u32> {
        self.call(Target::default(), D::admin_network_allocations_number)
    }

    /// [`ShareServers::setup_server`]. The addresses of `network` are the server's from now on, as if the host had allocated them.
    pub fn setup_server<D: ShareServers>(
        &self,
        network: &ServerNetwork,
        request: &ServerRequest,
    ) -> Result<ServerOutcome> {
        self.state.addresses.borrow_mut().keep_for_host(network);
        let target = Target::server(&network.server_id).with_security_services(&network.security_services);
        self.call(target, || D::setup_server(network, request))
    }

    /// [`ShareServers::teardown_server`]. On success all addresses of the server go back, as the host lets them.
    pub fn teardown_server<D: ShareServers>(
        &self,
        server: &ShareServer,
        security_services: &[SecurityService],
    ) -> Result<()> {
        let target = Target::server(&server.id).with_security_services(security_services);
        let ended = self.call(target, || D::teardown_server(server, security_services));
        if ended.is_ok() {
            self.state.addresses.borrow_mut().forget(&server.id);
        }
        ended
    }

    /// [`ShareServers::choose_share_server_for_share`]: the candidates may be named beside the share.
    pub fn choose_share_server_for_share<D: ShareServers>(
        &self,
        choice: &ServerChoiceForShare,
    ) -> Result<Option<String>> {
        let target = Target::share(&choice.share).with_candidates(&choice.candidates);
        let target = match &choice.source {
            Some(source) => target.made_from(source),
            None => target,
        };
        self.call(target, || D::choose_share_server_for_share(choice))
    }

    /// [`ShareServers::choose_share_server_for_group`]: the candidates may be named beside the group.
    pub fn choose_share_server_for_group<D: ShareServers>(
        &self,
        choice: &ServerChoiceForGroup,
    ) -> Result<Option<String>> {
        let target = Target::group(&choice.share_group).with_candidates(&choice.candidates);
        self.call(target, || D::choose_share_server_for_group(choice))
    }

    /// [`ShareServers::share_server_pools`].
    pub fn share_server_pools<D: ShareServers>(&self, server: &ShareServer) -> Result<Vec<String>> {
        self.call(Target::server(&server.id), || D::share_server_pools(server))
    }

    /// [`ShareServers::after_allocation`].
    pub fn after_allocation<D: ShareServers>(
        &self,
        server: &ShareServer,
        allocations: &[NetworkAllocation],
    ) -> Result<()> {
        self.call(Target::server(&server.id), || D::after_allocation(server, allocations))
    }

    /// [`ShareServers::before_release`].
    pub fn before_release<D: ShareServers>(
        &self,
        server: &ShareServer,
        allocations: &[NetworkAllocation],
    ) -> Result<()> {
        self.call(Target::server(&server.id), || D::before_release(server, allocations))
    }

    /// [`ManageServers::share_server_network_info`]: `{managed}` is the last component of `identifier`.
    pub fn share_server_network_info<D: ManageServers>(
        &self,
        server: &ShareServer,
        identifier: &str,
        driver_options: &[(String, String)],
    ) -> Result<Vec<String>> {
        self.call(Target::server(&server.id).taking_over(identifier), || {
            D::share_server_network_info(server, identifier, driver_options)
        })
    }

    /// [`ManageServers::manage_server`]: `{managed}` is the last component of `identifier`.
    pub fn manage_server<D: ManageServers>(
        &self,
        server: &ShareServer,
        identifier: &str,
        driver_options: &[(String, String)],
    ) -> Result<ServerOutcome> {
        self.call(Target::server(&server.id).taking_over(identifier), || {
            D::manage_server(server, identifier, driver_options)
        })
    }

    /// [`ManageServers::unmanage_server`]. On success the double forgets the server's private data, as the host does.
    pub fn unmanage_server<D: ManageServers>(
        &self,
        server: &ShareServer,
        security_services: &[SecurityService],
    ) -> Result<()> {
        let target = Target::server(&server.id).with_security_services(security_services);
        let ended = self.call(target, || D::unmanage_server(server, security_services));
        self.forget_if_let_go(ended, &Resource::from(server))
    }
}
