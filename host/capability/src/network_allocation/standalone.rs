//! The provider without Neutron: addresses from the networks that the backend's grant binds (contract 4.6).

use super::book::{AddressBook, Plan};
use super::memory::{Edit, Memory};
use super::rows::{Claim, Project, ServerRow};
use super::{
    AddressRequest, AllocationError, GiveBack, KeptAddress, MOST_AT_ONCE, MOST_OF_SERVER, NetworkProvider,
    NetworkUsage, Purpose, REST, Release, SubnetChoice, TakeOver, TakenAddress, runs,
};
use async_trait::async_trait;
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{AllocationId, BackendName, ProjectId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, InvalidNetwork, Network, NetworkAllocation, NetworkData, NetworkGrants, NetworkPlug,
    ShareNetworkSubnet,
};
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How many ranges of a network a message names.
const SHOWN_RANGES: usize = 4;

/// The networks of one backend, with the book that keeps their addresses.
#[derive(Debug)]
pub struct Standalone {
    book: AddressBook,
    pub(super) backend: BackendName,
    user: Vec<Network>,
    admin: Vec<Network>,
    most: usize,
    most_per_project: usize,
}

impl Standalone {
    /// The networks that `grants` binds to `backend`. Fails on the first that is none, with its label and its place in the list.
    pub fn new(
        book: AddressBook,
        backend: BackendName,
        grants: &NetworkGrants,
    ) -> Result<Self, (AllocationLabel, usize, InvalidNetwork)> {
        let networks =
            |label| grants.networks(label).map_err(|(position, invalid)| (label, position, invalid));
        Ok(Self {
            book,
            backend,
            user: networks(AllocationLabel::User)?,
            admin: networks(AllocationLabel::Admin)?,
            most: grants.most_addresses,
            most_per_project: grants.most_addresses_per_project,
        })
    }

    pub(super) fn networks(&self, label: AllocationLabel) -> &[Network] {
        match label {
            AllocationLabel::User => &self.user,
            AllocationLabel::Admin => &self.admin,
        }
    }

    fn network(
        &self,
        label: AllocationLabel,
        version: Option<IpVersion>,
    ) -> Result<&Network, AllocationError> {
        let fits = |network: &&Network| version.is_none_or(|version| network.ip_version() == version);
        self.networks(label).iter().find(fits).ok_or_else(|| AllocationError::NoNetwork {
            backend: self.backend.clone(),
            label,
            version,
        })
    }

    /// What this backend's server has; a new row where there is none.
    fn row(
        &self,
        memory: &Memory,
        server: ShareServerId,
        project: Option<&ProjectId>,
    ) -> Result<ServerRow, AllocationError> {
        match (self.known(memory, server)?, project) {
            (Some(row), _) => Ok(row.clone()),
            (None, Some(project)) => Ok(ServerRow {
                server,
                backend: self.backend.clone(),
                project: project.clone(),
                subnets: Vec::new(),
                kept: Vec::new(),
            }),
            (None, None) => Err(AllocationError::Foreign { server }),
        }
    }

