//! Taking over and letting go of shares and snapshots.

use super::require_refusal;
use crate::check::{Check, check};
use crate::finding::{Finding, Found, Judge as _, broken, require, unjudged};
use crate::stage::{Made, Stage};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::share::{ManagedShare, ShareForDriver};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotForDriver};
use bulkhead_model::target::{CallTarget, ManagedName, Resource};
use std::collections::BTreeMap;

const MANAGE: [Ability; 1] = [Ability::Manage];
const SNAPSHOTS: [Ability; 1] = [Ability::Snapshots];
const MANAGE_SNAPSHOTS: [Ability; 1] = [Ability::ManageSnapshots];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "manage",
        "manage.manage-existing",
        [MANAGE],
        manage,
        "Take over what `share.export-locations` (one entry: the path the operator typed) names, as `share`."
    ),
    check!(
        "manage-again",
        "manage.manage-existing",
        [MANAGE],
        manage_again,
        "Idempotent: an object that has the share's name already is a success with the same answer."
    ),
    check!(
        "manage-missing",
        "manage.manage-existing",
        [MANAGE],
        manage_missing,
        "Fails with `manage-invalid-share` if it is not there or cannot be a share, `share-type-mismatch` if its share type asks for what \
         it has not, or another code: the share goes to `manage-error`; nothing at the backend may have changed."
    ),
    check!(
        "unmanage-keeps",
        "manage.unmanage",
        [MANAGE],
        unmanage_keeps,
        "Forget `share`; its data and exports stay."
    ),
    check!(
        "unmanage-again",
        "manage.unmanage",
        [MANAGE],
        unmanage_again,
        "Idempotent: a share that was let go is a success."
    ),
    check!(
        "manage-snapshot",
        "manage-snapshots.manage-existing-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        manage_snapshot,
        "Take over what `snapshot.provider-location` (as the operator typed it) names, as `snapshot`."
    ),
    check!(
        "manage-snapshot-again",
        "manage-snapshots.manage-existing-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        manage_snapshot_again,
        "Idempotent: an object that has the snapshot's name already is a success with the same answer."
    ),
    check!(
        "manage-snapshot-missing",
        "manage-snapshots.manage-existing-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        manage_snapshot_missing,
        "Fails with `manage-invalid-snapshot` if it is not there or not of this share, or another code: the snapshot goes to \
         `manage-error`; nothing at the backend may have changed."
    ),
    check!(
        "unmanage-snapshot-keeps",
        "manage-snapshots.unmanage-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        unmanage_snapshot_keeps,
        "Forget `snapshot`; it stays at the backend."
    ),
    check!(
        "unmanage-snapshot-again",
        "manage-snapshots.unmanage-snapshot",
        [SNAPSHOTS, MANAGE_SNAPSHOTS],
        unmanage_snapshot_again,
        "Idempotent: a snapshot that was let go is a success."
    ),
];

/// The last component of what an operator types.
fn name_in(path: &str) -> Found<ManagedName> {
    let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
    last.parse().map_err(|error| {
        Finding::Unjudged(format!("what stands at '{path}' cannot be named to be taken over: {error}"))
    })
}

/// A share that was let go and is nobody's, as an operator would name it.
pub(crate) async fn let_go(stage: &Stage) -> Found<(ShareForDriver, ManagedName)> {
    let share = stage.share().await?;
    let Some(location) = share.export_locations.first() else {
        return unjudged("a share without an export location cannot be named");
    };
    let managed = name_in(&location.path)?;
    stage.driver().unmanage(&stage.reason(), &share).await.prepare("unmanage")?;
    let target = CallTarget::share(share.id);
    stage.driver().let_go(&stage.reason(), target).await.prepare("forgetting what was let go")?;
    let location = ExportLocation { metadata: BTreeMap::new(), ..location.clone() };
    let named =
        ShareForDriver { size: Gibibytes::SMALLEST, export_locations: vec![location], ..stage.new_share() };
    // Whoever takes it over deletes it; if nobody can it stays, for its maker is no longer known.
    stage.is_gone(&Made::Share(ShareForDriver { export_locations: Vec::new(), ..share }));
    stage.will_make(Made::Share(named.clone()));
    Ok((named, managed))
}

/// Take over what was let go.
pub(crate) async fn take(
    stage: &Stage,
    share: &ShareForDriver,
    managed: &ManagedName,
) -> Result<ManagedShare, CallError> {
    stage.driver().manage_existing(&stage.reason(), share, managed, &BTreeMap::new()).await
}

async fn manage(stage: &Stage) -> Found {
    let (share, managed) = let_go(stage).await?;
    let found = take(stage, &share, &managed).await.judge("manage-existing of a share that was let go")?;
    require(found.export_locations.is_none_or(|locations| !locations.is_empty()), || {
        "the share that was taken over has no export location: no client finds it".to_owned()
    })
}

async fn manage_again(stage: &Stage) -> Found {
    let (share, managed) = let_go(stage).await?;
    let first = take(stage, &share, &managed).await.prepare("manage-existing")?;
    let second = take(stage, &share, &managed).await.judge("a second manage-existing")?;
    require(first == second, || "a second manage-existing answered otherwise than the first".to_owned())
}

