//! What is swept beside the life of shares and snapshots: set-up, what is taken over and let go, rules of mountable snapshots, pending work
//! and metadata.

use super::trials::{content, sound, write_if_possible};
use super::{Facts, Prepared, Sweep, Trial, sweep};
use crate::checks::{beside, manage, mountable, pending};
use crate::finding::{Found, Judge as _, told};
use crate::stage::{Followed, Stage};
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessLevel, AccessRule};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::{PendingWork, ShareForDriver};
use bulkhead_model::snapshot::{SnapshotAccessUpdate, SnapshotForDriver};
use bulkhead_model::target::{ManagedName, Resource};
use std::collections::BTreeMap;

const SNAPSHOTS: &[Ability] = &[Ability::Snapshots];
const MOUNTABLE: &[Ability] = &[Ability::MountableSnapshots];
const MANAGE_SNAPSHOTS: &[Ability] = &[Ability::ManageSnapshots];

/// Sweeps of these functions.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "setup-converges",
        "lifecycle.setup",
        [&[Ability::Lifecycle]],
        setup,
        "Idempotent: called at start and at every swap, again after 2, 4, 8 … s (at most 600 s) until it succeeds."
    ),
    sweep!(
        "unmanage-converges",
        "manage.unmanage",
        [&[Ability::Manage]],
        unmanage,
        "Idempotent: a share that was let go is a success."
    ),
    sweep!(
        "manage-snapshot-converges",
        "manage-snapshots.manage-existing-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        manage_snapshot,
        "Idempotent: an object that has the snapshot's name already is a success with the same answer."
    ),
    sweep!(
        "unmanage-snapshot-converges",
        "manage-snapshots.unmanage-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        unmanage_snapshot,
        "Idempotent: a snapshot that was let go is a success."
    ),
    sweep!(
        "mountable-add-converges",
        "mountable-snapshots.snapshot-update-access",
        [SNAPSHOTS, MOUNTABLE],
        add_rule,
        "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error."
    ),
    sweep!(
        "mountable-remove-converges",
        "mountable-snapshots.snapshot-update-access",
        [SNAPSHOTS, MOUNTABLE],
        remove_rule,
        "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error."
    ),
    sweep!(
        "share-status-converges",
        "share-status.share-status",
        [SNAPSHOTS, &[Ability::ShareFromSnapshot], &[Ability::ShareStatus]],
        share_status,
        "Idempotent: called every 60 s, after a restart of the host too. May take the next small step."
    ),
    sweep!(
        "metadata-update-converges",
        "metadata-updates.update-share-from-metadata",
        [&[Ability::MetadataUpdates]],
        metadata_update,
        "Idempotent: what is so already is a success."
    ),
];

/// One call with what it is about.
enum Call {
    Setup,
    Unmanage(ShareForDriver),
    ManageSnapshot(SnapshotForDriver, ManagedName),
    UnmanageSnapshot(SnapshotForDriver),
    Mountable(SnapshotForDriver, SnapshotAccessUpdate, AccessRule),
    Status(ShareForDriver, PendingWork),
    Metadata(ShareForDriver, BTreeMap<String, String>),
}

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        match self {
            Self::Setup => driver.setup(reason).await,
            Self::Unmanage(share) => driver.unmanage(reason, share).await,
            Self::ManageSnapshot(snapshot, name) => {
                manage::take_snapshot(stage, snapshot, name).await.map(drop)
            }
            Self::UnmanageSnapshot(snapshot) => driver.unmanage_snapshot(reason, snapshot).await,
            Self::Mountable(snapshot, update, _) => {
                driver.snapshot_update_access(reason, snapshot, update).await
            }
            // The host asks until it is over; that it is over well is a fact.
            Self::Status(share, work) => stage.follow(share, work).await.map(drop),
            Self::Metadata(share, metadata) => {
                driver.update_share_from_metadata(reason, share, metadata).await
            }
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        match self {
            Self::Setup => {
                let stats = stage.driver().stats(&stage.reason()).await;
                let told = stats.map_or_else(|error| told(&error), |_| "yes".to_owned());
                facts.insert("the backend answers", told);
            }
            Self::Unmanage(share) => {
                facts.insert("the share's data", content(stage, Resource::Share(share.id)).await);
            }
            Self::ManageSnapshot(snapshot, _) | Self::UnmanageSnapshot(snapshot) => {
                facts.insert("the snapshot's data", content(stage, Resource::Snapshot(snapshot.id)).await);
            }
            Self::Mountable(_, _, rule) => {
                let is_seen = !stage.seen(rule).await?.is_empty();
                let word = if is_seen { "to be seen" } else { "not to be seen" };
                facts.insert("the rule in what the driver keeps", word.to_owned());
            }
            Self::Status(share, work) => {
                let followed = stage.follow(share, work).await;
                let is_done = matches!(followed, Ok(Followed::Finished(_)));
                facts.insert("the share is done", if is_done { "yes" } else { "no" }.to_owned());
                facts.insert("the share is called sound", sound(stage, share).await);
                facts.insert("the share's data", content(stage, Resource::Share(share.id)).await);
            }
            Self::Metadata(share, metadata) => {
                facts.insert("the share is called sound", sound(stage, share).await);
                let driver = stage.driver();
                let again = driver.update_share_from_metadata(&stage.reason(), share, metadata).await;
                let told = again.map_or_else(|error| told(&error), |()| "yes".to_owned());
                facts.insert("the backend follows once more", told);
            }
        }
        Ok(facts)
    }
}

async fn setup(_stage: &Stage) -> Prepared {
    Ok(Box::new(Call::Setup))
}

async fn unmanage(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    Ok(Box::new(Call::Unmanage(share)))
}

async fn manage_snapshot(stage: &Stage) -> Prepared {
    let (snapshot, name) = manage::snapshot_let_go(stage).await?;
    Ok(Box::new(Call::ManageSnapshot(snapshot, name)))
}

async fn unmanage_snapshot(stage: &Stage) -> Prepared {
    let share = stage.share().await?;
    write_if_possible(stage, &share).await?;
    Ok(Box::new(Call::UnmanageSnapshot(stage.snapshot(&share).await?)))
}

async fn add_rule(stage: &Stage) -> Prepared {
    let snapshot = mountable::mountable(stage).await?;
    let rule = stage.new_rule(AccessLevel::Ro)?;
    Ok(Box::new(Call::Mountable(snapshot, mountable::adding(vec![rule.clone()]), rule)))
}

async fn remove_rule(stage: &Stage) -> Prepared {
    let snapshot = mountable::mountable(stage).await?;
    let (goes, stays) = (stage.new_rule(AccessLevel::Ro)?, stage.new_rule(AccessLevel::Ro)?);
    let both = mountable::adding(vec![goes.clone(), stays.clone()]);
    mountable::update(stage, &snapshot, both).await.prepare("snapshot-update-access")?;
    let update = SnapshotAccessUpdate { rules: vec![stays], add: Vec::new(), remove: vec![goes.clone()] };
    Ok(Box::new(Call::Mountable(snapshot, update, goes)))
}

async fn share_status(stage: &Stage) -> Prepared {
    let (share, work) = pending::pending_clone(stage).await?;
    Ok(Box::new(Call::Status(share, work)))
}

async fn metadata_update(stage: &Stage) -> Prepared {
    let (share, metadata) = beside::changed(stage).await?;
    Ok(Box::new(Call::Metadata(share, metadata)))
}
