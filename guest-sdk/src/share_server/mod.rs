//! Share servers: what the backend keeps for one tenant's network, with addresses of its own there.

mod glue;
mod record;

pub use record::{
    NetworkInfo, ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork, ServerOutcome, ServerRequest,
    ShareServer,
};

use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::network::{NetworkAllocation, SecurityService};

fn not_implemented<T>(what: &str) -> Result<T> {
    Err(Error::not_implemented(what))
}

/// A server for each tenant network: for drivers whose manifest allows `dhss = [true]` or `[false, true]`. Where the backend makes them,
/// every share comes with the server it lives on, in [`Share::server`](crate::Share::server).
///
/// The host allocates addresses from the two counts before [`ShareServers::setup_server`], keeps them while anything of the server may be
/// left, and gives them back after [`ShareServers::teardown_server`] has succeeded. A call about a server may name it to the host; so may
/// a call about a share that lives on it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `share_servers` but does not implement `ShareServers`",
    note = "implement `bulkhead_sdk::ShareServers` for it, or leave `share_servers` out of `export_driver!`"
)]
pub trait ShareServers: Driver {
    /// How many addresses of the tenant's network a server needs in its subnet; at most 64. 0 where something else does the networking.
    /// Reads only.
    fn network_allocations_number() -> Result<u32>;

    /// How many addresses of the administrators' network a server needs; at most 64. Reads only. Not implemented: none.
    fn admin_network_allocations_number() -> Result<u32> {
        not_implemented("this driver needs no addresses of administrators")
    }

    /// Make the server `network.server_id`.
    ///
    /// Idempotent: a server that is there with these addresses is a success with the same answer. After a failure it may be called again
    /// for the same id, with what an earlier attempt told in `network.backend_details`: cope with a half-made server. On failure tell
    /// what is there already, [`Error::with_server_details`]: [`ShareServers::teardown_server`] gets it. Fail with
    /// [`Error::bad_network_configuration`], [`Error::port_limit_exceeded`], [`Error::no_address_left`] or
    /// [`Error::security_service_failed`]: the tenant is told which. Never two calls at once for one server.
    fn setup_server(network: &ServerNetwork, request: &ServerRequest) -> Result<ServerOutcome>;

    /// Remove `server` and everything made for it; no share is left on it.
    ///
    /// Idempotent: a server that is gone, or was made only in part, with empty or partial `backend_details`, is a success. On failure the
    /// server goes to `error` and keeps its addresses; the host tears it down anew once nothing has happened to it for 10 minutes.
    fn teardown_server(server: &ShareServer, security_services: &[SecurityService]) -> Result<()>;

    /// The server that the share shall live on, one of `choice.candidates`; none makes a new one. Reads only. Not implemented: the server
    /// of the share's group, else the first candidate.
    fn choose_share_server_for_share(choice: &ServerChoiceForShare) -> Result<Option<String>> {
        not_implemented(&format!("nothing is special about {}", choice.share.name))
    }

    /// The server that the group shall live on, one of `choice.candidates`; none makes a new one. Reads only. Not implemented: the first
    /// candidate.
    fn choose_share_server_for_group(choice: &ServerChoiceForGroup) -> Result<Option<String>> {
        not_implemented(&format!("nothing is special about group {}", choice.share_group.id))
    }

    /// The names of the pools that shares of `server` may live in; empty for all. Reads only, within 30 s. Not implemented: all.
    fn share_server_pools(server: &ShareServer) -> Result<Vec<String>> {
        not_implemented(&format!("server {} reaches all pools", server.id))
    }

    /// Told when the host has allocated addresses for `server`, before [`ShareServers::setup_server`]. Idempotent: may come again with the
    /// same ones. On failure the server goes to `error` and the host releases them. Not implemented: nothing to do.
    fn after_allocation(server: &ShareServer, _allocations: &[NetworkAllocation]) -> Result<()> {
        not_implemented(&format!("nothing is to be done about the addresses of {}", server.id))
    }

    /// Told when `server` is gone and the host is about to release these addresses. Idempotent: may come again with some of them. On
    /// failure the host keeps them, as when [`ShareServers::teardown_server`] fails, which comes first again. Not implemented: nothing to do.
    fn before_release(server: &ShareServer, _allocations: &[NetworkAllocation]) -> Result<()> {
        not_implemented(&format!("nothing is to be done about the addresses of {}", server.id))
    }
}

/// Taking over share servers that were made outside, and letting share servers go.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `manage_servers` but does not implement `ManageServers`",
    note = "implement `bulkhead_sdk::ManageServers` for it, or leave `manage_servers` out of `export_driver!`"
)]
pub trait ManageServers: ShareServers {
    /// The addresses of the server that `identifier`, as the operator typed it, names: plain IPv4 and IPv6 addresses. Reads only. Not called
    /// when the driver needs no addresses.
    ///
    /// Fail with [`Error::invalid_share_server`] if there is no such server. An empty answer, or an address in none of the networks bound to
    /// the backend, sends the server to `manage_error` too.
    fn share_server_network_info(
        server: &ShareServer,
        identifier: &str,
        driver_options: &[(String, String)],
    ) -> Result<Vec<String>>;

    /// Take over the server that `identifier` names, as `server`.
    ///
    /// Idempotent: a server that was taken over as `server` is a success with the same answer. Fail with
    /// [`Error::invalid_share_server`], having changed nothing.
    fn manage_server(
        server: &ShareServer,
        identifier: &str,
        driver_options: &[(String, String)],
    ) -> Result<ServerOutcome>;

    /// Forget `server`; it stays at the backend with its addresses. Idempotent: a server that was let go is a success.
    fn unmanage_server(server: &ShareServer, security_services: &[SecurityService]) -> Result<()>;
}
