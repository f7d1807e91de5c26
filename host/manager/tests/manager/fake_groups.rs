//! What the fake backend does with groups where its driver has an interface for them.

use crate::fake::{FakeDriver, answered};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareGroupId, ShareInstanceId};
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share_group::{
    CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};

/// Calls about one group must not overlap.
fn gate(group: ShareGroupId) -> (Option<ShareInstanceId>, &'static str) {
    (Some(ShareInstanceId::from_uuid(group.uuid())), "group")
}

impl FakeDriver {
    fn require(&self, ability: Ability) -> Result<(), CallError> {
        if self.abilities.has(ability) {
            return Ok(());
        }
        Err(CallError::NotExported { interface: ability.interface() })
    }

    pub async fn made_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        if self.require(Ability::ShareGroups).is_err() {
            return Ok(());
        }
        assert!(group.shares.is_empty(), "a group is made empty");
        self.perform(("create-share-group", reason), gate(group.id), |world| {
            world.asked_consistency.insert(group.id, group.asked_consistency);
            if world.groups.insert(group.id) {
                *world.made.entry(group.id.to_string()).or_default() += 1;
            }
            Ok(())
        })
        .await
    }

    pub async fn deleted_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        if self.require(Ability::ShareGroups).is_err() {
            return Ok(());
        }
        self.perform(("delete-share-group", reason), gate(group.id), |world| {
            world.groups.remove(&group.id);
            Ok(())
        })
        .await
    }

    pub async fn made_group_from_snapshot(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        self.require(Ability::ShareGroups)?;
        self.perform(("create-share-group-from-snapshot", reason), gate(group.id), |world| {
            if world.groups.insert(group.id) {
                *world.made.entry(group.id.to_string()).or_default() += 1;
            }
            let mut made = Vec::new();
            for GroupShareSource { share, member } in sources {
                let held = world.snapshots.get(&member.id).copied();
                let (_, content) = held.ok_or_else(|| answered(DriverErrorCode::SnapshotNotFound))?;
                let creation = self.begin_creation(world, share, content)?;
                made.push(CreatedShare { id: share.id, creation });
            }
            made.truncate(self.answers_about.unwrap_or(usize::MAX));
            Ok(made)
        })
        .await
    }

    pub async fn took_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.require(Ability::GroupSnapshots)?;
        self.perform(("create-share-group-snapshot", reason), gate(snapshot.group.id), |world| {
            let mut taken = Vec::new();
            for member in &snapshot.members {
                let held = world.shares.get(&member.share.id);
                let content = held.ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?.content;
                if !world.snapshots.contains_key(&member.id) {
                    *world.made.entry(member.id.to_string()).or_default() += 1;
                    world.snapshots.insert(member.id, (member.share.id, content));
                }
                taken.push(SnapshotUpdate {
                    id: member.id,
                    progress: SnapshotProgress::Available,
                    provider_location: Some("with the others".to_owned()),
                    export_locations: None,
                });
            }
            taken.truncate(self.answers_about.unwrap_or(usize::MAX));
            Ok(taken)
        })
        .await
    }

    pub async fn removed_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        self.require(Ability::GroupSnapshots)?;
        self.perform(("delete-share-group-snapshot", reason), gate(snapshot.group.id), |world| {
            for member in &snapshot.members {
                world.snapshots.remove(&member.id);
            }
            Ok(())
        })
        .await
    }
}
