//! Endpoints at share servers: each server is its own management, at the addresses that the host keeps for it.
//!
//! Which server is meant follows from what a request names, or else from what its call is about; where it is, from the host's own book of
//! addresses. The guest says neither. What the host keeps of an endpoint (health, permits, sessions) it keeps for each server, until that
//! is torn down or let go.

use super::controller::{Controller, EndpointError, MOST_CONTROLLERS};
use super::tls;
use crate::call::Call;
use crate::network_allocation::KeptAddress;
use crate::slot::{Slot, SlotValue};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::grant::{EndpointGrant, EndpointScheme, ShareServerEndpoint, Verification};
use bulkhead_model::id::{Label, ShareServerId};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::target::CallTarget;
use rustls::ClientConfig;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

/// An endpoint that is wherever the share server at hand is.
#[derive(Clone)]
pub struct ServerEndpoint {
    network: AllocationLabel,
    scheme: EndpointScheme,
    port: u16,
    config: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for ServerEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ServerEndpoint").field(&self.to_string()).finish()
    }
}

impl fmt::Display for ServerEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port, network) = (self.scheme.as_str(), self.port, self.network);
        write!(formatter, "each share server's {network} addresses, {scheme} at port {port}")
    }
}

impl ServerEndpoint {
    pub(super) fn new(grant: &EndpointGrant, at: &ShareServerEndpoint) -> Result<Self, EndpointError> {
        if !grant.controllers.is_empty() || !grant.addresses.is_empty() {
            return Err(EndpointError::Both);
        }
        let config = match (at.scheme, grant.verify) {
            (EndpointScheme::Https, _) => Some(tls::config(grant)?),
            (EndpointScheme::Http, Verification::Off) => None,
            (EndpointScheme::Http, Verification::Full) => return Err(EndpointError::Unprotected),
        };
        let port = at.port.map_or(at.scheme.port(), NonZeroU16::get);
        Ok(Self { network: at.network, scheme: at.scheme, port, config })
    }

    /// From which network the addresses are.
    #[must_use]
    pub const fn network(&self) -> AllocationLabel {
        self.network
    }

    /// A server's addresses as controllers: those that the host allocated for it before those that the driver asked for beside them, each
    /// in order of address.
    fn controllers(&self, mut kept: Vec<KeptAddress>) -> Vec<Controller> {
        kept.retain(|kept| kept.allocation.label == self.network);
        kept.sort_by(|one, other| {
            (&one.purpose, one.allocation.ip_address).cmp(&(&other.purpose, other.allocation.ip_address))
        });
        let addresses = kept.into_iter().map(|kept| kept.allocation.ip_address).take(MOST_CONTROLLERS);
        addresses.map(|address| Controller::at(address, self.port, self.config.as_ref())).collect()
    }

    /// The share server that a request with these slots is for, and where it is.
    ///
    /// Fails with `denied` if there is none, it has no such address or is another backend's, `invalid-argument` if the slots name resources
    /// of several.
    pub(super) async fn reach(
        &self,
        call: &Call,
        endpoint: &Label,
        given: &[Slot],
    ) -> Result<(ShareServerId, Vec<Controller>), CapabilityError> {
        let server = server_of(call.target(), given)?.ok_or_else(|| nowhere(endpoint))?;
        let networks = call.backend().networks();
        let kept = networks.allocations(server).await.map_err(|error| error.for_guest())?;
        let controllers = self.controllers(kept);
        if controllers.is_empty() {
            return Err(self.without_address(endpoint, server));
        }
        Ok((server, controllers))
    }

    fn without_address(&self, endpoint: &Label, server: ShareServerId) -> CapabilityError {
        let network = self.network;
        let counts = match network {
            AllocationLabel::User => "network-allocations-number",
            AllocationLabel::Admin => "admin-network-allocations-number",
        };
        CapabilityError::denied(
            format!(
                "endpoint '{endpoint}' at share server {server}, which has no address of network '{network}',"
            ),
            format!(
                "1 or more as the driver's answer to share-servers.{counts}, or the other network in grant.endpoints.{endpoint}.share-server"
            ),
        )
    }
}

/// The server of what the slots name, or of the call's subject; none if it is about no server, or about several and says not which.
fn server_of(target: &CallTarget, given: &[Slot]) -> Result<Option<ShareServerId>, CapabilityError> {
    let named = given.iter().filter_map(|slot| match &slot.value {
        SlotValue::NameOf(resource) => Some(*resource),
        SlotValue::Path(choice) => choice.of,
        _ => None,
    });
    // What a new share is made from is not of the target, and may live on another server.
    let servers: BTreeSet<_> =
        named.filter_map(|resource| target.names(Some(resource)).ok()?.server).collect();
    let mut servers = servers.into_iter();
    match (servers.next(), servers.next()) {
        (Some(one), Some(other)) => Err(CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("the slots name what is on share servers {one} and {other}; a request is for one"),
        )),
        (Some(server), None) => Ok(Some(server)),
        (None, _) => {
            let of_subject = target.names(None).ok().and_then(|names| names.server);
            let only = match target.servers.as_slice() {
                [only] => Some(*only),
                _ => None,
            };
            Ok(of_subject.or(only))
        }
    }
}

fn nowhere(endpoint: &Label) -> CapabilityError {
    CapabilityError::denied(
        format!("endpoint '{endpoint}', which is at share servers, in a call about none"),
        format!(
            "a slot that names a share or a server of the call, or grant.endpoints.{endpoint} = {{ controllers = [\"https://10.0.0.5\"], \
             ca = \"/absolute/file.pem\" }} if it is the whole backend's"
        ),
    )
}
