//! One connection between helper and keeper: frames that come and go without waiting, and the descriptors beside them.

use super::message::LARGEST;
use crate::frame::{FrameError, FrameReader, encode};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

/// The most descriptors beside one message.
pub(super) const MOST_DESCRIPTORS: usize = 8;
const BLOCK: usize = 16 << 10;

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the other side closed it")]
    Closed,
    #[error("the other side does not speak the protocol: {0}")]
    Frame(#[from] FrameError),
    #[error("it failed: {0}")]
    System(#[from] Errno),
}

#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    reader: FrameReader,
    unsent: Vec<u8>,
    /// Descriptors that go with the first byte of `unsent`.
    outgoing: Vec<OwnedFd>,
    incoming: Vec<OwnedFd>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Result<Self, Errno> {
        stream.set_nonblocking(true).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self {
            stream,
            reader: FrameReader::new(LARGEST),
            unsent: Vec::new(),
            outgoing: Vec::new(),
            incoming: Vec::new(),
        })
    }

    /// Put a message into the queue, with descriptors beside it.
    pub(super) fn put<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), FrameError> {
        self.unsent.extend(encode(message, LARGEST)?);
        self.outgoing.extend(descriptors);
        Ok(())
    }

    /// Send what goes now.
    pub(super) fn send(&mut self) -> Result<(), WireError> {
        while !self.unsent.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            let borrowed: Vec<_> = self.outgoing.iter().map(AsFd::as_fd).collect();
            if !borrowed.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&borrowed)) {
                return Err(WireError::System(Errno::TOOMANYREFS));
            }
            let bytes = [IoSlice::new(&self.unsent)];
            match sendmsg(&self.stream, &bytes, &mut beside, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    self.unsent.drain(..sent);
                    self.outgoing.clear();
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message, if one has come.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        loop {
            if let Some(message) = self.reader.read()? {
                return Ok(Some(message));
            }
            let mut block = [0; BLOCK];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut bytes = [IoSliceMut::new(&mut block)];
            match recvmsg(&self.stream, &mut bytes, &mut beside, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => {
                    for message in beside.drain() {
                        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                            self.incoming.extend(descriptors);
                        }
                    }
                    if received.bytes == 0 {
                        return Err(WireError::Closed);
                    }
                    self.reader.extend(block.get(..received.bytes).unwrap_or_default());
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The descriptors that came so far.
    pub(super) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.incoming)
    }

    /// What it waits for.
    pub(super) fn watch(&self) -> PollFd<'_> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.unsent.is_empty());
        PollFd::new(&self.stream, flags)
    }

    /// Whether everything is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }
}
