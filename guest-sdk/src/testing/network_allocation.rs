//! Addresses of share servers, as the host keeps them: unique, found again by their purpose, only for servers of the call.

use super::denial::{Answer, fail, invalid};
use super::lab::{Lab, State};
use crate::capability::CapabilityCode;
use crate::network::{AllocationLabel, NetworkAllocation};
use crate::network_allocation::Request;
use crate::resource::Resource;
use crate::share_server::ServerNetwork;
use crate::statistics::IpVersion;
use std::net::IpAddr;

/// The most addresses of one request.
const MOST_AT_ONCE: u32 = 64;
/// The longest purpose in bytes.
const PURPOSE_BYTES: usize = 255;

/// The networks that are bound, and the addresses that servers have.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    networks: Vec<Bound>,
    kept: Vec<Kept>,
    /// How many there ever were: an address that went back rests.
    given: u64,
}

#[derive(Debug, Clone)]
struct Bound {
    label: AllocationLabel,
    cidr: String,
    network: IpAddr,
    prefix: u8,
    /// How many of it were given out.
    given: u128,
}

#[derive(Debug, Clone)]
struct Kept {
    /// The driver's words; none is the host's own.
    purpose: Option<String>,
    allocation: NetworkAllocation,
}

impl Bound {
    fn version(&self) -> IpVersion {
        if self.network.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// The next address after the network's own; none once there is none left. The last one of IPv4 is for broadcasts.
    fn next(&mut self) -> Option<IpAddr> {
        let bits = if self.network.is_ipv4() { 32 } else { 128 };
        let size = 1_u128.checked_shl(u32::from(bits - self.prefix)).unwrap_or(u128::MAX);
        let last = if self.network.is_ipv4() { size.saturating_sub(2) } else { size.saturating_sub(1) };
        let number = self.given.checked_add(1).filter(|number| *number <= last)?;
        self.given = number;
        match self.network {
            IpAddr::V4(network) => {
                let number = u32::try_from(number).ok()?;
                Some(IpAddr::V4(network.to_bits().checked_add(number)?.into()))
            }
            IpAddr::V6(network) => Some(IpAddr::V6(network.to_bits().checked_add(number)?.into())),
        }
    }
}

impl Addresses {
    pub(super) fn keep_for_host(&mut self, network: &ServerNetwork) {
        self.kept
            .retain(|kept| kept.allocation.share_server_id != network.server_id || kept.purpose.is_some());
        let of_tenant = network.networks.iter().flat_map(|info| &info.network_allocations);
        let all = of_tenant.chain(&network.admin_network_allocations).cloned();
        self.kept.extend(all.map(|allocation| Kept { purpose: None, allocation }));
    }

    pub(super) fn forget(&mut self, server: &str) {
        self.kept.retain(|kept| kept.allocation.share_server_id != server);
    }

    fn of(&self, server: &str) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(move |kept| kept.allocation.share_server_id == server)
    }

    /// The subnet that a server is in: that of its first address.
    fn subnet_of(&self, server: &str) -> Option<String> {
        self.of(server).find_map(|kept| kept.allocation.subnet_id.clone())
    }

    fn allocate(&mut self, request: &Request) -> Answer<Vec<NetworkAllocation>> {
        let subnet_id = match request.label {
            AllocationLabel::User => request.subnet_id.clone().or_else(|| self.subnet_of(&request.server)),
            AllocationLabel::Admin => None,
        };
        let fits = |bound: &&mut Bound| {
            bound.label == request.label && request.version.is_none_or(|version| version == bound.version())
        };
        let Some(bound) = self.networks.iter_mut().find(fits) else {
            return fail(
                CapabilityCode::Denied,
                "no such network is bound; a test binds one with Lab::bind_network",
            );
        };
        let before = bound.given;
        let mut made = Vec::new();
        for _ in 0..request.count {
            let Some(address) = bound.next() else {
                bound.given = before;
                return fail(CapabilityCode::NoSpace, format!("network {} has no address left", bound.cidr));
            };
            self.given = self.given.saturating_add(1);
            made.push(NetworkAllocation {
                id: format!("00000000-0000-4000-9000-{:012x}", self.given),
                label: request.label,
                ip_address: address.to_string(),
                ip_version: bound.version(),
                cidr: bound.cidr.clone(),
                gateway: None,
                mtu: 1500,
                network_type: None,
                segmentation_id: None,
                mac_address: None,
                share_server_id: request.server.clone(),
                subnet_id: subnet_id.clone(),
            });
        }
        let purpose = Some(request.purpose.clone());
        let keep = |allocation| Kept { purpose: purpose.clone(), allocation };
        self.kept.extend(made.iter().cloned().map(keep));
        Ok(made)
    }
}

