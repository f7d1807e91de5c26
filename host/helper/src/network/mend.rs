//! Putting back what the network of a running group has lost.
//!
//! None of it is noticed by the group's processes, and none of it needs them to be started anew: a bridge that was made again has no ports,
//! a pair goes with either of its ends, anybody with root's rights takes an address away or a device down. Sockets that listen at all
//! addresses, or at one that comes back, go on; so do connections whose address was away for a moment.

use super::device::{self, End};
use super::{NetworkError, Pair, bridge_at, configure, enter_plug, move_to, netlink, open};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::fstat;
use rustix::io::Errno;

/// Make the devices of a running group what they were made as by [`enter`](super::enter); `own` is its network namespace. Idempotent: what
/// is as it should be is left as it is.
///
/// Done in a thread of its own: the caller stays in its network namespace. Fails as `enter` does; what could be put back until then stays.
pub(crate) fn mend(pairs: Vec<Pair>, own: OwnedFd) -> Result<(), NetworkError> {
    let mending = std::thread::spawn(move || mend_here(&pairs, &own));
    let ended_abruptly = || NetworkError::system("the group's network", Errno::AGAIN);
    mending.join().unwrap_or_else(|_| Err(ended_abruptly()))
}

fn mend_here(pairs: &[Pair], own: &OwnedFd) -> Result<(), NetworkError> {
    let ours = |error| NetworkError::system("the group's network namespace", error);
    let here = open("/proc/self/ns/net").map_err(ours)?;
    // What is removed in it below is never the machine's.
    if fstat(own).map_err(ours)?.st_ino == fstat(&here).map_err(ours)?.st_ino {
        return Err(ours(Errno::INVAL));
    }
    for pair in pairs {
        plug_in_again(pair, (own, &here))?;
    }
    configure(pairs, own)
}

/// The pair, at its bridge and up; another one if the ends that are there are not those of one pair.
fn plug_in_again(pair: &Pair, (own, here): (&OwnedFd, &OwnedFd)) -> Result<(), NetworkError> {
    let failed =
        |error| NetworkError::system(format!("network device {} of the group", pair.interface.name), error);
    // A socket stays in the namespace where it was opened.
    move_to(own).map_err(failed)?;
    let mut inside = netlink()?;
    enter_plug(&pair.interface.plug, here)?;
    let mut outside = netlink()?;
    let bridge = bridge_at(&mut outside, &pair.interface.plug)?;
    let inner = device::end(&mut inside, &pair.interface.name).map_err(failed)?;
    let outer = device::end(&mut outside, &pair.outer).map_err(failed)?;
    if are_joined(pair, inner.as_ref(), outer.as_ref()) {
        return device::plug(&mut outside, pair, bridge).map_err(failed);
    }
    device::remove(&mut outside, &pair.outer).map_err(failed)?;
    device::remove(&mut inside, &pair.interface.name).map_err(failed)?;
    device::make_pair(&mut outside, pair, (bridge, own.as_fd())).map_err(failed)
}

fn are_joined(pair: &Pair, inner: Option<&End>, outer: Option<&End>) -> bool {
    let (Some(inner), Some(outer)) = (inner, outer) else { return false };
    inner.other == Some(outer.index)
        && outer.other == Some(inner.index)
        && inner.hardware == pair.interface.hardware.bytes()
}
