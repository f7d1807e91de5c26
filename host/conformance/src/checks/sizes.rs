//! Sizes of shares, and what they use.

use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, broken, require, unjudged};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::target::Resource;

const EXTEND: [Ability; 1] = [Ability::Extend];
const SHRINK: [Ability; 1] = [Ability::Shrink];
const USAGE: [Ability; 1] = [Ability::Usage];

/// The sentence about a size that is there already.
const AGAIN: &str = "Idempotent: a share that already has this size is a success.";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "extend",
        "extend.extend-share",
        [EXTEND],
        extend,
        "Make `share` `new-size-gib` GiB large; larger than `share.size-gib`."
    ),
    Check { sentence: AGAIN, ..check!("extend-again", "extend.extend-share", [EXTEND], extend_again, "") },
    check!(
        "shrink",
        "shrink.shrink-share",
        [SHRINK],
        shrink,
        "Make `share` `new-size-gib` GiB large; smaller than `share.size-gib`."
    ),
    Check { sentence: AGAIN, ..check!("shrink-again", "shrink.shrink-share", [SHRINK], shrink_again, "") },
    check!(
        "shrink-possible-data-loss",
        "shrink.shrink-share",
        [SHRINK],
        possible_data_loss,
        "Fails with `possible-data-loss` if more is used, having changed nothing: the host puts the share back to `available`, as it does \
         for `not-implemented`; with another code: `shrinking-error`."
    ),
    check!(
        "usage",
        "usage.share-usage-sizes",
        [USAGE],
        usage,
        "What it uses in GiB; finite and not negative."
    ),
    check!(
        "usage-read-only",
        "usage.share-usage-sizes",
        [USAGE],
        usage_read_only,
        "Reads only; called every 300 s where the operator wants usage gathered."
    ),
];

/// The size of `share` with so many GiB more.
pub(crate) fn larger(share: &ShareForDriver) -> Found<Gibibytes> {
    let size = Gibibytes::new(share.size.get().saturating_add(1));
    size.map_err(|error| crate::finding::Finding::Unjudged(error.to_string()))
}

/// A size below that of `share`.
pub(crate) fn smaller(share: &ShareForDriver) -> Found<Gibibytes> {
    let size = Gibibytes::new(share.size.get().saturating_sub(1));
    size.map_err(|_| crate::finding::Finding::Unjudged("a share of 1 GiB cannot be made smaller".to_owned()))
}

async fn extend(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.driver().extend_share(&stage.reason(), &share, larger(&share)?).await.judge("extend-share")
}

async fn extend_again(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let size = larger(&share)?;
    stage.driver().extend_share(&stage.reason(), &share, size).await.prepare("extend-share")?;
    stage.driver().extend_share(&stage.reason(), &share, size).await.judge("a second extend-share")
}

async fn shrink(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let answer = stage.driver().shrink_share(&stage.reason(), &share, smaller(&share)?).await;
    if answer.as_ref().is_err_and(CallError::is_not_implemented) {
        return Ok(());
    }
    answer.judge("shrink-share of an empty share")
}

async fn shrink_again(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let size = smaller(&share)?;
    stage.driver().shrink_share(&stage.reason(), &share, size).await.prepare("shrink-share")?;
    stage.driver().shrink_share(&stage.reason(), &share, size).await.judge("a second shrink-share")
}

async fn possible_data_loss(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let size = smaller(&share)?;
    let at = Resource::Share(share.id);
    stage.fill(at, size.bytes().saturating_add(1)).await?;
    let answer = stage.driver().shrink_share(&stage.reason(), &share, size).await;
    match answer {
        Err(error) if error.is_not_implemented() => unjudged("the driver answers 'not-implemented'"),
        Err(error) if error.code() == Some(DriverErrorCode::PossibleDataLoss) => {
            // With the old size there is nothing to do for it, with any other this is a conflict.
            let answer = stage.driver().create_share(&stage.reason(), &share).await;
            let has_changed = answer.is_err_and(|error| error.code() == Some(DriverErrorCode::Conflict));
            require(!has_changed, || "shrink-share was refused, and yet the size is another".to_owned())
        }
        Err(error) => {
            let told = crate::finding::told(&error);
            broken(format!(
                "shrink-share below what is used did not fail with PossibleDataLoss, but so: {told}"
            ))
        }
        Ok(()) => broken(format!("shrink-share to {size} succeeded with more than that in use")),
    }
}

async fn usage(stage: &Stage) -> Found {
    let shares = [stage.share().await?, stage.share().await?];
    let sizes =
        stage.driver().share_usage_sizes(&stage.reason(), &shares).await.judge("share-usage-sizes")?;
    let [first, _] = &shares;
    if stage.fill(Resource::Share(first.id), 1 << 29).await.is_err() || sizes.is_empty() {
        return Ok(());
    }
    let filled = stage.driver().share_usage_sizes(&stage.reason(), &shares).await;
    let filled = filled.judge("a second share-usage-sizes")?;
    let used = filled.iter().find(|one| one.id == first.id).map(|one| one.used_gib);
    require(used.is_none_or(|used| (0.4..0.6).contains(&used)), || {
        format!("a share that holds 0.5 GiB is said to use {} GiB", used.unwrap_or_default())
    })
}

async fn usage_read_only(stage: &Stage) -> Found {
    let shares = [stage.share().await?];
    let before = stage.holdings().await?;
    stage.driver().share_usage_sizes(&stage.reason(), &shares).await.prepare("share-usage-sizes")?;
    let after = stage.holdings().await?;
    let changed = before.changes(&after);
    require(changed.is_empty(), || format!("share-usage-sizes changed {}", changed.join(", ")))
}
