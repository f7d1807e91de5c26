//! The networks that an operator binds to a backend, and what may be given out of them (contract 4.6, the standalone plugin).
//!
//! Manila's options with their prefix `standalone_network_plugin_` left out; what it calls `network_config_group` is the label under which
//! a network stands. Where its plugin has a quirk we decide on purpose:
//!
//! * A network has the version of its gateway. Two networks of one label, one for each version, serve both; Manila's two switches may
//!   say both versions and then serve one.
//! * Addresses are compared as numbers. A gateway in a strange spelling is refused with the usual one, instead of being given out.
//! * Ends of a range are checked as addresses, in their order and against the network and the other ranges.
//! * The first and last address of a network are never given out, nor is its gateway; in networks of one or two addresses only the gateway
//!   is held back (RFC 3021, RFC 6164). Manila holds back the first of those too, so that a network of two has nothing left.
//! * What could never give out an address is refused when it is read, and so is a network of multicast or of IPv4-mapped addresses.

use crate::network::segmentation::{NetworkType, check_segmentation};
use crate::network::{AllocationLabel, NetworkData, NetworkPlug};
use crate::statistics::IpVersion;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The largest packet that a network may be said to take, in bytes.
const LARGEST_MTU: u32 = 65_535;
/// The most ranges of one network.
const MOST_RANGES: usize = 256;

/// The networks bound to a backend: `[[grant.networks.user]]` and `[[grant.networks.admin]]`, at most one a version each, and how much may be
/// taken from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkGrants {
    /// The most addresses that all share servers of the backend have at once (4,096).
    pub most_addresses: usize,
    /// The most addresses that share servers of one project have at once on the backend (256).
    pub most_addresses_per_project: usize,
    /// Where tenants reach share servers; Manila's `network_config_group`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<NetworkDeclaration>,
    /// Where administrators reach share servers; Manila's `admin_network_config_group`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub admin: Vec<NetworkDeclaration>,
}

impl Default for NetworkGrants {
    fn default() -> Self {
        Self { most_addresses: 4096, most_addresses_per_project: 256, user: Vec::new(), admin: Vec::new() }
    }
}

impl NetworkGrants {
    /// Whether nothing is said: then it is left out where a grant is written down.
    #[must_use]
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// What is declared for `label`.
    #[must_use]
    pub fn of(&self, label: AllocationLabel) -> &[NetworkDeclaration] {
        match label {
            AllocationLabel::User => &self.user,
            AllocationLabel::Admin => &self.admin,
        }
    }

    /// Fails if two networks of different segments are plugged into one bridge, where every server would hear both, with the label and the
    /// place of the second. Networks that [`NetworkGrants::networks`] refuses are passed over.
    pub fn check_plugs(&self) -> Result<(), (AllocationLabel, usize, InvalidNetwork)> {
        let mut known: BTreeMap<NetworkPlug, (Option<NetworkType>, Option<u32>)> = BTreeMap::new();
        for label in [AllocationLabel::User, AllocationLabel::Admin] {
            for (position, declaration) in self.of(label).iter().enumerate() {
                let Ok(Network { data, plug: Some(plug), .. }) = declaration.network() else { continue };
                let tagged = data.network_type.filter(|network_type| *network_type != NetworkType::Flat);
                let segment = (tagged, tagged.and(data.segmentation_id));
                if known.get(&plug).is_some_and(|other| *other != segment) {
                    let reason = format!(
                        "{plug} is that of another segment, which this one would not be kept apart from"
                    );
                    let advice = "give each segment a bridge of its own: the host tags no packet";
                    return Err((label, position, InvalidNetwork::new("bridge", reason, advice)));
                }
                known.insert(plug, segment);
            }
        }
        Ok(())
    }

    /// The networks of `label`, IPv4 first. Fails on the first mistake, with its place in the list.
    pub fn networks(&self, label: AllocationLabel) -> Result<Vec<Network>, (usize, InvalidNetwork)> {
        let mut networks: Vec<Network> = Vec::new();
        for (position, declaration) in self.of(label).iter().enumerate() {
            let network = declaration.network().map_err(|invalid| (position, invalid))?;
            let version = network.ip_version();
            if networks.iter().any(|other| other.ip_version() == version) {
                let reason =
                    format!("a backend has one {label} network of {version}, and this is the second");
                return Err((
                    position,
                    InvalidNetwork::new("gateway", reason, "join them in one, with allowed-ip-ranges"),
                ));
            }
            networks.push(network);
        }
        networks.sort_by_key(Network::ip_version);
        Ok(networks)
    }
}

