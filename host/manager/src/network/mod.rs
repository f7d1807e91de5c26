//! Share networks, their subnets and security services (contract 2.7, 2.10).
//!
//! Records of the host alone: no backend learns of them before a share server is made in a network. What is in use gets a security service
//! or a subnet more where the drivers of all its share servers export `server-updates` and have said that they could follow (`check`,
//! `in_use`); nothing else of it is changed.
//!
//! Where we differ from Manila on purpose: a network is never taken away under its share servers, which are deleted first; a password is
//! kept sealed, never shown again, not even to its tenant, and has at least 6 bytes: no driver could be handed a shorter one.

mod check;
mod in_use;
mod policy;
mod request;
mod service;
mod subnet;
mod verbs;

pub(crate) use check::NetworkChecks;
pub use check::{NetworkCheck, Recheck};
pub use in_use::{NetworkChange, NetworkUpdates, WhileInUse};
pub use request::{
    NewSecurityService, NewShareNetwork, NewSubnet, Password, SecurityServiceUpdate, ShareNetworkUpdate,
};

pub(crate) use verbs::new_subnet;

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::records::{Cause, Stored, Tables};
use bulkhead_ledger::HOST_CHAIN;
use bulkhead_model::id::{BackendName, SecurityServiceId, ShareNetworkId};
use bulkhead_model::network::{SecurityService, ShareNetwork};
use bulkhead_model::scope::Scope;

/// The ledger's chain for what belongs to no backend.
pub(crate) fn chain() -> Result<BackendName, ManagerError> {
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
