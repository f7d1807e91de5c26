//! Access rules of shares.

use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require, unjudged};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo, AccessUpdate};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::AccessRuleState;

const ACCESS: [Ability; 2] = [Ability::Access, Ability::AccessByRule];
const ALL_AT_ONCE: [Ability; 1] = [Ability::Access];

/// The sentence about what is asked twice.
const AGAIN: &str =
    "Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error.";
/// The sentence about what is asked.
const MAKE: &str = "Make the backend's rules for `share` what `update.rules` says.";
/// The sentence about full synchronisation.
const SYNCHRONISE: &str = "When `add`, `remove` and `update` are all empty this is a full synchronisation: whatever the backend has beside \
                           `rules` goes.";

pub(crate) const CHECKS: &[Check] = &[
    check!("access-add", "access.update-access", [ACCESS], add, "Rules that are new."),
    Check { sentence: AGAIN, ..check!("access-add-again", "access.update-access", [ACCESS], add_again, "") },
    Check {
        sentence: AGAIN,
        ..check!("access-remove-absent", "access.update-access", [ACCESS], remove_absent, "")
    },
    Check { sentence: MAKE, ..check!("access-remove", "access.update-access", [ACCESS], remove, "") },
    Check {
        sentence: MAKE,
        ..check!("access-keeps-others", "access.update-access", [ACCESS], keeps_others, "")
    },
    check!("access-level", "access.update-access", [ACCESS], level, "Rules whose level changed."),
    Check {
        sentence: SYNCHRONISE,
        ..check!("access-full-sync", "access.update-access", [ACCESS], full_sync, "")
    },
    Check {
        sentence: SYNCHRONISE,
        ..check!("access-full-sync-removes", "access.update-access", [ALL_AT_ONCE], full_sync_removes, "")
    },
    check!(
        "access-single-rule",
        "access.update-access",
        [ALL_AT_ONCE],
        single_rule,
        "Fails with `invalid-access-type` or `invalid-access-level` only if no rule could be handled: report single rules as `error`."
    ),
];

/// New rules beside `before`.
pub(crate) fn adding(before: &[AccessRule], add: Vec<AccessRule>) -> AccessUpdate {
    let rules = before.iter().chain(&add).cloned().collect();
    AccessUpdate { rules, add, ..AccessUpdate::default() }
}

/// A share with `count` rules in force.
async fn share_with_rules(stage: &Stage, count: usize) -> Found<(ShareForDriver, Vec<AccessRule>)> {
    let share = stage.share().await?;
    let rules: Vec<AccessRule> = (0..count).map(|_| stage.new_rule(AccessLevel::Rw)).collect::<Found<_>>()?;
    stage.set_rules(&share, adding(&[], rules.clone())).await.prepare("update-access with new rules")?;
    Ok((share, rules))
}

async fn add(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let rule = stage.new_rule(AccessLevel::Rw)?;
    let update = adding(&[], vec![rule.clone()]);
    stage.has_rules(share.id, update.rules.clone());
    let outcomes = stage.driver().update_access(&stage.reason(), &share, &update).await;
    let outcomes = outcomes.judge("update-access with a new rule")?;
    let refused = outcomes.iter().any(|one| one.rule == rule.id && one.state != AccessRuleState::Active);
    require(!refused, || {
        format!("the rule for {} {} could not be applied", rule.access_to.type_str(), rule.access_to)
    })
}

async fn add_again(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 1).await?;
    stage.set_rules(&share, adding(&[], rules)).await.judge("update-access that adds a rule again")
}

async fn remove_absent(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let update = AccessUpdate { remove: vec![stage.new_rule(AccessLevel::Rw)?], ..AccessUpdate::default() };
    stage.set_rules(&share, update).await.judge("update-access that removes a rule that never was")
}

/// Nothing of `rule` may be seen any more. Whoever never shows its rules cannot be judged.
async fn require_unseen(stage: &Stage, rule: &AccessRule, was_seen: &[String], what: &str) -> Found {
    if was_seen.is_empty() {
        return unjudged("the host cannot see the rules that this driver keeps");
    }
    let still = stage.seen(rule).await?;
    require(still.is_empty(), || format!("{what} left {} standing in {}", rule.access_to, still.join(", ")))
}

async fn remove(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 2).await?;
    let [goes, stays] = rules.as_slice() else { return unjudged("the kit made no rules") };
    let was_seen = stage.seen(goes).await?;
    let update =
        AccessUpdate { rules: vec![stays.clone()], remove: vec![goes.clone()], ..AccessUpdate::default() };
    stage.set_rules(&share, update).await.judge("update-access that removes a rule")?;
    require_unseen(stage, goes, &was_seen, "update-access").await
}

async fn keeps_others(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 1).await?;
    let [stays] = rules.as_slice() else { return unjudged("the kit made no rule") };
    let new = stage.new_rule(AccessLevel::Ro)?;
    stage
        .set_rules(&share, adding(&rules, vec![new.clone()]))
        .await
        .judge("update-access with a second rule")?;
    if stage.seen(&new).await?.is_empty() {
        return unjudged("the host cannot see the rules that this driver keeps");
    }
    let seen = stage.seen(stays).await?;
    require(!seen.is_empty(), || format!("a second rule took the first, {}, away", stays.access_to))
}

async fn level(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 1).await?;
    let [rule] = rules.as_slice() else { return unjudged("the kit made no rule") };
    let changed = AccessRule { level: AccessLevel::Ro, ..rule.clone() };
    let update =
        AccessUpdate { rules: vec![changed.clone()], update: vec![changed], ..AccessUpdate::default() };
    stage.set_rules(&share, update).await.judge("update-access with another level")
}

async fn full_sync(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 2).await?;
    let update = AccessUpdate { rules: rules.clone(), ..AccessUpdate::default() };
    let was_seen = stage.seen(rules.first().ok_or_else(nothing)?).await?;
    stage.set_rules(&share, update).await.judge("update-access that only lists all rules")?;
    for rule in rules.iter().filter(|_| !was_seen.is_empty()) {
        let seen = stage.seen(rule).await?;
        require(!seen.is_empty(), || format!("a full synchronisation took {} away", rule.access_to))?;
    }
    Ok(())
}

async fn full_sync_removes(stage: &Stage) -> Found {
    let (share, rules) = share_with_rules(stage, 2).await?;
    let [stays, goes] = rules.as_slice() else { return unjudged("the kit made no rules") };
    let was_seen = stage.seen(goes).await?;
    let update = AccessUpdate { rules: vec![stays.clone()], ..AccessUpdate::default() };
    stage.set_rules(&share, update).await.judge("update-access that only lists one of two rules")?;
    require_unseen(stage, goes, &was_seen, "a full synchronisation").await
}

async fn single_rule(stage: &Stage) -> Found {
    let share = stage.share().await?;
    let sound = stage.new_rule(AccessLevel::Rw)?;
    let alone = stage.set_rules(&share, adding(&[], vec![sound.clone()])).await;
    alone.prepare("update-access with one rule")?;
    // No file system is shared with clients of both kinds.
    let access_to = AccessTo::Cephx("conformance".to_owned());
    let odd = AccessRule { access_to, ..stage.new_rule(AccessLevel::Rw)? };
    let both = adding(std::slice::from_ref(&sound), vec![odd]);
    stage
        .set_rules(&share, both)
        .await
        .judge("update-access with one rule that can be handled and one of type cephx")
}

fn nothing() -> crate::finding::Finding {
    crate::finding::Finding::Unjudged("the kit made no rules".to_owned())
}