/// A network as an operator writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkDeclaration {
    /// The gateway's address: it says which network, and which version.
    pub gateway: String,
    /// The prefix length, or a dotted mask.
    pub mask: Mask,
    /// `flat`, `vlan`, `vxlan` or `gre`; none counts as `flat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_type: Option<String>,
    /// The tag, identifier or key that `network-type` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation_id: Option<u32>,
    /// Addresses and ranges `FIRST-LAST` that may be given out; none: the whole network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_ip_ranges: Vec<String>,
    /// Largest packet in bytes (1,500).
    #[serde(default = "usual_mtu")]
    pub mtu: u32,
    /// The bridge that share servers with a network of their own are plugged into; only drivers that run such servers need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The named network namespace that the bridge is in, as `ip netns` knows it; none: the helper's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

const fn usual_mtu() -> u32 {
    1500
}

/// How much of an address names the network: `24`, `"24"` or `"255.255.255.0"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a prefix length, for example 24, or a dotted mask, for example \"255.255.255.0\""
)]
pub enum Mask {
    /// A prefix length.
    Prefix(u8),
    /// Either, as text.
    Text(String),
}

/// What is wrong with a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}; {advice}")]
pub struct InvalidNetwork {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub advice: String,
}

impl InvalidNetwork {
    fn new(key: &'static str, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { key, reason: reason.into(), advice: advice.into() }
    }
}

/// Addresses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    /// The lowest.
    pub first: IpAddr,
    /// The highest; not below the first, and of its version.
    pub last: IpAddr,
}

impl AddressRange {
    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(formatter)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

/// A network that addresses may be taken from: checked, so that it can give out at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// What drivers and subnets are told.
    pub data: NetworkData,
    /// What may be given out: at least one range, ascending, none touching another, all inside the network.
    pub ranges: Vec<AddressRange>,
    /// What is never given out although it lies in a range, ascending.
    pub reserved: Vec<IpAddr>,
    /// Where share servers with a network of their own are plugged in; none: nowhere.
    pub plug: Option<NetworkPlug>,
}

impl Network {
    /// Its version.
    #[must_use]
    pub const fn ip_version(&self) -> IpVersion {
        match self.data.cidr {
            IpNet::V4(_) => IpVersion::V4,
            IpNet::V6(_) => IpVersion::V6,
        }
    }

    /// Whether `address` may be given out.
    #[must_use]
    pub fn gives(&self, address: IpAddr) -> bool {
        !self.reserved.contains(&address) && self.ranges.iter().any(|range| range.contains(address))
    }
}

impl NetworkDeclaration {
    /// The network, checked.
    pub fn network(&self) -> Result<Network, InvalidNetwork> {
        let gateway = self.parsed_gateway()?;
        let cidr = self.cidr(gateway)?;
        check_kind(gateway, cidr)?;
        let network_type =
            self.network_type.as_deref().map(NetworkType::parse).transpose().map_err(|invalid| {
                InvalidNetwork::new("network-type", invalid.to_string(), "leave it out for a flat network")
            })?;
        check_segmentation(network_type, self.segmentation_id).map_err(|invalid| {
            let advice = "network-type and segmentation-id are what the network's switches are set to";
            InvalidNetwork::new("segmentation-id", invalid.to_string(), advice)
        })?;
        self.check_mtu(cidr)?;
        let reserved = reserved(cidr, gateway)?;
        let ranges = self.ranges(cidr)?;
        let given_out = |range: &AddressRange| {
            let held_back = reserved.iter().filter(|address| range.contains(**address)).count();
            size(range) > u128::try_from(held_back).unwrap_or(u128::MAX)
        };
        if !ranges.iter().any(given_out) {
            let reason = "no address is left beside the network's own, its last one and the gateway";
            let key = if self.allowed_ip_ranges.is_empty() { "mask" } else { "allowed-ip-ranges" };
            return Err(InvalidNetwork::new(key, reason, "name a larger network or other ranges"));
        }
        let data = NetworkData {
            cidr,
            gateway: Some(gateway),
            mtu: self.mtu,
            network_type,
            segmentation_id: self.segmentation_id,
        };
        let plug = self.plug(network_type)?;
        Ok(Network { data, ranges, reserved, plug })
    }

    /// Where share servers are plugged in. The host tags no packet: what keeps a segment apart is that its bridge is of it alone.
    fn plug(&self, network_type: Option<NetworkType>) -> Result<Option<NetworkPlug>, InvalidNetwork> {
        let Some(bridge) = &self.bridge else {
            return match &self.namespace {
                None => Ok(None),
                Some(_) => {
                    let reason = "it says where the bridge is, and there is none";
                    Err(InvalidNetwork::new("namespace", reason, "name the bridge too: bridge = \"br0\""))
                }
            };
        };
        if matches!(network_type, Some(NetworkType::Vxlan | NetworkType::Gre)) {
            let reason =
                "share servers with a network of their own are plugged into flat and vlan networks only";
            let advice = "leave network-type out, and make the bridge a part of that network yourself";
            return Err(InvalidNetwork::new("bridge", reason, advice));
        }
        if !is_device_name(bridge) {
            let reason = format!("'{}' is no name of a network device", shown(bridge));
            let advice = "1 to 15 letters, digits, '.', '_' or '-', for example \"br0\"";
            return Err(InvalidNetwork::new("bridge", reason, advice));
        }
        if let Some(namespace) = self.namespace.as_ref().filter(|name| !is_plain_name(name, 255)) {
            let reason = format!("'{}' is no name of a network namespace", shown(namespace));
            return Err(InvalidNetwork::new("namespace", reason, "`ip netns list` shows the names"));
        }
        Ok(Some(NetworkPlug { bridge: bridge.clone(), namespace: self.namespace.clone() }))
    }

