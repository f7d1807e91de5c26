//! A group's own network: devices plugged into bridges, with the addresses that the daemon keeps for a share server.
//!
//! ```text
//! the bridge's network namespace              the group's network namespace
//!   bridge br0 -- bh1f00c0ffee120  <== veth ==>  eth0 02:62:0a:fe:4d:0b 10.254.77.11/24, default route
//!                                                lo
//! ```
//!
//! Whoever keeps the group makes its namespace and everything in it before its first service starts ([`enter`]). Until then nothing but that
//! process holds the namespace: a crash at any point takes it, and both ends of every pair, along. The end at the bridge has a name that
//! derives from the group, so that what is left of an earlier one is replaced, never met ([`unplug`]). As a port of the bridge it is isolated:
//! it hears clients and routers, but no other group. What a running group has lost of all this is put back whenever it is started
//! ([`mend`](fn@mend)).

mod device;
mod look;
mod mend;
mod socket;

use crate::child;
use crate::policy::Policy;
use crate::protocol::{GroupInterface, Refusal};
use bulkhead_model::manifest::{GroupNetwork, GroupTemplate};
use bulkhead_model::network::NetworkPlug;
use device::Found;
pub use look::{PlugState, look_at_plug};
pub(crate) use mend::mend;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use socket::Netlink;
use std::path::Path;

/// The most devices of one group.
const MOST_INTERFACES: usize = 8;
/// Where `ip netns` keeps namespaces by their names.
const NAMED: &str = "/run/netns";

/// A device to be made, with the name of its end at the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// The end at the bridge: at most 15 bytes.
    pub(crate) outer: String,
    /// The end in the group.
    pub(crate) interface: GroupInterface,
}

/// Why a group has no network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error(
        "network namespace '{name}' cannot be entered: {error}; make it: ip netns add {name}, or name another in grant.networks"
    )]
    Namespace { name: String, error: Errno },
    #[error("there is no {plug}; make it: {} && {}", ip(.plug, "link add", "type bridge"), ip(.plug, "link set", "up"))]
    NoBridge { plug: NetworkPlug },
    #[error("{plug} is a device of another kind; name another in grant.networks")]
    NoSuchBridge { plug: NetworkPlug },
    #[error("{what}: {error}")]
    System { what: String, error: Errno },
}

impl NetworkError {
    fn system(what: impl Into<String>, error: Errno) -> Self {
        Self::System { what: what.into(), error }
    }
}

/// What to type about a bridge.
fn ip(plug: &NetworkPlug, verb: &str, rest: &str) -> String {
    let place = plug.namespace.as_ref().map(|name| format!("-n {name} ")).unwrap_or_default();
    format!("ip {place}{verb} {} {rest}", plug.bridge)
}

/// The devices of a group, each with a name at the bridge that derives from `group`.
///
/// Refused with `invalid-argument` if the template declares no network of its own, or needs one; `denied` if the policy allows no such bridge.
pub(crate) fn pairs(
    template: &GroupTemplate,
    interfaces: &[GroupInterface],
    (group, policy): (&str, &Policy),
) -> Result<Vec<Pair>, Refusal> {
    if (template.network == GroupNetwork::Own) == interfaces.is_empty() {
        let message = format!("group '{}' is to have another network than it declares", template.name);
        return Err(Refusal::invalid(message));
    }
    if interfaces.len() > MOST_INTERFACES {
        return Err(Refusal::invalid(format!("a group has at most {MOST_INTERFACES} network devices")));
    }
    let short: String = group.chars().take(12).collect();
    let pair = |(number, interface): (usize, &GroupInterface)| {
        policy.check_bridge(&interface.plug)?;
        if interface.name != format!("eth{number}") || interface.addresses.is_empty() {
            return Err(Refusal::invalid("the devices of a group are eth0, eth1 …, each with an address"));
        }
        Ok(Pair { outer: format!("bh{short}{number}"), interface: interface.clone() })
    };
    interfaces.iter().enumerate().map(pair).collect()
}

/// Give this process, which has one thread, a network namespace of its own with these devices, plugged in and up.
pub(crate) fn enter(pairs: &[Pair]) -> Result<(), NetworkError> {
    let ours = "the network namespace of this process";
    let here = open("/proc/self/ns/net").map_err(|error| NetworkError::system(ours, error))?;
    child::leave_network().map_err(|error| NetworkError::system("a network namespace", error))?;
    let own = open("/proc/self/ns/net").map_err(|error| NetworkError::system(ours, error))?;
    for pair in pairs {
        enter_plug(&pair.interface.plug, &here)?;
        plug_in(pair, &own)?;
    }
    configure(pairs, &own)
}