impl Lab {
    /// Bind a network that [`network_allocation`](crate::network_allocation) takes addresses from, `10.9.0.0/24` for example: the first
    /// address is the one after the network's own.
    ///
    /// # Panics
    ///
    /// If `cidr` is no network.
    #[expect(clippy::panic, reason = "a test that cannot begin says why")]
    pub fn bind_network(&self, label: AllocationLabel, cidr: &str) {
        let parsed = cidr.split_once('/').and_then(|(address, prefix)| {
            let network: IpAddr = address.parse().ok()?;
            let prefix: u8 = prefix.parse().ok()?;
            (prefix <= if network.is_ipv4() { 32 } else { 128 }).then_some((network, prefix))
        });
        let Some((network, prefix)) = parsed else { panic!("'{cidr}' is no network such as 10.9.0.0/24") };
        let bound = Bound { label, cidr: cidr.to_owned(), network, prefix, given: 0 };
        self.state.addresses.borrow_mut().networks.push(bound);
    }

    /// All addresses of a share server now, those of the host and those the driver allocated, in order.
    #[must_use]
    pub fn addresses(&self, server: &str) -> Vec<String> {
        let addresses = self.state.addresses.borrow();
        let mut found: Vec<IpAddr> =
            addresses.of(server).filter_map(|kept| kept.allocation.ip_address.parse().ok()).collect();
        found.sort();
        found.into_iter().map(|address| address.to_string()).collect()
    }
}

impl State {
    pub(super) fn allocate_addresses(&self, request: &Request) -> Answer<Vec<NetworkAllocation>> {
        self.require_server(&request.server)?;
        check_purpose(&request.purpose)?;
        if !(1..=MOST_AT_ONCE).contains(&request.count) {
            return invalid(format!("count is 1 to {MOST_AT_ONCE}, not {}", request.count));
        }
        let mut addresses = self.addresses.borrow_mut();
        let is_for = |kept: &&Kept| kept.purpose.as_deref() == Some(request.purpose.as_str());
        let found: Vec<_> =
            addresses.of(&request.server).filter(is_for).map(|kept| kept.allocation.clone()).collect();
        if found.is_empty() {
            return addresses.allocate(request);
        }
        if u32::try_from(found.len()) == Ok(request.count) {
            return Ok(found);
        }
        let message = format!("'{}' has {} addresses, not {}", request.purpose, found.len(), request.count);
        fail(CapabilityCode::Conflict, message)
    }

    pub(super) fn addresses_of(&self, server: &str) -> Answer<Vec<NetworkAllocation>> {
        self.require_server(server)?;
        let addresses = self.addresses.borrow();
        let mut found: Vec<_> = addresses.of(server).map(|kept| kept.allocation.clone()).collect();
        found.sort_by_key(|allocation| allocation.ip_address.parse::<IpAddr>().ok());
        Ok(found)
    }

    pub(super) fn release_addresses(&self, server: &str, purpose: &str) -> Answer<()> {
        self.require_server(server)?;
        check_purpose(purpose)?;
        let goes = |kept: &Kept| {
            kept.allocation.share_server_id == server && kept.purpose.as_deref() == Some(purpose)
        };
        self.addresses.borrow_mut().kept.retain(|kept| !goes(kept));
        Ok(())
    }

    fn require_server(&self, server: &str) -> Answer<()> {
        self.target().resource(Some(&Resource::ShareServer(server.to_owned()))).map(drop)
    }
}

fn check_purpose(purpose: &str) -> Answer<()> {
    if purpose.is_empty() || purpose.len() > PURPOSE_BYTES || purpose.chars().any(char::is_control) {
        return invalid(format!("a purpose is 1 to {PURPOSE_BYTES} bytes without control characters"));
    }
    Ok(())
}
