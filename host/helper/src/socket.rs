//! Connecting to sockets of the machine without ever waiting: whoever listens may take nobody in, and this process has one thread.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connect to whoever listens at `path`; neither this nor the stream waits. Fails with `AGAIN` if too many wait there already.
pub(crate) fn connect_at_once(path: &Path) -> Result<UnixStream, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_queue_that_is_full_is_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        assert_eq!(connect_at_once(&path).err(), Some(Errno::NOENT));
        let listener = UnixListener::bind(&path).expect("a socket");
        rustix::net::listen(&listener, 1).expect("a short queue");
        let mut waiting = Vec::new();
        let refused = loop {
            match connect_at_once(&path) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 100, "the queue is short");
        };
        assert_eq!(refused, Errno::AGAIN);
        drop(listener);
        assert_eq!(connect_at_once(&path).err(), Some(Errno::CONNREFUSED));
    }
}
