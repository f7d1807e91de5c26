//! Waiting for a daemon that was not started beside its helper: a unix socket, and a look at who knocks.

use crate::connection::{Channel, ServeError};
use crate::server::Server;
use rustix::fs::AtFlags;
use rustix::fs::{CWD, FileType, Mode, chmodat, statat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a helper cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket cannot be made.
    #[error("'{path}' cannot be listened at; is there a file, or another helper?")]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nobody can be let in any more.
    #[error("the socket failed")]
    Accept(#[source] std::io::Error),
}

/// Serve daemons of the user `allowed` at `path`, one after the other, for ever. A peer of another user is turned away unheard.
///
/// `told` is called with what went wrong in a connection; the next one is served all the same.
pub fn listen(
    server: &mut Server,
    path: &Path,
    allowed: u32,
    mut told: impl FnMut(&ServeError),
) -> Result<std::convert::Infallible, ListenError> {
    let failed = |source: std::io::Error| ListenError::Bind { path: path.to_owned(), source };
    remove_stale_socket(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Who may connect is decided by who the peer is, not by the file's mode.
    chmodat(CWD, path, Mode::from_raw_mode(0o666), AtFlags::empty()).map_err(|error| failed(error.into()))?;
    loop {
        let (connection, _) = listener.accept().map_err(ListenError::Accept)?;
        if !is_allowed(&connection, allowed) {
            continue;
        }
        let served = Channel::socket(connection).map_err(ListenError::Accept)?;
        if let Err(error) = server.serve(served) {
            told(&error);
        }
    }
}

fn is_allowed(connection: &UnixStream, allowed: u32) -> bool {
    socket_peercred(connection).is_ok_and(|peer| peer.uid.as_raw() == allowed)
}

/// A socket that nobody listens at any more is in the way of the next helper.
fn remove_stale_socket(path: &Path) {
    let is_socket = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Socket);
    if is_socket && UnixStream::connect(path).is_err() {
        let _bind_will_say: Result<(), Errno> = rustix::fs::unlinkat(CWD, path, AtFlags::empty());
    }
}
