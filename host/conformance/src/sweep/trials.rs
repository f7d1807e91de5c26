//! What is swept of single shares and snapshots, and how each end is looked at.

use super::{Facts, Prepared, Sweep, Trial, deleted, sweep};
use crate::checks::{access, copies, manage, sizes};
use crate::finding::{Finding, Found, told, unjudged};
use crate::stage::{Made, Stage, creation_from, revert_to};
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::{PendingWork, RevertRules, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::{ManagedName, Resource};
use std::collections::BTreeMap;

const SHARES: &[Ability] = &[Ability::Shares];
const ACCESS: &[Ability] = &[Ability::Access, Ability::AccessByRule];
const SNAPSHOTS: &[Ability] = &[Ability::Snapshots];

/// Sweeps of functions about single shares and snapshots.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "create-share-converges",
        "shares.create-share",
        [SHARES],
        create_share,
        "On failure leave something that `delete-share` removes, and put export locations already made into the error's detail."
    ),
    sweep!(
        "delete-share-converges",
        "shares.delete-share",
        [SHARES],
        delete_share,
        "Idempotent: a share that is gone, or was made only in part, is a success."
    ),
    sweep!(
        "ensure-shares-converges",
        "shares.ensure-shares",
        [SHARES],
        ensure_shares,
        "Idempotent: called at every start where the fingerprint changed and on an operator's request."
    ),
    sweep!(
        "access-add-converges",
        "access.update-access",
        [ACCESS],
        add_rule,
        "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error."
    ),
    sweep!(
        "access-remove-converges",
        "access.update-access",
        [ACCESS],
        remove_rule,
        "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error."
    ),
    sweep!(
        "create-snapshot-converges",
        "snapshots.create-snapshot",
        [SNAPSHOTS],
        create_snapshot,
        "Idempotent: if the snapshot is there, succeeds with the same answer; its content stays that of the first time."
    ),
    sweep!(
        "delete-snapshot-converges",
        "snapshots.delete-snapshot",
        [SNAPSHOTS],
        delete_snapshot,
        "Idempotent: a snapshot that is gone is a success; so is `snapshot-not-found`."
    ),
    sweep!(
        "clone-converges",
        "share-from-snapshot.create-share-from-snapshot",
        [SNAPSHOTS, &[Ability::ShareFromSnapshot]],
        clone,
        "Idempotent as `create-share`."
    ),
    sweep!(
        "revert-converges",
        "revert.revert-to-snapshot",
        [SNAPSHOTS, &[Ability::Revert]],
        revert,
        "Until it has succeeded either the old or the new content is there, never a mix."
    ),
    sweep!(
        "extend-converges",
        "extend.extend-share",
        [&[Ability::Extend]],
        extend,
        "Idempotent: a share that already has this size is a success."
    ),
    sweep!(
        "shrink-converges",
        "shrink.shrink-share",
        [&[Ability::Shrink]],
        shrink,
        "Idempotent: a share that already has this size is a success."
    ),
    sweep!(
        "manage-converges",
        "manage.manage-existing",
        [&[Ability::Manage]],
        manage_share,
        "Idempotent: an object that has the share's name already is a success with the same answer."
    ),
];

/// What clients have written before the function is called.
const WRITTEN: &str = "written before";

