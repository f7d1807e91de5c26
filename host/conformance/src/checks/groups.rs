//! Share groups and their snapshots.

use super::require_nothing_new;
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::replica::SnapshotProgress;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{
    CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::Resource;

const GROUPS: [Ability; 1] = [Ability::ShareGroups];
const GROUP_SNAPSHOTS: [Ability; 1] = [Ability::GroupSnapshots];

/// The sentence about what a group snapshot is.
const MOMENT: &str = "Take snapshots of all shares of `snapshot.members`, all of one moment.";
/// The sentence about a group from a snapshot.
const FROM_SNAPSHOT: &str = "Make a group and all its shares from a group snapshot.";

pub(crate) const CHECKS: &[Check] = &[
    check!("group", "share-groups.create-share-group", [GROUPS], group, "Make an empty group."),
    check!(
        "group-again",
        "share-groups.create-share-group",
        [GROUPS],
        group_again,
        "Idempotent: a group that is there is a success."
    ),
    check!(
        "delete-group-gone",
        "share-groups.delete-share-group",
        [GROUPS],
        delete_gone,
        "Idempotent: a group that is gone is a success."
    ),
    check!(
        "delete-group-leaves-nothing",
        "share-groups.delete-share-group",
        [GROUPS],
        delete_leaves_nothing,
        "Remove a group that has no shares and no snapshots left."
    ),
    check!(
        "consistency-unit",
        "group-snapshots.consistency-unit",
        [GROUP_SNAPSHOTS],
        consistency_unit,
        "The unit in which the snapshots are consistent."
    ),
    Check {
        sentence: MOMENT,
        ..check!(
            "group-snapshot",
            "group-snapshots.create-share-group-snapshot",
            [GROUP_SNAPSHOTS],
            snapshot,
            ""
        )
    },
    Check {
        sentence: MOMENT,
        ..check!(
            "group-snapshot-members",
            "group-snapshots.create-share-group-snapshot",
            [GROUP_SNAPSHOTS],
            snapshot_members,
            ""
        )
    },
    check!(
        "group-snapshot-again",
        "group-snapshots.create-share-group-snapshot",
        [GROUP_SNAPSHOTS],
        snapshot_again,
        "Idempotent: what is there is a success with the same answer; its content stays that of the first time."
    ),
    check!(
        "delete-group-snapshot-gone",
        "group-snapshots.delete-share-group-snapshot",
        [GROUP_SNAPSHOTS],
        delete_snapshot_gone,
        "Idempotent: members that are gone, or were made only in part, are a success."
    ),
    check!(
        "delete-group-snapshot-leaves-nothing",
        "group-snapshots.delete-share-group-snapshot",
        [GROUP_SNAPSHOTS],
        delete_snapshot_leaves_nothing,
        "Remove a group snapshot with all its members."
    ),
    Check {
        sentence: FROM_SNAPSHOT,
        ..check!(
            "group-from-snapshot",
            "share-groups.create-share-group-from-snapshot",
            [GROUPS, GROUP_SNAPSHOTS],
            from_snapshot,
            ""
        )
    },
    check!(
        "group-from-snapshot-again",
        "share-groups.create-share-group-from-snapshot",
        [GROUPS, GROUP_SNAPSHOTS],
        from_snapshot_again,
        "Idempotent: what an earlier attempt made is a success with the same answer."
    ),
];

async fn group(stage: &Stage) -> Found {
    let group = stage.new_group();
    stage.will_make(Made::Group(group.clone()));
    stage.driver().create_share_group(&stage.reason(), &group).await.judge("create-share-group")
}

/// A group that is there.
pub(crate) async fn empty_group(stage: &Stage) -> Found<ShareGroupForDriver> {
    let group = stage.new_group();
    stage.will_make(Made::Group(group.clone()));
    stage.driver().create_share_group(&stage.reason(), &group).await.prepare("create-share-group")?;
    Ok(group)
}

/// A group with two shares, in which is written whose they are.
pub(crate) async fn group_of_two(stage: &Stage) -> Found<ShareGroupForDriver> {
    let mut group = empty_group(stage).await?;
    for _ in 0..2 {
        let share = ShareForDriver { group: Some(group.id), ..stage.new_share() };
        group.shares.push(stage.create(share).await?);
    }
    Ok(group)
}

/// A snapshot of a group of two that is there.
pub(crate) async fn snapshot_of_two(stage: &Stage) -> Found<ShareGroupSnapshotForDriver> {
    let group = group_of_two(stage).await?;
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    let answer = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    let answer = answer.prepare("create-share-group-snapshot")?;
    let known = |member: SnapshotForDriver| {
        let update = answer.iter().find(|update| update.id == member.id);
        let provider_location = update.and_then(|update| update.provider_location.clone());
        SnapshotForDriver { provider_location, ..member }
    };
    let known = ShareGroupSnapshotForDriver {
        members: snapshot.members.iter().cloned().map(known).collect(),
        ..snapshot.clone()
    };
    stage.is_gone(&Made::GroupSnapshot(snapshot));
    stage.will_make(Made::GroupSnapshot(known.clone()));
    Ok(known)
}

async fn group_again(stage: &Stage) -> Found {
    let group = empty_group(stage).await?;
    stage.driver().create_share_group(&stage.reason(), &group).await.judge("a second create-share-group")
}

async fn delete_gone(stage: &Stage) -> Found {
    let never = stage.new_group();
    let what = "delete-share-group of a group that never was";
    stage.driver().delete_share_group(&stage.reason(), &never).await.judge(what)?;
    let group = empty_group(stage).await?;
    for which in ["delete-share-group", "a second delete-share-group"] {
        stage.driver().delete_share_group(&stage.reason(), &group).await.judge(which)?;
    }
    Ok(())
}

async fn delete_leaves_nothing(stage: &Stage) -> Found {
    let before = stage.holdings().await?;
    let group = empty_group(stage).await?;
    stage.driver().delete_share_group(&stage.reason(), &group).await.judge("delete-share-group")?;
    require_nothing_new(&before, &stage.holdings().await?, "create-share-group and delete-share-group")
}

async fn consistency_unit(stage: &Stage) -> Found {
    stage.driver().consistency_unit(&stage.reason()).await.judge("consistency-unit").map(drop)
}

async fn snapshot(stage: &Stage) -> Found {
    let group = group_of_two(stage).await?;
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    let answer = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    let answer = answer.judge("create-share-group-snapshot")?;
    let failed = answer.iter().find(|update| update.progress == SnapshotProgress::Error);
    require(failed.is_none(), || "the answer calls a member broken that was just taken".to_owned())
}

async fn snapshot_members(stage: &Stage) -> Found {
    let group = group_of_two(stage).await?;
    for share in &group.shares {
        stage.write(Resource::Share(share.id), &format!("of {}", share.id)).await?;
    }
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    let answer = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    answer.prepare("create-share-group-snapshot")?;
    // Where no member can be reached nobody can tell whether one is missing.
    let mut contents = Vec::new();
    for member in &snapshot.members {
        contents.push(stage.read(Resource::Snapshot(member.id)).await);
    }
    if contents.iter().all(Result::is_err) {
        return contents.into_iter().next().unwrap_or_else(|| Ok(String::new())).map(drop);
    }
    for (member, content) in snapshot.members.iter().zip(contents) {
        let wanted = format!("of {}", member.share.id);
        require(content == Ok(wanted), || {
            format!("the group snapshot does not hold what was in {}", Resource::Share(member.share.id))
        })?;
    }
    Ok(())
}

async fn snapshot_again(stage: &Stage) -> Found {
    let group = group_of_two(stage).await?;
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    let first = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    let first = first.prepare("create-share-group-snapshot")?;
    let second = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    let second = second.judge("a second create-share-group-snapshot")?;
    require(first == second, || "a second create-share-group-snapshot answered otherwise".to_owned())
}

async fn delete_snapshot_gone(stage: &Stage) -> Found {
    let snapshot = snapshot_of_two(stage).await?;
    for which in ["delete-share-group-snapshot", "a second delete-share-group-snapshot"] {
        stage.driver().delete_share_group_snapshot(&stage.reason(), &snapshot).await.judge(which)?;
    }
    Ok(())
}

async fn delete_snapshot_leaves_nothing(stage: &Stage) -> Found {
    let group = group_of_two(stage).await?;
    let before = stage.holdings().await?;
    let snapshot = stage.new_group_snapshot(&group);
    stage.will_make(Made::GroupSnapshot(snapshot.clone()));
    let answer = stage.driver().create_share_group_snapshot(&stage.reason(), &snapshot).await;
    answer.prepare("create-share-group-snapshot")?;
    let answer = stage.driver().delete_share_group_snapshot(&stage.reason(), &snapshot).await;
    answer.judge("delete-share-group-snapshot")?;
    let what = "create-share-group-snapshot and delete-share-group-snapshot";
    require_nothing_new(&before, &stage.holdings().await?, what)
}

/// A group made from a group snapshot: what its shares are made from, and what the driver answers each time. The last time is judged.
async fn made_from(
    stage: &Stage,
    times: &[&str],
) -> Found<(Vec<GroupShareSource>, Vec<Option<Vec<CreatedShare>>>)> {
    let snapshot = snapshot_of_two(stage).await?;
    let (group, sources) = stage.new_group_from(&snapshot);
    stage.will_make(Made::Group(group.clone()));
    for source in &sources {
        stage.will_make(Made::Share(source.share.clone()));
    }
    let mut answers = Vec::new();
    for which in times {
        let driver = stage.driver();
        let answer =
            driver.create_share_group_from_snapshot(&stage.reason(), &group, &snapshot, &sources).await;
        // The host makes the shares one by one then.
        if answer.as_ref().is_err_and(CallError::is_not_implemented) {
            answers.push(None);
            continue;
        }
        let is_last = Some(which) == times.last();
        let answer = if is_last { answer.judge(which)? } else { answer.prepare(which)? };
        for source in sources.iter().filter(|_| is_last) {
            let made = answer.iter().find(|made| made.id == source.share.id);
            let name = Resource::Share(source.share.id);
            require(made.is_some(), || format!("{which} does not answer for {name}"))?;
        }
        answers.push(Some(answer));
    }
    Ok((sources, answers))
}

async fn from_snapshot(stage: &Stage) -> Found {
    let (sources, answers) = made_from(stage, &["create-share-group-from-snapshot"]).await?;
    for made in answers.into_iter().flatten().flatten() {
        let Some(source) = sources.iter().find(|source| source.share.id == made.id) else { continue };
        let locations = stage.ready(made.creation, &source.share, &source.member).await?;
        require(!locations.is_empty(), || "a share of the new group has no export location".to_owned())?;
    }
    Ok(())
}

async fn from_snapshot_again(stage: &Stage) -> Found {
    let times = ["create-share-group-from-snapshot", "a second create-share-group-from-snapshot"];
    let (_, answers) = made_from(stage, &times).await?;
    require(answers.first() == answers.last(), || {
        "a second create-share-group-from-snapshot answered otherwise".to_owned()
    })
}
