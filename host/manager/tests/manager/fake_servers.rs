//! What the fake backend does with share servers.

use crate::fake::{FakeDriver, World, answered};
use async_trait::async_trait;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{ShareInstanceId, ShareServerId};
use bulkhead_model::network::{NetworkAllocation, SecurityService, ServerNetwork, SubnetMetadataUpdate};
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::server_update::{
    AllocationChange, AllocationOutcome, RulesOfShares, ServiceChange, SubnetAddition,
};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_server::{
    ManagedServer, ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver, ServerOutcome,
    ServerRequest, choice_for_group, choice_for_share,
};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_sandbox::{NetworkProvider, ServerDriver};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How the backend's share servers are.
#[derive(Debug, Default)]
pub struct ServerWays {
    /// Where their addresses come from.
    pub networks: Option<Arc<dyn NetworkProvider>>,
    /// How many addresses each needs of its tenant's network, and of the administrators'.
    pub counts: (u32, u32),
    /// The addresses of those that somebody made.
    pub found: BTreeSet<IpAddr>,
    /// Whether none is let go.
    pub keeps: bool,
    /// The pools that each reaches.
    pub pools: BTreeSet<String>,
    /// Whether it says that none could be changed in service.
    pub denies: bool,
}

/// A server at the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldServer {
    pub addresses: BTreeSet<IpAddr>,
    pub shares: BTreeSet<ShareInstanceId>,
}

/// A share comes to live on its server, which must be there.
pub fn move_in(world: &mut World, share: &ShareForDriver) -> Result<(), CallError> {
    let Some(server) = &share.server else { return Ok(()) };
    let held =
        world.servers.get_mut(&server.id).ok_or_else(|| answered(DriverErrorCode::InvalidShareServer))?;
    held.shares.insert(share.id);
    Ok(())
}

/// A share is gone from its server.
pub fn move_out(world: &mut World, share: ShareInstanceId) {
    for server in world.servers.values_mut() {
        server.shares.remove(&share);
    }
}

/// Calls about one server must not overlap.
fn gate(server: ShareServerId) -> (Option<ShareInstanceId>, &'static str) {
    (Some(ShareInstanceId::from_uuid(server.uuid())), "server")
}

fn addresses(allocations: &[NetworkAllocation]) -> impl Iterator<Item = IpAddr> {
    allocations.iter().map(|allocation| allocation.ip_address)
}

#[async_trait]
impl ServerDriver for FakeDriver {
    fn networks(&self) -> Option<Arc<dyn NetworkProvider>> {
        self.servers.networks.clone()
    }

    async fn network_allocations_number(&self, reason: &CallReason) -> Result<u32, CallError> {
        let count = self.servers.counts.0;
        self.perform(("network-allocations-number", reason), (None, ""), |_| Ok(count)).await
    }

    async fn admin_network_allocations_number(&self, reason: &CallReason) -> Result<u32, CallError> {
        let count = self.servers.counts.1;
        self.perform(("admin-network-allocations-number", reason), (None, ""), |_| Ok(count)).await
    }

    async fn after_allocation(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        _allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        self.perform(("after-allocation", reason), gate(server.id), |_| Ok(())).await
    }

    async fn setup_server(
        &self,
        reason: &CallReason,
        network: &ServerNetwork,
        _request: &ServerRequest,
    ) -> Result<ServerOutcome, CallError> {
        let id = network.server_id;
        let of_tenant = network.networks.iter().flat_map(|info| addresses(&info.network_allocations));
        let all = of_tenant.chain(addresses(&network.admin_network_allocations)).collect();
        self.perform(("setup-server", reason), gate(id), |world| {
            match world.servers.get(&id) {
                Some(held) if held.addresses != all => return Err(answered(DriverErrorCode::Conflict)),
                Some(_) => {}
                None => {
                    *world.made.entry(id.to_string()).or_default() += 1;
                    world.servers.insert(id, HeldServer { addresses: all, shares: BTreeSet::new() });
                }
            }
            let details = BTreeMap::from([("port".to_owned(), "7".to_owned())]);
            Ok(ServerOutcome { identifier: None, backend_details: details })
        })
        .await
    }