async fn manage_missing(stage: &Stage) -> Found {
    let other = stage.share().await?;
    let Some(location) = other.export_locations.first() else {
        return unjudged("a share without an export location cannot be named");
    };
    let (share, name) = (stage.new_share(), format!("nobody-made-{}", stage.number()));
    let managed = name_in(&name)?;
    let beside = location.path.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    let location = ExportLocation { path: format!("{beside}{name}"), ..location.clone() };
    let share = ShareForDriver { export_locations: vec![location], ..share };
    let before = stage.holdings().await?;
    let answer = take(stage, &share, &managed).await;
    let codes = [DriverErrorCode::ManageInvalidShare, DriverErrorCode::ShareTypeMismatch];
    require_refusal(answer, &codes, "manage-existing of what is not there")?;
    let after = stage.holdings().await?;
    super::require_nothing_new(&before, &after, "a refused manage-existing")
}

async fn unmanage_keeps(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let at = Resource::Share(share.id);
    stage.write(at, "of a share that is let go").await?;
    stage.driver().unmanage(&stage.reason(), &share).await.judge("unmanage")?;
    let content = stage.read_again(at).await?;
    require(content == "of a share that is let go", || "the data of the share are gone".to_owned())
}

async fn unmanage_again(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.driver().unmanage(&stage.reason(), &share).await.prepare("unmanage")?;
    stage.driver().unmanage(&stage.reason(), &share).await.judge("a second unmanage")
}

/// A snapshot that was let go and is nobody's, as an operator would name it.
pub(crate) async fn snapshot_let_go(stage: &Stage) -> Found<(SnapshotForDriver, ManagedName)> {
    let snapshot = stage.snapshot(&stage.share().await?).await?;
    // A handle that names no object is nothing that an operator could type.
    let typed = snapshot.provider_location.clone().filter(|typed| name_in(typed).is_ok());
    let typed = typed.unwrap_or_else(|| Resource::Snapshot(snapshot.id).to_string());
    let managed = name_in(&typed)?;
    stage.driver().unmanage_snapshot(&stage.reason(), &snapshot).await.prepare("unmanage-snapshot")?;
    let target = CallTarget::snapshot(snapshot.id, snapshot.share.id);
    stage.driver().let_go(&stage.reason(), target).await.prepare("forgetting what was let go")?;
    let named = SnapshotForDriver { provider_location: Some(typed), ..stage.new_snapshot(&snapshot.share) };
    stage.is_gone(&Made::Snapshot(SnapshotForDriver { provider_location: None, ..snapshot }));
    stage.will_make(Made::Snapshot(named.clone()));
    Ok((named, managed))
}

pub(crate) async fn take_snapshot(
    stage: &Stage,
    snapshot: &SnapshotForDriver,
    managed: &ManagedName,
) -> Result<ManagedSnapshot, CallError> {
    stage.driver().manage_existing_snapshot(&stage.reason(), snapshot, managed, &BTreeMap::new()).await
}

async fn manage_snapshot(stage: &Stage) -> Found {
    let (snapshot, managed) = snapshot_let_go(stage).await?;
    let answer = take_snapshot(stage, &snapshot, &managed).await;
    answer.judge("manage-existing-snapshot of a snapshot that was let go").map(drop)
}

async fn manage_snapshot_again(stage: &Stage) -> Found {
    let (snapshot, managed) = snapshot_let_go(stage).await?;
    let first = take_snapshot(stage, &snapshot, &managed).await.prepare("manage-existing-snapshot")?;
    let second =
        take_snapshot(stage, &snapshot, &managed).await.judge("a second manage-existing-snapshot")?;
    if first == second { Ok(()) } else { broken("a second manage-existing-snapshot answered otherwise") }
}

async fn manage_snapshot_missing(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let name = format!("nobody-took-{}", stage.number());
    let managed = name_in(&name)?;
    let snapshot = SnapshotForDriver { provider_location: Some(name), ..stage.new_snapshot(&share) };
    let answer = take_snapshot(stage, &snapshot, &managed).await;
    let codes = [DriverErrorCode::ManageInvalidSnapshot];
    require_refusal(answer, &codes, "manage-existing-snapshot of what is not there")
}

async fn unmanage_snapshot_keeps(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "of a snapshot that is let go").await?;
    let snapshot = stage.snapshot(&share).await?;
    let at = Resource::Snapshot(snapshot.id);
    stage.read(at).await?;
    stage.driver().unmanage_snapshot(&stage.reason(), &snapshot).await.judge("unmanage-snapshot")?;
    let content = stage.read_again(at).await?;
    require(content == "of a snapshot that is let go", || "the data of the snapshot are gone".to_owned())
}

async fn unmanage_snapshot_again(stage: &Stage) -> Found {
    let snapshot = stage.snapshot(&stage.share().await?).await?;
    for which in ["unmanage-snapshot", "a second unmanage-snapshot"] {
        stage.driver().unmanage_snapshot(&stage.reason(), &snapshot).await.judge(which)?;
    }
    Ok(())
}
