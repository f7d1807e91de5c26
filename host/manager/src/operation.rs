//! The policy of operations: which verb is accepted in which status, and what a driver's failure means. Pure: no I/O, no lock.
//!
//! This is the operation matrix of contract 4.10. `available --verb--> <transient> --> available | gone | <error status>`; a failure
//! that leaves the outcome open keeps the transient status and repeats.
//!
//! Where we differ from Manila on purpose: a share is deleted from every resting status, `error_deleting` and the other error statuses
//! included, so that no tenant needs an operator to get rid of a share; and nothing is done to a share while one of its snapshots is
//! on its way, so that nothing is ever half done twice.

use crate::denial::Denial;
use crate::request::Force;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallKind;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::SnapshotId;
use bulkhead_model::operation::Verb;
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
    fn require(&self, what: &'static str, fit: &[ShareStatus]) -> Result<(), Denial> {
        if let Some(running) = self.in_flight {
            return Err(Denial::InFlight { running });
        }
        if fit.contains(&self.status) {
            Ok(())
        } else {
            Err(Denial::ShareStatus { what, status: self.status })
        }
    }
}

impl ShareFacts {
    fn require_no_replicas(&self) -> Result<(), Denial> {
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

/// The status a share has while `verb` is at work on it; none if the verb leaves the share alone, as those about one replica do
/// ([`crate::replica::status_during`]).
pub(crate) const fn share_status_during(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateShare | Verb::CreateShareFromSnapshot { .. } => Some(ShareStatus::Creating),
        Verb::DeleteShare { .. } => Some(ShareStatus::Deleting),
        Verb::ExtendShare { .. } => Some(ShareStatus::Extending),
        Verb::ShrinkShare { .. } => Some(ShareStatus::Shrinking),
        Verb::RevertShare { .. } => Some(ShareStatus::Reverting),
        Verb::ManageShare { .. } => Some(ShareStatus::ManageStarting),
        Verb::UnmanageShare { .. } => Some(ShareStatus::UnmanageStarting),
        Verb::UpdateAccess
        | Verb::CreateSnapshot { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::CreateReplica { .. }
        | Verb::DeleteReplica { .. }
        | Verb::PromoteReplica { .. }
        | Verb::ManageSnapshot { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::UpdateSnapshotAccess { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. } => None,
    }
}

/// The status of a share whose `verb` failed.
pub(crate) const fn share_status_after_failure(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateShare | Verb::CreateShareFromSnapshot { .. } => Some(ShareStatus::Error),
        Verb::DeleteShare { .. } => Some(ShareStatus::ErrorDeleting),
        Verb::ExtendShare { .. } => Some(ShareStatus::ExtendingError),
        Verb::ShrinkShare { .. } => Some(ShareStatus::ShrinkingError),
        Verb::RevertShare { .. } => Some(ShareStatus::RevertingError),
        Verb::ManageShare { .. } => Some(ShareStatus::ManageError),
        Verb::UnmanageShare { .. } => Some(ShareStatus::UnmanageError),
        Verb::UpdateAccess
        | Verb::CreateSnapshot { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::CreateReplica { .. }
        | Verb::DeleteReplica { .. }
        | Verb::PromoteReplica { .. }
        | Verb::ManageSnapshot { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::UpdateSnapshotAccess { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. } => None,
    }
}

/// The status a snapshot has while `verb` is at work on it.
pub(crate) const fn snapshot_status_during(verb: &Verb) -> Option<SnapshotStatus> {
    match verb {
        Verb::CreateSnapshot { .. } => Some(SnapshotStatus::Creating),
        Verb::DeleteSnapshot { .. } => Some(SnapshotStatus::Deleting),
        Verb::RevertShare { .. } => Some(SnapshotStatus::Restoring),
        Verb::ManageSnapshot { .. } => Some(SnapshotStatus::ManageStarting),
        Verb::UnmanageSnapshot { .. } => Some(SnapshotStatus::UnmanageStarting),
        _ => None,
    }
}

/// The status of a snapshot whose `verb` failed.
pub(crate) const fn snapshot_status_after_failure(verb: &Verb) -> Option<SnapshotStatus> {
    match verb {
        Verb::CreateSnapshot { .. } => Some(SnapshotStatus::Error),
        Verb::DeleteSnapshot { .. } => Some(SnapshotStatus::ErrorDeleting),
        Verb::RevertShare { .. } => Some(SnapshotStatus::Available),
        Verb::ManageSnapshot { .. } => Some(SnapshotStatus::ManageError),
        Verb::UnmanageSnapshot { .. } => Some(SnapshotStatus::UnmanageError),
        _ => None,
    }
}

/// The snapshot that `verb` works on; not the one a share is made from, which stays as it is.
pub(crate) const fn snapshot_of(verb: &Verb) -> Option<SnapshotId> {
    match verb {
        Verb::CreateSnapshot { snapshot }
        | Verb::DeleteSnapshot { snapshot, .. }
        | Verb::RevertShare { snapshot }
        | Verb::ManageSnapshot { snapshot, .. }
        | Verb::UnmanageSnapshot { snapshot, .. } => Some(*snapshot),
        _ => None,
    }
}

/// What a failed call means for its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing is known to be lost: the operation waits and repeats the call.
    Repeat,
    /// What was to be reached is reached all the same.
    Reached,
    /// The driver refused and changed nothing: the share is `available` as before, the operation has failed.
    PutBack,
    /// The operation has failed; the resource gets its error status.
    Failed,
}

/// Judge a failed call; `deadlines` counts the calls of this operation in a row that ran into their deadline, this one included.
///
/// * `busy`, `outcome-unknown`, `backend-unreachable`, and whatever the host itself could not do, repeat without end: the clock turns
///   nothing into an error, people can (`operation abandon`).
/// * A deadline leaves the outcome open too, so the call repeats; but a driver that has to be stopped time and again is broken, and
///   after `most_deadlines` the operation fails with blame on the driver. A driver that knows its backend is slow answers `busy`.
/// * A trap, a limit or an answer against the contract is the driver's fault and fails at once: it would happen again.
pub(crate) fn judge(verb: &Verb, error: &CallError, deadlines: u32, most_deadlines: u32) -> Judgement {
    match error {
        CallError::Host { .. } => return Judgement::Repeat,
        CallError::DeadlineExceeded { .. } if deadlines < most_deadlines => return Judgement::Repeat,
        _ => {}
    }
    let Some(code) = error.code() else { return Judgement::Failed };
    if code.is_repeated() {
        return Judgement::Repeat;
    }
    match (verb, code) {
        (Verb::DeleteShare { .. } | Verb::DeleteReplica { .. }, DriverErrorCode::ShareNotFound)
        | (Verb::DeleteSnapshot { .. }, DriverErrorCode::SnapshotNotFound) => Judgement::Reached,
        // What is not there need not be let go; a driver without a function for it has nothing to do (contract 3.7).
        (Verb::UnmanageShare { .. }, DriverErrorCode::ShareNotFound | DriverErrorCode::NotImplemented)
        | (
            Verb::UnmanageSnapshot { .. },
            DriverErrorCode::SnapshotNotFound | DriverErrorCode::NotImplemented,
        ) => Judgement::Reached,
        (Verb::ShrinkShare { .. }, DriverErrorCode::PossibleDataLoss | DriverErrorCode::NotImplemented) => {
            Judgement::PutBack
        }
        _ => Judgement::Failed,
    }
}

/// What an attempt of `verb` does, for people who look at the operation.
pub(crate) const fn step_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::CreateShare => "calling shares.create-share",
        Verb::CreateShareFromSnapshot { .. } => "calling share-from-snapshot.create-share-from-snapshot",
        Verb::DeleteShare { .. } => "removing access rules, then calling shares.delete-share",
        Verb::ExtendShare { .. } => "calling extend.extend-share",
        Verb::ShrinkShare { .. } => "calling shrink.shrink-share",
        Verb::UpdateAccess => "calling access.update-access",
        Verb::CreateSnapshot { .. } => "calling snapshots.create-snapshot",
        Verb::DeleteSnapshot { .. } => "removing access rules, then calling snapshots.delete-snapshot",
        Verb::RevertShare { .. } => "calling revert.revert-to-snapshot",
        Verb::CreateReplica { .. } => "calling replication.create-replica",
        Verb::DeleteReplica { .. } => "calling replication.delete-replica",
        Verb::PromoteReplica { .. } => "calling replication.promote-replica",
        Verb::ManageShare { .. } => "calling manage.manage-existing",
        Verb::UnmanageShare { .. } => "calling manage.unmanage, then forgetting what the share owned",
        Verb::ManageSnapshot { .. } => "calling manage-snapshots.manage-existing-snapshot",
        Verb::UnmanageSnapshot { .. } => {
            "calling manage-snapshots.unmanage-snapshot, then forgetting what the snapshot owned"
        }
        Verb::UpdateSnapshotAccess { .. } => "calling mountable-snapshots.snapshot-update-access",
        Verb::CreateShareGroup { .. } => "calling share-groups.create-share-group",
        Verb::CreateShareGroupFromSnapshot { .. } => {
            "calling share-groups.create-share-group-from-snapshot, or making its shares one by one"
        }
        Verb::DeleteShareGroup { .. } => "calling share-groups.delete-share-group",
        Verb::CreateShareGroupSnapshot { .. } => {
            "calling group-snapshots.create-share-group-snapshot, or taking the snapshots one by one"
        }
        Verb::DeleteShareGroupSnapshot { .. } => {
            "calling group-snapshots.delete-share-group-snapshot, or removing the snapshots one by one"
        }
    }
}

/// The kind of the calls of `verb`: which deadline they have.
pub(crate) const fn call_kind(verb: &Verb) -> CallKind {
    match verb {
        Verb::UpdateAccess | Verb::UpdateSnapshotAccess { .. } => CallKind::Access,
        _ => CallKind::Change,
    }
}

/// What the driver must export for `verb`, and the words for a refusal. Access rules and deletion every driver has, and letting go asks
/// nothing of one that has nothing to do.
pub(crate) const fn ability_of(verb: &Verb) -> Option<(Ability, &'static str)> {
    match verb {
        Verb::CreateShareFromSnapshot { .. } => Some((Ability::ShareFromSnapshot, "shares from snapshots")),
        Verb::ExtendShare { .. } => Some((Ability::Extend, "extending shares")),
        Verb::ShrinkShare { .. } => Some((Ability::Shrink, "shrinking shares")),
        Verb::CreateSnapshot { .. } => Some((Ability::Snapshots, "snapshots")),
        Verb::RevertShare { .. } => Some((Ability::Revert, "reverting to snapshots")),
        Verb::CreateReplica { .. } | Verb::DeleteReplica { .. } | Verb::PromoteReplica { .. } => {
            Some((Ability::Replication, "replicas"))
        }
        Verb::ManageShare { .. } => Some((Ability::Manage, "taking over shares")),
        Verb::ManageSnapshot { .. } => Some((Ability::ManageSnapshots, "taking over snapshots")),
        Verb::UpdateSnapshotAccess { .. } => Some((Ability::MountableSnapshots, "mounting snapshots")),
        Verb::CreateShare
        | Verb::DeleteShare { .. }
        | Verb::UpdateAccess
        | Verb::DeleteSnapshot { .. }
        | Verb::UnmanageShare { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::error::DriverError;
    use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId, ShareInstanceId};
    use bulkhead_model::target::ManagedName;
    use bulkhead_model::text::GuestText;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn size(gib: u64) -> Gibibytes {
        Gibibytes::new(gib).expect("a size")
    }

    fn any_facts() -> impl Strategy<Value = ShareFacts> {
        let status = proptest::sample::select(ShareStatus::ALL);
        let rules = proptest::sample::select(AccessRulesStatus::ALL);
        let snapshots = proptest::collection::vec(proptest::sample::select(SnapshotStatus::ALL), 0..3);
        let in_flight =
            proptest::option::of(proptest::sample::select(vec!["extend-share", "create-snapshot"]));
        (status, rules, snapshots, in_flight, any::<bool>()).prop_map(
            |(status, rules_status, snapshots, in_flight, offered)| ShareFacts {
                status,
                rules_status,
                size: size(5),
                support: ShareSupport {
                    snapshot: offered,
                    create_share_from_snapshot: offered,
                    revert_to_snapshot: offered,
                    mount_snapshot: false,
                },
                replicas: 1,
                is_in_group: false,
                group_snapshots: 0,
                snapshots: snapshots.into_iter().map(|status| (SnapshotId::random(), status)).collect(),
                in_flight,
            },
        )
    }

    fn managed() -> ManagedName {
        "old".parse().expect("a name")
    }

    fn every_verb() -> Vec<Verb> {
        let (snapshot, new_size) = (SnapshotId::random(), size(9));
        let replica = ShareInstanceId::random();
        let (group, group_snapshot) = (ShareGroupId::random(), ShareGroupSnapshotId::random());
        vec![
            Verb::CreateShare,
            Verb::CreateShareFromSnapshot { snapshot },
            Verb::DeleteShare { force: false },
            Verb::ExtendShare { new_size },
            Verb::ShrinkShare { new_size },
            Verb::UpdateAccess,
            Verb::CreateSnapshot { snapshot },
            Verb::DeleteSnapshot { snapshot, force: false },
            Verb::RevertShare { snapshot },
            Verb::CreateReplica { replica },
            Verb::DeleteReplica { replica, force: false },
            Verb::PromoteReplica { replica, quiesce_wait_seconds: None },
            Verb::ManageShare { managed: managed(), driver_options: BTreeMap::new() },
            Verb::UnmanageShare { remove_access_rules: false },
            Verb::ManageSnapshot { snapshot, managed: managed(), driver_options: BTreeMap::new() },
            Verb::UnmanageSnapshot { snapshot, remove_access_rules: false },
            Verb::UpdateSnapshotAccess { snapshot },
            Verb::CreateShareGroup { group },
            Verb::CreateShareGroupFromSnapshot { group, group_snapshot },
            Verb::DeleteShareGroup { group, force: false },
            Verb::CreateShareGroupSnapshot { group, group_snapshot },
            Verb::DeleteShareGroupSnapshot { group, group_snapshot, force: false },
        ]
    }

    fn answered(code: DriverErrorCode) -> CallError {
        CallError::Answered(DriverError { code, message: GuestText::message(""), detail: None })
    }

    proptest! {
        #[test]
        fn nothing_begins_beside_a_running_operation_or_in_a_transient_status(facts in any_facts()) {
            let busy = facts.in_flight.is_some() || facts.status.is_transient();
            let newest = facts.snapshots.last().map_or_else(SnapshotId::random, |(id, _)| *id);
            if busy {
                prop_assert!(delete_share(&facts, Force::No).is_err());
                prop_assert!(extend_share(&facts, size(9)).is_err());
                prop_assert!(shrink_share(&facts, size(1)).is_err());
                prop_assert!(revert_share(&facts, newest).is_err());
            }
            if facts.in_flight == Some("extend-share") || facts.status.is_transient() {
                prop_assert!(create_snapshot(&facts).is_err());
            }
            if facts.in_flight.is_some() {
                prop_assert!(delete_share(&facts, Force::Yes).is_err());
            }
        }

        #[test]
        fn a_share_at_rest_without_snapshots_can_always_be_deleted(facts in any_facts()) {
            let at_rest = facts.in_flight.is_none() && !facts.status.is_transient();
            if at_rest && facts.snapshots.is_empty() {
                prop_assert_eq!(delete_share(&facts, Force::No), Ok(()));
            }
            if !facts.snapshots.is_empty() {
                prop_assert!(delete_share(&facts, Force::Yes).is_err());
            }
        }

        #[test]
        fn a_revert_needs_everything_in_order(facts in any_facts()) {
            let newest = facts.snapshots.last().copied();
            let in_order = facts.status == ShareStatus::Available
                && facts.in_flight.is_none()
                && facts.support.revert_to_snapshot
                && facts.rules_status == AccessRulesStatus::Active
                && newest.is_some_and(|(_, status)| status == SnapshotStatus::Available);
            let id = newest.map_or_else(SnapshotId::random, |(id, _)| id);
            prop_assert_eq!(revert_share(&facts, id).is_ok(), in_order);
        }
    }

    #[test]
    fn a_share_of_a_group_is_not_let_go_nor_deleted_while_a_group_snapshot_has_it() {
        let alone = ShareFacts {
            status: ShareStatus::Available,
            rules_status: AccessRulesStatus::Active,
            size: size(1),
            support: ShareSupport::default(),
            replicas: 1,
            snapshots: Vec::new(),
            is_in_group: false,
            group_snapshots: 0,
            in_flight: None,
        };
        assert_eq!(unmanage_share(&alone), Ok(()));
        let member = ShareFacts { is_in_group: true, ..alone };
        assert_eq!(unmanage_share(&member), Err(Denial::InGroup { what: "letting it go" }));
        assert_eq!(delete_share(&member, Force::No), Ok(()));
        let kept = ShareFacts { group_snapshots: 2, ..member };
        assert_eq!(delete_share(&kept, Force::Yes), Err(Denial::HasGroupSnapshots { count: 2 }));
    }

    #[test]
    fn every_status_during_a_verb_is_transient_and_every_status_after_it_rests() {
        for verb in every_verb() {
            assert!(share_status_during(&verb).is_none_or(ShareStatus::is_transient), "{verb:?}");
            assert!(
                share_status_after_failure(&verb).is_none_or(|status| !status.is_transient()),
                "{verb:?}"
            );
            assert!(snapshot_status_during(&verb).is_none_or(SnapshotStatus::is_transient), "{verb:?}");
            assert!(
                snapshot_status_after_failure(&verb).is_none_or(|status| !status.is_transient()),
                "{verb:?}"
            );
            assert_eq!(share_status_during(&verb).is_some(), share_status_after_failure(&verb).is_some());
        }
    }

    #[test]
    fn the_clock_and_the_host_never_end_an_operation_and_a_trap_does_at_once() {
        let trap = CallError::Trapped { function: "f", reason: String::new() };
        let host = CallError::Host { reason: String::new() };
        for verb in every_verb() {
            for code in
                [DriverErrorCode::Busy, DriverErrorCode::OutcomeUnknown, DriverErrorCode::BackendUnreachable]
            {
                assert_eq!(judge(&verb, &answered(code), u32::MAX, 3), Judgement::Repeat, "{verb:?}");
            }
            assert_eq!(judge(&verb, &host, u32::MAX, 3), Judgement::Repeat);
            assert_eq!(judge(&verb, &trap, 0, 3), Judgement::Failed);
        }
    }

    #[test]
    fn a_deadline_repeats_until_it_was_hit_too_often_in_a_row() {
        let late = CallError::DeadlineExceeded { function: "f", limit_ms: 1 };
        assert_eq!(judge(&Verb::CreateShare, &late, 2, 3), Judgement::Repeat);
        assert_eq!(judge(&Verb::CreateShare, &late, 3, 3), Judgement::Failed);
    }

    #[test]
    fn not_found_is_reached_only_where_something_was_to_go() {
        for verb in every_verb() {
            let share = judge(&verb, &answered(DriverErrorCode::ShareNotFound), 0, 3);
            let lets_go = matches!(
                verb,
                Verb::DeleteShare { .. } | Verb::DeleteReplica { .. } | Verb::UnmanageShare { .. }
            );
            assert_eq!(share == Judgement::Reached, lets_go, "{verb:?}");
            let snapshot = judge(&verb, &answered(DriverErrorCode::SnapshotNotFound), 0, 3);
            let lets_go = matches!(verb, Verb::DeleteSnapshot { .. } | Verb::UnmanageSnapshot { .. });
            assert_eq!(snapshot == Judgement::Reached, lets_go, "{verb:?}");
        }
    }
}
