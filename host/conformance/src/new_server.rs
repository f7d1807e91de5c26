//! A share server that nobody has made yet: what the share manager has ready before it lets a driver set one up.

use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ProjectId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkInfo, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::share_server::{ServerForDriver, ServerOutcome, ServerRequest};
use bulkhead_model::statistics::IpVersion;
use bulkhead_sandbox::{AddressRequest, AllocationError, Driver, NetworkProvider, Purpose, SubnetChoice};
use std::collections::{BTreeMap, BTreeSet};

/// Which server, and whose.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// The server.
    pub id: ShareServerId,
    /// The network it serves.
    pub share_network: ShareNetworkId,
    /// The one subnet of that network.
    pub subnet: ShareNetworkSubnetId,
    /// Whose network it is.
    pub project: ProjectId,
    /// The extra specs of the type of its first share.
    pub extra_specs: BTreeMap<String, String>,
}

/// Why nothing is ready for a server.
#[derive(Debug, thiserror::Error)]
pub enum NewServerError {
    /// The driver did not count its addresses.
    #[error("{function} failed")]
    Count {
        /// The function that failed.
        function: &'static str,
        /// How.
        #[source]
        error: CallError,
    },
    /// The backend has no address book.
    #[error("no networks are bound")]
    NoNetworks,
    /// As many addresses as the driver counts are not to be had.
    #[error("no addresses for a share server: {0}")]
    Addresses(#[from] AllocationError),
}

/// A server that nobody has made yet, with its addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct NewServer {
    /// What it will be known as; no details yet.
    pub server: ServerForDriver,
    /// Where it will be.
    pub network: ServerNetwork,
    /// Why it is made.
    pub request: ServerRequest,
}

impl NewServer {
    /// Keep as many addresses as the driver counts for the server of `plan`. A repeat gets those that are kept already.
    pub async fn ready(
        driver: &dyn Driver,
        plan: &ServerPlan,
        reason: &CallReason,
    ) -> Result<Self, NewServerError> {
        let counted = |function| move |error| NewServerError::Count { function, error };
        let user = driver.network_allocations_number(reason).await;
        let user = user.map_err(counted("network-allocations-number"))?;
        let admin = driver.admin_network_allocations_number(reason).await;
        let admin = admin.map_err(counted("admin-network-allocations-number"))?;
        let provider = driver.networks().ok_or(NewServerError::NoNetworks)?;
        let versions = driver.exported_versions(reason).await.map_err(counted("ip-versions"))?;
        let version = provider.ip_versions(AllocationLabel::User).intersection(&versions).next().copied();
        let mut subnet = ShareNetworkSubnet::new(plan.subnet, plan.share_network);
        match provider.describe(&subnet, version).await {
            Ok(data) => subnet.describe(&data),
            Err(AllocationError::NoNetwork { .. }) if user == 0 => {}
            Err(error) => return Err(error.into()),
        }
        let provider = provider.as_ref();
        let user = plan.keep(provider, (&subnet, AllocationLabel::User, version, user), reason).await?;
        let admin = plan.keep(provider, (&subnet, AllocationLabel::Admin, None, admin), reason).await?;
        let addresses: BTreeSet<_> = user.iter().chain(&admin).map(|one| one.ip_address).collect();
        Ok(Self {
            server: ServerForDriver {
                id: plan.id,
                identifier: plan.id.to_string(),
                share_network: plan.share_network,
                backend_details: BTreeMap::new(),
                addresses,
                passwords: BTreeMap::new(),
            },
            network: ServerNetwork {
                server_id: plan.id,
                networks: vec![NetworkInfo { subnet, network_allocations: user }],
                admin_network_allocations: admin,
                security_services: Vec::new(),
                backend_details: BTreeMap::new(),
            },
            request: ServerRequest { extra_specs: plan.extra_specs.clone(), ..ServerRequest::default() },
        })
    }

    /// All its addresses.
    #[must_use]
    pub fn allocations(&self) -> Vec<NetworkAllocation> {
        let of_tenant = self.network.networks.iter().flat_map(|info| info.network_allocations.clone());
        of_tenant.chain(self.network.admin_network_allocations.clone()).collect()
    }

    /// The server, once its driver has said this of it.
    #[must_use]
    pub fn made(&self, outcome: ServerOutcome) -> ServerForDriver {
        ServerForDriver {
            identifier: outcome.identifier.unwrap_or_else(|| self.server.identifier.clone()),
            backend_details: outcome.backend_details,
            ..self.server.clone()
        }
    }
}

impl ServerPlan {
    async fn keep(
        &self,
        provider: &dyn NetworkProvider,
        (subnet, label, version, count): (&ShareNetworkSubnet, AllocationLabel, Option<IpVersion>, u32),
        reason: &CallReason,
    ) -> Result<Vec<NetworkAllocation>, AllocationError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let request = for_server((self.id, &self.project), (subnet, label, version, count));
        provider.allocate(&request, reason).await
    }
}

/// What the share manager asks of the address book for a server in one of its subnets.
pub(crate) fn for_server(
    (server, project): (ShareServerId, &ProjectId),
    (subnet, label, version, count): (&ShareNetworkSubnet, AllocationLabel, Option<IpVersion>, usize),
) -> AddressRequest {
    AddressRequest {
        server,
        project: Some(project.clone()),
        label,
        version,
        subnet: SubnetChoice::Given(Box::new(subnet.clone())),
        count,
        purpose: Purpose::Host,
    }
}
