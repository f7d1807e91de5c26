//! Share servers: one NFS server for each tenant's network, with the addresses that the host allocated there.

use bulkhead_btrfs_pool::server::{self, Server};
use bulkhead_sdk::{
    Error, NetworkAllocation, Result, ServerNetwork, ServerOutcome, Share, ShareServer, config, log,
};
use std::net::IpAddr;

/// The detail that names a server's addresses.
const ADDRESSES: &str = "addresses";
const ADMIN_ADDRESSES: &str = "admin_addresses";

/// Fails with `bad-configuration` where an option is wrong.
pub(crate) fn check_options() -> Result<()> {
    admin_addresses_number().map(drop)
}

/// Fails with `invalid-share-server` unless the share lives on one.
pub(crate) fn check(share: &Share) -> Result<()> {
    if share.share_server_id.is_some() {
        return Ok(());
    }
    Err(Error::invalid_share_server(format!(
        "{} lives on no share server, and this driver serves from nothing else; name a share network",
        share.name
    )))
}

/// How many addresses of the administrators' network a server needs.
pub(crate) fn admin_addresses_number() -> Result<u32> {
    let value = config::integer(ADMIN_ADDRESSES)?.unwrap_or(0);
    u32::try_from(value).ok().filter(|count| *count <= 1).ok_or_else(|| {
        Error::bad_configuration(format!("option {ADMIN_ADDRESSES} is {value}; it must be 0 or 1"))
    })
}

/// Make a server, or find it as an earlier attempt made it. It serves nothing yet.
pub(crate) fn set_up(network: &ServerNetwork) -> Result<ServerOutcome> {
    if !network.security_services.is_empty() {
        log::info("security services are not used: NFS with sec=sys knows clients by address");
    }
    let addresses = parsed(network.networks.iter().flat_map(|info| &info.network_allocations))?;
    let admin_addresses = parsed(&network.admin_network_allocations)?;
    let backend_details = details(&addresses, &admin_addresses);
    let made = Server::of_share_server(&network.server_id, &addresses, &admin_addresses)
        .and_then(|server| server.set_up());
    made.map_err(|error| error.with_server_details(backend_details.clone()))?;
    Ok(ServerOutcome { identifier: None, backend_details })
}

fn parsed<'all>(allocations: impl IntoIterator<Item = &'all NetworkAllocation>) -> Result<Vec<IpAddr>> {
    let address = |allocation: &NetworkAllocation| {
        allocation.ip_address.parse().map_err(|_| {
            Error::bad_network_configuration(format!("'{}' is no address", allocation.ip_address))
        })
    };
    allocations.into_iter().map(address).collect()
}

fn details(addresses: &[IpAddr], admin_addresses: &[IpAddr]) -> Vec<(String, String)> {
    let text = |list: &[IpAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut details = vec![(ADDRESSES.to_owned(), text(addresses))];
    if !admin_addresses.is_empty() {
        details.push((ADMIN_ADDRESSES.to_owned(), text(admin_addresses)));
    }
    details
}

/// Remove a server, or what there is of it.
pub(crate) fn tear_down(server: &ShareServer) -> Result<()> {
    server::tear_down(&server.id)
}
