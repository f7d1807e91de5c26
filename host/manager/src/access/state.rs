//! The state machine of access rules (contract 4.3). Pure: a working copy in, a working copy out.
//!
//! ```text
//!        allow                 level                    deny
//!          v                     v                        v
//!   queued_to_apply       queued_to_update         queued_to_deny      (queues while a batch is with the driver)
//!          | promote             | promote                | promote
//!      applying              updating                  denying         (the batch)
//!          |                     |                        |
//!          +--> active | error <-+                      gone           (the driver returned; it failed: error)
//! ```
//!
//! Decided on purpose, where Manila has quirks:
//! * Rules for IPv6 addresses at a backend that exports NFS over IPv4 only are not sent, as in Manila; but they end in `error` with the
//!   reason instead of being reported `active`.
//! * A failed batch does not leave rules that queued meanwhile behind: they are the next batch.
//! * The rules' status as a whole follows from the rules: denying the ones in error brings it back to `active`.

use super::list::RuleList;
use crate::view::StoredAccessRule;
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessRule, AccessTo, AccessUpdate};
use bulkhead_model::id::AccessRuleId;
use bulkhead_model::share::Protocol;
use bulkhead_model::status::AccessRuleState as State;
use std::collections::{BTreeMap, BTreeSet};

/// Why a rule for IPv6 is in `error` at a backend without IPv6.
pub(crate) const NO_IPV6: &str = "the backend does not export over IPv6";
/// Why the rules of a failed batch are in `error`.
const BATCH_FAILED: &str = "the backend could not apply the access rules";
/// Why rules are in `error` whose operation was given up, or whose share could not be deleted.
const GIVEN_UP: &str = "the change of this rule was given up; deny it, and allow it anew";
/// Why a rule is in `error` that the driver reported so.
const REPORTED: &str = "the backend could not apply this rule";

/// Whether rules in force are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reapply {
    /// Only what was on its way.
    InWork,
    /// The active ones too.
    All,
}

/// Which addresses a backend can export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) protocol: Protocol,
    pub(crate) has_ipv6: bool,
}

impl Reach {
    /// Whether a rule for `who` can ever be in force. Only NFS is told apart, as in Manila.
    pub(crate) fn includes(self, who: &AccessTo) -> bool {
        let is_ipv6 = matches!(who, AccessTo::Ip(network) if network.addr().is_ipv6());
        !is_ipv6 || self.has_ipv6 || self.protocol != Protocol::Nfs
    }
}

/// Whether a batch is with the driver.
pub(crate) fn is_in_work(rules: &RuleList) -> bool {
    rules.iter().any(|rule| matches!(rule.state, State::Applying | State::Denying | State::Updating))
}

/// Whether rules wait.
pub(crate) fn has_queued(rules: &RuleList) -> bool {
    rules.iter().any(|rule| is_queued(rule.state))
}

const fn is_queued(state: State) -> bool {
    matches!(state, State::QueuedToApply | State::QueuedToDeny | State::QueuedToUpdate)
}

/// Make a batch of what is queued: everything, or as much as one transaction takes. Returns whether there is one.
pub(crate) fn promote(rules: &mut RuleList) -> bool {
    let promoted = rules.advance(State::QueuedToApply, State::Applying)
        + rules.advance(State::QueuedToDeny, State::Denying)
        + rules.advance(State::QueuedToUpdate, State::Updating);
    promoted > 0
}

/// Queue one rule for denial, whatever its state.
pub(crate) fn queue_denial(rules: &mut RuleList, id: AccessRuleId) {
    rules.edit(|rule| rule.rule.id == id, |rule| rule.state = State::QueuedToDeny);
}

/// Queue one rule for a new level. A rule not yet in force is simply applied with it.
pub(crate) fn queue_level(rules: &mut RuleList, id: AccessRuleId, level: AccessLevel) {
    rules.edit(
        |rule| rule.rule.id == id,
        |rule| {
            rule.rule.level = level;
            if rule.state != State::QueuedToApply {
                rule.state = State::QueuedToUpdate;
            }
            rule.failure = None;
        },
    );
}

/// Put what was with the driver back into the queue: after a restart, and when the driver wants its rules again.
pub(crate) fn requeue(rules: &mut RuleList, reapply: Reapply) {
    rules.advance(State::Applying, State::QueuedToApply);
    rules.advance(State::Denying, State::QueuedToDeny);
    rules.advance(State::Updating, State::QueuedToUpdate);
    if reapply == Reapply::All {
        rules.advance(State::Active, State::QueuedToApply);
    }
}

/// What a batch asks of the driver; none if nothing of it can be asked.
pub(crate) fn batch(rules: &RuleList, reach: Reach) -> Option<AccessUpdate> {
    let of = |states: &[State]| -> Vec<AccessRule> {
        rules
            .iter()
            .filter(|rule| states.contains(&rule.state) && reach.includes(&rule.rule.access_to))
            .map(|rule| rule.rule.clone())
            .collect()
    };
    let update = AccessUpdate {
        rules: of(&[State::Applying, State::Active, State::Updating]),
        add: of(&[State::Applying]),
        remove: of(&[State::Denying]),
        update: of(&[State::Updating]),
    };
    // Three empty lists would mean "make the backend equal to `rules`", which nobody asked for.
    let is_empty = update.add.is_empty() && update.remove.is_empty() && update.update.is_empty();
    (!is_empty).then_some(update)
}