    /// What this backend's server has; none if it has nothing.
    pub(super) fn known<'memory>(
        &self,
        memory: &'memory Memory,
        server: ShareServerId,
    ) -> Result<Option<&'memory ServerRow>, AllocationError> {
        match memory.server(server) {
            Some(row) if row.backend != self.backend => Err(AllocationError::Foreign { server }),
            found => Ok(found),
        }
    }

    fn plan_allocation(
        &self,
        memory: &Memory,
        request: &AddressRequest,
    ) -> Result<Plan<Vec<NetworkAllocation>>, AllocationError> {
        let mut row = self.row(memory, request.server, request.project.as_ref())?;
        let known_subnets = row.subnets.len();
        let subnet = subnet_of(&mut row, request.label, &request.subnet)?;
        let is_asked = |kept: &&KeptAddress| {
            let same_place = kept.allocation.label == request.label && kept.allocation.subnet_id == subnet;
            kept.purpose == request.purpose && (same_place || request.purpose != Purpose::Host)
        };
        let mut found: Vec<_> =
            row.kept.iter().filter(is_asked).map(|kept| kept.allocation.clone()).collect();
        found.sort_by_key(|allocation| allocation.ip_address);
        if !found.is_empty() && found.len() != request.count {
            let (server, wanted) = (request.server, request.count);
            return Err(AllocationError::OtherCount { server, found: found.len(), wanted });
        }
        let is_other = |wanted: &IpVersion| found.iter().any(|address| address.ip_version() != *wanted);
        if let Some(wanted) = request.version.filter(is_other) {
            return Err(AllocationError::OtherVersion { server: request.server, wanted });
        }
        if !found.is_empty() || (request.count == 0 && row.subnets.len() == known_subnets) {
            return Ok(Plan { edit: None, answer: found });
        }
        self.check_quotas(memory, &row, request.count)?;
        let network = self.network(request.label, request.version)?;
        let addresses = self.lowest_free(memory, network, request)?;
        let allocate = |address: &IpAddr| new_allocation(*address, network, request.label, &row, subnet);
        let answer: Vec<_> = addresses.iter().map(allocate).collect();
        let kept = answer.iter().map(|allocation| KeptAddress {
            purpose: request.purpose.clone(),
            allocation: allocation.clone(),
        });
        row.kept.extend(kept);
        let claims = addresses.iter().map(|address| (*address, Some(Claim::Kept { server: row.server })));
        let edit = Edit {
            claims: claims.collect(),
            words: format!("{} addresses: {}", request.label, listed(&addresses)),
            about: Some(row.server),
            row: Some((row.server, Some(row))),
        };
        Ok(Plan { edit: Some(edit), answer })
    }

    fn check_quotas(&self, memory: &Memory, row: &ServerRow, more: usize) -> Result<(), AllocationError> {
        if row.kept.len().saturating_add(more) > MOST_OF_SERVER {
            return Err(AllocationError::TooMany { count: row.kept.len().saturating_add(more) });
        }
        let within = |project: Option<&ProjectId>, held: usize, limit: usize| {
            if more == 0 || held.saturating_add(more) <= limit {
                return Ok(());
            }
            let project = project.cloned();
            Err(AllocationError::Quota { backend: self.backend.clone(), project, held, limit })
        };
        within(None, memory.held(&self.backend), self.most)?;
        let own = memory.held_by(&self.backend, &row.project);
        within(Some(&row.project), own, self.most_per_project)?;
        // What a project leaves behind is out of use for others as well: as much again may rest, or one that makes servers and removes them
        // takes the whole network.
        let resting = memory.resting_of(&self.backend, &row.project);
        let most = self.most_per_project.saturating_mul(2);
        if more > 0 && own.saturating_add(resting).saturating_add(more) > most {
            let (backend, project) = (self.backend.clone(), row.project.clone());
            return Err(AllocationError::Resting { backend, project, resting });
        }
        Ok(())
    }

    /// The lowest addresses of `network` that are free.
    fn lowest_free(
        &self,
        memory: &Memory,
        network: &Network,
        request: &AddressRequest,
    ) -> Result<Vec<IpAddr>, AllocationError> {
        let mut found = Vec::with_capacity(request.count);
        for range in &network.ranges {
            let mut from = Some(range.first);
            while let Some(first) = from.filter(|_| found.len() < request.count) {
                let Some(free) = memory.taken().lowest_free(first, range.last) else { break };
                if !network.reserved.contains(&free) {
                    found.push(free);
                }
                from = runs::next(free).filter(|next| *next <= range.last);
            }
        }
        if found.len() < request.count {
            return Err(AllocationError::Exhausted {
                backend: self.backend.clone(),
                label: request.label,
                network: described(network),
                free: found.len(),
                wanted: request.count,
            });
        }
        Ok(found)
    }

    fn plan_take_over(
        &self,
        memory: &Memory,
        take_over: &TakeOver,
    ) -> Result<Plan<Vec<IpAddr>>, AllocationError> {
        let mut row = self.row(memory, take_over.server, Some(&take_over.project))?;
        let before = row.clone();
        let subnet = subnet_of(&mut row, take_over.label, &take_over.subnet)?;
        let (mut leftovers, mut claims) = (Vec::new(), Vec::new());
        let wanted: BTreeSet<IpAddr> = take_over.addresses.iter().copied().collect();
        for address in wanted {
            let giving = self.networks(take_over.label).iter().find(|network| network.gives(address));
            match (giving, memory.claim(address)) {
                (None, _) => leftovers.push(address),
                (Some(_), Some(Claim::Kept { server })) if *server == row.server => {}
                (Some(_), Some(Claim::Kept { server })) => {
                    return Err(AllocationError::KeptForAnother { address, server: *server });
                }
                // It is in use at that backend still, and only there it can be the same server.
                (Some(_), Some(Claim::Unmanaged { server, backend })) if *backend != self.backend => {
                    return Err(AllocationError::KeptForAnother { address, server: *server });
                }
                (Some(network), Some(Claim::Resting { .. } | Claim::Unmanaged { .. }) | None) => {
                    let allocation = new_allocation(address, network, take_over.label, &row, subnet);
                    row.kept.push(KeptAddress { purpose: Purpose::Host, allocation });
                    claims.push((address, Some(Claim::Kept { server: row.server })));
                }
            }
        }
        if claims.len() > MOST_AT_ONCE {
            return Err(AllocationError::TooMany { count: claims.len() });
        }
        self.check_quotas(memory, &before, claims.len())?;
        if row == before && memory.server(row.server).is_some() {
            return Ok(Plan { edit: None, answer: leftovers });
        }
        let addresses: Vec<_> = claims.iter().map(|(address, _)| *address).collect();
        let words = format!("{} addresses taken over: {}", take_over.label, listed(&addresses));
        let edit = Edit { about: Some(row.server), row: Some((row.server, Some(row))), claims, words };
        Ok(Plan { edit: Some(edit), answer: leftovers })
    }

    /// Fails with [`AllocationError::InGroup`] if a group of the server, with a network of its own, was started with an address that is meant
    /// and was not taken down since: whoever gets it next would meet the server there.
    async fn require_unused(&self, server: ShareServerId, what: &Release) -> Result<(), AllocationError> {
        for (group, addresses) in self.book.groups_of(&self.backend, server).await? {
            let memory = self.book.read();
            let row = self.known(&memory, server)?;
            let kept = row.into_iter().flat_map(|row| &row.kept).filter(|kept| is_meant(what, kept));
            let used = kept.map(|kept| kept.allocation.ip_address).find(|kept| addresses.contains(kept));
            if let Some(address) = used {
                return Err(AllocationError::InGroup { address, server, group: group.group });
            }
        }
        Ok(())
    }

    /// Take some of what a server has from it; whether more is left that was meant. With the last of everything its row goes.
    fn plan_leave(
        &self,
        memory: &Memory,
        server: ShareServerId,
        what: &Release,
        claim: impl Fn(&ServerRow) -> Claim,
    ) -> Result<Plan<bool>, AllocationError> {
        let nothing = Plan { edit: None, answer: false };
        let Some(row) = self.known(memory, server)? else { return Ok(nothing) };
        let (meant, mut stays): (Vec<_>, Vec<_>) =
            row.kept.iter().cloned().partition(|kept| is_meant(what, kept));
        let (now, later) = meant.split_at(meant.len().min(MOST_AT_ONCE));
        let goes = *what == Release::Everything && later.is_empty();
        if now.is_empty() && !goes {
            return Ok(nothing);
        }
        stays.extend_from_slice(later);
        let claim = claim(row);
        let addresses: Vec<_> = now.iter().map(|kept| kept.allocation.ip_address).collect();
        let how = if matches!(claim, Claim::Resting { .. }) { "released" } else { "left to it, unmanaged" };
        let edit = Edit {
            about: Some(server),
            row: Some((server, (!goes).then(|| ServerRow { kept: stays, ..row.clone() }))),
            claims: addresses.iter().map(|address| (*address, Some(claim.clone()))).collect(),
            words: format!("addresses {how}: {}", listed(&addresses)),
        };
        Ok(Plan { edit: Some(edit), answer: !later.is_empty() })
    }
}

