//! Changes of share networks that share servers are in: what may be changed, who is asked first, and how it begins.

use super::request::check_neutron;
use super::verbs::shown;
use super::{cause_of, chain, find, find_service, policy};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::journal::Freshness;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Change, Stored, Tables};
use crate::runner::launch;
use crate::share_server::network_change;
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId};
use bulkhead_model::network::{ShareNetwork, ShareNetworkStatus};
use bulkhead_model::operation::Verb;
use bulkhead_model::share_server::ShareServer;
use std::sync::Arc;
use tracing::instrument;

/// A change that the share servers of a network have to follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NetworkChange {
    /// One more security service.
    AddService {
        /// Which.
        service: SecurityServiceId,
    },
    /// Another security service of the same type instead of one it has.
    ReplaceService {
        /// The one it has.
        current: SecurityServiceId,
        /// The one it gets.
        new: SecurityServiceId,
    },
    /// One more subnet.
    AddSubnet {
        /// The network in Neutron.
        neutron_net_id: Option<String>,
        /// The subnet in Neutron.
        neutron_subnet_id: Option<String>,
    },
}

/// A change of which security services a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServicesChange {
    /// One more.
    Add(SecurityServiceId),
    /// Another one instead of one it has.
    Replace {
        /// The one it has.
        current: SecurityServiceId,
        /// The one it gets.
        new: SecurityServiceId,
    },
}

impl From<ServicesChange> for NetworkChange {
    fn from(change: ServicesChange) -> Self {
        match change {
            ServicesChange::Add(service) => Self::AddService { service },
            ServicesChange::Replace { current, new } => Self::ReplaceService { current, new },
        }
    }
}

/// What happens to a change of a network that share servers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileInUse {
    /// It is refused.
    Refuse,
    /// The servers follow, if their drivers have said before that they could.
    Follow,
}

impl NetworkChange {
    /// What it is called in a refusal.
    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::AddService { .. } => "adding a security service",
            Self::ReplaceService { .. } => "replacing a security service",
            Self::AddSubnet { .. } => "adding a subnet",
        }
    }

    /// The servers that have to follow it; none if nothing is on the network. Fails if it cannot be made.
    pub(super) fn servers<'a>(
        &self,
        inner: &Inner,
        tables: &'a Tables,
        context: &RequestContext,
        network: ShareNetworkId,
    ) -> Result<Vec<&'a Stored<ShareServer>>, ManagerError> {
        let network = find(tables, &context.scope(), network)?;
        self.check(tables, context, network)?;
        network_change::servers_to_change(inner, tables, network, self.words())
    }

    /// Whether what the tenant wrote may be kept.
    pub(super) fn check_words(&self) -> Result<(), ManagerError> {
        match self {
            Self::AddSubnet { neutron_net_id, neutron_subnet_id } => {
                check_neutron(neutron_net_id.as_deref(), neutron_subnet_id.as_deref())
            }
            Self::AddService { .. } | Self::ReplaceService { .. } => Ok(()),
        }
    }

    /// Whether its services are the network's project's and fit those that the network has.
    fn check(
        &self,
        tables: &Tables,
        context: &RequestContext,
        network: &ShareNetwork,
    ) -> Result<(), ManagerError> {
        let of_project = |id| {
            let service = find_service(tables, &context.scope(), id)?;
            if service.project_id == network.project_id {
                Ok(service)
            } else {
                Err(ManagerError::not_found("security service", id))
            }
        };
        match self {
            Self::AddService { service } => {
                Ok(policy::one_of_each_type(tables, network, of_project(*service)?, None)?)
            }
            Self::ReplaceService { current, new } => {
                if !network.security_services.contains(current) {
                    return Err(ManagerError::not_found("security service of this share network", current));
                }
                let (current, new) = (of_project(*current)?, of_project(*new)?);
                if current.id == new.id || current.service_type != new.service_type {
                    let reason = format!("name another security service of type {}", current.service_type);
                    return Err(ManagerError::invalid("new_service_id", reason));
                }
                Ok(policy::one_of_each_type(tables, network, new, Some(current.id))?)
            }
            Self::AddSubnet { .. } => Ok(()),
        }
    }
}

