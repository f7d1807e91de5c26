//! What an operator is told of a bridge before anything is plugged into it.

use super::{NAMED, device, move_to, open};
use crate::network::socket::Netlink;
use bulkhead_model::network::NetworkPlug;
use rustix::io::Errno;
use std::path::Path;

/// How the bridge is that a network names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlugState {
    /// There is no such network namespace.
    NoNamespace,
    /// There is no such device.
    Nothing,
    /// The device is no bridge.
    NoBridge,
    /// It is a bridge that is not up: it passes nothing on.
    Down,
    /// It is a bridge that passes packets on.
    Up {
        /// The largest packet it takes, in bytes.
        mtu: u32,
    },
}

/// Look at the bridge that share servers would be plugged into. Changes nothing: a thread of its own goes there.
///
/// Fails with what the kernel says; with `EPERM` where this process may not enter the bridge's network namespace.
pub fn look_at_plug(plug: &NetworkPlug) -> Result<PlugState, std::io::Error> {
    let plug = plug.clone();
    let looking = std::thread::spawn(move || -> Result<PlugState, Errno> {
        if let Some(name) = &plug.namespace {
            match open(Path::new(NAMED).join(name)) {
                Err(Errno::NOENT) => return Ok(PlugState::NoNamespace),
                there => move_to(&there?)?,
            }
        }
        device::look(&mut Netlink::open()?, &plug.bridge)
    });
    Ok(looking.join().unwrap_or(Err(Errno::AGAIN))?)
}
