//! Share servers: where the driver makes them, every share of a stage lives on one.

use super::{Made, Stage};
use crate::finding::{Finding, Found, Judge as _, told, unjudged};
use crate::new_server::{NewServer, ServerPlan, for_server};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkInfo, SecurityService, SecurityServiceType, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::server_update::{AllocationChange, ServiceChange};
use bulkhead_model::share_server::ServerForDriver;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::{AllocationError, Release};
use std::collections::BTreeMap;

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

    /// A server that nobody has made yet: as many addresses as the driver counts are kept for it.
    pub(crate) async fn new_server(&self) -> Found<NewServer> {
        let number = self.number();
        let plan = ServerPlan {
            id: ShareServerId::from_uuid(self.sample.id(11, number)),
            subnet: ShareNetworkSubnetId::from_uuid(self.sample.id(12, number)),
            share_network: ShareNetworkId::from_uuid(self.sample.id(13, number)),
            project: self.sample.project.clone(),
            extra_specs: self.sample.extra_specs.clone(),
        };
        let ready = NewServer::ready(self.driver().as_ref(), &plan, &self.reason()).await;
        ready.map_err(|error| Finding::Unjudged(format!("{}, which has to come before", told(&error))))
    }

    /// A server that is there, and a security service that it shall use. Nobody has the service's domain: the driver is asked, and may refuse.
    pub(crate) async fn service_change(&self) -> Found<ServiceChange> {
        let new = self.new_server().await?;
        let server = self.set_up(&new).await.prepare("setup-server")?;
        let now = Timestamp::now();
        let new_service = SecurityService {
            id: SecurityServiceId::from_uuid(self.sample.id(14, self.number())),
            service_type: SecurityServiceType::Ldap,
            project_id: self.sample.project.clone(),
            name: None,
            description: None,
            dns_ip: None,
            server: None,
            domain: Some("directory.invalid".to_owned()),
            user: None,
            password: None,
            organizational_unit: None,
            default_ad_site: None,
            created_at: now,
            updated_at: now,
        };
        Ok(ServiceChange {
            network: ServerNetwork { backend_details: server.backend_details.clone(), ..new.network },
            server,
            shares: Vec::new(),
            rules: BTreeMap::new(),
            new_service,
            current_service: None,
        })
    }

    /// One more subnet of a server's network, without addresses.
    pub(crate) fn another_subnet(&self, network: &ServerNetwork) -> ShareNetworkSubnet {
        let id = ShareNetworkSubnetId::from_uuid(self.sample.id(12, self.number()));
        let own = || ShareNetworkId::from_uuid(self.sample.id(13, self.number()));
        ShareNetworkSubnet::new(
            id,
            network.networks.first().map_or_else(own, |info| info.subnet.share_network_id),
        )
    }

    /// A server that is there, and one more subnet with as many addresses as it has in the first.
    pub(crate) async fn allocation_change(&self) -> Found<AllocationChange> {
        let new = self.new_server().await?;
        let server = self.set_up(&new).await.prepare("setup-server")?;
        let mut subnet = self.another_subnet(&new.network);
        let count = new.network.networks.first().map_or(0, |info| info.network_allocations.len());
        let mut network_allocations = Vec::new();
        if count > 0 {
            let networks = self.driver().networks();
            let provider = networks.ok_or_else(|| Finding::Unjudged("no networks are bound".to_owned()))?;
            let first = new.network.networks.first();
            let version = first.and_then(|info| info.subnet.ip_version());
            let asked = (&subnet, AllocationLabel::User, version, count);
            let request = for_server((server.id, &self.sample.project), asked);
            let kept = provider.allocate(&request, &self.reason()).await;
            network_allocations = kept.map_err(|error| unallocated(&error))?;
            subnet.describe(&provider.describe(&subnet, version).await.map_err(|error| unallocated(&error))?);
        }
        let mut addresses = server.addresses.clone();
        addresses.extend(network_allocations.iter().map(|one| one.ip_address));
        let current_network =
            ServerNetwork { backend_details: server.backend_details.clone(), ..new.network };
        let mut new_network = current_network.clone();
        new_network.networks.push(NetworkInfo { subnet, network_allocations });
        Ok(AllocationChange {
            server: ServerForDriver { addresses, ..server },
            current_network,
            new_network,
            shares: Vec::new(),
            snapshots: Vec::new(),
        })
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
