//! Access rules, and what drivers answer about them.

use super::{Breach, check_count, shown};
use crate::bindings::v0_1::bulkhead::driver::access::AccessUpdate as WitAccessUpdate;
use crate::bindings::v0_1::bulkhead::driver::mountable_snapshots::SnapshotAccessUpdate as WitSnapshotAccessUpdate;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_capability::backend::Backend;
use bulkhead_capability::secret::{HeldSecrets, Purpose};
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessRule, AccessTo, AccessUpdate};
use bulkhead_model::id::AccessRuleId;
use bulkhead_model::secret::{SealedSecret, access_key_place};
use bulkhead_model::snapshot::SnapshotAccessUpdate;
use bulkhead_model::status::AccessRuleState;
use std::collections::BTreeSet;

/// A rule as a driver call carries it.
pub(crate) fn rule_to_wit(rule: &AccessRule) -> wit::AccessRule {
    wit::AccessRule {
        id: rule.id.to_string(),
        mapping_id: rule.mapping_id.to_string(),
        access_type: access_type(&rule.access_to),
        access_to: rule.access_to.to_string(),
        access_level: match rule.level {
            AccessLevel::Rw => wit::AccessLevel::Rw,
            AccessLevel::Ro => wit::AccessLevel::Ro,
        },
    }
}

/// A rule on a snapshot as a driver call carries it: always read only.
pub(crate) fn snapshot_rule_to_wit(rule: &AccessRule) -> wit::SnapshotAccessRule {
    wit::SnapshotAccessRule {
        id: rule.id.to_string(),
        mapping_id: rule.mapping_id.to_string(),
        access_type: access_type(&rule.access_to),
        access_to: rule.access_to.to_string(),
    }
}

/// What is asked of a snapshot's rules.
pub(crate) fn snapshot_update_to_wit(update: &SnapshotAccessUpdate) -> WitSnapshotAccessUpdate {
    let list = |rules: &[AccessRule]| rules.iter().map(snapshot_rule_to_wit).collect();
    WitSnapshotAccessUpdate {
        rules: list(&update.rules),
        add: list(&update.add),
        remove: list(&update.remove),
    }
}

/// Rules in their order.
pub(crate) fn rules_to_wit(rules: &[AccessRule]) -> Vec<wit::AccessRule> {
    rules.iter().map(rule_to_wit).collect()
}

/// Rules of a replicated share: they belong to the share, not to one instance.
pub(crate) fn access_rules_of_share(rules: &[AccessRule]) -> Vec<wit::ShareAccessRule> {
    let of_share = |rule: wit::AccessRule| wit::ShareAccessRule {
        id: rule.id,
        access_type: rule.access_type,
        access_to: rule.access_to,
        access_level: rule.access_level,
    };
    rules.iter().map(rule_to_wit).map(of_share).collect()
}

/// What `update-access` is asked.
pub(crate) fn update_to_wit(update: &AccessUpdate) -> WitAccessUpdate {
    WitAccessUpdate {
        rules: rules_to_wit(&update.rules),
        add: rules_to_wit(&update.add),
        remove: rules_to_wit(&update.remove),
        update: rules_to_wit(&update.update),
    }
}

const fn access_type(access_to: &AccessTo) -> wit::AccessType {
    match access_to {
        AccessTo::Ip(_) => wit::AccessType::Ip,
        AccessTo::User(_) => wit::AccessType::User,
        AccessTo::Cert(_) => wit::AccessType::Cert,
        AccessTo::Cephx(_) => wit::AccessType::Cephx,
    }
}

/// The longest credential of a rule, in bytes, as in Manila.
const LONGEST_KEY: usize = 255;

/// What the references to credentials in an answer stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessKeys<'call>(Option<(&'call HeldSecrets, &'call Backend)>);

impl<'call> AccessKeys<'call> {
    /// Those that the call was given which answers.
    pub(crate) const fn of_call(held: &'call HeldSecrets, backend: &'call Backend) -> Self {
        Self(Some((held, backend)))
    }

    /// None at all: where no call stands behind an answer.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// The credential of `rule`, sealed for the records. Only what was captured, generated or kept for a purpose of the driver's is one:
    /// the backend's own secrets are nobody's key.
    fn sealed(&self, rule: AccessRuleId, reference: &str) -> Result<SealedSecret, Breach> {
        let unknown = || {
            Breach(format!(
                "rule-outcome.access-key is a reference that the secret interface gave in this call, unlike '{}'",
                shown(reference)
            ))
        };
        let (held, backend) = self.0.ok_or_else(unknown)?;
        let held = held.get(reference).filter(|held| matches!(held.purpose, Purpose::Declared(_)));
        let secret = held.ok_or_else(unknown)?.secret;
        if secret.expose_text().is_none_or(|text| text.len() > LONGEST_KEY) {
            return Err(Breach(format!("the credential of a rule is UTF-8 of at most {LONGEST_KEY} bytes")));
        }
        let vault = backend.vault().map_err(|error| Breach(error.message))?;
        vault.seal(&access_key_place(rule), &secret).map_err(|error| Breach(error.to_string()))
    }
}

