//! The connection to the daemon: frames in, frames out, and neither waits. A socket, or two pipes of a channel to another machine.

use crate::frame::{FrameError, FrameReader, encode};
use crate::protocol::{FromHelper, LARGEST_ANSWER, LARGEST_REQUEST, ToHelper, VERSION};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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

/// How long a daemon on another machine may say nothing: it asks for signs of life three times as often. Nobody else would notice that the
/// way to it is cut, and the next helper waits for this one.
const SILENCE: Duration = Duration::from_secs(30);

/// What a connection is read from and written to.
#[derive(Debug)]
pub struct Channel {
    input: OwnedFd,
    output: OwnedFd,
    /// How long the other side may say nothing; none: the kernel tells when it is gone.
    silence: Option<Duration>,
}

impl Channel {
    /// Two streams that somebody carries to a daemon on another machine.
    #[must_use]
    pub const fn carried(input: OwnedFd, output: OwnedFd) -> Self {
        Self { input, output, silence: Some(SILENCE) }
    }

    /// A socket, both ways.
    pub fn socket(stream: UnixStream) -> std::io::Result<Self> {
        let output = stream.try_clone()?.into();
        Ok(Self { input: stream.into(), output, silence: None })
    }
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
    channel: Channel,
    reader: FrameReader,
    unsent: Vec<u8>,
    heard: Instant,
}

impl Connection {
    pub(crate) fn new(channel: Channel) -> Result<Self, ServeError> {
        for end in [&channel.input, &channel.output] {
            ioctl_fionbio(end, true).map_err(ServeError::Connection)?;
        }
        let (reader, heard) = (FrameReader::new(LARGEST_REQUEST), Instant::now());
        Ok(Self { channel, reader, unsent: Vec::new(), heard })
    }

    /// When a daemon that says nothing counts as gone.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.heard.checked_add(self.channel.silence?)
    }

    /// Add what this connection waits for.
    pub(crate) fn watch<'connection>(&'connection self, list: &mut Vec<PollFd<'connection>>) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.unsent.len() < MOST_UNSENT);
        list.push(PollFd::new(&self.channel.input, flags));
        if !self.unsent.is_empty() {
            list.push(PollFd::new(&self.channel.output, PollFlags::OUT));
        }
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
        if self.due().is_some_and(|due| due <= Instant::now()) {
            return Ok(Peer::Gone);
        }
        if self.unsent.len() >= MOST_UNSENT {
            return Ok(Peer::There);
        }
        let mut block = Vec::with_capacity(BLOCK);
        match rustix::io::read(&self.channel.input, spare_capacity(&mut block)) {
            Ok(0) | Err(Errno::CONNRESET) => Ok(Peer::Gone),
            Ok(_) => {
                self.heard = Instant::now();
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
            match rustix::io::write(&self.channel.output, &self.unsent) {
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
