//! Share servers: where the driver makes them, every share of a stage lives on one.

use super::{Made, Stage};
use crate::finding::{Finding, Found, Judge as _, told, unjudged};
use crate::new_server::{NewServer, ServerPlan};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::share_server::ServerForDriver;
use bulkhead_sandbox::{AllocationError, Release};

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
