//! Groups and their snapshots that are transient without an operation, which cannot come from this program (see [`crate::recovery`]).

use super::snapshot;
use super::verbs;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Tables};
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareGroupStatus, SnapshotStatus};

/// Give them a status that rests.
pub(crate) async fn repair(inner: &Inner) -> Result<(), ManagerError> {
    let (groups, snapshots) = {
        let tables = inner.records.read();
        (groups_without_owner(&tables), snapshots_without_owner(&tables))
    };
    for id in groups {
        tracing::error!(share_group.id = %id, "the share group was in a transient status without an operation; it is put in error");
        repair_group(inner, id).await?;
    }
    for id in snapshots {
        tracing::error!(share_group_snapshot.id = %id, "the group snapshot was in a transient status without an operation; it is put in error");
        repair_snapshot(inner, id).await?;
    }
    Ok(())
}

fn groups_without_owner(tables: &Tables) -> Vec<ShareGroupId> {
    let is_left = |group: &&crate::records::Stored<_>| verbs::facts(tables, group).in_flight.is_none();
    let transient = tables.groups(&Scope::Everything).filter(|group| group.status.is_transient());
    transient.filter(is_left).map(|group| group.id).collect()
}

fn snapshots_without_owner(tables: &Tables) -> Vec<ShareGroupSnapshotId> {
    let is_left = |one: &&crate::records::Stored<_>| snapshot::facts(tables, one).in_flight.is_none();
    let transient = tables.group_snapshots(&Scope::Everything).filter(|one| one.status.is_transient());
    transient.filter(is_left).map(|one| one.id).collect()
}

async fn repair_group(inner: &Inner, id: ShareGroupId) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(group) = tables.group(&Scope::Everything, id) else { return Ok(Proposal::Settled(())) };
            let mut change = Change::default();
            let cause = Cause::host("recovery");
            change.edit_group(tables, id, &cause, |group| group.status = ShareGroupStatus::Error);
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await
}

async fn repair_snapshot(inner: &Inner, id: ShareGroupSnapshotId) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let group = tables.group_snapshot(&Scope::Everything, id).map(|snapshot| snapshot.group);
            let Some(group) = group.and_then(|group| tables.group(&Scope::Everything, group)) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            change.edit_group_snapshot(tables, id, &Cause::host("recovery"), |snapshot| {
                snapshot.status = ShareGroupStatus::Error;
                snapshot.members.iter_mut().for_each(|member| member.status = SnapshotStatus::Error);
            });
            Ok(Proposal::Commit(group.placement.backend.clone(), change, ()))
        })
        .await
}