    fn parsed_gateway(&self) -> Result<IpAddr, InvalidNetwork> {
        let address: IpAddr = self.gateway.parse().map_err(|_| {
            let reason = format!("'{}' is no IPv4 or IPv6 address", shown(&self.gateway));
            let advice = match self.gateway.as_str() {
                text if text.contains('/') => {
                    "write the address without its prefix, for example \"10.0.0.1\""
                }
                text if text.contains('%') => "write the address without a zone, for example \"fd00::1\"",
                _ => "write it as \"10.0.0.1\" or \"fd00::1\", without leading zeros",
            };
            InvalidNetwork::new("gateway", reason, advice)
        })?;
        // Elsewhere this text stands beside addresses as everybody prints them; one address has one spelling.
        if address.to_string() != self.gateway {
            let reason = format!("'{}' is an unusual spelling", shown(&self.gateway));
            return Err(InvalidNetwork::new("gateway", reason, format!("write \"{address}\"")));
        }
        Ok(address)
    }

    fn cidr(&self, gateway: IpAddr) -> Result<IpNet, InvalidNetwork> {
        let longest = IpNet::from(gateway).max_prefix_len();
        let unfit = || {
            let given = match &self.mask {
                Mask::Prefix(prefix) => prefix.to_string(),
                Mask::Text(text) => shown(text),
            };
            let advice = match gateway {
                IpAddr::V4(_) => "write a prefix length from 1 to 32 or a dotted mask, for example 24",
                IpAddr::V6(_) => "write a prefix length from 1 to 128, for example 64",
            };
            let reason = format!("'{given}' is no mask of {}", IpVersion::of(gateway));
            InvalidNetwork::new("mask", reason, advice)
        };
        let prefix = match &self.mask {
            Mask::Prefix(prefix) => Some(*prefix),
            Mask::Text(text) => {
                let number = text.parse().ok().filter(|number: &u8| number.to_string() == *text);
                number.or_else(|| dotted_prefix(gateway, text))
            }
        };
        let prefix = prefix.filter(|prefix| (1..=longest).contains(prefix)).ok_or_else(unfit)?;
        IpNet::new(gateway, prefix).map(|network| network.trunc()).map_err(|_| unfit())
    }

    fn check_mtu(&self, cidr: IpNet) -> Result<(), InvalidNetwork> {
        // The least that the protocol demands of a link (RFC 791, RFC 8200).
        let least = match cidr {
            IpNet::V4(_) => 68,
            IpNet::V6(_) => 1280,
        };
        if (least..=LARGEST_MTU).contains(&self.mtu) {
            return Ok(());
        }
        let reason = format!("{} bytes are no packet size of this network", self.mtu);
        Err(InvalidNetwork::new("mtu", reason, format!("write {least} to {LARGEST_MTU}, as a rule 1500")))
    }

    /// What may be given out, ascending.
    fn ranges(&self, cidr: IpNet) -> Result<Vec<AddressRange>, InvalidNetwork> {
        if self.allowed_ip_ranges.is_empty() {
            return Ok(vec![AddressRange { first: cidr.network(), last: cidr.broadcast() }]);
        }
        if self.allowed_ip_ranges.len() > MOST_RANGES {
            let reason = format!("{} ranges", self.allowed_ip_ranges.len());
            return Err(unfit_range(reason, format!("at most {MOST_RANGES}")));
        }
        let mut ranges = self
            .allowed_ip_ranges
            .iter()
            .map(|text| parse_range(text, cidr))
            .collect::<Result<Vec<AddressRange>, _>>()?;
        ranges.sort_unstable();
        for (one, next) in ranges.iter().zip(ranges.iter().skip(1)) {
            if next.first <= one.last {
                let last = one.last.max(next.last);
                let joined = AddressRange { first: one.first, last };
                return Err(unfit_range(
                    format!("'{one}' and '{next}' overlap"),
                    format!("write \"{joined}\""),
                ));
            }
        }
        Ok(ranges)
    }
}

