//! The state machine of a snapshot's access rules (contract 4.3, S-01 to S-04): that of shares without levels. Pure.
//!
//! ```text
//!        allow                 deny
//!          v                     v
//!   queued_to_apply       queued_to_deny      (queues while a batch is with the driver)
//!          | promote             | promote
//!      applying               denying         (the batch)
//!          |                     |
//!          +--> active           +--> gone    (the driver returned; it failed: error)
//! ```

use crate::access::state::{NO_IPV6, Reach, Reapply};
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::id::{AccessMappingId, AccessRuleId};
use bulkhead_model::snapshot::{SnapshotAccessUpdate, StoredSnapshotRule};
use bulkhead_model::status::AccessRuleState as State;
use bulkhead_model::time::Timestamp;

/// Why the rules of a failed batch are in `error`.
const BATCH_FAILED: &str = "the backend could not apply the access rules";
/// Why rules are in `error` whose operation was given up, or whose snapshot could not be removed.
const GIVEN_UP: &str = "the change of this rule was given up; deny it, and allow it anew";

/// A rule to be brought in force.
pub(crate) fn new_rule(access_to: &AccessTo) -> StoredSnapshotRule {
    let now = Timestamp::now();
    StoredSnapshotRule {
        rule: AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: access_to.clone(),
            level: AccessLevel::Ro,
        },
        state: State::QueuedToApply,
        failure: None,
        created_at: now,
        updated_at: now,
    }
}

fn change(rule: &mut StoredSnapshotRule, state: State, failure: Option<&str>) {
    rule.state = state;
    rule.failure = failure.map(str::to_owned);
    rule.updated_at = Timestamp::now();
}

fn advance(rules: &mut [StoredSnapshotRule], from: State, to: State) -> usize {
    let mut advanced = 0;
    for rule in rules.iter_mut().filter(|rule| rule.state == from) {
        change(rule, to, None);
        advanced += 1;
    }
    advanced
}

/// Queue one rule for denial, whatever its state. Returns whether that is news.
pub(crate) fn queue_denial(rules: &mut [StoredSnapshotRule], id: AccessRuleId) -> bool {
    let leaving = [State::QueuedToDeny, State::Denying];
    match rules.iter_mut().find(|rule| rule.rule.id == id && !leaving.contains(&rule.state)) {
        Some(rule) => {
            change(rule, State::QueuedToDeny, None);
            true
        }
        None => false,
    }
}

/// Whether a batch is with the driver.
pub(crate) fn is_in_work(rules: &[StoredSnapshotRule]) -> bool {
    rules.iter().any(|rule| matches!(rule.state, State::Applying | State::Denying))
}

/// Whether rules wait.
pub(crate) fn has_queued(rules: &[StoredSnapshotRule]) -> bool {
    rules.iter().any(|rule| matches!(rule.state, State::QueuedToApply | State::QueuedToDeny))
}

/// Make a batch of what is queued. What can never be in force ends in error. Returns whether anything was queued.
pub(crate) fn promote(rules: &mut [StoredSnapshotRule], reach: Reach) -> bool {
    let mut out_of_reach = 0;
    let beyond = |rule: &&mut StoredSnapshotRule| {
        rule.state == State::QueuedToApply && !reach.includes(&rule.rule.access_to)
    };
    for rule in rules.iter_mut().filter(beyond) {
        change(rule, State::Error, Some(NO_IPV6));
        out_of_reach += 1;
    }
    let promoted = advance(rules, State::QueuedToApply, State::Applying)
        + advance(rules, State::QueuedToDeny, State::Denying);
    promoted + out_of_reach > 0
}

/// Put what was with the driver back into the queue: after a restart, and when the driver wants its rules again.
pub(crate) fn requeue(rules: &mut [StoredSnapshotRule], reapply: Reapply) {
    advance(rules, State::Applying, State::QueuedToApply);
    advance(rules, State::Denying, State::QueuedToDeny);
    if reapply == Reapply::All {
        advance(rules, State::Active, State::QueuedToApply);
    }
}

/// What a batch asks of the driver; none if nothing of it can be asked. Rules in error or still queued are in none of the lists.
pub(crate) fn batch(rules: &[StoredSnapshotRule]) -> Option<SnapshotAccessUpdate> {
    let of = |states: &[State]| -> Vec<AccessRule> {
        rules.iter().filter(|rule| states.contains(&rule.state)).map(|rule| rule.rule.clone()).collect()
    };
    let update = SnapshotAccessUpdate {
        rules: of(&[State::Applying, State::Active]),
        add: of(&[State::Applying]),
        remove: of(&[State::Denying]),
    };
    // Two empty lists would mean "make the backend equal to `rules`", which nobody asked for.
    (!update.add.is_empty() || !update.remove.is_empty()).then_some(update)
}