/// What became of the rules that were asked about, each at most once.
pub(crate) fn outcomes_from_wit(
    update: &AccessUpdate,
    outcomes: Vec<wit::RuleOutcome>,
    keys: &AccessKeys<'_>,
) -> Result<Vec<AccessOutcome>, Breach> {
    let asked = [&update.rules, &update.add, &update.remove, &update.update];
    rules_from_wit(asked.into_iter().flatten(), outcomes, keys)
}

/// What became of these rules, each at most once.
pub(crate) fn rules_from_wit<'rule>(
    asked: impl IntoIterator<Item = &'rule AccessRule>,
    outcomes: Vec<wit::RuleOutcome>,
    keys: &AccessKeys<'_>,
) -> Result<Vec<AccessOutcome>, Breach> {
    let mut open: BTreeSet<AccessRuleId> = asked.into_iter().map(|rule| rule.id).collect();
    check_count("the outcomes of access rules", &outcomes, open.len())?;
    let mut found = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let rule =
            outcome.rule_id.parse::<AccessRuleId>().ok().filter(|id| open.remove(id)).ok_or_else(|| {
                Breach(format!(
                    "rule-outcome.rule-id is one of those asked about, each once, unlike '{}'",
                    shown(&outcome.rule_id)
                ))
            })?;
        let key = outcome.access_key.as_ref().map(|key| keys.sealed(rule, &key.name)).transpose()?;
        let state = match outcome.state {
            wit::RuleState::Active => AccessRuleState::Active,
            wit::RuleState::Error => AccessRuleState::Error,
        };
        found.push(AccessOutcome { rule, state, access_key: key });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use bulkhead_capability::secret::{Held, Vault};
    use bulkhead_model::grant::Grant;
    use bulkhead_model::id::Label;
    use std::sync::Arc;

    fn outcome(id: &str) -> wit::RuleOutcome {
        wit::RuleOutcome { rule_id: id.to_owned(), state: wit::RuleState::Active, access_key: None }
    }

    #[test]
    fn an_address_crosses_as_it_was_asked_for() {
        let rule = AccessRule {
            access_to: AccessTo::parse("ip", "10.0.0.5").expect("an address"),
            ..fixture::rule()
        };
        assert_eq!(rule_to_wit(&rule).access_to, "10.0.0.5");
    }

    #[test]
    fn only_rules_that_were_asked_about_have_outcomes_and_each_one() {
        let update = AccessUpdate {
            rules: vec![fixture::rule()],
            remove: vec![fixture::rule()],
            ..AccessUpdate::default()
        };
        let (kept, removed) = (update.rules[0].id.to_string(), update.remove[0].id.to_string());
        let check = |outcomes| outcomes_from_wit(&update, outcomes, &AccessKeys::none());
        assert_eq!(check(vec![outcome(&kept), outcome(&removed)]).map(|found| found.len()), Ok(2));
        assert!(check(vec![outcome(&kept), outcome(&kept)]).is_err());
        assert!(check(vec![outcome(&AccessRuleId::random().to_string())]).is_err());
        assert!(check(vec![outcome(&update.rules[0].mapping_id.to_string())]).is_err());
    }

    #[tokio::test]
    async fn a_credential_is_one_that_this_call_was_given_and_crosses_sealed() {
        let (host, purpose) = (fixture::host().await, "access-key".parse::<Label>().expect("a label"));
        let mut parts = host.parts("nas", fixture::manifest(), Grant::default()).expect("the parts");
        let vault = Arc::new(Vault::new(&[7; 32]));
        parts.secrets.vault = Some(Arc::clone(&vault));
        let backend = Backend::new(parts).expect("a backend");
        let held = HeldSecrets::default();
        let hold = |purpose, text: &str| {
            let secret = backend.redactor().secret(text.as_bytes().to_vec()).expect("a secret");
            held.hold("tried", Held { purpose, secret }).expect("room")
        };
        let own = hold(Purpose::Declared(purpose.clone()), "correct horse");
        let option = hold(Purpose::Option("password".to_owned()), "root password");
        let long = hold(Purpose::Declared(purpose), &"a".repeat(256));
        let update = AccessUpdate { rules: vec![fixture::rule()], ..AccessUpdate::default() };
        let rule = update.rules[0].id;
        let answer = |name: &str, keys| {
            let key = Some(wit::SecretRef { name: name.to_owned() });
            outcomes_from_wit(
                &update,
                vec![wit::RuleOutcome { access_key: key, ..outcome(&rule.to_string()) }],
                keys,
            )
        };
        let keys = AccessKeys::of_call(&held, &backend);
        let sealed = answer(&own, &keys).expect("its own")[0].access_key.clone().expect("a key");
        let opened =
            vault.open(&access_key_place(rule), &sealed, backend.redactor()).expect("sealed for this rule");
        assert_eq!(opened.expose_text(), Some("correct horse"));
        for name in [option.as_str(), long.as_str(), "password", "captured/99", "kept/root", ""] {
            assert!(answer(name, &keys).is_err(), "{name}");
        }
        assert!(answer(&own, &AccessKeys::none()).is_err(), "of another call");
    }
}
