//! Share servers: a record with the address that shares on it are found at.

use crate::flaw::{fail_if, has, note_for_backend, once};
use crate::place::{self, of};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{
    Error, NetworkAllocation, Resource, Result, ServerNetwork, ServerOutcome, Share, ShareServer, clock,
};

/// The detail, and the key, of a server's address.
const ADDRESS: &str = "address";

/// How many addresses a server needs.
pub(crate) fn count() -> Result<u32> {
    if has("counts-and-writes")? {
        note_for_backend(&clock::new_id())?;
    }
    Ok(1)
}

/// Make a server.
pub(crate) fn set_up(network: &ServerNetwork) -> Result<ServerOutcome> {
    fail_if("servers-fail")?;
    let owner = Owner::Of(Resource::ShareServer(network.server_id.clone()));
    if has("sets-up-once")? {
        once(&owner, "made")?;
    }
    let first = network.networks.iter().flat_map(|info| &info.network_allocations).next();
    let address = first.ok_or_else(|| Error::bad_network_configuration("a server needs an address"))?;
    private_data::set(&owner, ADDRESS, &address.ip_address, Expected::Anything)?;
    Ok(ServerOutcome {
        identifier: None,
        backend_details: vec![(ADDRESS.to_owned(), address.ip_address.clone())],
    })
}

/// Remove a server, or what there is of it.
pub(crate) fn tear_down(server: &ShareServer) -> Result<()> {
    let owner = of(server);
    if has("tear-down-wants-one")? && private_data::get(&owner, ADDRESS)?.is_none() {
        return Err(Error::invalid_share_server("there is no such server"));
    }
    if has("tear-down-leaves-a-record")? {
        return Ok(());
    }
    place::forget(&owner)
}

/// The address that a share on a server is found at; none for a share that lives on none. The record and not the server's details, which
/// are not there where many shares are asked about at once.
pub(crate) fn address(share: &Share) -> Result<Option<String>> {
    let Some(id) = &share.share_server_id else { return Ok(None) };
    let server = Owner::Of(Resource::ShareServer(id.clone()));
    Ok(private_data::get(&server, ADDRESS)?.map(|entry| entry.value))
}

/// The first of the servers on offer.
pub(crate) fn choose(candidates: &[ShareServer], flaws: [&str; 2]) -> Result<Option<String>> {
    let [stranger, writes] = flaws;
    if has(stranger)? {
        return Ok(Some(clock::new_id()));
    }
    if has(writes)? {
        note_for_backend(&clock::new_id())?;
    }
    Ok(candidates.first().map(|server| server.id.clone()))
}

/// A server reaches every pool.
pub(crate) fn pools() -> Result<Vec<String>> {
    if has("server-pools-write")? {
        note_for_backend(&clock::new_id())?;
    }
    Ok(Vec::new())
}

/// Hear of addresses that come.
pub(crate) fn hear(server: &ShareServer, _: &[NetworkAllocation]) -> Result<()> {
    if has("hears-of-addresses-once")? {
        once(&of(server), "heard of addresses")?;
    }
    Ok(())
}

/// Hear of addresses that go.
pub(crate) fn hear_of_release(server: &ShareServer, _: &[NetworkAllocation]) -> Result<()> {
    if has("hears-of-release-once")? {
        once(&of(server), "heard of the release")?;
    }
    Ok(())
}

/// Whether a server could follow a change: every one does.
pub(crate) fn could(writes: &str) -> Result<bool> {
    if has(writes)? {
        note_for_backend(&clock::new_id())?;
    }
    Ok(true)
}

/// Follow a change of the server's network: there is nothing to do.
pub(crate) fn update(server: &ShareServer, only_once: &str) -> Result<()> {
    if has(only_once)? {
        once(&of(server), "followed")?;
    }
    Ok(())
}
