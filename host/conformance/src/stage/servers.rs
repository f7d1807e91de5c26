//! Share servers: where the driver makes them, every share of a stage lives on one.

use super::{Made, Stage};
use crate::finding::{Finding, Found, Judge as _, unjudged};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkInfo, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::share_server::{ServerForDriver, ServerOutcome, ServerRequest};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::{AddressRequest, AllocationError, NetworkProvider, Purpose, Release, SubnetChoice};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A server that nobody has made yet, with its addresses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewServer {
    /// What it will be known as; no details yet.
    pub(crate) server: ServerForDriver,
    /// Where it will be.
    pub(crate) network: ServerNetwork,
    /// Why it is made.
    pub(crate) request: ServerRequest,
}

impl NewServer {
    /// All its addresses.
    pub(crate) fn allocations(&self) -> Vec<NetworkAllocation> {
        let of_tenant = self.network.networks.iter().flat_map(|info| info.network_allocations.clone());
        of_tenant.chain(self.network.admin_network_allocations.clone()).collect()
    }

    /// The server, once its driver has said this of it.
    pub(crate) fn made(&self, outcome: ServerOutcome) -> ServerForDriver {
        ServerForDriver {
            identifier: outcome.identifier.unwrap_or_else(|| self.server.identifier.clone()),
            backend_details: outcome.backend_details,
            ..self.server.clone()
        }
    }
}

impl Stage {
    /// Make the server that the shares live on which `function` is about, where the driver makes servers. What is about servers makes its own.
    pub(crate) async fn set_the_scene(&self, function: &str) -> Found {
        if self.sample.on_servers && !function.starts_with(Ability::ShareServers.interface()) {
            let server = self.server().await?;
            // Nobody else sets it: the stage is played by one task.
            drop(self.home.set(server));
        }
        Ok(())
    }

    /// The server that shares live on; none where the driver makes none.
    pub(crate) fn home(&self) -> Option<ServerForDriver> {
        self.home.get().cloned()
    }

    /// That the driver makes servers here; its exports alone do not say so.
    pub(crate) fn require_servers(&self) -> Found {
        if self.sample.on_servers {
            return Ok(());
        }
        unjudged(
            "no share lives on a server here: driver_handles_share_servers = true in [options] of the file for --config or --against",
        )
    }

    /// Where addresses come from.
    fn networks(&self) -> Found<Arc<dyn NetworkProvider>> {
        self.driver().networks().ok_or_else(|| Finding::Unjudged("no networks are bound".to_owned()))
    }

    /// A server that nobody has made yet: as many addresses as the driver counts are kept for it.
    pub(crate) async fn new_server(&self) -> Found<NewServer> {
        let (driver, number) = (self.driver(), self.number());
        let id = ShareServerId::from_uuid(self.sample.id(11, number));
        let mut subnet = self.new_subnet(number);
        let reason = self.reason();
        let user = driver.network_allocations_number(&reason).await;
        let user = user.prepare("network-allocations-number")?;
        let admin = driver.admin_network_allocations_number(&reason).await;
        let admin = admin.prepare("admin-network-allocations-number")?;
        let provider = self.networks()?;
        match provider.describe(&subnet).await {
            Ok(data) => subnet.describe(&data),
            Err(AllocationError::NoNetwork { .. }) if user == 0 => {}
            Err(error) => return Err(unallocated(&error)),
        }
        let mut kept = BTreeMap::new();
        for (label, count) in [(AllocationLabel::User, user), (AllocationLabel::Admin, admin)] {
            let request = AddressRequest {
                server: id,
                project: Some(self.sample.project.clone()),
                label,
                version: None,
                subnet: SubnetChoice::Given(Box::new(subnet.clone())),
                count: usize::try_from(count).unwrap_or(usize::MAX),
                purpose: Purpose::Host,
            };
            if count > 0 {
                let allocated = provider.allocate(&request, &reason).await;
                kept.insert(label.as_str(), allocated.map_err(|error| unallocated(&error))?);
            }
        }
        let mut of = |label: AllocationLabel| kept.remove(label.as_str()).unwrap_or_default();
        let share_network = subnet.share_network_id;
        let (user, admin) = (of(AllocationLabel::User), of(AllocationLabel::Admin));
        let addresses: BTreeSet<_> = user.iter().chain(&admin).map(|one| one.ip_address).collect();
        Ok(NewServer {
            server: ServerForDriver {
                id,
                identifier: id.to_string(),
                share_network,
                backend_details: BTreeMap::new(),
                addresses,
            },
            network: ServerNetwork {
                server_id: id,
                networks: vec![NetworkInfo { subnet, network_allocations: user }],
                admin_network_allocations: admin,
                security_services: Vec::new(),
                backend_details: BTreeMap::new(),
            },
            request: ServerRequest {
                extra_specs: self.sample.extra_specs.clone(),
                ..ServerRequest::default()
            },
        })
    }

    fn new_subnet(&self, number: u64) -> ShareNetworkSubnet {
        let now = Timestamp::now();
        ShareNetworkSubnet {
            id: ShareNetworkSubnetId::from_uuid(self.sample.id(12, number)),
            share_network_id: ShareNetworkId::from_uuid(self.sample.id(13, number)),
            neutron_net_id: None,
            neutron_subnet_id: None,
            network_type: None,
            segmentation_id: None,
            cidr: None,
            gateway: None,
            mtu: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Make `new`, and answer it as it is known afterwards.
    pub(crate) async fn set_up(&self, new: &NewServer) -> Result<ServerForDriver, CallError> {
        self.will_make(Made::Server(new.server.clone()));
        let (driver, reason) = (self.driver(), self.reason());
        driver.after_allocation(&reason, &new.server, &new.allocations()).await?;
        let made = new.made(driver.setup_server(&reason, &new.network, &new.request).await?);
        // Its tear-down is told what its driver has said of it.
        self.is_gone(&Made::Server(new.server.clone()));
        self.will_make(Made::Server(made.clone()));
        Ok(made)
    }

    /// A server that is there.
    pub(crate) async fn server(&self) -> Found<ServerForDriver> {
        let new = self.new_server().await?;
        self.set_up(&new).await.prepare("setup-server")
    }

    /// Remove a server as the share manager does: its addresses go back once the driver has said that it is gone.
    pub(crate) async fn tear_down(&self, server: &ServerForDriver) -> Result<(), CallError> {
        let (driver, reason) = (self.driver(), self.reason());
        driver.teardown_server(&reason, server, &[]).await?;
        let Some(provider) = driver.networks() else { return Ok(()) };
        let host = |error: AllocationError| CallError::Host { reason: error.to_string() };
        let kept = provider.allocations(server.id).await.map_err(host)?;
        let kept: Vec<_> = kept.into_iter().map(|one| one.allocation).collect();
        driver.before_release(&reason, server, &kept).await?;
        provider.release(server.id, &Release::Everything, &reason).await.map_err(host)
    }
}

fn unallocated(error: &AllocationError) -> Finding {
    Finding::Unjudged(format!("no addresses for a share server: {error}"))
}
