//! What the store says of addresses, in memory: who has what, which rest, and how many each backend and project has.

use super::REST;
use super::rows::{Claim, Project, ServerRow};
use super::runs::Taken;
use bulkhead_model::id::{BackendName, ProjectId, ShareServerId};
use bulkhead_model::time::Timestamp;
use bulkhead_store::Revision;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// A change of what is kept, to be committed and then taken in.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// The server that the ledger tells of it; none where nobody has to know.
    pub(super) about: Option<ShareServerId>,
    /// The server whose row changes; none takes it away.
    pub(super) row: Option<(ShareServerId, Option<ServerRow>)>,
    /// The claims that change; none frees the address.
    pub(super) claims: Vec<(IpAddr, Option<Claim>)>,
    /// What happened, for the ledger.
    pub(super) words: String,
}

/// How many addresses a backend's servers have.
#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_project: BTreeMap<ProjectId, usize>,
}

/// Everything that is known of addresses.
#[derive(Debug, Default)]
pub(super) struct Memory {
    taken: Taken,
    claims: HashMap<IpAddr, (Claim, Revision)>,
    servers: BTreeMap<ShareServerId, (ServerRow, Revision)>,
    resting: BTreeSet<(Instant, IpAddr)>,
    rests_until: HashMap<IpAddr, Instant>,
    held: BTreeMap<BackendName, Held>,
    /// How many of the addresses that rest each project had.
    rests_of: BTreeMap<Project, usize>,
}

impl Memory {
    /// The index of what is not free.
    pub(super) const fn taken(&self) -> &Taken {
        &self.taken
    }

    /// What a server has.
    pub(super) fn server(&self, server: ShareServerId) -> Option<&ServerRow> {
        self.servers.get(&server).map(|(row, _)| row)
    }

    /// The commit that wrote a server's row last.
    pub(super) fn server_revision(&self, server: ShareServerId) -> Option<Revision> {
        self.servers.get(&server).map(|(_, revision)| *revision)
    }

    /// The servers of a backend.
    pub(super) fn servers_of(&self, backend: &BackendName) -> Vec<ShareServerId> {
        let of_backend = self.servers.values().filter(|(row, _)| row.backend == *backend);
        of_backend.map(|(row, _)| row.server).collect()
    }

    /// Why an address is not free.
    pub(super) fn claim(&self, address: IpAddr) -> Option<&Claim> {
        self.claims.get(&address).map(|(claim, _)| claim)
    }

    /// Every address that is not free, in no order.
    pub(super) fn claims(&self) -> impl Iterator<Item = (IpAddr, &Claim)> {
        self.claims.iter().map(|(address, (claim, _))| (*address, claim))
    }

    /// The commit that wrote a claim last.
    pub(super) fn claim_revision(&self, address: IpAddr) -> Option<Revision> {
        self.claims.get(&address).map(|(_, revision)| *revision)
    }

    /// The addresses at a backend that nobody manages, in order.
    pub(super) fn unmanaged(&self, backend: &BackendName) -> Vec<IpAddr> {
        let is_unmanaged =
            |claim: &Claim| matches!(claim, Claim::Unmanaged { backend: at, .. } if at == backend);
        let unmanaged = self.claims.iter().filter(|(_, (claim, _))| is_unmanaged(claim));
        let mut addresses: Vec<_> = unmanaged.map(|(address, _)| *address).collect();
        addresses.sort_unstable();
        addresses
    }

    /// How many addresses the servers of a backend have.
    pub(super) fn held(&self, backend: &BackendName) -> usize {
        self.held.get(backend).map_or(0, |held| held.total)
    }

    /// How many of them those of a project.
    pub(super) fn held_by(&self, backend: &BackendName, project: &ProjectId) -> usize {
        self.held.get(backend).and_then(|held| held.by_project.get(project)).copied().unwrap_or(0)
    }

    /// How many addresses rest that servers of a project at a backend had.
    pub(super) fn resting_of(&self, backend: &BackendName, project: &ProjectId) -> usize {
        let of = Project { backend: backend.clone(), project: project.clone() };
        self.rests_of.get(&of).copied().unwrap_or(0)
    }

    /// Some addresses that have rested long enough, those first that have for longest.
    pub(super) fn rested(&self, most: usize) -> Vec<IpAddr> {
        let now = Instant::now();
        let due = self.resting.iter().take_while(|(until, _)| *until <= now).take(most);
        due.map(|(_, address)| *address).collect()
    }

    /// Take in what was committed as `revision`.
    pub(super) fn apply(&mut self, edit: Edit, revision: Revision) {
        if let Some((server, row)) = edit.row {
            self.apply_row(server, row, revision);
        }
        for (address, claim) in edit.claims {
            self.apply_claim(address, claim, revision);
        }
    }

    pub(super) fn apply_row(&mut self, server: ShareServerId, row: Option<ServerRow>, revision: Revision) {
        let before = match row {
            Some(row) => {
                let held = self.held.entry(row.backend.clone()).or_default();
                held.total = held.total.saturating_add(row.kept.len());
                let own = held.by_project.entry(row.project.clone()).or_default();
                *own = own.saturating_add(row.kept.len());
                self.servers.insert(server, (row, revision))
            }
            None => self.servers.remove(&server),
        };
        let Some((before, _)) = before else { return };
        let Some(held) = self.held.get_mut(&before.backend) else { return };
        held.total = held.total.saturating_sub(before.kept.len());
        if let Some(own) = held.by_project.get_mut(&before.project) {
            *own = own.saturating_sub(before.kept.len());
            if *own == 0 {
                held.by_project.remove(&before.project);
            }
        }
    }

    pub(super) fn apply_claim(&mut self, address: IpAddr, claim: Option<Claim>, revision: Revision) {
        if let Some(until) = self.rests_until.remove(&address) {
            self.resting.remove(&(until, address));
        }
        if let Some((Claim::Resting { of: Some(of), .. }, _)) = self.claims.get(&address)
            && let Some(count) = self.rests_of.get_mut(of)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.rests_of.remove(of);
            }
        }
        let Some(claim) = claim else {
            self.taken.free(address);
            self.claims.remove(&address);
            return;
        };
        if let Claim::Resting { until_ms, of } = &claim {
            if let Some(of) = of {
                let count = self.rests_of.entry(of.clone()).or_default();
                *count = count.saturating_add(1);
            }
            // From here on no wall clock counts: it may be set.
            let left = until_ms.saturating_sub(Timestamp::now().milliseconds());
            let now = Instant::now();
            let until = now.checked_add(Duration::from_millis(left).min(REST)).unwrap_or(now);
            self.rests_until.insert(address, until);
            self.resting.insert((until, address));
        }
        self.taken.take(address);
        self.claims.insert(address, (claim, revision));
    }
}
