//! Share networks and security services.

use super::{Index, Stored, Tables, remove_from};
use bulkhead_model::id::{ProjectId, SecurityServiceId, ShareNetworkId, ShareNetworkSubnetId};
use bulkhead_model::network::{SecurityService, ShareNetwork};
use bulkhead_model::scope::Scope;
use bulkhead_store::Revision;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(super) struct Networks {
    all: BTreeMap<ShareNetworkId, Stored<ShareNetwork>>,
    services: BTreeMap<SecurityServiceId, Stored<SecurityService>>,
    of_subnet: HashMap<ShareNetworkSubnetId, ShareNetworkId>,
    networks_of_service: Index<SecurityServiceId, ShareNetworkId>,
    networks_of_project: Index<ProjectId, ShareNetworkId>,
    services_of_project: Index<ProjectId, SecurityServiceId>,
}

impl Networks {
    pub(super) fn insert(&mut self, revision: Revision, network: ShareNetwork) {
        for subnet in &network.subnets {
            self.of_subnet.insert(subnet.id, network.id);
        }
        for service in &network.security_services {
            self.networks_of_service.entry(*service).or_default().insert(network.id);
        }
        self.networks_of_project.entry(network.project_id.clone()).or_default().insert(network.id);
        self.all.insert(network.id, Stored::new(revision, network));
    }

    pub(super) fn insert_service(&mut self, revision: Revision, service: SecurityService) {
        self.services_of_project.entry(service.project_id.clone()).or_default().insert(service.id);
        self.services.insert(service.id, Stored::new(revision, service));
    }

    pub(super) fn remove(&mut self, id: ShareNetworkId) {
        let Some(network) = self.all.remove(&id) else { return };
        for subnet in &network.subnets {
            self.of_subnet.remove(&subnet.id);
        }
        for service in &network.security_services {
            remove_from(&mut self.networks_of_service, service, &id);
        }
        remove_from(&mut self.networks_of_project, &network.project_id, &id);
    }

    pub(super) fn remove_service(&mut self, id: SecurityServiceId) {
        if let Some(service) = self.services.remove(&id) {
            remove_from(&mut self.services_of_project, &service.project_id, &id);
        }
    }
}

impl Tables {
    /// A share network inside `scope`.
    pub(crate) fn share_network(&self, scope: &Scope, id: ShareNetworkId) -> Option<&Stored<ShareNetwork>> {
        self.networks.all.get(&id).filter(|network| scope.contains(&network.project_id))
    }

    /// All share networks inside `scope`, in no order.
    pub(crate) fn share_networks(&self, scope: &Scope) -> Vec<&Stored<ShareNetwork>> {
        match scope {
            Scope::Project(project) => {
                let ids = self.networks.networks_of_project.get(project).into_iter().flatten();
                ids.filter_map(|id| self.networks.all.get(id)).collect()
            }
            Scope::Everything => self.networks.all.values().collect(),
        }
    }

    /// The share network inside `scope` that has this subnet.
    pub(crate) fn share_network_with(
        &self,
        scope: &Scope,
        subnet: ShareNetworkSubnetId,
    ) -> Option<&Stored<ShareNetwork>> {
        self.share_network(scope, *self.networks.of_subnet.get(&subnet)?)
    }

    /// A security service inside `scope`.
    pub(crate) fn security_service(
        &self,
        scope: &Scope,
        id: SecurityServiceId,
    ) -> Option<&Stored<SecurityService>> {
        self.networks.services.get(&id).filter(|service| scope.contains(&service.project_id))
    }

    /// All security services inside `scope`, in no order.
    pub(crate) fn security_services(&self, scope: &Scope) -> Vec<&Stored<SecurityService>> {
        match scope {
            Scope::Project(project) => {
                let ids = self.networks.services_of_project.get(project).into_iter().flatten();
                ids.filter_map(|id| self.networks.services.get(id)).collect()
            }
            Scope::Everything => self.networks.services.values().collect(),
        }
    }

    /// How many share networks have a security service.
    pub(crate) fn count_networks_with(&self, service: SecurityServiceId) -> usize {
        self.networks.networks_of_service.get(&service).map_or(0, |networks| networks.len())
    }
}
