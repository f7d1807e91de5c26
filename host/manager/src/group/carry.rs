//! Groups and their snapshots as driver calls carry them.

use super::types;
use crate::records::Tables;
use crate::replica::carry::host_string;
use crate::share::for_driver;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId, ShareId, SnapshotInstanceId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{
    GroupMember, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::snapshot::SnapshotForDriver;

fn missing(what: &str, id: impl std::fmt::Display) -> CallError {
    CallError::Host { reason: format!("{what} {id} has no record") }
}

fn share(tables: &Tables, id: ShareId) -> Result<ShareForDriver, CallError> {
    match (tables.share(&Scope::Everything, id), tables.instance_of(id)) {
        (Some(share), Some(instance)) => Ok(for_driver(tables, share, instance)),
        _ => Err(missing("share", id)),
    }
}

/// A group with the shares it has now, oldest first.
pub(crate) fn group(tables: &Tables, id: ShareGroupId) -> Result<ShareGroupForDriver, CallError> {
    let group = tables.group(&Scope::Everything, id).ok_or_else(|| missing("share group", id))?;
    let shares = tables.shares_of_group(id).into_iter().map(|one| share(tables, one.id));
    let server = group.share_server.and_then(|id| tables.server(&Scope::Everything, id));
    Ok(ShareGroupForDriver {
        id,
        display_name: group.display_name.clone(),
        project: group.project.clone(),
        host: host_string(&group.placement),
        share_network: group.share_network,
        server: server.map(|server| server.for_driver()),
        group_type: group.group_type,
        group_specs: group.group_specs.clone(),
        share_types: group.share_types.clone(),
        source_snapshot: group.source_snapshot,
        asked_consistency: types::asked_consistency(&group.group_specs),
        shares: shares.collect::<Result<_, _>>()?,
    })
}

/// A group snapshot with its group and its members.
pub(super) fn snapshot(
    tables: &Tables,
    id: ShareGroupSnapshotId,
) -> Result<ShareGroupSnapshotForDriver, CallError> {
    let snapshot =
        tables.group_snapshot(&Scope::Everything, id).ok_or_else(|| missing("share group snapshot", id))?;
    let member = |member: &GroupMember| {
        Ok(SnapshotForDriver {
            id: member.id,
            snapshot: id.of_members(),
            size: member.size,
            provider_location: member.provider_location.clone(),
            share: share(tables, member.share)?,
        })
    };
    Ok(ShareGroupSnapshotForDriver {
        id,
        display_name: snapshot.display_name.clone(),
        project: snapshot.project.clone(),
        group: group(tables, snapshot.group)?,
        members: snapshot.members.iter().map(member).collect::<Result<_, _>>()?,
    })
}

/// Each share of a group with the member that it is made from.
pub(super) fn made_from(
    tables: &Tables,
    id: ShareGroupId,
) -> Result<Vec<(ShareForDriver, Option<SnapshotInstanceId>)>, CallError> {
    let shares = tables.shares_of_group(id).into_iter();
    shares.map(|one| Ok((share(tables, one.id)?, one.source_member))).collect()
}

/// Match shares with the members they are made from, in the order of the shares: Manila's `_collate_share_group_snapshot_info`. Members
/// that no share is made from are passed over.
///
/// Fails with the first share that is made from none of the members.
pub(super) fn collate(
    shares: Vec<(ShareForDriver, Option<SnapshotInstanceId>)>,
    members: &[SnapshotForDriver],
) -> Result<Vec<GroupShareSource>, ShareId> {
    let source = |(share, source): (ShareForDriver, Option<SnapshotInstanceId>)| {
        let member = members.iter().find(|member| Some(member.id) == source);
        match member {
            Some(member) => Ok(GroupShareSource { share, member: member.clone() }),
            None => Err(share.share),
        }
    };
    shares.into_iter().map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::id::{ShareInstanceId, SnapshotId};
    use bulkhead_model::share::Protocol;
    use bulkhead_model::size::Gibibytes;
    use std::collections::BTreeMap;

    fn share() -> ShareForDriver {
        ShareForDriver {
            id: ShareInstanceId::random(),
            share: ShareId::random(),
            project: "alpha".parse().expect("a project"),
            size: Gibibytes::SMALLEST,
            protocol: Protocol::Nfs,
            pool: None,
            source_snapshot: None,
            server: None,
            group: None,
            replica_state: None,
            mount_snapshot_support: false,
            export_locations: Vec::new(),
            extra_specs: BTreeMap::new(),
            metadata: BTreeMap::new(),
        }
    }

    fn member() -> SnapshotForDriver {
        SnapshotForDriver {
            id: SnapshotInstanceId::random(),
            snapshot: SnapshotId::random(),
            size: Gibibytes::SMALLEST,
            provider_location: None,
            share: share(),
        }
    }

    /// Contract D-47.
    #[test]
    fn shares_find_their_members_in_their_own_order_and_surplus_members_are_passed_over() {
        let members = [member(), member(), member()];
        let shares = vec![(share(), Some(members[2].id)), (share(), Some(members[0].id))];
        let order: Vec<_> = shares.iter().map(|(share, _)| share.id).collect();
        let found = collate(shares, &members).expect("all match");
        assert_eq!(found.iter().map(|one| one.share.id).collect::<Vec<_>>(), order);
        assert_eq!(found.iter().map(|one| one.member.id).collect::<Vec<_>>(), [members[2].id, members[0].id]);
        assert_eq!(collate(Vec::new(), &members), Ok(Vec::new()));
    }

    /// Contract D-47.
    #[test]
    fn a_share_that_is_made_from_no_member_is_named() {
        let members = [member()];
        for source in [None, Some(SnapshotInstanceId::random())] {
            let odd = share();
            let id = odd.share;
            let shares = vec![(share(), Some(members[0].id)), (odd, source)];
            assert_eq!(collate(shares, &members), Err(id));
        }
    }
}
