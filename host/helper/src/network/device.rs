//! What is asked of the kernel about network devices, each a message or two.

use super::Pair;
use super::look::PlugState;
use super::socket::Netlink;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

/// One end of a pair of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) index: u32,
    /// The number of the other end, in the network namespace where that is; none if the device is not of a pair.
    pub(super) other: Option<u32>,
    pub(super) hardware: Vec<u8>,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A bridge, with its number.
    Bridge(u32),
    /// Another device, with its number.
    Other(u32),
    Nothing,
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

pub(super) fn find(netlink: &mut Netlink, name: &str) -> Result<Found, Errno> {
    let Some(device) = described(netlink, name)? else { return Ok(Found::Nothing) };
    let index = device.header.index;
    Ok(if is_bridge(&device) { Found::Bridge(index) } else { Found::Other(index) })
}

/// What has a name, as an end of a pair; none if there is nothing.
pub(super) fn end(netlink: &mut Netlink, name: &str) -> Result<Option<End>, Errno> {
    let Some(device) = described(netlink, name)? else { return Ok(None) };
    let mut end = End { index: device.header.index, other: None, hardware: Vec::new() };
    for attribute in device.attributes {
        match attribute {
            LinkAttribute::Link(other) => end.other = Some(other),
            LinkAttribute::Address(hardware) => end.hardware = hardware,
            _ => {}
        }
    }
    Ok(Some(end))
}

/// How a device is that servers may be plugged into.
pub(super) fn look(netlink: &mut Netlink, name: &str) -> Result<PlugState, Errno> {
    let Some(device) = described(netlink, name)? else { return Ok(PlugState::Nothing) };
    if !is_bridge(&device) {
        return Ok(PlugState::NoBridge);
    }
    let mtu = device.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    let mtu = mtu.ok_or(Errno::BADMSG)?;
    Ok(if device.header.flags.contains(LinkFlags::Up) { PlugState::Up { mtu } } else { PlugState::Down })
}

/// What the kernel says of a device; none if there is no such one.
fn described(netlink: &mut Netlink, name: &str) -> Result<Option<LinkMessage>, Errno> {
    let answers = match netlink.ask(RouteNetlinkMessage::GetLink(named(name)), 0) {
        Err(Errno::NODEV) => return Ok(None),
        answers => answers?,
    };
    Ok(answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(device) => Some(device),
        _ => None,
    }))
}

fn is_bridge(device: &LinkMessage) -> bool {
    device.attributes.iter().any(|attribute| {
        matches!(attribute, LinkAttribute::LinkInfo(infos) if infos.contains(&LinkInfo::Kind(InfoKind::Bridge)))
    })
}

/// Remove a device, and the other end of its pair with it. Nothing there is success.
pub(super) fn remove(netlink: &mut Netlink, name: &str) -> Result<(), Errno> {
    match netlink.ask(RouteNetlinkMessage::DelLink(named(name)), 0) {
        Ok(_) | Err(Errno::NODEV) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Make both ends: one here, at the bridge and up; the other, still down, in the namespace `own`.
pub(super) fn make_pair(
    netlink: &mut Netlink,
    pair: &Pair,
    (bridge, own): (u32, BorrowedFd<'_>),
) -> Result<(), Errno> {
    let interface = &pair.interface;
    let mut inner = named(&interface.name);
    inner.attributes.extend([
        LinkAttribute::Address(interface.hardware.bytes().to_vec()),
        LinkAttribute::Mtu(interface.mtu),
        LinkAttribute::NetNsFd(own.as_raw_fd()),
    ]);
    let mut outer = named(&pair.outer);
    outer.header.flags = LinkFlags::Up;
    outer.header.change_mask = LinkFlags::Up;
    outer.attributes.extend([
        LinkAttribute::Mtu(interface.mtu),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inner))),
        ]),
    ]);
    netlink.ask(RouteNetlinkMessage::NewLink(outer), NLM_F_CREATE | NLM_F_EXCL)?;
    isolate(netlink, &pair.outer)
}

/// Bring the end of a pair that is here to the bridge, and up. It may be there already.
pub(super) fn plug(netlink: &mut Netlink, pair: &Pair, bridge: u32) -> Result<(), Errno> {
    let mut message = named(&pair.outer);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message.attributes.push(LinkAttribute::Controller(bridge));
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0)?;
    isolate(netlink, &pair.outer)
}

/// Let a port of a bridge hear all but other ports that are set so: tenants' servers have nothing to say to each other.
fn isolate(netlink: &mut Netlink, name: &str) -> Result<(), Errno> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(true)])),
    ]));
    // What is asked of a port goes with the message that also makes devices; it makes none without being told to.
    netlink.ask(RouteNetlinkMessage::NewLink(message), 0).map(drop)
}

pub(super) fn set_up(netlink: &mut Netlink, name: &str) -> Result<(), Errno> {
    let mut message = named(name);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0).map(drop)
}

/// An address of version 6 is usable at once: that nobody else has it the host knows. One that is there is left as it is.
pub(super) fn add_address(netlink: &mut Netlink, index: u32, address: IpNet) -> Result<(), Errno> {
    let mut message = AddressMessage::default();
    message.header.family = family(address.addr());
    message.header.prefix_len = address.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    match address {
        IpNet::V4(address) => message.attributes.push(AddressAttribute::Broadcast(address.broadcast())),
        IpNet::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
    }
    match netlink.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Any other default route of this version is replaced.
pub(super) fn set_default_route(netlink: &mut Netlink, index: u32, gateway: IpAddr) -> Result<(), Errno> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(gateway);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    message.attributes.push(RouteAttribute::Oif(index));
    netlink.ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE).map(drop)
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
