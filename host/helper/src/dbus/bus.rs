//! The way to a group's private bus: its socket, as the group itself sees it.

use crate::protocol::Refusal;
use crate::socket::connect_at_once;
use bulkhead_model::error::CapabilityCode;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connect to the bus that listens at `bus`, an absolute path below the group's `root`. Does not wait.
///
/// No link is followed on the way: what runs in the group cannot lead this process to a socket of the machine. Refused with
/// `unavailable` if nobody listens there.
pub(super) fn connect_below(root: &OwnedFd, bus: &str) -> Result<UnixStream, Refusal> {
    let below = bus.trim_start_matches('/');
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let failed = |error: Errno| unavailable(&format!("its socket {bus}: {error}"));
    let place = openat2(root, below, flags, Mode::empty(), resolve).map_err(failed)?;
    let status = fstat(&place).map_err(failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(unavailable(&format!("{bus} is not a socket")));
    }
    connect_at_once(Path::new(&format!("/proc/self/fd/{}", place.as_raw_fd()))).map_err(failed)
}

/// Nothing was called.
pub(super) fn unavailable(why: &str) -> Refusal {
    Refusal::new(
        CapabilityCode::Unavailable,
        format!("the group's bus cannot be reached, nothing was called: {why}"),
    )
}