/// Everything to be taken away: what a driver is asked before it deletes a share.
pub(crate) fn removal_of_all(rules: &RuleList) -> AccessUpdate {
    AccessUpdate { remove: rules.iter().map(|rule| rule.rule.clone()).collect(), ..AccessUpdate::default() }
}

/// A driver's answer that names a rule it was not asked about, or a state that is none of a rule's ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the driver answered about access rule {0}, which was not asked, or with a state that is neither active nor error"
)]
pub(crate) struct Unasked(pub(crate) AccessRuleId);

/// Take in what the driver said of a batch; `asked` is what it was given, none if it was not called.
pub(crate) fn settle(
    rules: &mut RuleList,
    asked: Option<&AccessUpdate>,
    reach: Reach,
    outcomes: &[AccessOutcome],
) -> Result<(), Unasked> {
    let asked: BTreeSet<AccessRuleId> = asked
        .into_iter()
        .flat_map(|update| update.rules.iter().chain(&update.remove))
        .map(|rule| rule.id)
        .collect();
    let unfit = |outcome: &&AccessOutcome| {
        !asked.contains(&outcome.rule) || !matches!(outcome.state, State::Active | State::Error)
    };
    if let Some(outcome) = outcomes.iter().find(unfit) {
        return Err(Unasked(outcome.rule));
    }
    let outcomes: BTreeMap<AccessRuleId, &AccessOutcome> =
        outcomes.iter().map(|outcome| (outcome.rule, outcome)).collect();
    rules.edit(
        |rule| outcomes.contains_key(&rule.rule.id),
        |rule| {
            if let Some(outcome) = outcomes.get(&rule.rule.id) {
                take_in(rule, outcome);
            }
        },
    );
    let is_left = |rule: &StoredAccessRule| matches!(rule.state, State::Applying | State::Updating);
    rules.edit(is_left, |rule| {
        if reach.includes(&rule.rule.access_to) {
            rule.state = State::Active;
            rule.failure = None;
        } else {
            rule.state = State::Error;
            rule.failure = Some(NO_IPV6.to_owned());
        }
    });
    rules.remove(|rule| rule.state == State::Denying);
    Ok(())
}

/// Take in what a driver said of rules in force in a call about something else.
pub(crate) fn report(rules: &mut RuleList, outcomes: &[AccessOutcome]) {
    let outcomes: BTreeMap<AccessRuleId, &AccessOutcome> =
        outcomes.iter().map(|outcome| (outcome.rule, outcome)).collect();
    let is_news = |rule: &StoredAccessRule, outcome: &AccessOutcome| {
        let has_failed = rule.state == State::Active && outcome.state == State::Error;
        has_failed || (outcome.access_key.is_some() && outcome.access_key != rule.access_key)
    };
    rules.edit(
        |rule| outcomes.get(&rule.rule.id).is_some_and(|outcome| is_news(rule, outcome)),
        |rule| {
            if let Some(outcome) = outcomes.get(&rule.rule.id) {
                take_in(rule, outcome);
            }
        },
    );
}

fn take_in(rule: &mut StoredAccessRule, outcome: &AccessOutcome) {
    if outcome.access_key.is_some() {
        rule.access_key.clone_from(&outcome.access_key);
    }
    // A rule on its way out stays on it, and so does one that was denied or changed while the driver worked.
    if matches!(rule.state, State::Applying | State::Updating | State::Active) {
        rule.state = outcome.state;
        rule.failure = (outcome.state == State::Error).then(|| REPORTED.to_owned());
    }
}

/// The batch failed: its rules are in error.
pub(crate) fn fail(rules: &mut RuleList) {
    let in_work =
        |rule: &StoredAccessRule| matches!(rule.state, State::Applying | State::Denying | State::Updating);
    rules.edit(in_work, |rule| {
        rule.state = State::Error;
        rule.failure = Some(BATCH_FAILED.to_owned());
    });
}

/// Which rules are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// What waits or is in work: nothing carries it to the driver any more.
    OnTheWay,
    /// Those in force too: the driver was told to take them away, and whether it did is not known (contract 4.3).
    All,
}

impl GivenUp {
    /// Whether it is about a rule in this state.
    pub(crate) fn includes(self, state: State) -> bool {
        state.is_transient() || (self == Self::All && state == State::Active)
    }
}

