//! Share networks, their subnets and security services (contract 2.7, 2.10).
//!
//! Records of the host alone: no backend learns of them before a share server is made in a network. What is in use is not changed: a driver
//! that could follow would have to say so (`server-updates`), and none is asked yet.
//!
//! Where we differ from Manila on purpose: a network is never taken away under its share servers, which are deleted first; a password is
//! kept sealed and never shown again, not even to its tenant.

mod policy;
mod request;
mod service;
mod subnet;
mod verbs;

pub use request::{
    NewSecurityService, NewShareNetwork, NewSubnet, Password, SecurityServiceUpdate, ShareNetworkUpdate,
};

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::records::{Cause, Stored, Tables};
use bulkhead_ledger::HOST_CHAIN;
use bulkhead_model::id::{BackendName, SecurityServiceId, ShareNetworkId};
use bulkhead_model::network::{SecurityService, ShareNetwork};
use bulkhead_model::scope::Scope;

/// The ledger's chain for what belongs to no backend.
fn chain() -> Result<BackendName, ManagerError> {
    HOST_CHAIN.parse().map_err(|error| ManagerError::invalid("chain", error))
}

fn cause_of(context: &RequestContext) -> Cause {
    Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None }
}

/// A share network inside `scope`.
pub(crate) fn find<'tables>(
    tables: &'tables Tables,
    scope: &Scope,
    id: ShareNetworkId,
) -> Result<&'tables Stored<ShareNetwork>, ManagerError> {
    tables.share_network(scope, id).ok_or_else(|| ManagerError::not_found("share network", id))
}

/// A security service inside `scope`.
fn find_service<'tables>(
    tables: &'tables Tables,
    scope: &Scope,
    id: SecurityServiceId,
) -> Result<&'tables Stored<SecurityService>, ManagerError> {
    tables.security_service(scope, id).ok_or_else(|| ManagerError::not_found("security service", id))
}
