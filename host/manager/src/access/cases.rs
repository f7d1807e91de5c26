//! Cases of Manila's access helper that are tables (contract 7.3).

use super::sample::{list, rule, states};
use super::state::{self, Reach};
use bulkhead_model::access::{AccessOutcome, AccessRule, AccessUpdate};
use bulkhead_model::id::AccessRuleId;
use bulkhead_model::secret::SealedSecret;
use bulkhead_model::share::Protocol;
use bulkhead_model::status::{AccessRuleState as State, AccessRulesStatus};

const REACH: Reach = Reach { protocol: Protocol::Nfs, has_ipv6: false };

fn ids(rules: &[AccessRule]) -> Vec<AccessRuleId> {
    rules.iter().map(|rule| rule.id).collect()
}

/// Contract A-06: the states in which the driver's word counts are ours.
#[test]
fn what_the_driver_says_of_a_rule_counts_unless_somebody_wants_it_otherwise_by_now() {
    for (before, after) in [
        (State::Applying, Some(State::Error)),
        (State::Updating, Some(State::Error)),
        (State::Active, Some(State::Error)),
        (State::QueuedToApply, Some(State::QueuedToApply)),
        (State::QueuedToUpdate, Some(State::QueuedToUpdate)),
        (State::QueuedToDeny, Some(State::QueuedToDeny)),
        (State::Denying, None),
    ] {
        let only = rule("10.0.0.1", before);
        let asked = AccessUpdate { rules: vec![only.rule.clone()], ..AccessUpdate::default() };
        let said = AccessOutcome {
            rule: only.rule.id,
            state: State::Error,
            access_key: Some(SealedSecret::new("key".to_owned())),
        };
        let mut rules = list([only]);
        state::settle(&mut rules, Some(&asked), REACH, &[said]).expect("it was asked");
        let found = rules.iter().next();
        assert_eq!(found.map(|rule| rule.state), after, "{before:?}");
        assert!(
            found.is_none_or(|rule| rule.access_key.as_ref().map(SealedSecret::as_str) == Some("key")),
            "{before:?}"
        );
    }
}

/// Contract A-10.
#[test]
fn a_batch_carries_all_rules_in_force_the_new_and_the_leaving_ones_and_ends_as_the_driver_says() {
    for (first, says_something) in
        [(State::Active, false), (State::Active, true), (State::Error, false), (State::Error, true)]
    {
        let all =
            [rule("10.0.0.1", first), rule("10.0.0.2", State::Applying), rule("10.0.0.3", State::Denying)];
        let [one, two, three] = all.each_ref().map(|rule| rule.rule.id);
        let mut rules = list(all);
        let update = state::batch(&rules, REACH).expect("a batch");
        let in_force = if first == State::Active { vec![one, two] } else { vec![two] };
        assert_eq!(
            (ids(&update.rules), ids(&update.add), ids(&update.remove)),
            (in_force, vec![two], vec![three])
        );
        let outcome = |rule, state, key: Option<&str>| AccessOutcome {
            rule,
            state,
            access_key: key.map(|key| SealedSecret::new(key.to_owned())),
        };
        let said = if says_something {
            vec![outcome(three, State::Error, Some("key")), outcome(two, State::Error, None)]
        } else {
            Vec::new()
        };
        state::settle(&mut rules, Some(&update), REACH, &said).expect("they were asked");
        let second = if says_something { State::Error } else { State::Active };
        assert_eq!(states(&rules), [first, second]);
        let is_sound = first == State::Active && !says_something;
        let status = if is_sound { AccessRulesStatus::Active } else { AccessRulesStatus::Error };
        assert_eq!(rules.status(), status);
    }
}

/// Contract A-13.
#[test]
fn queued_rules_alone_ask_for_a_batch_and_are_promoted_into_it() {
    for before in State::ALL {
        let mut rules = list([rule("10.0.0.1", *before), rule("10.0.0.2", State::Active)]);
        let promoted = match before {
            State::QueuedToApply => Some(State::Applying),
            State::QueuedToDeny => Some(State::Denying),
            State::QueuedToUpdate => Some(State::Updating),
            _ => None,
        };
        assert_eq!(state::has_queued(&rules), promoted.is_some(), "{before:?}");
        assert_eq!(state::promote(&mut rules), promoted.is_some(), "{before:?}");
        assert_eq!(states(&rules), [promoted.unwrap_or(*before), State::Active]);
    }
}