/// The rules that are given up are in error.
pub(crate) fn give_up(rules: &mut RuleList, which: GivenUp) {
    rules.edit(
        |rule| which.includes(rule.state),
        |rule| {
            rule.state = State::Error;
            rule.failure = Some(GIVEN_UP.to_owned());
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::sample::{list, rule, states};
    use super::*;
    use bulkhead_model::status::AccessRulesStatus;
    use proptest::prelude::*;

    const REACH: Reach = Reach { protocol: Protocol::Nfs, has_ipv6: false };

    /// Contract A-15.
    #[test]
    fn a_restart_queues_again_what_was_with_the_driver_and_on_request_what_was_in_force() {
        let all = State::ALL.iter().map(|state| rule("10.0.0.1", *state));
        let mut rules = list(all.clone());
        requeue(&mut rules, Reapply::InWork);
        assert!(!is_in_work(&rules));
        assert!(states(&rules).contains(&State::Active));
        requeue(&mut rules, Reapply::All);
        assert!(!states(&rules).contains(&State::Active));
        assert!(states(&rules).contains(&State::Error), "error stays");
    }

    #[test]
    fn rules_in_error_or_still_queued_are_in_no_list() {
        let rules = list(State::ALL.iter().map(|state| rule("10.0.0.1", *state)));
        let update = batch(&rules, REACH).expect("a batch");
        assert_eq!((update.rules.len(), update.add.len()), (3, 1));
        assert_eq!((update.remove.len(), update.update.len()), (1, 1));
    }

    /// Contract A-08.
    #[test]
    fn nothing_to_add_take_away_or_change_is_never_sent_as_three_empty_lists() {
        assert!(
            batch(&list([rule("10.0.0.1", State::Active), rule("10.0.0.2", State::Error)]), REACH).is_none()
        );
        assert!(batch(&list([rule("2001:db8::1", State::Applying)]), REACH).is_none());
    }

    /// Contract A-14.
    #[test]
    fn addresses_of_ipv6_are_told_apart_for_nfs_without_it_and_nowhere_else() {
        let address = AccessTo::parse("ip", "2001:db8::1").expect("an address");
        let network = AccessTo::parse("ip", "2001:db8::/32").expect("a network");
        let user = AccessTo::parse("user", "alice").expect("a user");
        for who in [&address, &network] {
            assert!(!REACH.includes(who));
            assert!(Reach { has_ipv6: true, ..REACH }.includes(who));
            assert!(Reach { protocol: Protocol::Cifs, ..REACH }.includes(who));
            assert!(Reach { protocol: Protocol::Cephfs, ..REACH }.includes(who));
        }
        assert!(REACH.includes(&user));
    }

    #[test]
    fn a_rule_for_ipv6_that_was_never_sent_ends_in_error_with_the_reason() {
        let mut rules = list([rule("2001:db8::1", State::Applying)]);
        settle(&mut rules, None, REACH, &[]).expect("no answer fits");
        let only = rules.iter().next().expect("the rule");
        assert_eq!((only.state, only.failure.as_deref()), (State::Error, Some(NO_IPV6)));
    }

    /// Contract A-03: it follows from the rules, no condition is needed.
    #[test]
    fn the_status_of_all_is_the_worst_of_each() {
        assert_eq!(list([]).status(), AccessRulesStatus::Active);
        let syncing = [rule("10.0.0.1", State::Active), rule("10.0.0.2", State::QueuedToDeny)];
        assert_eq!(list(syncing.clone()).status(), AccessRulesStatus::Syncing);
        let error = syncing.into_iter().chain([rule("10.0.0.3", State::Error)]);
        assert_eq!(list(error).status(), AccessRulesStatus::Error);
    }

    proptest! {
        #[test]
        fn after_a_batch_nothing_is_in_work_and_what_the_driver_said_counts(
            before in proptest::collection::vec(proptest::sample::select(State::ALL), 0..12),
            said in proptest::collection::vec(proptest::sample::select(vec![State::Active, State::Error]), 12),
        ) {
            let mut rules = list(before.iter().map(|state| rule("10.0.0.1", *state)));
            let asked = batch(&rules, REACH);
            let outcomes: Vec<_> = asked.iter().flat_map(|update| &update.rules).zip(said)
                .map(|(rule, state)| AccessOutcome { rule: rule.id, state, access_key: None })
                .collect();
            let errors: BTreeSet<_> = rules.iter().filter(|rule| rule.state == State::Error).map(|rule| rule.rule.id).collect();
            let denied = before.iter().filter(|state| **state == State::Denying).count();
            settle(&mut rules, asked.as_ref(), REACH, &outcomes).expect("only about what was asked");
            prop_assert!(!is_in_work(&rules));
            prop_assert_eq!(rules.len(), before.len() - denied);
            for outcome in outcomes {
                let found = rules.iter().find(|rule| rule.rule.id == outcome.rule).map(|rule| rule.state);
                prop_assert_eq!(found, Some(outcome.state));
            }
            for error in errors {
                prop_assert!(rules.iter().any(|rule| rule.rule.id == error && rule.state == State::Error));
            }
        }

        #[test]
        fn a_failed_batch_touches_neither_the_queue_nor_what_is_in_force(
            before in proptest::collection::vec(proptest::sample::select(State::ALL), 0..12),
        ) {
            let mut rules = list(before.iter().map(|state| rule("10.0.0.1", *state)));
            fail(&mut rules);
            for (was, is) in before.iter().zip(states(&rules)) {
                let in_work = matches!(was, State::Applying | State::Denying | State::Updating);
                prop_assert_eq!(is, if in_work { State::Error } else { *was });
            }
        }
    }
}
