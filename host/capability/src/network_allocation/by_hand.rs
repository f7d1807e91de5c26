//! What an operator sees of addresses, and gives back by hand.

use super::book::Plan;
use super::memory::{Edit, Memory};
use super::rows::{Claim, ServerRow};
use super::standalone::{Standalone, rest_ends};
use super::{AllocationError, Purpose};
use bulkhead_model::id::{BackendName, ProjectId, ShareServerId};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::time::Timestamp;
use ipnet::IpNet;
use std::net::IpAddr;

/// An address that is not free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenAddress {
    /// The address.
    pub address: IpAddr,
    /// What its network is bound for, and the network; none if the operator does not bind it to the backend any more.
    pub network: Option<(AllocationLabel, IpNet)>,
    /// Why it is not free.
    pub holder: Holder,
}

/// Why an address is not free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A server has it.
    Server {
        /// Which.
        server: ShareServerId,
        /// Where it is: another backend's where both give out addresses of one network.
        backend: BackendName,
        /// Whose it is.
        project: ProjectId,
        /// What for.
        purpose: Purpose,
    },
    /// A server has it that nobody manages any more.
    Unmanaged {
        /// Which it was.
        server: ShareServerId,
        /// Where it is.
        backend: BackendName,
    },
    /// It was given back, and is free from then on.
    Resting {
        /// From when on.
        until: Timestamp,
    },
}

/// Whether an address goes back that a driver counts on still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveBack {
    /// Only what nobody manages any more.
    Unmanaged,
    /// Also what a driver allocated itself and has not given back: an operator says that nothing answers there.
    InUse,
}

impl Standalone {
    /// The addresses that are not free and concern this backend: those of its servers, and those in its networks; in order of address.
    pub(super) fn taken_now(&self, memory: &Memory, after: Option<IpAddr>, most: usize) -> Vec<TakenAddress> {
        let claims = memory.claims().filter(|(address, _)| after.is_none_or(|after| *address > after));
        let mut found: Vec<_> =
            claims.filter_map(|(address, claim)| self.shown(memory, address, claim)).collect();
        found.sort_unstable_by_key(|taken| taken.address);
        found.truncate(most);
        found
    }

    fn shown(&self, memory: &Memory, address: IpAddr, claim: &Claim) -> Option<TakenAddress> {
        let network = self.bound(address);
        let (is_own, holder) = match claim {
            Claim::Kept { server } => {
                let row = memory.server(*server)?;
                let purpose = row.purpose_of(address)?.clone();
                let (server, backend, project) = (*server, row.backend.clone(), row.project.clone());
                (backend == self.backend, Holder::Server { server, backend, project, purpose })
            }
            Claim::Unmanaged { server, backend } => {
                (*backend == self.backend, Holder::Unmanaged { server: *server, backend: backend.clone() })
            }
            Claim::Resting { until_ms, .. } => {
                (false, Holder::Resting { until: Timestamp::from_milliseconds(*until_ms)? })
            }
        };
        (is_own || network.is_some()).then_some(TakenAddress { address, network, holder })
    }

    /// The network of this backend that gives out an address.
    fn bound(&self, address: IpAddr) -> Option<(AllocationLabel, IpNet)> {
        let labels = [AllocationLabel::User, AllocationLabel::Admin].into_iter();
        let mut all =
            labels.flat_map(|label| self.networks(label).iter().map(move |network| (label, network)));
        all.find(|(_, network)| network.gives(address)).map(|(label, network)| (label, network.data.cidr))
    }

    pub(super) fn plan_give_back(
        &self,
        memory: &Memory,
        address: IpAddr,
        what: GiveBack,
    ) -> Result<Plan<()>, AllocationError> {
        let nothing = Plan { edit: None, answer: () };
        let foreign = |server: &ShareServerId| AllocationError::Foreign { server: *server };
        let (server, row) = match memory.claim(address) {
            Some(Claim::Resting { .. }) => return Ok(nothing),
            None if self.bound(address).is_some() => return Ok(nothing),
            None => return Err(AllocationError::NotGiven { backend: self.backend.clone(), address }),
            Some(Claim::Unmanaged { server, backend }) if *backend == self.backend => (*server, None),
            Some(Claim::Unmanaged { server, .. }) => return Err(foreign(server)),
            Some(Claim::Kept { server }) => {
                let row = self.known(memory, *server)?.ok_or_else(|| foreign(server))?;
                (*server, Some(without(row, address, what)?))
            }
        };
        let edit = Edit {
            about: Some(server),
            row: row.map(|row| (server, Some(row))),
            claims: vec![(address, Some(Claim::Resting { until_ms: rest_ends(), of: None }))],
            words: format!("address given back by hand: {address}"),
        };
        Ok(Plan { edit: Some(edit), answer: () })
    }
}

/// A server without the address, unless it must stay.
fn without(row: &ServerRow, address: IpAddr, what: GiveBack) -> Result<ServerRow, AllocationError> {
    let server = row.server;
    match row.purpose_of(address) {
        Some(Purpose::Driver(_)) if what == GiveBack::InUse => {}
        Some(Purpose::Driver(purpose)) => {
            return Err(AllocationError::InUse { address, server, purpose: purpose.clone() });
        }
        Some(Purpose::Host) | None => return Err(AllocationError::OfServer { address, server }),
    }
    let mut row = row.clone();
    row.kept.retain(|kept| kept.allocation.ip_address != address);
    Ok(row)
}
