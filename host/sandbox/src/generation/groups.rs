//! Calls about share groups and their snapshots.

use super::Generation;
use crate::bindings::convert::group::{
    consistency_from_wit, created_shares_from_wit, group_snapshot_to_wit, group_to_wit, sources_to_wit,
    taken_members_from_wit,
};
use crate::bindings::convert::server::server_of;
use crate::driver::Driver as _;
use crate::export::{
    ConsistencyUnit, CreateShareGroup, CreateShareGroupFromSnapshot, CreateShareGroupSnapshot,
    DeleteShareGroup, DeleteShareGroupSnapshot,
};
use crate::target;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::replica::SnapshotUpdate;
use bulkhead_model::share_group::{
    Consistency, CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::target::CallTarget;

impl Generation {
    pub(super) async fn create_share_group_of(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        if !self.abilities().has(Ability::ShareGroups) {
            return Ok(());
        }
        let (arguments, server) = (group_to_wit(group), server_of(group.server.as_ref()));
        let arguments = (&arguments, server.as_ref());
        self.call::<CreateShareGroup, _>(reason, target::group(group), arguments, Ok).await
    }

    pub(super) async fn delete_share_group_of(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        if !self.abilities().has(Ability::ShareGroups) {
            return Ok(());
        }
        let (arguments, server) = (group_to_wit(group), server_of(group.server.as_ref()));
        let arguments = (&arguments, server.as_ref());
        self.call::<DeleteShareGroup, _>(reason, target::group(group), arguments, Ok).await
    }

    pub(super) async fn create_share_group_from(
        &self,
        reason: &CallReason,
        (group, snapshot): (&ShareGroupForDriver, &ShareGroupSnapshotForDriver),
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        let convert =
            |rights: &_, answer| created_shares_from_wit(rights, self.can_be_polled(), sources, answer);
        let (why, home) = ((reason, target::group_from_snapshot(group, sources)), group.server.as_ref());
        let (group, snapshot, server) =
            (group_to_wit(group), group_snapshot_to_wit(snapshot), server_of(home));
        let sources = sources_to_wit(sources);
        let arguments = (&group, &snapshot, &sources[..], server.as_ref());
        self.call_at::<CreateShareGroupFromSnapshot, _>(home, why, arguments, convert).await
    }

    pub(super) async fn consistency_unit_of(
        &self,
        reason: &CallReason,
    ) -> Result<Option<Consistency>, CallError> {
        if !self.abilities().has(Ability::GroupSnapshots) {
            return Ok(None);
        }
        let convert = |unit| Ok(Some(consistency_from_wit(unit)));
        self.call::<ConsistencyUnit, _>(reason, CallTarget::default(), (), convert).await
    }

    pub(super) async fn create_share_group_snapshot_of(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        let convert = |rights: &_, updates| taken_members_from_wit(rights, snapshot, updates);
        let home = snapshot.group.server.as_ref();
        let (arguments, server) = (group_snapshot_to_wit(snapshot), server_of(home));
        let (why, arguments) = ((reason, target::group_snapshot(snapshot)), (&arguments, server.as_ref()));
        self.call_at::<CreateShareGroupSnapshot, _>(home, why, arguments, convert).await
    }

    pub(super) async fn delete_share_group_snapshot_of(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        let (arguments, server) =
            (group_snapshot_to_wit(snapshot), server_of(snapshot.group.server.as_ref()));
        let target = target::group_snapshot(snapshot);
        let arguments = (&arguments, server.as_ref());
        self.call::<DeleteShareGroupSnapshot, _>(reason, target, arguments, Ok).await
    }
}
