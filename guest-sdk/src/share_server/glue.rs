//! Between the generated export traits of share servers and a driver's own.

use super::record::{
    ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork, ServerOutcome, ServerRequest, ShareServer,
};
use super::{ManageServers, ShareServers};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::base::bulkhead::host::types as wit_host;
use crate::bindings::manage_servers::exports::bulkhead::driver::manage_servers;
use crate::bindings::share_servers::exports::bulkhead::driver::share_servers;
use crate::glue::{Glue, run};
use crate::network::{NetworkAllocation, SecurityService};
use crate::pairs;

impl<D: ShareServers> share_servers::Guest for Glue<D> {
    fn network_allocations_number() -> Result<u32, wit::Error> {
        run(D::network_allocations_number)
    }

    fn admin_network_allocations_number() -> Result<u32, wit::Error> {
        run(D::admin_network_allocations_number)
    }

    fn setup_server(
        network: wit::ServerNetwork,
        request: share_servers::ServerRequest,
    ) -> Result<wit::ServerOutcome, wit::Error> {
        run(|| {
            D::setup_server(&ServerNetwork::from_wit(network), &ServerRequest::from_wit(request))
                .map(ServerOutcome::into_wit)
        })
    }

    fn teardown_server(
        server: wit::ShareServer,
        security_services: Vec<wit::SecurityService>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let services = SecurityService::list_from_wit(security_services);
            D::teardown_server(&ShareServer::from_wit(server), &services)
        })
    }

    fn choose_share_server_for_share(
        choice: share_servers::ServerChoiceForShare,
    ) -> Result<Option<String>, wit::Error> {
        run(|| D::choose_share_server_for_share(&ServerChoiceForShare::from_wit(choice)?))
    }

    fn choose_share_server_for_group(
        choice: share_servers::ServerChoiceForGroup,
    ) -> Result<Option<String>, wit::Error> {
        run(|| D::choose_share_server_for_group(&ServerChoiceForGroup::from_wit(choice)))
    }

    fn share_server_pools(server: wit::ShareServer) -> Result<Vec<String>, wit::Error> {
        run(|| D::share_server_pools(&ShareServer::from_wit(server)))
    }

    fn after_allocation(
        server: wit::ShareServer,
        allocations: Vec<wit_host::NetworkAllocation>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let allocations = NetworkAllocation::list_from_wit(allocations);
            D::after_allocation(&ShareServer::from_wit(server), &allocations)
        })
    }

    fn before_release(
        server: wit::ShareServer,
        allocations: Vec<wit_host::NetworkAllocation>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let allocations = NetworkAllocation::list_from_wit(allocations);
            D::before_release(&ShareServer::from_wit(server), &allocations)
        })
    }
}

impl<D: ManageServers> manage_servers::Guest for Glue<D> {
    fn share_server_network_info(
        server: wit::ShareServer,
        identifier: String,
        driver_options: Vec<wit::KeyValue>,
    ) -> Result<Vec<String>, wit::Error> {
        run(|| {
            let options = pairs::from_wit(driver_options);
            D::share_server_network_info(&ShareServer::from_wit(server), &identifier, &options)
        })
    }

    fn manage_server(
        server: wit::ShareServer,
        identifier: String,
        driver_options: Vec<wit::KeyValue>,
    ) -> Result<wit::ServerOutcome, wit::Error> {
        run(|| {
            let options = pairs::from_wit(driver_options);
            D::manage_server(&ShareServer::from_wit(server), &identifier, &options)
                .map(ServerOutcome::into_wit)
        })
    }

    fn unmanage_server(
        server: wit::ShareServer,
        security_services: Vec<wit::SecurityService>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let services = SecurityService::list_from_wit(security_services);
            D::unmanage_server(&ShareServer::from_wit(server), &services)
        })
    }
}
