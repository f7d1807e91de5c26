//! Calls about share servers. What the share manager does before them is done here: addresses are kept for a server before it is made.

use super::super::answer;
use super::super::function::Function;
use super::super::lab::{Lab, id};
use super::bench::Bench;
use bulkhead_conformance::{NewServer, NewServerError, ServerPlan};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{InvalidId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    NetworkAllocation, ShareNetwork, ShareNetworkStatus, ShareNetworkSubnet, SubnetMetadataUpdate,
};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::ShareGroupForDriver;
use bulkhead_model::share_server::{
    ManagedServer, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver,
};
use bulkhead_sandbox::ServerDriver as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What is wrong at the host and not with the driver.
fn host(error: &dyn Display) -> CallError {
    CallError::Host { reason: error.to_string() }
}

impl Lab {
    fn server_plan(&self) -> ServerPlan {
        ServerPlan {
            id: ShareServerId::from_uuid(id(11, 1)),
            subnet: ShareNetworkSubnetId::from_uuid(id(12, 1)),
            share_network: ShareNetworkId::from_uuid(id(13, 1)),
            project: self.share.project.clone(),
            extra_specs: self.share.extra_specs.clone(),
        }
    }

    /// Let the shares live on `server` from now on.
    fn live_on(&mut self, server: &ServerForDriver) {
        for share in [&mut self.share, &mut self.second_share] {
            share.server = Some(server.clone());
        }
    }

    fn server(&self) -> Result<&ServerForDriver, CallError> {
        let none = || host(&"no server was made: setup-server has to come before");
        self.share.server.as_ref().ok_or_else(none)
    }

    /// A server at the array, to be taken over.
    fn unmanaged_server(&self) -> (ServerForDriver, ManagedServer) {
        let plan = self.server_plan();
        let identifier = self.managed.to_string();
        let server = ServerForDriver {
            id: plan.id,
            identifier: identifier.clone(),
            share_network: plan.share_network,
            backend_details: BTreeMap::new(),
            addresses: BTreeSet::new(),
            passwords: BTreeMap::new(),
        };
        (server, ManagedServer { identifier, driver_options: BTreeMap::new() })
    }

    /// What a tenant wrote on the subnet of the server.
    fn subnet_update(&self, subnet: ShareNetworkSubnet) -> Result<SubnetMetadataUpdate, CallError> {
        let metadata = self.subnet_metadata.clone();
        let subnet = ShareNetworkSubnet { metadata: metadata.clone(), ..subnet };
        let network = ShareNetwork {
            id: subnet.share_network_id,
            project_id: self.share.project.clone(),
            user_id: "lab".parse().map_err(|error: InvalidId| host(&error))?,
            name: None,
            description: None,
            status: ShareNetworkStatus::Active,
            added_subnet: None,
            subnets: vec![subnet.clone()],
            security_services: Vec::new(),
            created_at: subnet.created_at,
            updated_at: subnet.updated_at,
        };
        Ok(SubnetMetadataUpdate { network, security_services: Vec::new(), subnet, metadata })
    }
}

impl Bench {
    /// Call `function`, which is about share servers.
    pub(super) async fn call_about_server(
        &mut self,
        function: Function,
        reason: &CallReason,
    ) -> Result<Value, CallError> {
        let (driver, lab) = (&self.driver, &self.lab);
        Ok(match function {
            Function::AdminNetworkAllocationsNumber => {
                json!(driver.admin_network_allocations_number(reason).await?)
            }
            Function::AfterAllocation => {
                let new = self.new_server(reason).await?;
                json!(driver.after_allocation(reason, &new.server, &new.allocations()).await?)
            }
            Function::SetupServer => {
                let new = self.new_server(reason).await?;
                let made = new.made(driver.setup_server(reason, &new.network, &new.request).await?);
                let told = answer::server(&made);
                self.lab.live_on(&made);
                told
            }
            Function::TeardownServer => json!(driver.teardown_server(reason, lab.server()?, &[]).await?),
            Function::BeforeRelease => {
                let server = lab.server()?;
                json!(driver.before_release(reason, server, &self.kept(server).await?).await?)
            }
            Function::ShareServerPools => json!(driver.share_server_pools(reason, lab.server()?).await?),
            Function::ChooseShareServerForShare | Function::ChooseShareServerForGroup => {
                self.choose(function, reason).await?
            }
            Function::ShareServerNetworkInfo => {
                let (server, managed) = lab.unmanaged_server();
                json!(driver.share_server_network_info(reason, &server, &managed).await?)
            }
            Function::ManageServer => {
                let (server, managed) = lab.unmanaged_server();
                let outcome = driver.manage_server(reason, &server, &managed).await?;
                json!({ "identifier": outcome.identifier, "backend-details": outcome.backend_details })
            }
            Function::UnmanageServer => json!(driver.unmanage_server(reason, lab.server()?, &[]).await?),
            Function::UpdateSubnetFromMetadata => {
                let NewServer { network, .. } = self.new_server(reason).await?;
                let subnets = network.networks.into_iter().map(|info| info.subnet);
                for subnet in subnets {
                    let update = lab.subnet_update(subnet)?;
                    driver.update_subnet_from_metadata(reason, lab.server()?, &update).await?;
                }
                Value::Null
            }
            _ => json!(driver.network_allocations_number(reason).await?),
        })
    }

    /// The server before it is made, with its addresses; the same at each repetition.
    async fn new_server(&self, reason: &CallReason) -> Result<NewServer, CallError> {
        NewServer::ready(&self.driver, &self.lab.server_plan(), reason).await.map_err(|error| match error {
            NewServerError::Count { error, .. } => error,
            error => host(&error),
        })
    }

    /// The addresses that are kept for `server`.
    async fn kept(&self, server: &ServerForDriver) -> Result<Vec<NetworkAllocation>, CallError> {
        let Some(networks) = self.driver.networks() else { return Ok(Vec::new()) };
        let kept = networks.allocations(server.id).await;
        let kept = kept.map_err(|error| host(&error))?;
        Ok(kept.into_iter().map(|one| one.allocation).collect())
    }

    /// Let the driver choose, the one server being a candidate.
    async fn choose(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (driver, lab) = (&self.driver, &self.lab);
        let candidates = vec![lab.server()?.clone()];
        let chosen = if function == Function::ChooseShareServerForGroup {
            let group = ShareGroupForDriver { server: None, shares: Vec::new(), ..lab.group() };
            driver
                .choose_server_for_group(reason, &ServerChoiceForGroup { candidates, group, source: None })
                .await?
        } else {
            let share = ShareForDriver { server: None, ..lab.share.clone() };
            let choice = ServerChoiceForShare { candidates, share, source: None, group: None };
            driver.choose_server_for_share(reason, &choice).await?
        };
        Ok(answer::server_choice(chosen))
    }
}