/// What drivers of the share servers in a network can do while these are in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkUpdates {
    /// Whether all of them can use another security service, and serve one more subnet.
    pub are_supported: bool,
}

impl Manager {
    /// Whether the share servers of a network can follow its changes; so it is where there are none. A driver that exports `server-updates`
    /// can (Manila: `security_service_update_support`, `network_allocation_update_support`).
    #[must_use]
    pub fn network_updates(&self, network: ShareNetworkId) -> NetworkUpdates {
        let tables = self.inner.records.read();
        let can = |server: &Stored<ShareServer>| self.inner.changes_servers(&server.backend);
        NetworkUpdates { are_supported: tables.servers_of(network).all(can) }
    }

    /// Let share servers in a network use another security service instead of one it has.
    ///
    /// Fails with [`ManagerError::NotFound`], with [`ManagerError::Invalid`] for one of another type, and where share servers are in the
    /// network as adding one does.
    pub async fn replace_security_service(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        current: SecurityServiceId,
        new: SecurityServiceId,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let (context, change) = (context.clone(), ServicesChange::Replace { current, new });
        self.detached(async move |inner| change_services(&inner, &context, network, change).await).await
    }
}

impl Inner {
    /// Whether the driver of a backend changes share servers in service; not if it was never loaded.
    pub(crate) fn changes_servers(&self, backend: &bulkhead_model::id::BackendName) -> bool {
        self.driver_of(backend).is_some_and(|loaded| loaded.abilities.has(Ability::ServerUpdates))
    }
}

/// Change which security services a network has; its servers follow.
#[instrument(name = "share_network.change_services", skip_all, fields(request.id = %context.request, share_network.id = %id))]
pub(super) async fn change_services(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    asked: ServicesChange,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_change()?;
    let (new, current) = match asked {
        ServicesChange::Add(service) => (service, None),
        ServicesChange::Replace { current, new } => (new, Some(current)),
    };
    let wanted = NetworkChange::from(asked);
    let (cause, chain) = (cause_of(context), chain()?);
    let _alone = inner.ties.write().await;
    let started = inner
        .transact(|tables| {
            let network = find(tables, &context.scope(), id)?;
            let is_so = current.is_none_or(|current| !network.security_services.contains(&current));
            if network.security_services.contains(&new) && is_so {
                return Ok(Proposal::Settled(Vec::new()));
            }
            let servers = wanted.servers(inner, tables, context, id)?;
            let mut change = Change::default();
            let verb = |server| Verb::UpdateSecurityService { server, new, current };
            let told = (&context.request, &cause, &mut change);
            require_checked(inner, id, &wanted, &servers)?;
            let started = network_change::begin(inner, tables, (network, &servers), verb, told)?;
            let words = match current {
                Some(current) => format!("security service {current} replaced by {new}"),
                None => format!("security service {new} added"),
            };
            change.note(&cause, format_args!("share-network/{id}"), words);
            change.edit_share_network(tables, id, |network| {
                match network.security_services.iter_mut().find(|one| Some(**one) == current) {
                    Some(place) => *place = new,
                    None => network.security_services.push(new),
                }
                if !started.is_empty() {
                    network.status = ShareNetworkStatus::NetworkChange;
                }
            });
            Ok(Proposal::Commit(chain.clone(), change, started))
        })
        .await?;
    if !started.is_empty() {
        inner.network_checks.forget(id);
    }
    for operation in started {
        launch(inner, operation, Freshness::Journalled);
    }
    shown(inner, id)
}

/// Fail unless the drivers of these servers have said that they could.
pub(super) fn require_checked(
    inner: &Inner,
    network: ShareNetworkId,
    wanted: &NetworkChange,
    servers: &[&Stored<ShareServer>],
) -> Result<(), Denial> {
    match servers {
        [] => Ok(()),
        servers => inner.network_checks.require(network, wanted, servers.iter().map(|server| &server.id)),
    }
}
