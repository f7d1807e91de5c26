//! Share servers in service that get another security service or more addresses.

mod glue;
mod record;

pub use record::{
    AllocationOutcome, AllocationUpdate, ReexportedShare, SecurityServiceUpdate, ShareRuleOutcomes,
    ShareRules, SubnetAddition,
};

use crate::error::Result;
use crate::share_server::ShareServers;

/// Giving a share server in service another security service or more addresses. Nothing else is done to what lives on the server meanwhile.
///
/// A tenant asks for the checks first, and the host makes no change that a server has denied, or was not asked about.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `server_updates` but does not implement `ServerUpdates`",
    note = "implement `bulkhead_sdk::ServerUpdates` for it, or leave `server_updates` out of `export_driver!`"
)]
pub trait ServerUpdates: ShareServers {
    /// Whether [`ServerUpdates::update_security_service`] could do it. Reads only, within 30 s; log why not. Not implemented, as any other
    /// failure: it could not.
    fn check_security_service_update(update: &SecurityServiceUpdate) -> Result<bool>;

    /// Let the server use `update.new_service`. Tell of rules that are not in force afterwards; those left out are.
    ///
    /// Idempotent: a server that uses it is a success with the same answer. Fail with [`Error::security_service_failed`]: the server goes to
    /// `error`; when a service was replaced its shares and their rules do too. Never two calls at once for one server.
    ///
    /// [`Error::security_service_failed`]: crate::Error::security_service_failed
    fn update_security_service(update: &SecurityServiceUpdate) -> Result<Vec<ShareRuleOutcomes>>;

    /// Whether the server could serve `addition.new_subnet` too. Nothing has been allocated yet. As
    /// [`ServerUpdates::check_security_service_update`].
    fn check_network_allocations_update(addition: &SubnetAddition) -> Result<bool>;

    /// Let the server serve `update.new_network`: the subnets it has and one more, with addresses that the host keeps for it already.
    ///
    /// Idempotent: a server that serves it is a success with the same answer. Fail with [`Error::bad_network_configuration`]: the server, its
    /// shares and snapshots go to `error`; what [`Error::with_server_details`] tells is kept. Never two calls at once for one server.
    ///
    /// [`Error::bad_network_configuration`]: crate::Error::bad_network_configuration
    /// [`Error::with_server_details`]: crate::Error::with_server_details
    fn update_network_allocations(update: &AllocationUpdate) -> Result<AllocationOutcome>;
}
