//! The share network of what is being made: whether its type asks for one, and which it may be.

use super::provide::subnet_of;
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::records::Tables;
use crate::share_type::specs::wants_share_servers;
use bulkhead_model::id::{ShareNetworkId, ShareServerId};
use bulkhead_model::network::ShareNetworkStatus;
use bulkhead_model::scope::Scope;
use std::collections::BTreeMap;

/// What decides over the network of something new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NetworkWish<'a> {
    /// What the caller named.
    pub(crate) named: Option<ShareNetworkId>,
    /// Whose network it must be on, and which that is: of the snapshot's share, or the group.
    pub(crate) inherited: Option<(&'static str, Option<ShareNetworkId>)>,
    /// The extra specs of its type, or of one of its types.
    pub(crate) extra_specs: &'a BTreeMap<String, String>,
}

/// What is denied of a network that is not active.
const MAKING: &str = "making something on it";

fn status_of(tables: &Tables, id: ShareNetworkId) -> Option<ShareNetworkStatus> {
    Some(tables.share_network(&Scope::Everything, id)?.status)
}

/// The network that something new is on; none where no share server is asked for.
///
/// Fails with [`ManagerError::NotFound`] for a network that is not the caller's project's, and with the reason for one that does not fit.
pub(crate) fn of_new(
    tables: &Tables,
    context: &RequestContext,
    wish: NetworkWish<'_>,
) -> Result<Option<ShareNetworkId>, ManagerError> {
    if let Some((of, inherited)) = wish.inherited {
        if wish.named.is_some() && wish.named != inherited {
            return Err(Denial::OtherNetwork { of }.into());
        }
        if let Some(status) =
            inherited.and_then(|id| status_of(tables, id)).filter(|one| *one != ShareNetworkStatus::Active)
        {
            return Err(Denial::NetworkStatus { what: MAKING, status }.into());
        }
        return match (wants_share_servers(wish.extra_specs), inherited) {
            (true, None) => Err(Denial::ServersWithoutNetwork.into()),
            (false, Some(_)) => Err(Denial::NetworkWithoutServers.into()),
            _ => Ok(inherited),
        };
    }
    let id = match (wants_share_servers(wish.extra_specs), wish.named) {
        (false, None) => return Ok(None),
        (false, Some(_)) => return Err(Denial::NetworkWithoutServers.into()),
        (true, None) => return Err(Denial::ServersWithoutNetwork.into()),
        (true, Some(id)) => id,
    };
    // What is made belongs to the project of its network: also an operator makes it in one of their own.
    let own = Scope::Project(context.actor.project.clone());
    let network =
        tables.share_network(&own, id).ok_or_else(|| ManagerError::not_found("share network", id))?;
    if network.status != ShareNetworkStatus::Active {
        return Err(Denial::NetworkStatus { what: MAKING, status: network.status }.into());
    }
    if subnet_of(tables, id).is_none() {
        return Err(Denial::NoDefaultSubnet.into());
    }
    Ok(Some(id))
}

/// Fail unless the network and the server that something inherits are at rest: nothing comes to what is being changed.
pub(crate) fn require_at_rest(
    tables: &Tables,
    (network, server): (Option<ShareNetworkId>, Option<ShareServerId>),
) -> Result<(), ManagerError> {
    let network = network.and_then(|id| tables.share_network(&Scope::Everything, id));
    if let Some(network) = network.filter(|network| network.status != ShareNetworkStatus::Active) {
        return Err(Denial::NetworkStatus { what: MAKING, status: network.status }.into());
    }
    let server = server.and_then(|id| tables.server(&Scope::Everything, id));
    if let Some(server) = server.filter(|server| !server.status.takes_shares()) {
        return Err(Denial::ServerStatus { what: MAKING, status: server.status }.into());
    }
    Ok(())
}
