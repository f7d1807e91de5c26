//! Changes of servers in service, and what drivers answer about them.

use super::access::{AccessKeys, rules_from_wit, rules_to_wit};
use super::location::{LocationRights, locations_from_wit};
use super::replica::updates_of_from_wit;
use super::server::{
    details_from_wit, network_to_wit, security_service_to_wit, server_to_wit, subnet_to_wit,
};
use super::share::share_to_wit;
use super::snapshot::snapshot_to_wit;
use super::{Breach, check_count, shown};
use crate::bindings::v0_1::bulkhead::driver::server_updates as wit_updates;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_model::access::AccessRule;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::server_update::{
    AllocationChange, AllocationOutcome, RulesOfShares, ServiceChange, SubnetAddition,
};
use bulkhead_model::share::ShareForDriver;
use std::collections::BTreeMap;

/// A change of a server's security service.
pub(crate) fn service_to_wit(change: &ServiceChange) -> wit_updates::SecurityServiceUpdate {
    wit_updates::SecurityServiceUpdate {
        server: server_to_wit(&change.server),
        network: network_to_wit(&change.network),
        shares: shares_to_wit(&change.shares),
        rules: rules_of_shares_to_wit(&change.rules),
        new_service: security_service_to_wit(&change.new_service),
        current_service: change.current_service.as_ref().map(security_service_to_wit),
    }
}

/// A subnet that a server shall serve too.
pub(crate) fn addition_to_wit(addition: &SubnetAddition) -> wit_updates::SubnetAddition {
    wit_updates::SubnetAddition {
        server: server_to_wit(&addition.server),
        network: network_to_wit(&addition.network),
        new_subnet: subnet_to_wit(&addition.new_subnet),
        shares: shares_to_wit(&addition.shares),
        rules: rules_of_shares_to_wit(&addition.rules),
    }
}

/// A change of a server's addresses.
pub(crate) fn allocation_to_wit(change: &AllocationChange) -> wit_updates::AllocationUpdate {
    wit_updates::AllocationUpdate {
        server: server_to_wit(&change.server),
        current_network: network_to_wit(&change.current_network),
        new_network: network_to_wit(&change.new_network),
        shares: shares_to_wit(&change.shares),
        snapshots: change.snapshots.iter().map(snapshot_to_wit).collect(),
    }
}

fn shares_to_wit(shares: &[ShareForDriver]) -> Vec<wit::Share> {
    shares.iter().map(share_to_wit).collect()
}

fn rules_of_shares_to_wit(
    rules: &BTreeMap<ShareInstanceId, Vec<AccessRule>>,
) -> Vec<wit_updates::ShareRules> {
    let of_share = |(share, rules): (&ShareInstanceId, &Vec<AccessRule>)| wit_updates::ShareRules {
        share_id: share.to_string(),
        rules: rules_to_wit(rules),
    };
    rules.iter().map(of_share).collect()
}

/// The share that an answer is about: one of those that were asked about.
fn share_of<'a>(shares: &'a [ShareForDriver], id: &str) -> Result<&'a ShareForDriver, Breach> {
    let found = shares.iter().find(|share| share.id.to_string() == id);
    found.ok_or_else(|| {
        Breach(format!("an answer is about shares that were asked about, unlike '{}'", shown(id)))
    })
}

fn twice(id: &str) -> Breach {
    Breach(format!("an answer is about each share once, unlike '{}'", shown(id)))
}

/// What became of the rules of shares, of each at most once.
pub(crate) fn rules_of_shares_from_wit(
    change: &ServiceChange,
    answer: Vec<wit_updates::ShareRuleOutcomes>,
    keys: &AccessKeys<'_>,
) -> Result<RulesOfShares, Breach> {
    check_count("the answer of update-security-service", &answer, change.shares.len())?;
    let mut found = RulesOfShares::new();
    for outcomes in answer {
        let share = share_of(&change.shares, &outcomes.share_id)?.id;
        let asked = change.rules.get(&share).into_iter().flatten();
        let of_share = rules_from_wit(asked, outcomes.rules, keys)?;
        if found.insert(share, of_share).is_some() {
            return Err(twice(&outcomes.share_id));
        }
    }
    Ok(found)
}