/// Whether an address goes with what is released.
fn is_meant(what: &Release, kept: &KeptAddress) -> bool {
    match what {
        Release::Everything => true,
        Release::Purpose(purpose) => kept.purpose == *purpose,
        Release::Subnet(subnet) => {
            kept.purpose == Purpose::Host && kept.allocation.subnet_id == Some(*subnet)
        }
    }
}

#[async_trait]
impl NetworkProvider for Standalone {
    fn ip_versions(&self, label: AllocationLabel) -> BTreeSet<IpVersion> {
        self.networks(label).iter().map(Network::ip_version).collect()
    }

    async fn describe(
        &self,
        _subnet: &ShareNetworkSubnet,
        version: Option<IpVersion>,
    ) -> Result<NetworkData, AllocationError> {
        self.network(AllocationLabel::User, version).map(|network| network.data.clone())
    }

    fn plug(&self, allocation: &NetworkAllocation) -> Option<NetworkPlug> {
        // The network may have another mask by now, since it was full; its bridge is that of the addresses in it still.
        let networks = self.networks(allocation.label);
        let same = networks.iter().find(|network| network.data.cidr == allocation.cidr);
        let around = || networks.iter().find(|network| network.data.cidr.contains(&allocation.ip_address));
        same.or_else(around)?.plug.clone()
    }