/// Everything to be taken away: what a driver is asked before it deletes a snapshot.
pub(crate) fn removal_of_all(rules: &[StoredSnapshotRule]) -> SnapshotAccessUpdate {
    SnapshotAccessUpdate {
        remove: rules.iter().map(|rule| rule.rule.clone()).collect(),
        ..SnapshotAccessUpdate::default()
    }
}

/// The driver has done what the batch asked.
pub(crate) fn settle(rules: &mut Vec<StoredSnapshotRule>) {
    advance(rules, State::Applying, State::Active);
    rules.retain(|rule| rule.state != State::Denying);
}

/// The batch failed: its rules are in error.
pub(crate) fn fail(rules: &mut [StoredSnapshotRule]) {
    let in_work = |rule: &&mut StoredSnapshotRule| matches!(rule.state, State::Applying | State::Denying);
    rules.iter_mut().filter(in_work).for_each(|rule| change(rule, State::Error, Some(BATCH_FAILED)));
}

/// Whatever waits or is in work is in error: nothing carries it to the driver any more.
pub(crate) fn give_up(rules: &mut [StoredSnapshotRule]) {
    let transient = |rule: &&mut StoredSnapshotRule| rule.state.is_transient();
    rules.iter_mut().filter(transient).for_each(|rule| change(rule, State::Error, Some(GIVEN_UP)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::share::Protocol;

    const REACH: Reach = Reach { protocol: Protocol::Nfs, has_ipv6: false };

    fn rule(address: &str, state: State) -> StoredSnapshotRule {
        StoredSnapshotRule { state, ..new_rule(&AccessTo::parse("ip", address).expect("an address")) }
    }

    fn states(rules: &[StoredSnapshotRule]) -> Vec<State> {
        rules.iter().map(|rule| rule.state).collect()
    }

    /// Contract S-01.
    #[test]
    fn two_queued_rules_are_added_beside_one_in_error_that_is_in_no_list() {
        let mut rules = vec![
            rule("10.0.0.1", State::QueuedToApply),
            rule("10.0.0.2", State::QueuedToApply),
            rule("10.0.0.3", State::Error),
        ];
        assert!(promote(&mut rules, REACH));
        let update = batch(&rules).expect("a batch");
        assert_eq!((update.rules.len(), update.add.len(), update.remove.len()), (2, 2, 0));
        settle(&mut rules);
        assert_eq!(states(&rules), [State::Active, State::Active, State::Error]);
    }

    /// Contract S-02.
    #[test]
    fn two_denied_rules_leave_nothing_in_force_and_are_gone_afterwards() {
        let mut rules = vec![rule("10.0.0.1", State::Active), rule("10.0.0.2", State::Error)];
        let ids: Vec<_> = rules.iter().map(|rule| rule.rule.id).collect();
        assert!(ids.iter().all(|id| queue_denial(&mut rules, *id)));
        assert!(!queue_denial(&mut rules, ids[0]), "it is on its way already");
        promote(&mut rules, REACH);
        let update = batch(&rules).expect("a batch");
        assert_eq!((update.rules.len(), update.add.len(), update.remove.len()), (0, 0, 2));
        settle(&mut rules);
        assert!(rules.is_empty());
    }

    /// Contract S-04.
    #[test]
    fn a_failed_batch_is_in_error_and_what_a_crash_left_is_asked_again() {
        let mut rules = vec![rule("10.0.0.1", State::Applying), rule("10.0.0.2", State::QueuedToApply)];
        assert_eq!(batch(&rules).map(|update| (update.rules.len(), update.add.len())), Some((1, 1)));
        fail(&mut rules);
        assert_eq!(states(&rules), [State::Error, State::QueuedToApply]);
        let mut left = vec![rule("10.0.0.1", State::Denying), rule("10.0.0.2", State::Active)];
        requeue(&mut left, Reapply::InWork);
        assert_eq!(states(&left), [State::QueuedToDeny, State::Active]);
        requeue(&mut left, Reapply::All);
        assert_eq!(states(&left), [State::QueuedToDeny, State::QueuedToApply]);
    }

    #[test]
    fn a_rule_that_can_never_be_in_force_is_never_sent() {
        let mut rules = vec![rule("2001:db8::1", State::QueuedToApply)];
        assert!(promote(&mut rules, REACH));
        assert!(batch(&rules).is_none());
        assert_eq!(rules[0].failure.as_deref(), Some(NO_IPV6));
    }
}
