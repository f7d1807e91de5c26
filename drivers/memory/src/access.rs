//! Who may come in: one key of private data a rule, so that a change of one rule writes one.

use crate::{share, snapshot, volume};
use bulkhead_sdk::private_data::{self, Expected};
use bulkhead_sdk::{
    AccessLevel, AccessRule, AccessType, AccessUpdate, Error, Resource, Result, RuleOutcome, RuleState,
    Share, ShareAccessRule, Snapshot, SnapshotAccessRule,
};
use std::collections::BTreeMap;

const PREFIX: &str = "rule/";
/// How many rules a share or snapshot may have: each is a key of its private data, which may have 1,024.
const MOST_RULES: usize = 1000;

/// A rule, whatever it is a rule of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'rule> {
    id: &'rule str,
    access_type: AccessType,
    access_to: &'rule str,
    access_level: AccessLevel,
}

impl<'rule> From<&'rule AccessRule> for Client<'rule> {
    fn from(rule: &'rule AccessRule) -> Self {
        Self {
            id: &rule.id,
            access_type: rule.access_type,
            access_to: &rule.access_to,
            access_level: rule.access_level,
        }
    }
}

impl<'rule> From<&'rule ShareAccessRule> for Client<'rule> {
    fn from(rule: &'rule ShareAccessRule) -> Self {
        Self {
            id: &rule.id,
            access_type: rule.access_type,
            access_to: &rule.access_to,
            access_level: rule.access_level,
        }
    }
}

impl<'rule> From<&'rule SnapshotAccessRule> for Client<'rule> {
    fn from(rule: &'rule SnapshotAccessRule) -> Self {
        Self {
            id: &rule.id,
            access_type: rule.access_type,
            access_to: &rule.access_to,
            access_level: AccessLevel::Ro,
        }
    }
}

impl Client<'_> {
    fn is_served(&self) -> bool {
        matches!(self.access_type, AccessType::Ip | AccessType::User)
    }

    fn text(&self) -> String {
        let kind = if self.access_type == AccessType::Ip { "ip" } else { "user" };
        let level = if self.access_level == AccessLevel::Rw { "rw" } else { "ro" };
        format!("{kind} {level} {}", self.access_to)
    }
}

/// Make the rules of a share what the update says they all are. Rules of a type that is not served fail alone.
pub(crate) fn update_share(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
    share::get(share)?;
    apply(&Resource::from(share), update.rules.iter().map(Client::from))
}

/// Make the rules of a mountable snapshot what the update says they all are.
pub(crate) fn update_snapshot(snapshot: &Snapshot, rules: &[SnapshotAccessRule]) -> Result<()> {
    snapshot::get(snapshot)?;
    let outcomes = apply(&Resource::from(snapshot), rules.iter().map(Client::from))?;
    let refused = outcomes.iter().filter(|outcome| outcome.state == RuleState::Error).count();
    if refused == 0 {
        return Ok(());
    }
    Err(Error::invalid_access(format!(
        "{refused} rules of {} are neither ip nor user rules, or are more than {MOST_RULES}; take them away",
        snapshot.name
    )))
}

/// Make `rules` the rules of `resource`: what is there beside them goes first.
pub(crate) fn apply<'rule>(
    resource: &Resource,
    rules: impl Iterator<Item = Client<'rule>>,
) -> Result<Vec<RuleOutcome>> {
    let owner = volume::owner(resource);
    let mut wanted = BTreeMap::new();
    let mut outcomes = Vec::new();
    for rule in rules {
        let is_in_force = rule.is_served() && wanted.len() < MOST_RULES;
        if is_in_force {
            wanted.insert(format!("{PREFIX}{}", rule.id), rule.text());
        }
        outcomes.push(RuleOutcome {
            rule_id: rule.id.to_owned(),
            state: if is_in_force { RuleState::Active } else { RuleState::Error },
            access_key: None,
        });
    }
    let mut found = BTreeMap::new();
    for entry in private_data::get_all(&owner)? {
        if entry.key.starts_with(PREFIX) && !wanted.contains_key(&entry.key) {
            private_data::remove(&owner, &entry.key)?;
        } else {
            found.insert(entry.key, entry.value);
        }
    }
    for (key, text) in wanted {
        if found.get(&key) != Some(&text) {
            private_data::set(&owner, &key, &text, Expected::Anything)?;
        }
    }
    Ok(outcomes)
}
