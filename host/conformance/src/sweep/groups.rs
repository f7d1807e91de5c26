//! What is swept of share groups and their snapshots.

use super::trials::{content, settled, sound, write_if_possible};
use super::{Facts, Prepared, Sweep, Trial, sweep};
use crate::checks::groups;
use crate::finding::Found;
use crate::stage::{Made, Stage, creation_from};
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share_group::{GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::target::Resource;

const GROUPS: &[Ability] = &[Ability::ShareGroups];
const GROUP_SNAPSHOTS: &[Ability] = &[Ability::GroupSnapshots];

/// Sweeps of functions about groups.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "group-converges",
        "share-groups.create-share-group",
        [GROUPS],
        create_group,
        "Idempotent: a group that is there is a success."
    ),
    sweep!(
        "delete-group-converges",
        "share-groups.delete-share-group",
        [GROUPS],
        delete_group,
        "Idempotent: a group that is gone is a success."
    ),
    sweep!(
        "group-snapshot-converges",
        "group-snapshots.create-share-group-snapshot",
        [GROUP_SNAPSHOTS],
        create_group_snapshot,
        "Idempotent: what is there is a success with the same answer; its content stays that of the first time."
    ),
    sweep!(
        "delete-group-snapshot-converges",
        "group-snapshots.delete-share-group-snapshot",
        [GROUP_SNAPSHOTS],
        delete_group_snapshot,
        "Idempotent: members that are gone, or were made only in part, are a success."
    ),
    sweep!(
        "group-from-snapshot-converges",
        "share-groups.create-share-group-from-snapshot",
        [GROUPS, GROUP_SNAPSHOTS],
        group_from_snapshot,
        "Idempotent: what an earlier attempt made is a success with the same answer."
    ),
];

/// One call with what it is about.
enum Call {
    Create(ShareGroupForDriver),
    Delete(ShareGroupForDriver),
    Take(ShareGroupSnapshotForDriver),
    Remove(ShareGroupSnapshotForDriver),
    CreateFrom(Box<FromSnapshot>),
}

/// A group that is made from a snapshot.
struct FromSnapshot {
    group: ShareGroupForDriver,
    snapshot: ShareGroupSnapshotForDriver,
    sources: Vec<GroupShareSource>,
}

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        match self {
            Self::Create(group) => driver.create_share_group(reason, group).await,
            Self::Delete(group) => driver.delete_share_group(reason, group).await,
            Self::Take(snapshot) => driver.create_share_group_snapshot(reason, snapshot).await.map(drop),
            Self::Remove(snapshot) => driver.delete_share_group_snapshot(reason, snapshot).await,
            Self::CreateFrom(asked) => {
                let FromSnapshot { group, snapshot, sources } = asked.as_ref();
                driver.create_share_group_from_snapshot(reason, group, snapshot, sources).await.map(drop)
            }
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        match self {
            // A group is nothing that could be looked at; what is left of it is seen when it was deleted.
            Self::Create(_) | Self::Delete(_) => {}
            Self::Take(snapshot) | Self::Remove(snapshot) => {
                let names = ["the first member's data", "the second member's data"];
                for (member, name) in snapshot.members.iter().zip(names) {
                    facts.insert(name, content(stage, Resource::Snapshot(member.id)).await);
                }
            }
            Self::CreateFrom(asked) => {
                let names = ["the first share is called sound", "the second share is called sound"];
                for (source, name) in asked.sources.iter().zip(names) {
                    settled(stage, &source.share, &creation_from(&source.member)).await;
                    facts.insert(name, sound(stage, &source.share).await);
                }
            }
        }
        Ok(facts)
    }
}

async fn create_group(stage: &Stage) -> Prepared {
    let group = stage.new_group();
    stage.will_make(Made::Group(group.clone()));
    Ok(Box::new(Call::Create(group)))
}

async fn delete_group(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Delete(groups::empty_group(stage).await?)))
}

async fn create_group_snapshot(stage: &Stage) -> Prepared {
    let group = groups::group_of_two(stage).await?;
    for share in &group.shares {
        write_if_possible(stage, share).await?;
    }
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    Ok(Box::new(Call::Take(snapshot)))
}

async fn delete_group_snapshot(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Remove(groups::snapshot_of_two(stage).await?)))
}

async fn group_from_snapshot(stage: &Stage) -> Prepared {
    let snapshot = groups::snapshot_of_two(stage).await?;
    let (group, sources) = stage.new_group_from(&snapshot);
    stage.will_make(Made::Group(group.clone()));
    for source in &sources {
        stage.will_make(Made::Share(source.share.clone()));
    }
    Ok(Box::new(Call::CreateFrom(Box::new(FromSnapshot { group, snapshot, sources }))))
}