fn netlink() -> Result<Netlink, NetworkError> {
    Netlink::open().map_err(|error| NetworkError::system("the kernel's network configuration", error))
}

/// Make a pair; this thread is in the bridge's namespace.
fn plug_in(pair: &Pair, own: &OwnedFd) -> Result<(), NetworkError> {
    let plug = &pair.interface.plug;
    let failed = |error| NetworkError::system(format!("a network device at {plug}"), error);
    let mut netlink = netlink()?;
    let bridge = bridge_at(&mut netlink, plug)?;
    device::remove(&mut netlink, &pair.outer).map_err(failed)?;
    device::make_pair(&mut netlink, pair, (bridge, own.as_fd())).map_err(failed)
}

/// The number of the bridge.
fn bridge_at(netlink: &mut Netlink, plug: &NetworkPlug) -> Result<u32, NetworkError> {
    let failed = |error| NetworkError::system(plug.to_string(), error);
    match device::find(netlink, &plug.bridge).map_err(failed)? {
        Found::Bridge(index) => Ok(index),
        Found::Other(_) => Err(NetworkError::NoSuchBridge { plug: plug.clone() }),
        Found::Nothing => Err(NetworkError::NoBridge { plug: plug.clone() }),
    }
}

/// Give the devices in a group's namespace what they should have; this thread moves there. Idempotent.
fn configure(pairs: &[Pair], own: &OwnedFd) -> Result<(), NetworkError> {
    move_to(own).map_err(|error| NetworkError::system("the group's network namespace", error))?;
    let mut netlink = netlink()?;
    device::set_up(&mut netlink, "lo").map_err(|error| NetworkError::system("its loopback device", error))?;
    pairs.iter().try_for_each(|pair| configure_one(&mut netlink, &pair.interface))
}

/// Addresses, then up, then routes; this thread is in the group's namespace.
fn configure_one(netlink: &mut Netlink, interface: &GroupInterface) -> Result<(), NetworkError> {
    let failed = |what: &str, error| NetworkError::system(format!("{what} of {}", interface.name), error);
    let found = device::find(netlink, &interface.name).map_err(|error| failed("the state", error))?;
    let Found::Other(index) = found else { return Err(failed("the state", Errno::NODEV)) };
    // Whom a tenant lets speak for its router does not configure the server. Where there is no file there is no version 6.
    match std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/accept_ra", interface.name), "0") {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let cause = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            return Err(failed("refusing what routers announce", cause));
        }
        _ => {}
    }
    for address in &interface.addresses {
        device::add_address(netlink, index, *address)
            .map_err(|error| failed(&format!("address {address}"), error))?;
    }
    device::set_up(netlink, &interface.name).map_err(|error| failed("the state", error))?;
    for gateway in &interface.gateways {
        device::set_default_route(netlink, index, *gateway)
            .map_err(|error| failed(&format!("the route to {gateway}"), error))?;
    }
    Ok(())
}

/// Remove what is left at the bridges of a group that has ended. What is gone already, or whose bridge is, is gone.
///
/// Done in a thread of its own: the caller stays in its network namespace.
pub(crate) fn unplug(pairs: Vec<Pair>) {
    let removing = std::thread::spawn(move || -> Result<(), NetworkError> {
        let here = open("/proc/self/ns/net").map_err(|error| NetworkError::system("its namespace", error))?;
        for pair in pairs {
            enter_plug(&pair.interface.plug, &here)?;
            let failed = |error| NetworkError::system(format!("device {}", pair.outer), error);
            device::remove(&mut netlink()?, &pair.outer).map_err(failed)?;
        }
        Ok(())
    });
    // It goes with the group's namespace in any case; this only makes sure that it is gone by now.
    let _goes_by_itself = removing.join().is_ok_and(|removed| removed.is_err());
}

/// Bring this thread to where a bridge is.
fn enter_plug(plug: &NetworkPlug, here: &OwnedFd) -> Result<(), NetworkError> {
    match &plug.namespace {
        None => move_to(here).map_err(|error| NetworkError::system("the bridge's network namespace", error)),
        Some(name) => {
            let failed = |error| NetworkError::Namespace { name: name.clone(), error };
            let there = open(Path::new(NAMED).join(name)).map_err(failed)?;
            move_to(&there).map_err(failed)
        }
    }
}

fn open(path: impl AsRef<Path>) -> Result<OwnedFd, Errno> {
    openat(CWD, path.as_ref(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn move_to(namespace: &OwnedFd) -> Result<(), Errno> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}