/// Whether the kernel takes it as the name of a network device, and no tool as anything else.
fn is_device_name(text: &str) -> bool {
    is_plain_name(text, 15)
}

fn is_plain_name(text: &str, longest: usize) -> bool {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (1..=longest).contains(&text.len()) && text.chars().all(sound) && !text.starts_with(['.', '-'])
}

/// The prefix length that a dotted mask stands for; none if it is none, or the gateway's version has no such masks.
fn dotted_prefix(gateway: IpAddr, text: &str) -> Option<u8> {
    let mask: Ipv4Addr = text.parse().ok().filter(|_| gateway.is_ipv4())?;
    ipnet::ipv4_mask_to_prefix(mask).ok()
}

/// From here on IPv4 has addresses that nobody has (RFC 1112).
const RESERVED: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
/// IPv4 addresses as IPv6 writes them (RFC 4291, 2.5.5.2).
const MAPPED: (u128, u8) = (0xffff_0000_0000, 96);

/// Fails for a network that no machine can be in. In that of mapped addresses each has a second spelling, under which another backend would
/// give it out again.
fn check_kind(gateway: IpAddr, cidr: IpNet) -> Result<(), InvalidNetwork> {
    let refused = |what: &str| {
        let reason = format!("{gateway} {what}");
        Err(InvalidNetwork::new("gateway", reason, "write the address of the network's router"))
    };
    if gateway.is_multicast() {
        return refused("stands for a group of machines, not for one");
    }
    if gateway.is_unspecified() {
        return refused("stands for no machine");
    }
    if let IpAddr::V4(gateway) = gateway
        && gateway >= RESERVED
    {
        return refused("is of no network: the addresses from 240.0.0.0 on are reserved");
    }
    if let IpAddr::V6(gateway) = gateway
        && gateway.is_unicast_link_local()
    {
        return refused("holds on one link only, which an export location does not name");
    }
    let IpNet::V6(cidr) = cidr else { return Ok(()) };
    let (bits, prefix) = MAPPED;
    let mapped = Ipv6Addr::from_bits(bits);
    let is_inside = cidr.prefix_len() >= prefix && cidr.network().to_ipv4_mapped().is_some();
    if is_inside || cidr.contains(&mapped) {
        return refused("is in a network that has IPv4 addresses in it, written as IPv6 ones");
    }
    Ok(())
}

/// What is never given out.
fn reserved(cidr: IpNet, gateway: IpAddr) -> Result<Vec<IpAddr>, InvalidNetwork> {
    if cidr.prefix_len().saturating_add(1) >= cidr.max_prefix_len() {
        return Ok(vec![gateway]);
    }
    // In IPv6 the first address is a router's by definition (RFC 4291, 2.6.1).
    let is_broadcast = gateway == cidr.broadcast();
    if is_broadcast || (gateway.is_ipv4() && gateway == cidr.network()) {
        let what = if is_broadcast { "last address" } else { "own address" };
        let reason = format!("{gateway} is the {what} of {cidr}, which no machine has");
        return Err(InvalidNetwork::new("gateway", reason, "write the router's address, or another mask"));
    }
    let mut reserved = vec![cidr.network(), gateway, cidr.broadcast()];
    reserved.dedup();
    Ok(reserved)
}

fn parse_range(text: &str, cidr: IpNet) -> Result<AddressRange, InvalidNetwork> {
    let example = format!("write an address, or FIRST-LAST, inside {cidr}");
    let parse = |part: &str| -> Result<IpAddr, InvalidNetwork> {
        let reason = || format!("'{}' in '{}' is no address", shown(part), shown(text));
        part.trim().parse().map_err(|_| unfit_range(reason(), example.clone()))
    };
    let (first, last) = match text.split('-').collect::<Vec<_>>().as_slice() {
        [one] => (parse(one)?, parse(one)?),
        [first, last] => (parse(first)?, parse(last)?),
        _ => return Err(unfit_range(format!("'{}' has more than one '-'", shown(text)), example)),
    };
    if !cidr.contains(&first) || !cidr.contains(&last) {
        return Err(unfit_range(format!("'{}' lies outside the network {cidr}", shown(text)), example));
    }
    if last < first {
        let reason = format!("'{}' ends before it begins", shown(text));
        return Err(unfit_range(reason, format!("write \"{last}-{first}\"")));
    }
    Ok(AddressRange { first, last })
}

fn unfit_range(reason: String, advice: String) -> InvalidNetwork {
    InvalidNetwork::new("allowed-ip-ranges", reason, advice)
}

/// How many addresses.
fn size(range: &AddressRange) -> u128 {
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    number(range.last).saturating_sub(number(range.first)).saturating_add(1)
}

/// What somebody wrote, harmless and cut, for a message.
fn shown(text: &str) -> String {
    crate::text::GuestText::new(text, 64).to_string()
}

#[cfg(test)]
mod tests;
