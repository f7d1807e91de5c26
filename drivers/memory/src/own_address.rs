//! An address for one share alone, beside those of its share server: where the share's type asks for one, it is reached there.
//!
//! The host keeps addresses by purpose, and the purpose is the share's name: whoever asks again gets the same one. That there may be one is
//! noted before it is asked for and forgotten after it went back, so that it goes with its share wherever a call was cut short.

use bulkhead_sdk::network_allocation::{self, Request};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, CapabilityError, Error, Resource, Result, Share};

/// The extra spec that asks for one.
const OWN_ADDRESS: &str = "memory:own_address";
/// The key that says that there may be one, and at which server.
const KEY: &str = "own-address";

/// The address of this share on `server`; none if its type asks for none.
///
/// Idempotent. Fails with `no-address-left` if the server's network is full.
pub(crate) fn of(share: &Share, server: &str) -> Result<Option<String>> {
    if !is_asked_for(share) {
        return Ok(None);
    }
    let owner = owner(share);
    if private_data::get(&owner, KEY)?.is_none_or(|entry| entry.value != server) {
        private_data::set(&owner, KEY, server, Expected::Anything)?;
    }
    let kept = network_allocation::allocate(&Request::new(server, &share.name)).map_err(told)?;
    Ok(kept.into_iter().next().map(|allocation| allocation.ip_address))
}

fn told(error: CapabilityError) -> Error {
    match error.code() {
        CapabilityCode::NoSpace => Error::no_address_left(error.to_string()),
        CapabilityCode::LimitExceeded => Error::port_limit_exceeded(error.to_string()),
        _ => error.into(),
    }
}

/// Give the address of a share back; nothing where it never had one. Idempotent.
pub(crate) fn give_back(share: &Share) -> Result<()> {
    if share.share_server_id.is_none() {
        return Ok(());
    }
    let owner = owner(share);
    if let Some(entry) = private_data::get(&owner, KEY)? {
        network_allocation::release(&entry.value, &share.name)?;
        private_data::remove(&owner, KEY)?;
    }
    Ok(())
}

/// Whether the type of a share asks for an address of its own.
fn is_asked_for(share: &Share) -> bool {
    share.extra_specs.iter().any(|(key, value)| key == OWN_ADDRESS && is_true(value))
}

/// Whether the value of an extra spec is true, as Manila writes that.
pub(crate) fn is_true(value: &str) -> bool {
    value.trim_start_matches("<is>").trim().eq_ignore_ascii_case("true")
}

fn owner(share: &Share) -> Owner {
    Owner::Of(Resource::from(share))
}