    async fn allocate(
        &self,
        request: &AddressRequest,
        reason: &CallReason,
    ) -> Result<Vec<NetworkAllocation>, AllocationError> {
        if request.count > MOST_AT_ONCE {
            return Err(AllocationError::TooMany { count: request.count });
        }
        self.book.change(&self.backend, reason, |memory| self.plan_allocation(memory, request)).await
    }

    async fn allocations(&self, server: ShareServerId) -> Result<Vec<KeptAddress>, AllocationError> {
        let memory = self.book.read();
        let mut kept = self.known(&memory, server)?.map_or_else(Vec::new, |row| row.kept.clone());
        drop(memory);
        kept.sort_by_key(|kept| kept.allocation.ip_address);
        Ok(kept)
    }

    async fn release(
        &self,
        server: ShareServerId,
        what: &Release,
        reason: &CallReason,
    ) -> Result<(), AllocationError> {
        self.require_unused(server, what).await?;
        let plan = |memory: &Memory| {
            self.plan_leave(memory, server, what, |row| Claim::Resting {
                until_ms: rest_ends(),
                of: Some(Project { backend: row.backend.clone(), project: row.project.clone() }),
            })
        };
        while self.book.change(&self.backend, reason, plan).await? {}
        Ok(())
    }

    async fn manage(
        &self,
        take_over: &TakeOver,
        reason: &CallReason,
    ) -> Result<Vec<IpAddr>, AllocationError> {
        self.book.change(&self.backend, reason, |memory| self.plan_take_over(memory, take_over)).await
    }

    async fn let_go(&self, server: ShareServerId, reason: &CallReason) -> Result<(), AllocationError> {
        let claim = |_: &ServerRow| Claim::Unmanaged { server, backend: self.backend.clone() };
        let plan = |memory: &Memory| self.plan_leave(memory, server, &Release::Everything, claim);
        while self.book.change(&self.backend, reason, plan).await? {}
        Ok(())
    }

