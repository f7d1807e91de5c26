//! Share groups and their snapshots, and what drivers answer about them.

use super::location::LocationRights;
use super::replica::updates_of_from_wit;
use super::share::{CanBePolled, creation_from_wit, share_to_wit};
use super::{Breach, check_count, pairs_to_wit, shown};
use crate::bindings::v0_1::bulkhead::driver::share_groups as wit_groups;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share_group::{
    Consistency, CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::snapshot::{SnapshotForDriver, snapshot_name};
use std::collections::BTreeSet;

/// A group as a driver call carries it.
pub(crate) fn group_to_wit(group: &ShareGroupForDriver) -> wit::ShareGroup {
    wit::ShareGroup {
        id: group.id.to_string(),
        name: group.display_name.clone(),
        project_id: group.project.as_str().to_owned(),
        host: group.host.clone(),
        share_network_id: group.share_network.map(|id| id.to_string()),
        share_server_id: group.server.as_ref().map(|server| server.id.to_string()),
        share_group_type_id: group.group_type.to_string(),
        group_specs: pairs_to_wit(&group.group_specs),
        share_type_ids: group.share_types.iter().map(ToString::to_string).collect(),
        source_group_snapshot_id: group.source_snapshot.map(|id| id.to_string()),
        availability_zone: None,
        consistent_snapshot_support: group.asked_consistency.map(consistency_to_wit),
        shares: group.shares.iter().map(share_to_wit).collect(),
    }
}

const fn consistency_to_wit(consistency: Consistency) -> wit::Consistency {
    match consistency {
        Consistency::Pool => wit::Consistency::Pool,
        Consistency::Host => wit::Consistency::Host,
    }
}

pub(crate) const fn consistency_from_wit(consistency: wit::Consistency) -> Consistency {
    match consistency {
        wit::Consistency::Pool => Consistency::Pool,
        wit::Consistency::Host => Consistency::Host,
    }
}

fn member_to_wit(member: &SnapshotForDriver) -> wit::GroupSnapshotMember {
    wit::GroupSnapshotMember {
        id: member.id.to_string(),
        name: snapshot_name(member.id),
        share: share_to_wit(&member.share),
        size_gib: member.size.get(),
        provider_location: member.provider_location.clone(),
    }
}

/// A group snapshot as a driver call carries it.
pub(crate) fn group_snapshot_to_wit(snapshot: &ShareGroupSnapshotForDriver) -> wit::ShareGroupSnapshot {
    wit::ShareGroupSnapshot {
        id: snapshot.id.to_string(),
        name: snapshot.display_name.clone(),
        project_id: snapshot.project.as_str().to_owned(),
        share_group: group_to_wit(&snapshot.group),
        members: snapshot.members.iter().map(member_to_wit).collect(),
    }
}

/// New shares with the members they are made from.
pub(crate) fn sources_to_wit(sources: &[GroupShareSource]) -> Vec<wit_groups::GroupShareSource> {
    sources
        .iter()
        .map(|source| wit_groups::GroupShareSource {
            share: share_to_wit(&source.share),
            member: member_to_wit(&source.member),
        })
        .collect()
}

/// What a driver says of the shares it made with their group, each at most once.
pub(crate) fn created_shares_from_wit(
    rights: &LocationRights,
    can_be_polled: CanBePolled,
    asked: &[GroupShareSource],
    answer: Vec<wit_groups::CreatedShare>,
) -> Result<Vec<CreatedShare>, Breach> {
    check_count("the answer of create-share-group-from-snapshot", &answer, asked.len())?;
    let mut open: BTreeSet<ShareInstanceId> = asked.iter().map(|source| source.share.id).collect();
    let mut found = Vec::with_capacity(answer.len());
    for created in answer {
        let id = created.share_id.parse::<ShareInstanceId>().ok().filter(|id| open.remove(id));
        let id = id.ok_or_else(|| {
            Breach(format!(
                "created-share.share-id is one of those asked about, each once, unlike '{}'",
                shown(&created.share_id)
            ))
        })?;
        found
            .push(CreatedShare { id, creation: creation_from_wit(rights, can_be_polled, created.creation)? });
    }
    Ok(found)
}

/// What a driver says of the members it took, each at most once. They are taken when the call returns: the contract has no word to ask
/// how far one is.
pub(crate) fn taken_members_from_wit(
    rights: &LocationRights,
    asked: &ShareGroupSnapshotForDriver,
    updates: Vec<wit::SnapshotUpdate>,
) -> Result<Vec<SnapshotUpdate>, Breach> {
    let members: Vec<_> = asked.members.iter().collect();
    let updates = updates_of_from_wit(rights, &members, updates)?;
    let is_final = |update: &SnapshotUpdate| {
        matches!(update.progress, SnapshotProgress::Available | SnapshotProgress::Error)
    };
    match updates.iter().find(|update| !is_final(update)) {
        None => Ok(updates),
        Some(update) => Err(Breach(format!(
            "a member that create-share-group-snapshot answers about is available or in error, unlike {}",
            snapshot_name(update.id)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;
    use bulkhead_model::id::SnapshotInstanceId;

    #[test]
    fn a_group_crosses_with_its_shares_and_members_are_named_like_snapshot_instances() {
        let snapshot = fixture::group_snapshot();
        let crossed = group_snapshot_to_wit(&snapshot);
        assert_eq!(crossed.share_group.shares.len(), 2);
        let group = Some(snapshot.group.id.to_string());
        assert!(crossed.members.iter().all(|member| member.share.share_group_id == group));
        assert_eq!(crossed.members[0].name, format!("share-snapshot-{}", snapshot.members[0].id));
    }

    #[test]
    fn only_shares_of_the_new_group_are_created_and_each_once() {
        let snapshot = fixture::group_snapshot();
        let sources = fixture::sources(&snapshot);
        let created = |id: String, path: &str| wit_groups::CreatedShare {
            share_id: id,
            creation: wit::Creation::Available(vec![location(path)]),
        };
        let check = |answer| created_shares_from_wit(&rights(), CanBePolled::No, &sources, answer);
        let id = sources[1].share.id.to_string();
        let own = "10.0.0.5:/a";
        assert!(check(Vec::new()).is_ok());
        assert_eq!(check(vec![created(id.clone(), own)]).map(|found| found[0].id), Ok(sources[1].share.id));
        assert!(check(vec![created(id.clone(), own), created(id.clone(), own)]).is_err());
        assert!(check(vec![created(id.clone(), "10.9.9.9:/a")]).is_err());
        assert!(check(vec![created(ShareInstanceId::random().to_string(), own)]).is_err());
        let pending = wit_groups::CreatedShare { share_id: id, creation: wit::Creation::Pending };
        assert!(check(vec![pending]).is_err(), "nobody could ask how far it is");
    }

    #[test]
    fn only_members_are_updated_and_they_are_taken_or_broken() {
        let snapshot = fixture::group_snapshot();
        let update = |id: String, progress| wit::SnapshotUpdate {
            snapshot_id: id,
            progress,
            provider_location: Some("x".to_owned()),
            export_locations: None,
        };
        let check = |updates| taken_members_from_wit(&rights(), &snapshot, updates);
        let known = || snapshot.members[0].id.to_string();
        assert!(check(Vec::new()).is_ok());
        assert!(check(vec![update(known(), wit::SnapshotProgress::Available)]).is_ok());
        assert!(check(vec![update(known(), wit::SnapshotProgress::Error)]).is_ok());
        assert!(check(vec![update(known(), wit::SnapshotProgress::Creating)]).is_err());
        let foreign = SnapshotInstanceId::random().to_string();
        assert!(check(vec![update(foreign, wit::SnapshotProgress::Available)]).is_err());
    }
}
