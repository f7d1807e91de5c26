//! Whether a service is ready: looked at from inside its group.

use super::message::Condition;
use crate::socket::connect_at_once;
use rustix::io::Errno;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long one look at an address may take. On this machine it is answered at once.
const LOOK: Duration = Duration::from_millis(200);
/// How often an address is looked at in that time before it counts as somebody else's.
const LOOKS: u32 = 8;

/// Whether all of it holds now.
pub(super) fn holds(condition: &Condition) -> bool {
    let socket = condition.socket.as_ref().is_none_or(|path| listens(Path::new(path)));
    let name = || condition.bus_name.as_ref().is_none_or(|(bus, name)| crate::dbus::has_owner(bus, name));
    let address = || condition.address.as_ref().is_none_or(answers);
    socket && name() && address()
}

/// The address that somebody answers though the service does not run: whoever it is would be taken for the service. An earlier run of it
/// that was killed just now may take a moment to let go.
pub(super) fn taken(condition: &Condition) -> Option<SocketAddr> {
    let address = condition.address?;
    for _ in 0..LOOKS {
        if !answers(&address) {
            return None;
        }
        std::thread::sleep(LOOK / LOOKS);
    }
    Some(address)
}

/// Whether somebody listens at a socket; so does who has no time for one more.
fn listens(path: &Path) -> bool {
    matches!(connect_at_once(path), Ok(_) | Err(Errno::AGAIN))
}

fn answers(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, LOOK).is_ok()
}
