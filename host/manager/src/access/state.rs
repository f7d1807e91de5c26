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
const NO_IPV6: &str = "the backend does not export over IPv6";
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

/// Whatever waits or is in work is in error: nothing carries it to the driver any more.
pub(crate) fn give_up(rules: &mut RuleList) {
    rules.edit(
        |rule| rule.state.is_transient(),
        |rule| {
            rule.state = State::Error;
            rule.failure = Some(GIVEN_UP.to_owned());
        },
    );
}
