//! A socket to the kernel's network configuration, in the network namespace of the thread that opens it.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::time::Duration;

/// The kernel answers within the request; this only keeps a surprise from lasting.
const ANSWER: Duration = Duration::from_secs(10);
/// More than the description of one device needs.
const LARGEST: usize = 64 << 10;
/// What messages are aligned to.
const ALIGNMENT: usize = 4;

/// One question at a time.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> Result<Self, Errno> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Ask; the messages that came before the kernel said that it is done. Fails with what the kernel refuses it with.
    pub(super) fn ask(
        &mut self,
        asked: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(asked));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.socket, &bytes, SendFlags::empty())?;
        self.answers()
    }

    fn answers(&self) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        let mut answers = Vec::new();
        loop {
            let mut block = vec![0; LARGEST];
            let (length, _) = recv(&self.socket, &mut block, RecvFlags::empty())?;
            let mut rest = block.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let message =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|_| Errno::BADMSG)?;
                let (header, payload) = message.into_parts();
                let taken = usize::try_from(header.length).unwrap_or(usize::MAX);
                rest = rest.get(taken.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
                if header.sequence_number != self.sequence {
                    continue;
                }
                match payload {
                    NetlinkPayload::Error(told) => {
                        return match told.code {
                            None => Ok(answers),
                            Some(code) => Err(Errno::from_raw_os_error(code.get().saturating_neg())),
                        };
                    }
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    _ => {}
                }
            }
        }
    }
}