    async fn teardown_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        _services: &[SecurityService],
    ) -> Result<(), CallError> {
        self.perform(("teardown-server", reason), gate(server.id), |world| {
            if world.servers.get(&server.id).is_some_and(|held| !held.shares.is_empty()) {
                return Err(answered(DriverErrorCode::Conflict));
            }
            world.servers.remove(&server.id);
            world.torn_down.insert(server.id, server.backend_details.clone());
            Ok(())
        })
        .await
    }

    async fn check_security_service_update(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<bool, CallError> {
        assert_eq!(change.network.server_id, change.server.id, "the network is the server's");
        let could = !self.servers.denies;
        self.perform(("check-security-service-update", reason), (None, ""), |_| Ok(could)).await
    }

    async fn update_security_service(
        &self,
        reason: &CallReason,
        change: &ServiceChange,
    ) -> Result<RulesOfShares, CallError> {
        let (id, new) = (change.server.id, change.new_service.id);
        let current = change.current_service.as_ref().map(|service| service.id);
        let known: BTreeSet<_> = change.shares.iter().map(|share| share.id).collect();
        assert_eq!(change.rules.keys().copied().collect::<BTreeSet<_>>(), known, "rules of each share");
        self.perform(("update-security-service", reason), gate(id), |world| {
            assert_eq!(world.servers.get(&id).map(|held| held.shares.clone()), Some(known), "all shares");
            let used = world.services.entry(id).or_default();
            used.retain(|one| *one != new && Some(*one) != current);
            used.push(new);
            Ok(world.rules_after_update.clone())
        })
        .await
    }

    async fn check_network_allocations_update(
        &self,
        reason: &CallReason,
        addition: &SubnetAddition,
    ) -> Result<bool, CallError> {
        assert_eq!(addition.new_subnet.cidr, None, "nothing is allocated in it yet");
        let could = !self.servers.denies;
        self.perform(("check-network-allocations-update", reason), (None, ""), |_| Ok(could)).await
    }

    async fn update_network_allocations(
        &self,
        reason: &CallReason,
        change: &AllocationChange,
    ) -> Result<AllocationOutcome, CallError> {
        let (id, network) = (change.server.id, &change.new_network);
        let of_tenant = network.networks.iter().flat_map(|info| addresses(&info.network_allocations));
        let entrances: Vec<IpAddr> = of_tenant.collect();
        let all: BTreeSet<IpAddr> =
            entrances.iter().copied().chain(addresses(&network.admin_network_allocations)).collect();
        let located = |share: &ShareForDriver| {
            let at = |address: &IpAddr| ExportLocation {
                path: format!("{address}:/{}", share.id),
                admin_only: false,
                preferred: false,
                metadata: BTreeMap::new(),
            };
            (share.id, entrances.iter().map(at).collect())
        };
        let snapshot = |snapshot: &SnapshotForDriver| SnapshotUpdate {
            id: snapshot.id,
            progress: SnapshotProgress::Available,
            provider_location: Some("elsewhere".to_owned()),
            export_locations: None,
        };
        self.perform(("update-network-allocations", reason), gate(id), |world| {
            let held = world.servers.get_mut(&id).expect("it is at the backend");
            assert!(
                held.addresses.is_subset(&all) && change.server.addresses == all,
                "the host has them all"
            );
            held.addresses = all;
            Ok(AllocationOutcome {
                export_locations: change.shares.iter().map(located).collect(),
                snapshots: change.snapshots.iter().map(snapshot).collect(),
                backend_details: Some(BTreeMap::from([("port".to_owned(), "8".to_owned())])),
            })
        })
        .await
    }

    async fn update_subnet_from_metadata(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        update: &SubnetMetadataUpdate,
    ) -> Result<(), CallError> {
        assert_eq!(update.network.id, server.share_network, "the network is the server's");
        assert!(update.network.subnet(update.subnet.id).is_some(), "the subnet is the network's");
        self.perform(("update-subnet-from-metadata", reason), gate(server.id), |world| {
            world.followed_subnets.push((server.id, update.metadata.clone()));
            Ok(())
        })
        .await
    }

    async fn before_release(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        _allocations: &[NetworkAllocation],
    ) -> Result<(), CallError> {
        self.perform(("before-release", reason), gate(server.id), |_| Ok(())).await
    }

    async fn end_server(&self, reason: &CallReason, server: ShareServerId) -> Result<(), CallError> {
        self.perform(("end-server", reason), gate(server), |_| Ok(())).await
    }

    async fn choose_server_for_share(
        &self,
        reason: &CallReason,
        choice: &ServerChoiceForShare,
    ) -> Result<ServerChoice, CallError> {
        let group = choice.group.as_ref().map(|group| group.server.as_ref().map(|server| server.id));
        let chosen = choice_for_share(&choice.candidates, group);
        self.perform(("choose-share-server-for-share", reason), (None, ""), |_| Ok(chosen)).await
    }

    async fn choose_server_for_group(
        &self,
        reason: &CallReason,
        choice: &ServerChoiceForGroup,
    ) -> Result<ServerChoice, CallError> {
        let chosen = choice_for_group(&choice.candidates);
        self.perform(("choose-share-server-for-group", reason), (None, ""), |_| Ok(chosen)).await
    }

    async fn share_server_pools(
        &self,
        reason: &CallReason,
        _server: &ServerForDriver,
    ) -> Result<BTreeSet<String>, CallError> {
        let pools = self.servers.pools.clone();
        self.perform(("share-server-pools", reason), (None, ""), |_| Ok(pools)).await
    }

    async fn share_server_network_info(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        _managed: &ManagedServer,
    ) -> Result<BTreeSet<IpAddr>, CallError> {
        let found = self.servers.found.clone();
        self.perform(("share-server-network-info", reason), gate(server.id), |_| Ok(found)).await
    }

    async fn manage_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        managed: &ManagedServer,
    ) -> Result<ServerOutcome, CallError> {
        let addresses = self.servers.found.clone();
        self.perform(("manage-server", reason), gate(server.id), |world| {
            world.servers.insert(server.id, HeldServer { addresses, shares: BTreeSet::new() });
            Ok(ServerOutcome {
                identifier: Some(managed.identifier.clone()),
                backend_details: BTreeMap::new(),
            })
        })
        .await
    }

    async fn unmanage_server(
        &self,
        reason: &CallReason,
        server: &ServerForDriver,
        _services: &[SecurityService],
    ) -> Result<(), CallError> {
        let keeps = self.servers.keeps;
        self.perform(("unmanage-server", reason), gate(server.id), |_| {
            if keeps { Err(answered(DriverErrorCode::NotImplemented)) } else { Ok(()) }
        })
        .await
    }
}