/// One call with what it is about.
enum Call {
    CreateShare(ShareForDriver),
    DeleteShare(ShareForDriver),
    Ensure(ShareForDriver),
    Access(ShareForDriver, AccessUpdate, AccessRule),
    CreateSnapshot(SnapshotForDriver),
    DeleteSnapshot(SnapshotForDriver),
    Clone(ShareForDriver, Box<SnapshotForDriver>),
    Revert(SnapshotForDriver),
    Extend(ShareForDriver, Gibibytes),
    Shrink(ShareForDriver, Gibibytes),
    Manage(ShareForDriver, ManagedName),
}

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        match self {
            Self::CreateShare(share) => driver.create_share(reason, share).await.map(drop),
            Self::DeleteShare(share) => deleted(driver.delete_share(reason, share).await),
            Self::Ensure(share) => {
                let answer = driver.ensure_shares(reason, std::slice::from_ref(share)).await;
                answer.map(drop).or_else(|error| if error.is_not_implemented() { Ok(()) } else { Err(error) })
            }
            Self::Access(share, update, _) => driver.update_access(reason, share, update).await.map(drop),
            Self::CreateSnapshot(snapshot) => driver.create_snapshot(reason, snapshot).await.map(drop),
            Self::DeleteSnapshot(snapshot) => deleted(driver.delete_snapshot(reason, snapshot).await),
            Self::Clone(share, source) => {
                driver.create_share_from_snapshot(reason, share, source).await.map(drop)
            }
            Self::Revert(snapshot) => {
                driver.revert_to_snapshot(reason, snapshot, &RevertRules::default()).await.map(drop)
            }
            Self::Extend(share, size) => driver.extend_share(reason, share, *size).await,
            Self::Shrink(share, size) => driver.shrink_share(reason, share, *size).await,
            Self::Manage(share, name) => {
                driver.manage_existing(reason, share, name, &BTreeMap::new()).await.map(drop)
            }
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        match self {
            Self::CreateShare(share)
            | Self::DeleteShare(share)
            | Self::Ensure(share)
            | Self::Manage(share, _) => {
                facts.insert("the share is called sound", sound(stage, share).await);
                facts.insert(
                    "clients find data in the share",
                    content(stage, Resource::Share(share.id)).await,
                );
            }
            Self::Access(share, _, rule) => {
                facts.insert("the share is called sound", sound(stage, share).await);
                let is_seen =
                    if stage.seen(rule).await?.is_empty() { "not to be seen" } else { "to be seen" };
                facts.insert("the rule in what the driver keeps", is_seen.to_owned());
            }
            Self::CreateSnapshot(snapshot) | Self::DeleteSnapshot(snapshot) => {
                facts.insert("the snapshot's data", content(stage, Resource::Snapshot(snapshot.id)).await);
                facts.insert("the share's data", content(stage, Resource::Share(snapshot.share.id)).await);
            }
            Self::Clone(share, source) => {
                settled(stage, share, &creation_from(source)).await;
                facts.insert("the share is called sound", sound(stage, share).await);
                facts.insert("the share's data", content(stage, Resource::Share(share.id)).await);
                facts.insert("the snapshot's data", content(stage, Resource::Snapshot(source.id)).await);
            }
            Self::Revert(snapshot) => {
                settled(stage, &snapshot.share, &revert_to(snapshot)).await;
                facts.insert("the share's data", content(stage, Resource::Share(snapshot.share.id)).await);
                facts.insert("the snapshot's data", content(stage, Resource::Snapshot(snapshot.id)).await);
            }
            Self::Extend(share, size) | Self::Shrink(share, size) => {
                let resized = ShareForDriver { size: *size, ..share.clone() };
                facts.insert("the share has the new size", recreated(stage, &resized).await);
                facts.insert("the share's data", content(stage, Resource::Share(share.id)).await);
            }
        }
        Ok(facts)
    }
}

/// Wait for what the backend may go on with by itself. A driver that has answered otherwise than `pending` need not know of any work; what
/// there is then shows.
pub(super) async fn settled(stage: &Stage, share: &ShareForDriver, work: &PendingWork) {
    if stage.driver().abilities().has(Ability::ShareStatus) {
        stage.follow(share, work).await.ok();
    }
}

/// What the driver says of a share; the same words for the same answer.
pub(super) async fn sound(stage: &Stage, share: &ShareForDriver) -> String {
    match stage.driver().ensure_shares(&stage.reason(), std::slice::from_ref(share)).await {
        Ok(answer) => match answer.iter().find(|one| one.id == share.id) {
            Some(one) if one.healthy => "yes".to_owned(),
            Some(_) => "no".to_owned(),
            None => "not answered".to_owned(),
        },
        Err(error) => told(&error),
    }
}