    async fn in_use_unmanaged(&self) -> Result<Vec<IpAddr>, AllocationError> {
        Ok(self.book.read().unmanaged(&self.backend))
    }

    async fn taken(&self, after: Option<IpAddr>, most: usize) -> Result<Vec<TakenAddress>, AllocationError> {
        Ok(self.taken_now(&self.book.read(), after, most))
    }

    async fn give_back(
        &self,
        address: IpAddr,
        what: GiveBack,
        reason: &CallReason,
    ) -> Result<(), AllocationError> {
        let plan = |memory: &Memory| self.plan_give_back(memory, address, what);
        self.book.change(&self.backend, reason, plan).await
    }

    async fn servers(&self) -> Result<Vec<ShareServerId>, AllocationError> {
        Ok(self.book.read().servers_of(&self.backend))
    }

    async fn usage(&self) -> Result<Vec<NetworkUsage>, AllocationError> {
        let memory = self.book.read();
        let of = |label, network: &Network| {
            let in_ranges = |address: &&IpAddr| network.ranges.iter().any(|range| range.contains(**address));
            let held_back = network.reserved.iter().filter(in_ranges).count();
            let size = network.ranges.iter().map(|range| runs::size(range.first, range.last)).sum::<u128>();
            let size = size.saturating_sub(u128::try_from(held_back).unwrap_or(u128::MAX));
            let taken: u128 =
                network.ranges.iter().map(|range| memory.taken().count(range.first, range.last)).sum();
            NetworkUsage { label, cidr: network.data.cidr, size, free: size.saturating_sub(taken) }
        };
        let labels = [AllocationLabel::User, AllocationLabel::Admin];
        Ok(labels
            .into_iter()
            .flat_map(|label| self.networks(label).iter().map(move |network| of(label, network)))
            .collect())
    }
}

/// The subnet that addresses are for; the server has it from now on.
fn subnet_of(
    row: &mut ServerRow,
    label: AllocationLabel,
    choice: &SubnetChoice,
) -> Result<Option<ShareNetworkSubnetId>, AllocationError> {
    let unknown = AllocationError::NoSubnet { server: row.server };
    match (label, choice) {
        (AllocationLabel::Admin, _) => Ok(None),
        (AllocationLabel::User, SubnetChoice::Given(subnet)) => {
            if !row.subnets.contains(&subnet.id) {
                row.subnets.push(subnet.id);
            }
            Ok(Some(subnet.id))
        }
        (AllocationLabel::User, SubnetChoice::Known(id)) if row.subnets.contains(id) => Ok(Some(*id)),
        (AllocationLabel::User, SubnetChoice::Known(_)) => Err(unknown),
        (AllocationLabel::User, SubnetChoice::First) => row.subnets.first().copied().map(Some).ok_or(unknown),
    }
}

fn new_allocation(
    address: IpAddr,
    network: &Network,
    label: AllocationLabel,
    row: &ServerRow,
    subnet: Option<ShareNetworkSubnetId>,
) -> NetworkAllocation {
    let NetworkData { cidr, gateway, mtu, network_type, segmentation_id } = network.data.clone();
    NetworkAllocation {
        id: AllocationId::random(),
        label,
        ip_address: address,
        cidr,
        gateway,
        mtu,
        network_type,
        segmentation_id,
        mac_address: None,
        share_server_id: row.server,
        subnet_id: subnet,
    }
}

pub(super) fn rest_ends() -> u64 {
    Timestamp::after_now(REST).milliseconds()
}

fn described(network: &Network) -> String {
    let ranges: Vec<_> = network.ranges.iter().take(SHOWN_RANGES).map(ToString::to_string).collect();
    let more = if network.ranges.len() > SHOWN_RANGES { ", …" } else { "" };
    format!("{} ({}{more})", network.data.cidr, ranges.join(", "))
}

fn listed(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
