//! Whether a service is ready: looked at from inside its group.

use super::message::Condition;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long one look at an address may take. On this machine it is answered at once.
const LOOK: Duration = Duration::from_millis(200);

/// Whether all of it holds now.
pub(super) fn holds(condition: &Condition) -> bool {
    let socket = condition.socket.as_ref().is_none_or(|path| UnixStream::connect(path).is_ok());
    let name = || condition.bus_name.as_ref().is_none_or(|(bus, name)| crate::dbus::has_owner(bus, name));
    let address =
        || condition.address.as_ref().is_none_or(|address| TcpStream::connect_timeout(address, LOOK).is_ok());
    socket && name() && address()
}