/// What clients find; where the host cannot reach the data that is the answer.
pub(super) async fn content(stage: &Stage, resource: Resource) -> String {
    match stage.read(resource).await {
        Ok(content) => format!("{content:?}"),
        Err(Finding::Broken(why) | Finding::Unjudged(why)) => why,
    }
}

/// How the driver answers to a repeated creation, which is a success only with the size that the share has.
async fn recreated(stage: &Stage, share: &ShareForDriver) -> String {
    match stage.driver().create_share(&stage.reason(), share).await {
        Ok(_) => "yes".to_owned(),
        Err(error) => error.code().map_or_else(|| told(&error), |code| format!("{code:?}")),
    }
}

/// Write into a share where the host can.
pub(super) async fn write_if_possible(stage: &Stage, share: &ShareForDriver) -> Found {
    match stage.write(Resource::Share(share.id), WRITTEN).await {
        Err(Finding::Unjudged(_)) => Ok(()),
        other => other,
    }
}

async fn create_share(stage: &Stage) -> Prepared {
    let share = stage.new_share();
    stage.will_make(Made::Share(share.clone()));
    Ok(Box::new(Call::CreateShare(share)))
}

async fn delete_share(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    Ok(Box::new(Call::DeleteShare(share)))
}

async fn ensure_shares(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    Ok(Box::new(Call::Ensure(share)))
}

async fn add_rule(stage: &Stage) -> Prepared {
    let (share, rule) = (stage.share().await?, stage.new_rule(AccessLevel::Rw)?);
    let update = access::adding(&[], vec![rule.clone()]);
    stage.has_rules(share.id, update.rules.clone());
    Ok(Box::new(Call::Access(share, update, rule)))
}

async fn remove_rule(stage: &Stage) -> Prepared {
    let (share, goes, stays) =
        (stage.share().await?, stage.new_rule(AccessLevel::Rw)?, stage.new_rule(AccessLevel::Ro)?);
    let both = access::adding(&[], vec![goes.clone(), stays.clone()]);
    if let Err(error) = stage.set_rules(&share, both).await {
        return unjudged(format!("update-access failed, which has to come before: {}", told(&error)));
    }
    let update = AccessUpdate { rules: vec![stays], remove: vec![goes.clone()], ..AccessUpdate::default() };
    Ok(Box::new(Call::Access(share, update, goes)))
}

async fn create_snapshot(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    let snapshot = stage.new_snapshot(&share);
    stage.will_make(Made::Snapshot(snapshot.clone()));
    Ok(Box::new(Call::CreateSnapshot(snapshot)))
}

async fn written_snapshot(stage: &Stage) -> Found<SnapshotForDriver> {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    stage.snapshot(&share).await
}

async fn delete_snapshot(stage: &Stage) -> Prepared {
    Ok(Box::new(Call::DeleteSnapshot(written_snapshot(stage).await?)))
}

async fn clone(stage: &Stage) -> Prepared {
    let source = written_snapshot(stage).await?;
    let share = copies::new_clone(stage, &source);
    stage.will_make(Made::Share(share.clone()));
    Ok(Box::new(Call::Clone(share, Box::new(source))))
}

async fn revert(stage: &Stage) -> Prepared {
    let snapshot = written_snapshot(stage).await?;
    match stage.write(Resource::Share(snapshot.share.id), "written after").await {
        Ok(()) | Err(Finding::Unjudged(_)) => Ok(Box::new(Call::Revert(snapshot))),
        Err(broken) => Err(broken),
    }
}

async fn extend(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    let size = sizes::larger(&share)?;
    Ok(Box::new(Call::Extend(share, size)))
}

async fn shrink(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    let size = sizes::smaller(&share)?;
    Ok(Box::new(Call::Shrink(share, size)))
}

async fn manage_share(stage: &Stage) -> Prepared {
    let (share, name) = manage::let_go(stage).await?;
    Ok(Box::new(Call::Manage(share, name)))
}
