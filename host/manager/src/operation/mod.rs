//! The policy of operations: which verb is accepted in which status, and what a driver's failure means. Pure: no I/O, no lock.
//!
//! This is the operation matrix of contract 4.10. `available --verb--> <transient> --> available | gone | <error status>`; a failure
//! that leaves the outcome open keeps the transient status and repeats.
//!
//! Where we differ from Manila on purpose: a share is deleted from every resting status, `error_deleting` and the other error statuses
//! included, so that no tenant needs an operator to get rid of a share; and nothing is done to a share while one of its snapshots is
//! on its way, so that nothing is ever half done twice.

mod judgement;
mod verb;

pub(crate) use judgement::{Judgement, judge};
pub(crate) use verb::{
    ability_of, call_kind, share_status_after_failure, share_status_during, snapshot_of,
    snapshot_status_after_failure, snapshot_status_during, step_of,
};

use crate::denial::Denial;
use crate::request::Force;
use bulkhead_model::id::SnapshotId;
use bulkhead_model::share::ShareSupport;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::{AccessRulesStatus, ShareStatus, SnapshotStatus};

/// What the policy needs to know of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareFacts {
    pub(crate) status: ShareStatus,
    pub(crate) rules_status: AccessRulesStatus,
    pub(crate) size: Gibibytes,
    pub(crate) support: ShareSupport,
    /// How many replicas it has; 1 for a share that is not replicated.
    pub(crate) replicas: usize,
    /// Whether it is in a migration, also in one whose operation has ended before it did.
    pub(crate) has_open_migration: bool,
    /// Its snapshots, oldest first.
    pub(crate) snapshots: Vec<(SnapshotId, SnapshotStatus)>,
    /// Whether it belongs to a share group.
    pub(crate) is_in_group: bool,
    /// How many snapshots of its group it is a member of.
    pub(crate) group_snapshots: usize,
    /// The verb of an unfinished operation on the share, a snapshot of it, or its group if that touches it; rules aside, they queue.
    pub(crate) in_flight: Option<&'static str>,
}

impl ShareFacts {
    pub(crate) fn require(&self, what: &'static str, fit: &[ShareStatus]) -> Result<(), Denial> {
        if let Some(running) = self.in_flight {
            return Err(Denial::InFlight { running });
        }
        self.require_no_migration()?;
        if fit.contains(&self.status) {
            Ok(())
        } else {
            Err(Denial::ShareStatus { what, status: self.status })
        }
    }
}

impl ShareFacts {
    /// Whether it is not half way between two places.
    fn require_no_migration(&self) -> Result<(), Denial> {
        if self.has_open_migration { Err(Denial::OpenMigration) } else { Ok(()) }
    }

    pub(crate) fn require_no_replicas(&self) -> Result<(), Denial> {
        match self.replicas {
            0 | 1 => Ok(()),
            count => Err(Denial::HasReplicas { count }),
        }
    }

    pub(crate) fn require_no_snapshots(&self) -> Result<(), Denial> {
        match (self.snapshots.len(), self.group_snapshots) {
            (0, 0) => Ok(()),
            (0, count) => Err(Denial::HasGroupSnapshots { count }),
            (count, _) => Err(Denial::HasSnapshots { count }),
        }
    }

    /// Whether it is in no group, which holds together what it has.
    pub(crate) fn require_no_group(&self, what: &'static str) -> Result<(), Denial> {
        if self.is_in_group { Err(Denial::InGroup { what }) } else { Ok(()) }
    }
}

/// Whether a share may be deleted.
pub(crate) fn delete_share(facts: &ShareFacts, force: Force) -> Result<(), Denial> {
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running });
    }
    // Force passes over a transient status without an owner; never over a running operation.
    if facts.status.is_transient() && !force.is_forced() {
        return Err(Denial::ShareStatus { what: "deleting", status: facts.status });
    }
    facts.require_no_migration()?;
    facts.require_no_replicas()?;
    facts.require_no_snapshots()
}

/// Whether a share may be let go: from every resting status, as it may be deleted.
pub(crate) fn unmanage_share(facts: &ShareFacts) -> Result<(), Denial> {
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running });
    }
    if facts.status.is_transient() {
        return Err(Denial::ShareStatus { what: "letting it go", status: facts.status });
    }
    facts.require_no_migration()?;
    facts.require_no_replicas()?;
    facts.require_no_group("letting it go")?;
    facts.require_no_snapshots()
}

/// Whether something may be taken over as a snapshot of the share. It is the newest snapshot from then on.
pub(crate) fn manage_snapshot(facts: &ShareFacts) -> Result<(), Denial> {
    if !facts.support.snapshot {
        return Err(Denial::NotOffered { what: "snapshots" });
    }
    facts.require_no_replicas()?;
    facts.require("taking a snapshot over", &[ShareStatus::Available])
}

