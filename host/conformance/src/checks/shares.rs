//! Creating and deleting shares.

use super::{places, require_nothing_new, require_refusal};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::{Made, Stage, gone_is_done};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::target::Resource;
use std::collections::BTreeSet;

const SHARES: [Ability; 1] = [Ability::Shares];

/// The sentence about repeated creation.
const AGAIN: &str =
    "Idempotent: if the share is there with this size, succeeds with the same export locations.";
/// The sentence about refused creation.
const REFUSED: &str = "Fails with `no-space`, `conflict` if it is there with another size, `invalid-share` if the protocol is not served: \
                       the share goes to `error`.";
/// The sentence about deletion.
const GONE: &str = "Idempotent: a share that is gone, or was made only in part, is a success.";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "create-share",
        "shares.create-share",
        [SHARES],
        create,
        "Make an empty share of `share.size-gib` GiB in `share.pool`."
    ),
    Check {
        sentence: AGAIN,
        ..check!("create-share-again", "shares.create-share", [SHARES], create_again, "")
    },
    Check {
        sentence: AGAIN,
        ..check!("create-share-again-locations", "shares.create-share", [SHARES], create_again_locations, "")
    },
    Check {
        sentence: REFUSED,
        ..check!("create-share-conflict", "shares.create-share", [SHARES], create_conflict, "")
    },
    Check {
        sentence: REFUSED,
        ..check!("create-share-protocol", "shares.create-share", [SHARES], create_protocol, "")
    },
    check!(
        "shares-apart",
        "shares.create-share",
        [SHARES],
        apart,
        "Where clients find a share or a mountable snapshot."
    ),
    check!(
        "names-at-their-limits",
        "shares.create-share",
        [SHARES],
        names_at_their_limits,
        "Strings are at most 255 bytes unless a field says otherwise."
    ),
    Check { sentence: GONE, ..check!("delete-share-gone", "shares.delete-share", [SHARES], delete_gone, "") },
    check!(
        "delete-share-leaves-nothing",
        "shares.delete-share",
        [SHARES],
        delete_leaves_nothing,
        "Remove a share and everything made for it."
    ),
    check!(
        "create-share-anew",
        "shares.create-share",
        [SHARES],
        create_anew,
        "Make an empty share of `share.size-gib` GiB in `share.pool`."
    ),
];

async fn create(stage: &Stage) -> Found {
    let share = stage.new_share();
    stage.will_make(Made::Share(share.clone()));
    let locations = stage.driver().create_share(&stage.reason(), &share).await.judge("create-share")?;
    require(!locations.is_empty(), || "a new share has no export location: no client finds it".to_owned())
}

async fn create_again(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let asked = ShareForDriver { export_locations: Vec::new(), ..share };
    stage.driver().create_share(&stage.reason(), &asked).await.judge("a second create-share").map(drop)
}

async fn create_again_locations(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let asked = ShareForDriver { export_locations: Vec::new(), ..share.clone() };
    let again =
        stage.driver().create_share(&stage.reason(), &asked).await.prepare("a second create-share")?;
    let (first, second) = (places(&share.export_locations), places(&again));
    require(first == second, || {
        format!("first the share was at {}, a repeat found it at {}", first.join(", "), second.join(", "))
    })
}

async fn create_conflict(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let Ok(size) = Gibibytes::new(share.size.get().saturating_add(1)) else {
        return unjudged("there is no larger size");
    };
    let other = ShareForDriver { size, export_locations: Vec::new(), ..share };
    let answer = stage.driver().create_share(&stage.reason(), &other).await;
    require_refusal(answer, &[DriverErrorCode::Conflict], "create-share of a share that has another size")
}

async fn create_protocol(stage: &Stage) -> Found {
    let Some(protocol) = stage.sample.foreign_protocol else {
        return unjudged("the driver serves every protocol there is");
    };
    let share = ShareForDriver { protocol, ..stage.new_share() };
    stage.will_make(Made::Share(share.clone()));
    let answer = stage.driver().create_share(&stage.reason(), &share).await;
    let what = format!("create-share of a share for {protocol}, which the manifest does not list,");
    require_refusal(answer, &[DriverErrorCode::InvalidShare], &what)
}

async fn apart(stage: &Stage) -> Found {
    let (first, second) = (stage.share().await?, stage.share().await?);
    let first: BTreeSet<String> = places(&first.export_locations).into_iter().collect();
    let second: BTreeSet<String> = places(&second.export_locations).into_iter().collect();
    let both: Vec<&str> = first.intersection(&second).map(String::as_str).collect();
    require(both.is_empty(), || format!("two shares are found at the same place: {}", both.join(", ")))
}

async fn names_at_their_limits(stage: &Stage) -> Found {
    // A project of this length is an id like any other, and metadata may hold every letter there is.
    let Ok(project) = "p".repeat(255).parse() else {
        return unjudged("the kit's own project id is refused");
    };
    // Whether usual shares can be made has a check of its own.
    stage.share().await?;
    let metadata =
        [("k".repeat(255), "v".repeat(1023)), ("schlüssel".to_owned(), "价值 \u{1f980}".to_owned())];
    let share = ShareForDriver {
        project,
        metadata: metadata.iter().cloned().chain(stage.sample.metadata.clone()).collect(),
        ..stage.new_share()
    };
    stage.will_make(Made::Share(share.clone()));
    let what = "create-share of a project with a name of 255 bytes";
    stage.driver().create_share(&stage.reason(), &share).await.judge(what)?;
    stage.delete(&share).await.judge("delete-share of that share")
}

async fn delete_gone(stage: &Stage) -> Found {
    let never = stage.new_share();
    let answer = stage.driver().delete_share(&stage.reason(), &never).await;
    answer.or_else(gone_is_done).judge("delete-share of a share that never was")?;
    let share = stage.share().await?;
    stage.delete(&share).await.prepare("delete-share")?;
    let answer = stage.driver().delete_share(&stage.reason(), &share).await;
    answer.or_else(gone_is_done).judge("a second delete-share")
}

async fn delete_leaves_nothing(stage: &Stage) -> Found {
    let before = stage.holdings().await?;
    let share = stage.share().await?;
    stage.delete(&share).await.judge("delete-share")?;
    require_nothing_new(&before, &stage.holdings().await?, "create-share and delete-share")
}

/// A share made where one of the same id was deleted is empty: what was there is gone.
async fn create_anew(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "of the deleted share").await?;
    stage.delete(&share).await.prepare("delete-share")?;
    let again = stage.create(ShareForDriver { export_locations: Vec::new(), ..share }).await?;
    let content = stage.read(Resource::Share(again.id)).await?;
    require(content.is_empty(), || "a new share holds the data of a deleted one".to_owned())
}
