//! Share servers, and what lives on them.

use super::{Index, Stored, Tables, remove_from};
use bulkhead_model::id::{BackendName, ShareGroupId, ShareInstanceId, ShareNetworkId, ShareServerId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::share_group::ShareGroup;
use bulkhead_model::share_server::ShareServer;
use bulkhead_store::Revision;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Servers {
    all: BTreeMap<ShareServerId, Stored<ShareServer>>,
    of_backend: Index<BackendName, ShareServerId>,
    of_network: Index<ShareNetworkId, ShareServerId>,
    instances_on: Index<ShareServerId, ShareInstanceId>,
    groups_on: Index<ShareServerId, ShareGroupId>,
    instances_in: Index<ShareNetworkId, ShareInstanceId>,
    groups_in: Index<ShareNetworkId, ShareGroupId>,
}

impl Servers {
    pub(super) fn insert(&mut self, revision: Revision, server: ShareServer) {
        self.of_backend.entry(server.backend.clone()).or_default().insert(server.id);
        self.of_network.entry(server.share_network).or_default().insert(server.id);
        self.all.insert(server.id, Stored::new(revision, server));
    }

    pub(super) fn remove(&mut self, id: ShareServerId) {
        if let Some(server) = self.all.remove(&id) {
            remove_from(&mut self.of_backend, &server.backend, &id);
            remove_from(&mut self.of_network, &server.share_network, &id);
        }
    }

    pub(super) fn insert_instance(&mut self, instance: &ShareInstance) {
        if let Some(server) = instance.share_server {
            self.instances_on.entry(server).or_default().insert(instance.id);
        }
        if let Some(network) = instance.share_network {
            self.instances_in.entry(network).or_default().insert(instance.id);
        }
    }

    pub(super) fn remove_instance(&mut self, instance: &ShareInstance) {
        if let Some(server) = instance.share_server {
            remove_from(&mut self.instances_on, &server, &instance.id);
        }
        if let Some(network) = instance.share_network {
            remove_from(&mut self.instances_in, &network, &instance.id);
        }
    }

    pub(super) fn insert_group(&mut self, group: &ShareGroup) {
        if let Some(server) = group.share_server {
            self.groups_on.entry(server).or_default().insert(group.id);
        }
        if let Some(network) = group.share_network {
            self.groups_in.entry(network).or_default().insert(group.id);
        }
    }

    pub(super) fn remove_group(&mut self, group: &ShareGroup) {
        if let Some(server) = group.share_server {
            remove_from(&mut self.groups_on, &server, &group.id);
        }
        if let Some(network) = group.share_network {
            remove_from(&mut self.groups_in, &network, &group.id);
        }
    }
}

impl Tables {
    /// A share server inside `scope`.
    pub(crate) fn server(&self, scope: &Scope, id: ShareServerId) -> Option<&Stored<ShareServer>> {
        self.servers.all.get(&id).filter(|server| scope.contains(&server.project))
    }

    /// All share servers inside `scope`, in no order.
    pub(crate) fn all_servers(&self, scope: &Scope) -> impl Iterator<Item = &Stored<ShareServer>> {
        self.servers.all.values().filter(move |server| scope.contains(&server.project))
    }

    /// The share servers at a backend, in no order.
    pub(crate) fn servers_at(&self, backend: &BackendName) -> impl Iterator<Item = &Stored<ShareServer>> {
        self.servers.of_backend.get(backend).into_iter().flatten().filter_map(|id| self.servers.all.get(id))
    }

    /// The share servers of a network, in the order of their ids.
    pub(crate) fn servers_of(&self, network: ShareNetworkId) -> impl Iterator<Item = &Stored<ShareServer>> {
        self.servers.of_network.get(&network).into_iter().flatten().filter_map(|id| self.servers.all.get(id))
    }

    /// The share instances in a network, with a server or before they have one, in the order of their ids.
    pub(crate) fn instances_in_network(
        &self,
        network: ShareNetworkId,
    ) -> impl Iterator<Item = &Stored<ShareInstance>> {
        let ids = self.servers.instances_in.get(&network).into_iter().flatten();
        ids.filter_map(|id| self.instances.get(id))
    }

    /// The groups in a network, in the order of their ids.
    pub(crate) fn groups_in_network(&self, network: ShareNetworkId) -> impl Iterator<Item = ShareGroupId> {
        self.servers.groups_in.get(&network).into_iter().flatten().copied()
    }

    /// How many share servers, share instances and share groups are on a share network.
    pub(crate) fn count_uses_of_network(&self, network: ShareNetworkId) -> usize {
        let count = |index: Option<&BTreeSet<_>>| index.map_or(0, BTreeSet::len);
        let shares = self.servers.instances_in.get(&network).map_or(0, BTreeSet::len);
        let groups = self.servers.groups_in.get(&network).map_or(0, BTreeSet::len);
        count(self.servers.of_network.get(&network)).saturating_add(shares).saturating_add(groups)
    }

    /// The share instances on a server, in the order of their ids.
    pub(crate) fn instances_on_server(
        &self,
        server: ShareServerId,
    ) -> impl Iterator<Item = &Stored<ShareInstance>> {
        let ids = self.servers.instances_on.get(&server).into_iter().flatten();
        ids.filter_map(|id| self.instances.get(id))
    }

    /// The groups on a server, in the order of their ids.
    pub(crate) fn groups_on_server(&self, server: ShareServerId) -> impl Iterator<Item = ShareGroupId> {
        self.servers.groups_on.get(&server).into_iter().flatten().copied()
    }
}
