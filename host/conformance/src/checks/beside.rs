//! What goes on beside operations: the operator's hooks, and metadata that the backend supplies or acts on.

use super::require_unchanged;
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::text::GuestText;
use std::collections::BTreeMap;

const HOOK: [Ability; 1] = [Ability::PeriodicHook];
const METADATA: [Ability; 1] = [Ability::MetadataUpdates];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "periodic-hook",
        "periodic-hook.periodic-hook-data",
        [HOOK],
        hook,
        "What the hooks shall know of these shares."
    ),
    check!(
        "periodic-hook-read-only",
        "periodic-hook.periodic-hook-data",
        [HOOK],
        hook_read_only,
        "Reads only; called every 300 s where hooks are on."
    ),
    check!(
        "creation-metadata",
        "metadata-updates.share-creation-metadata",
        [METADATA],
        creation_metadata,
        "Keys that the manifest does not list are dropped with a warning."
    ),
    check!(
        "creation-metadata-read-only",
        "metadata-updates.share-creation-metadata",
        [METADATA],
        creation_metadata_read_only,
        "Reads only. Called after each creation."
    ),
    check!(
        "metadata-update",
        "metadata-updates.update-share-from-metadata",
        [METADATA],
        update,
        "Act on `metadata`: the listed keys that the tenant set or changed."
    ),
    check!(
        "metadata-update-again",
        "metadata-updates.update-share-from-metadata",
        [METADATA],
        update_again,
        "Idempotent: what is so already is a success."
    ),
];

async fn hook(stage: &Stage) -> Found {
    let shares = [stage.share().await?, stage.share().await?];
    let answer = stage.driver().periodic_hook_data(&stage.reason(), &shares).await;
    let answer = answer.judge("periodic-hook-data")?;
    require(answer.dropped == 0, || {
        format!(
            "{} parts of the answer are about shares that nobody asked about, or about one twice",
            answer.dropped
        )
    })
}

async fn hook_read_only(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let before = stage.holdings().await?;
    let shares = std::slice::from_ref(&share);
    stage.driver().periodic_hook_data(&stage.reason(), shares).await.prepare("periodic-hook-data")?;
    require_unchanged(&before, &stage.holdings().await?, "periodic-hook-data")
}

async fn creation_metadata(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let supplied = stage.driver().share_creation_metadata(&stage.reason(), &share).await;
    let dropped = supplied.judge("share-creation-metadata")?.dropped;
    let keys: Vec<String> = dropped.iter().map(GuestText::to_string).collect();
    require(keys.is_empty(), || {
        format!("metadata-keys.supplied in the manifest does not list what is supplied: {}", keys.join(", "))
    })
}

async fn creation_metadata_read_only(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let before = stage.holdings().await?;
    let supplied = stage.driver().share_creation_metadata(&stage.reason(), &share).await;
    supplied.prepare("share-creation-metadata")?;
    require_unchanged(&before, &stage.holdings().await?, "share-creation-metadata")
}

/// A share, and what its tenant sets of what the driver acts on. Only the driver knows what makes sense: the sample has to say it.
pub(crate) async fn changed(stage: &Stage) -> Found<(ShareForDriver, BTreeMap<String, String>)> {
    let driver = stage.driver();
    let listed = driver.updatable_metadata();
    if listed.is_empty() {
        return unjudged("the manifest lists no key that the driver acts on");
    }
    let metadata: BTreeMap<String, String> = stage.sample.metadata.clone().into_iter().collect();
    let metadata: BTreeMap<String, String> =
        metadata.into_iter().filter(|(key, _)| listed.contains(key)).collect();
    if metadata.is_empty() {
        return unjudged(format!(
            "a value has to be said for one of {}: [share.metadata] in the file for --config or --against",
            listed.join(", ")
        ));
    }
    Ok((stage.share().await?, metadata))
}

async fn update(stage: &Stage) -> Found {
    let (share, metadata) = changed(stage).await?;
    let answer = stage.driver().update_share_from_metadata(&stage.reason(), &share, &metadata).await;
    answer.judge("update-share-from-metadata")
}

async fn update_again(stage: &Stage) -> Found {
    let (share, metadata) = changed(stage).await?;
    let first = stage.driver().update_share_from_metadata(&stage.reason(), &share, &metadata).await;
    first.prepare("update-share-from-metadata")?;
    let second = stage.driver().update_share_from_metadata(&stage.reason(), &share, &metadata).await;
    second.judge("a second update-share-from-metadata")
}
