//! The policy of groups: which verb is accepted in which status. Pure: no I/O, no lock.

use crate::denial::Denial;
use crate::error::ManagerError;
use crate::operation::ShareFacts;
use crate::request::Force;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::Verb;
use bulkhead_model::status::{ShareGroupStatus, ShareStatus};

/// What the policy needs to know of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupFacts {
    pub(super) status: ShareGroupStatus,
    /// How many shares it has.
    pub(super) shares: usize,
    /// How many snapshots it has.
    pub(super) snapshots: usize,
    /// The verb of an unfinished operation on it or a snapshot of it.
    pub(super) in_flight: Option<&'static str>,
}

/// Whether a group may be deleted: from every resting status, once it is empty.
pub(super) fn delete_group(facts: &GroupFacts, force: Force) -> Result<(), Denial> {
    at_rest(facts.in_flight)?;
    // Force passes over a transient status without an owner; never over a running operation.
    if facts.status.is_transient() && !force.is_forced() {
        return Err(Denial::GroupStatus { what: "deleting", status: facts.status });
    }
    match (facts.shares, facts.snapshots) {
        (0, 0) => Ok(()),
        (0, count) => Err(Denial::GroupHasSnapshots { count }),
        (count, _) => Err(Denial::GroupHasShares { count }),
    }
}

/// Whether a snapshot of a group with these shares may be taken: group and shares are `available` and nothing is begun on any of them.
pub(super) fn create_snapshot(group: &GroupFacts, shares: &[(ShareId, ShareFacts)]) -> Result<(), Denial> {
    at_rest(group.in_flight)?;
    if group.status != ShareGroupStatus::Available {
        return Err(Denial::GroupStatus { what: "taking a snapshot of it", status: group.status });
    }
    for (share, facts) in shares {
        if !facts.support.snapshot {
            return Err(Denial::MemberNotOffered { share: *share });
        }
        if let Some(running) = facts.in_flight {
            return Err(Denial::MemberInFlight { share: *share, running });
        }
        if facts.status != ShareStatus::Available {
            return Err(Denial::MemberStatus { share: *share, status: facts.status });
        }
    }
    Ok(())
}

/// What the policy needs to know of a group snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotFacts {
    pub(super) status: ShareGroupStatus,
    /// The verb of an unfinished operation on it.
    pub(super) in_flight: Option<&'static str>,
    /// Whether a group is being made from it.
    pub(super) is_source: bool,
}

/// Whether a group snapshot may be deleted. Like groups, from every resting status.
pub(super) fn delete_snapshot(facts: &SnapshotFacts, force: Force) -> Result<(), Denial> {
    at_rest(facts.in_flight)?;
    if facts.is_source {
        return Err(Denial::GroupSnapshotInUse);
    }
    if facts.status.is_transient() && !force.is_forced() {
        return Err(Denial::GroupSnapshotStatus { what: "deleting", status: facts.status });
    }
    Ok(())
}

/// Whether a group may be made from a snapshot.
pub(super) fn create_from(status: ShareGroupStatus) -> Result<(), Denial> {
    if status == ShareGroupStatus::Available {
        return Ok(());
    }
    Err(Denial::GroupSnapshotStatus { what: "making a group from it", status })
}

/// Whether nothing is at work.
pub(super) fn at_rest(in_flight: Option<&'static str>) -> Result<(), Denial> {
    in_flight.map_or(Ok(()), |running| Err(Denial::InFlight { running }))
}

/// Whether somebody may set a status by hand: not one that needs an operation at work.
pub(super) fn rests(status: ShareGroupStatus) -> Result<(), ManagerError> {
    if !status.is_transient() {
        return Ok(());
    }
    let reason = format_args!("'{status}' needs an operation at work; set a status that rests");
    Err(ManagerError::invalid("status", reason))
}

/// The status a group has once `verb` has failed; none if the verb leaves the group alone.
pub(super) const fn group_status_after_failure(verb: &Verb) -> Option<ShareGroupStatus> {
    match verb {
        Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. } => Some(ShareGroupStatus::Error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::share::ShareSupport;
    use bulkhead_model::size::Gibibytes;
    use bulkhead_model::status::AccessRulesStatus;
    use proptest::prelude::*;

    fn share(status: ShareStatus, in_flight: Option<&'static str>) -> (ShareId, ShareFacts) {
        let support = ShareSupport { snapshot: true, ..ShareSupport::default() };
        let facts = ShareFacts {
            status,
            rules_status: AccessRulesStatus::Active,
            size: Gibibytes::new(1).expect("a size"),
            support,
            replicas: 1,
            has_open_migration: false,
            snapshots: Vec::new(),
            is_in_group: true,
            group_snapshots: 0,
            in_flight,
        };
        (ShareId::random(), facts)
    }

    fn any_group() -> impl Strategy<Value = GroupFacts> {
        let status = proptest::sample::select(ShareGroupStatus::ALL);
        let in_flight = proptest::option::of(Just("create-share-group-snapshot"));
        (status, 0_usize..3, 0_usize..3, in_flight).prop_map(|(status, shares, snapshots, in_flight)| {
            GroupFacts { status, shares, snapshots, in_flight }
        })
    }

    proptest! {
        #[test]
        fn a_group_at_rest_goes_once_it_is_empty_and_never_before(facts in any_group()) {
            let is_empty = facts.shares == 0 && facts.snapshots == 0;
            let at_rest = facts.in_flight.is_none() && !facts.status.is_transient();
            prop_assert_eq!(delete_group(&facts, Force::No).is_ok(), is_empty && at_rest);
            if !is_empty || facts.in_flight.is_some() {
                prop_assert!(delete_group(&facts, Force::Yes).is_err());
            }
        }

        #[test]
        fn a_snapshot_is_taken_of_an_available_group_at_rest(facts in any_group()) {
            let taken = create_snapshot(&facts, &[share(ShareStatus::Available, None)]).is_ok();
            prop_assert_eq!(taken, facts.in_flight.is_none() && facts.status == ShareGroupStatus::Available);
        }
    }

    #[test]
    fn one_share_that_is_not_at_rest_stands_in_the_way_of_a_snapshot_of_all() {
        let group =
            GroupFacts { status: ShareGroupStatus::Available, shares: 2, snapshots: 0, in_flight: None };
        let good = share(ShareStatus::Available, None);
        assert_eq!(create_snapshot(&group, &[]), Ok(()), "an empty group has an empty snapshot");
        for bad in [
            share(ShareStatus::Extending, Some("extend-share")),
            share(ShareStatus::Available, Some("delete-snapshot")),
            share(ShareStatus::Error, None),
        ] {
            assert!(create_snapshot(&group, &[good.clone(), bad]).is_err());
        }
        let mut without = good.clone();
        without.1.support.snapshot = false;
        let refused = create_snapshot(&group, &[good, without.clone()]);
        assert_eq!(refused, Err(Denial::MemberNotOffered { share: without.0 }));
    }

    #[test]
    fn a_group_snapshot_that_a_group_is_made_from_stays() {
        let rests = SnapshotFacts { status: ShareGroupStatus::Error, in_flight: None, is_source: false };
        assert_eq!(delete_snapshot(&rests, Force::No), Ok(()));
        let source = SnapshotFacts { is_source: true, ..rests };
        assert_eq!(delete_snapshot(&source, Force::Yes), Err(Denial::GroupSnapshotInUse));
        let lost = SnapshotFacts { status: ShareGroupStatus::Creating, ..rests };
        assert!(delete_snapshot(&lost, Force::No).is_err());
        assert_eq!(delete_snapshot(&lost, Force::Yes), Ok(()));
    }
}