/// Whether a share may be made larger.
pub(crate) fn extend_share(facts: &ShareFacts, new_size: Gibibytes) -> Result<(), Denial> {
    if new_size <= facts.size {
        return Err(Denial::NotLarger { current: facts.size });
    }
    facts.require("extending", &[ShareStatus::Available])
}

/// Whether a share may be made smaller.
pub(crate) fn shrink_share(facts: &ShareFacts, new_size: Gibibytes) -> Result<(), Denial> {
    if new_size >= facts.size {
        return Err(Denial::NotSmaller { current: facts.size });
    }
    facts.require("shrinking", &[ShareStatus::Available, ShareStatus::ShrinkingPossibleDataLossError])
}

/// Whether a share may be put back to `snapshot`.
pub(crate) fn revert_share(facts: &ShareFacts, snapshot: SnapshotId) -> Result<(), Denial> {
    let Some((_, snapshot_status)) = facts.snapshots.iter().find(|(id, _)| *id == snapshot) else {
        return Err(Denial::ForeignSnapshot { snapshot });
    };
    if !facts.support.revert_to_snapshot {
        return Err(Denial::NotOffered { what: "reverting to a snapshot" });
    }
    if let Some((newest, _)) = facts.snapshots.last()
        && *newest != snapshot
    {
        return Err(Denial::NotNewest { newest: *newest });
    }
    facts.require("reverting", &[ShareStatus::Available])?;
    if *snapshot_status != SnapshotStatus::Available {
        return Err(Denial::SnapshotStatus { what: "reverting", status: *snapshot_status });
    }
    match facts.rules_status {
        AccessRulesStatus::Active => Ok(()),
        status => Err(Denial::RulesNotActive { status }),
    }
}

/// Whether a snapshot may be taken. Several may be on their way at once; their driver calls come one after the other.
pub(crate) fn create_snapshot(facts: &ShareFacts) -> Result<(), Denial> {
    if !facts.support.snapshot {
        return Err(Denial::NotOffered { what: "snapshots" });
    }
    let others = ShareFacts {
        in_flight: facts.in_flight.filter(|verb| *verb != "create-snapshot" && *verb != "delete-snapshot"),
        ..facts.clone()
    };
    others.require("taking a snapshot", &[ShareStatus::Available])
}

/// What the policy needs to know of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotFacts {
    pub(crate) status: SnapshotStatus,
    /// The verb of an unfinished operation on it.
    pub(crate) in_flight: Option<&'static str>,
    /// Whether a share is being made from it.
    pub(crate) is_source: bool,
}

/// Whether a snapshot may be deleted. Like shares, from every resting status.
pub(crate) fn delete_snapshot(facts: &SnapshotFacts, force: Force) -> Result<(), Denial> {
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running });
    }
    if facts.is_source {
        return Err(Denial::SnapshotInUse);
    }
    if facts.status.is_transient() && !force.is_forced() {
        return Err(Denial::SnapshotStatus { what: "deleting", status: facts.status });
    }
    Ok(())
}

/// Whether a snapshot may be let go. Like shares, from every resting status.
pub(crate) fn unmanage_snapshot(facts: &SnapshotFacts) -> Result<(), Denial> {
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running });
    }
    if facts.is_source {
        return Err(Denial::SnapshotInUse);
    }
    if facts.status.is_transient() {
        return Err(Denial::SnapshotStatus { what: "letting it go", status: facts.status });
    }
    Ok(())
}

/// Whether rules of a snapshot may be queued: where its share's snapshots can be mounted, and while it is there.
pub(crate) fn change_snapshot_access(support: ShareSupport, status: SnapshotStatus) -> Result<(), Denial> {
    if !support.mount_snapshot {
        return Err(Denial::NotOffered { what: "mounting snapshots" });
    }
    if status != SnapshotStatus::Available {
        return Err(Denial::SnapshotStatus { what: "changing access", status });
    }
    Ok(())
}

/// Whether a share may be made from a snapshot.
pub(crate) fn create_from_snapshot(
    facts: &SnapshotFacts,
    source: ShareSupport,
    snapshot_size: Gibibytes,
    size: Gibibytes,
) -> Result<(), Denial> {
    if !source.create_share_from_snapshot {
        return Err(Denial::NotOffered { what: "shares from snapshots" });
    }
    if size < snapshot_size {
        return Err(Denial::SmallerThanSnapshot { snapshot_size });
    }
    if facts.status != SnapshotStatus::Available {
        return Err(Denial::SnapshotStatus { what: "making a share from it", status: facts.status });
    }
    Ok(())
}

/// Whether rules may be queued: not in a transient status, nor on a share that was never made or could not be removed.
pub(crate) fn change_access(status: ShareStatus) -> Result<(), Denial> {
    let hopeless = matches!(
        status,
        ShareStatus::Error | ShareStatus::ErrorDeleting | ShareStatus::Inactive | ShareStatus::ManageError
    );
    if status.is_transient() || hopeless {
        return Err(Denial::ShareStatus { what: "changing access", status });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
