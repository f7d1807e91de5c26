//! Rules, each a key of the share's private data.

use crate::flaw::has;
use crate::place::of;
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{AccessRule, AccessType, AccessUpdate, Error, Result, RuleOutcome, Share};

fn key(rule: &AccessRule) -> String {
    format!("rule {}", rule.id)
}

/// Only addresses are known.
fn is_odd(rule: &AccessRule) -> bool {
    rule.access_type != AccessType::Ip
}

/// Make the rules what `update.rules` says.
pub(crate) fn update(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
    let owner = of(share);
    refuse_what_flaws_refuse(&owner, update)?;
    if update.rules.iter().any(is_odd) && has("one-odd-rule-spoils-all")? {
        return Err(Error::invalid_access_type("only addresses are known"));
    }
    let mut wanted: Vec<&AccessRule> = update.rules.iter().filter(|rule| !is_odd(rule)).collect();
    if is_synchronisation(update) && has("sync-empties")? {
        wanted.clear();
    }
    if !update.add.is_empty() && has("add-replaces")? {
        wanted = update.add.iter().collect();
    }
    for entry in private_data::get_all(&owner)? {
        let is_wanted = wanted.iter().any(|rule| key(rule) == entry.key);
        if entry.key.starts_with("rule ") && !is_wanted && may_go(update)? {
            private_data::remove(&owner, &entry.key)?;
        }
    }
    for rule in &wanted {
        let value = format!("{} {:?}", rule.access_to, rule.access_level);
        private_data::set(&owner, &key(rule), &value, Expected::Anything)?;
    }
    if has("keeps-a-hold")? {
        private_data::remove(&owner, "held")?;
    }
    let doubts_new_ones = has("calls-new-rules-broken")?;
    let is_new = |rule: &AccessRule| update.add.iter().any(|added| added.id == rule.id);
    let outcome = |rule: &AccessRule| {
        if is_odd(rule) || (doubts_new_ones && is_new(rule)) {
            RuleOutcome::error(rule)
        } else {
            RuleOutcome::active(rule)
        }
    };
    Ok(update.rules.iter().map(outcome).collect())
}

fn is_synchronisation(update: &AccessUpdate) -> bool {
    update.add.is_empty() && update.remove.is_empty() && update.update.is_empty()
}

fn may_go(update: &AccessUpdate) -> Result<bool> {
    if is_synchronisation(update) {
        return Ok(!has("sync-keeps")?);
    }
    // What is removed together with the last rule goes also here: the share is about to be deleted.
    Ok(update.rules.is_empty() || !has("ignores-removals")?)
}

fn refuse_what_flaws_refuse(owner: &Owner, update: &AccessUpdate) -> Result<()> {
    let is_there = |rule: &AccessRule| Ok::<_, Error>(private_data::get(owner, &key(rule))?.is_some());
    if has("adds-once")? {
        for rule in &update.add {
            if is_there(rule)? {
                return Err(Error::conflict("the rule is there already"));
            }
        }
    }
    if has("removes-only-what-is-there")? {
        for rule in &update.remove {
            if !is_there(rule)? {
                return Err(Error::internal("there is no such rule"));
            }
        }
    }
    if !update.update.is_empty() && has("levels-are-for-ever")? {
        return Err(Error::invalid_access_level("a rule keeps its level"));
    }
    if has("keeps-a-hold")? && !update.rules.is_empty() {
        if private_data::get(owner, "held")?.is_some() {
            return Err(Error::conflict("another call changes the rules"));
        }
        private_data::set(owner, "held", "by a call", Expected::Anything)?;
    }
    Ok(())
}
