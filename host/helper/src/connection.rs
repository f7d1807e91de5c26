//! The connection to the daemon: frames in, frames out, and neither waits.

use crate::frame::{FrameError, FrameReader, encode};
use crate::protocol::{FromHelper, LARGEST_ANSWER, LARGEST_REQUEST, ToHelper, VERSION};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::os::unix::net::UnixStream;

/// Read in one go, in bytes.
const BLOCK: usize = 64 << 10;
/// Answers that may wait for a daemon that does not read them; beyond, no more requests are taken.
const MOST_UNSENT: usize = 64 << 20;

/// Why a connection ended otherwise than by the daemon closing it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The peer does not speak the protocol.
    #[error("the daemon does not speak this protocol")]
    Protocol(#[source] FrameError),
    /// The peer speaks another version.
    #[error(
        "the daemon speaks version {daemon} of the protocol, this helper {VERSION}; install both from one release"
    )]
    Version {
        /// What the daemon speaks.
        daemon: u32,
    },
    /// Something else came first.
    #[error("the daemon did not say hello")]
    NoHello,
    /// The kernel failed.
    #[error("the connection to the daemon failed")]
    Connection(#[source] Errno),
}

/// Whether the daemon is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    There,
    Gone,
}

/// A connection with what came and what is still to go.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    reader: FrameReader,
    unsent: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Result<Self, ServeError> {
        stream.set_nonblocking(true).map_err(|error| ServeError::Connection(errno(&error)))?;
        Ok(Self { stream, reader: FrameReader::new(LARGEST_REQUEST), unsent: Vec::new() })
    }

    /// Add what this connection waits for.
    pub(crate) fn watch<'connection>(&'connection self, list: &mut Vec<PollFd<'connection>>) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.unsent.len() < MOST_UNSENT);
        flags.set(PollFlags::OUT, !self.unsent.is_empty());
        list.push(PollFd::new(&self.stream, flags));
    }

    /// The next whole message, if one has come.
    pub(crate) fn message(&mut self) -> Result<Option<ToHelper>, ServeError> {
        self.reader.read().map_err(ServeError::Protocol)
    }

    /// Throw away what nobody will read.
    pub(crate) fn forget(&mut self) {
        self.unsent.clear();
    }

    /// Read what is there.
    pub(crate) fn receive(&mut self) -> Result<Peer, ServeError> {
        if self.unsent.len() >= MOST_UNSENT {
            return Ok(Peer::There);
        }
        let mut block = Vec::with_capacity(BLOCK);
        match rustix::io::read(&self.stream, spare_capacity(&mut block)) {
            Ok(0) | Err(Errno::CONNRESET) => Ok(Peer::Gone),
            Ok(_) => {
                self.reader.extend(&block);
                Ok(Peer::There)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Peer::There),
            Err(error) => Err(ServeError::Connection(error)),
        }
    }

    /// Write what can be written.
    pub(crate) fn send(&mut self) -> Result<Peer, ServeError> {
        while !self.unsent.is_empty() {
            match rustix::io::write(&self.stream, &self.unsent) {
                Ok(written) => {
                    self.unsent.drain(..written);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(Peer::Gone),
                Err(error) => return Err(ServeError::Connection(error)),
            }
        }
        Ok(Peer::There)
    }

    /// Add a message to what is to be written.
    pub(crate) fn tell(&mut self, message: &FromHelper) -> Result<(), ServeError> {
        self.unsent.extend(encode(message, LARGEST_ANSWER).map_err(ServeError::Protocol)?);
        Ok(())
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
