//! Ensuring shares.

use super::places;
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessLevel, AccessUpdate};
use bulkhead_model::error::CallError;
use bulkhead_model::share::{EnsuredShare, ShareForDriver};
use bulkhead_model::target::Resource;

const SHARES: [Ability; 1] = [Ability::Shares];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        "ensure-shares",
        "shares.ensure-shares",
        [SHARES],
        ensure,
        "Bring exports and mounts of these shares in line with the records, without disturbing clients."
    ),
    check!(
        "ensure-shares-locations",
        "shares.ensure-shares",
        [SHARES],
        ensure_locations,
        "Its export locations, replacing the stored ones; none leaves them."
    ),
    check!(
        "ensure-shares-gone",
        "shares.ensure-shares",
        [SHARES],
        ensure_gone,
        "Whether the share is there and sound; a share that is not goes to `error`."
    ),
    check!(
        "ensure-shares-after-restart",
        "shares.ensure-shares",
        [SHARES],
        ensure_after_restart,
        "Idempotent: called at every start where the fingerprint changed and on an operator's request."
    ),
    check!(
        "ensure-shares-keeps-data",
        "shares.ensure-shares",
        [SHARES],
        ensure_keeps_data,
        "Bring exports and mounts of these shares in line with the records, without disturbing clients."
    ),
];

/// The driver's answer; none where it has nothing to ensure.
async fn ensured(stage: &Stage, shares: &[ShareForDriver]) -> Result<Option<Vec<EnsuredShare>>, CallError> {
    match stage.driver().ensure_shares(&stage.reason(), shares).await {
        Err(error) if error.is_not_implemented() => Ok(None),
        other => other.map(Some),
    }
}

async fn ensure(stage: &Stage) -> Found {
    let shares = [stage.share().await?, stage.share().await?];
    for which in ["ensure-shares", "a second ensure-shares"] {
        let Some(answer) = ensured(stage, &shares).await.judge(which)? else { return Ok(()) };
        let ill = answer.iter().find(|share| !share.healthy);
        require(ill.is_none(), || {
            let name = ill.map(|share| Resource::Share(share.id).to_string()).unwrap_or_default();
            format!("{which} says that {name}, which was just made, is not sound")
        })?;
    }
    Ok(())
}

async fn ensure_locations(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let Some(answer) = ensured(stage, std::slice::from_ref(&share)).await.prepare("ensure-shares")? else {
        return Ok(());
    };
    for locations in answer.iter().filter_map(|one| one.export_locations.as_ref()) {
        let (made, now) = (places(&share.export_locations), places(locations));
        require(made == now, || {
            format!(
                "the share was made at {}; ensured, it is at {}, though nothing changed",
                made.join(", "),
                now.join(", ")
            )
        })?;
    }
    Ok(())
}

async fn ensure_gone(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.delete(&share).await.prepare("delete-share")?;
    let Some(answer) = ensured(stage, std::slice::from_ref(&share)).await.judge("ensure-shares")? else {
        return unjudged("the driver does not ensure shares");
    };
    let calls_it_sound = answer.iter().any(|one| one.id == share.id && one.healthy);
    require(!calls_it_sound, || "a share that was deleted is called sound".to_owned())
}

async fn ensure_after_restart(stage: &Stage) -> Found {
    let share = stage.share().await?;
    if let Err(error) = stage.world.restart().await {
        return unjudged(format!("the host cannot be restarted here: {}", crate::finding::told(&error)));
    }
    stage.driver().setup(&stage.reason()).await.prepare("setup after a restart")?;
    let Some(answer) = ensured(stage, std::slice::from_ref(&share)).await.judge("ensure-shares")? else {
        return Ok(());
    };
    require(answer.iter().all(|one| one.healthy), || {
        "a share that was made before a restart of the host is not sound after it".to_owned()
    })?;
    let rule = stage.new_rule(AccessLevel::Rw)?;
    let update = AccessUpdate { rules: vec![rule.clone()], add: vec![rule], ..AccessUpdate::default() };
    stage.set_rules(&share, update).await.judge("update-access after a restart")
}

async fn ensure_keeps_data(stage: &Stage) -> Found {
    let share = stage.share().await?;
    stage.write(Resource::Share(share.id), "written before ensuring").await?;
    ensured(stage, std::slice::from_ref(&share)).await.prepare("ensure-shares")?;
    let content = stage.read_again(Resource::Share(share.id)).await?;
    require(content == "written before ensuring", || "a client's data are gone".to_owned())
}