/// What changed when a server got more addresses.
pub(crate) fn outcome_from_wit(
    rights: &LocationRights,
    change: &AllocationChange,
    answer: wit_updates::AllocationOutcome,
) -> Result<AllocationOutcome, Breach> {
    check_count("allocation-outcome.shares", &answer.shares, change.shares.len())?;
    let mut export_locations = BTreeMap::new();
    for reexported in answer.shares {
        let share = share_of(&change.shares, &reexported.share_id)?.id;
        let locations = locations_from_wit(rights, reexported.export_locations)?;
        if export_locations.insert(share, locations).is_some() {
            return Err(twice(&reexported.share_id));
        }
    }
    let asked: Vec<_> = change.snapshots.iter().collect();
    let details = |details| details_from_wit("allocation-outcome.backend-details", details);
    Ok(AllocationOutcome {
        export_locations,
        snapshots: updates_of_from_wit(rights, &asked, answer.snapshots)?,
        backend_details: answer.backend_details.map(details).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::fixture;

    fn service_change() -> ServiceChange {
        let (network, share) = (fixture::server_network(), fixture::share());
        ServiceChange {
            server: fixture::server(),
            new_service: network.security_services[0].clone(),
            current_service: None,
            rules: BTreeMap::from([(share.id, vec![fixture::rule()])]),
            shares: vec![share],
            network,
        }
    }

    #[test]
    fn a_change_of_a_security_service_crosses_with_rules_and_a_password_as_a_name() {
        let change = service_change();
        let crossed = service_to_wit(&change);
        assert_eq!(crossed.rules[0].share_id, change.shares[0].id.to_string());
        assert_eq!(crossed.rules[0].rules.len(), 1);
        let password = crossed.new_service.password.expect("a reference");
        assert_eq!(Some(password.name), change.new_service.secret_name());
    }

    #[test]
    fn rules_have_outcomes_only_on_shares_and_about_rules_that_were_asked_about() {
        let change = service_change();
        let (share, rule) = (&change.shares[0], &change.rules[&change.shares[0].id][0]);
        let outcome = |share: String, rule: String| wit_updates::ShareRuleOutcomes {
            share_id: share,
            rules: vec![wit::RuleOutcome { rule_id: rule, state: wit::RuleState::Error, access_key: None }],
        };
        let asked = outcome(share.id.to_string(), rule.id.to_string());
        let convert = |answer| rules_of_shares_from_wit(&change, answer, &AccessKeys::none());
        assert_eq!(convert(Vec::new()), Ok(RulesOfShares::new()));
        let found = convert(vec![asked.clone()]).expect("sound");
        assert_eq!(found[&share.id][0].rule, rule.id);
        assert!(convert(vec![asked.clone(), asked]).is_err(), "the share comes twice");
        assert!(convert(vec![outcome(fixture::share().id.to_string(), rule.id.to_string())]).is_err());
        assert!(convert(vec![outcome(share.id.to_string(), fixture::rule().id.to_string())]).is_err());
    }

    #[test]
    fn shares_are_at_addresses_of_the_changed_server_and_only_those_asked_about() {
        let (network, snapshot) = (fixture::server_network(), fixture::snapshot());
        let change = AllocationChange {
            server: fixture::server(),
            current_network: network.clone(),
            new_network: network,
            shares: vec![snapshot.share.clone()],
            snapshots: vec![snapshot.clone()],
        };
        let outcome = |share: String, path: &str| wit_updates::AllocationOutcome {
            shares: vec![wit_updates::ReexportedShare {
                share_id: share,
                export_locations: vec![location(path)],
            }],
            snapshots: Vec::new(),
            backend_details: None,
        };
        let convert = |answer| outcome_from_wit(&rights(), &change, answer);
        let found = convert(outcome(snapshot.share.id.to_string(), "10.0.0.5:/a")).expect("sound");
        assert_eq!(found.export_locations[&snapshot.share.id][0].path, "10.0.0.5:/a");
        assert!(convert(outcome(snapshot.share.id.to_string(), "10.6.6.6:/a")).is_err());
        assert!(convert(outcome(fixture::share().id.to_string(), "10.0.0.5:/a")).is_err());
    }
}
