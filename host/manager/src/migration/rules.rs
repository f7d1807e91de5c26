//! Access rules of a share on its way. All of them are sent each time: empty lists mean "make the backend equal to the rules"
//! (contract 0.3, 4).

use crate::access::list::RuleList;
use crate::access::state::{NO_IPV6, Reach};
use crate::backend::Serving;
use crate::error::ManagerError;
use crate::journal::cause_of;
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Tables};
use bulkhead_model::access::{AccessLevel, AccessRule, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{AccessRuleId, ShareId};
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::status::AccessRuleState;
use std::collections::BTreeSet;

/// Why a rule is in `error` that a backend could not apply.
const REPORTED: &str = "the backend that the share is at could not apply this rule";

/// What the rules allow at the side they are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    /// What they say.
    AsAsked,
    /// Reading only, while the data move.
    ReadOnly,
}

fn in_force(tables: &Tables, share: ShareId) -> Vec<AccessRule> {
    let Some(instance) = tables.instance_of(share) else { return Vec::new() };
    let rules = RuleList::read(tables, instance.id);
    let active = rules.iter().filter(|rule| rule.state == AccessRuleState::Active);
    active.map(|rule| rule.rule.clone()).collect()
}

/// Whether anybody may write.
pub(super) fn has_writers(tables: &Tables, share: ShareId) -> bool {
    in_force(tables, share).iter().any(|rule| rule.level == AccessLevel::Rw)
}

/// Rules that are not in force at the side they were sent to, with the reason.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) reported: BTreeSet<AccessRuleId>,
    unreachable: BTreeSet<AccessRuleId>,
}

impl Refused {
    /// Why a rule is not in force; none if it is.
    fn reason(&self, rule: AccessRuleId) -> Option<&'static str> {
        if self.unreachable.contains(&rule) {
            Some(NO_IPV6)
        } else {
            self.reported.contains(&rule).then_some(REPORTED)
        }
    }
}

/// Send all rules of the share to one side of it.
pub(super) async fn send(
    inner: &Inner,
    serving: &Serving,
    reason: &CallReason,
    (id, share): (ShareId, &ShareForDriver),
    cast: Cast,
) -> Result<Refused, CallError> {
    let (rules, metadata) = {
        let tables = inner.records.read();
        let stored = tables.share(&Scope::Everything, id);
        (in_force(&tables, id), stored.map(|share| share.metadata.clone()).unwrap_or_default())
    };
    let reach = Reach { protocol: share.protocol, has_ipv6: serving.ip_versions.contains(&IpVersion::V6) };
    let (reached, unreachable): (Vec<_>, Vec<_>) =
        rules.into_iter().partition(|rule| reach.includes(&rule.access_to));
    let level = |rule: AccessRule| match cast {
        Cast::AsAsked => rule,
        Cast::ReadOnly => AccessRule { level: AccessLevel::Ro, ..rule },
    };
    let update = AccessUpdate { rules: reached.into_iter().map(level).collect(), ..AccessUpdate::default() };
    let share = ShareForDriver { metadata, ..share.clone() };
    let outcomes = serving.driver.update_access(reason, &share, &update).await?;
    let broken = outcomes.iter().filter(|one| one.state == AccessRuleState::Error);
    Ok(Refused {
        reported: broken.map(|one| one.rule).collect(),
        unreachable: unreachable.iter().map(|rule| rule.id).collect(),
    })
}

/// Put the rules that are not in force in error. In several transactions if they are many.
pub(super) async fn take_in(
    inner: &Inner,
    operation: &Operation,
    refused: &Refused,
) -> Result<(), ManagerError> {
    loop {
        let is_complete = inner
            .transact(|tables| {
                let Some(instance) = tables.instance_of(operation.share) else {
                    return Ok(Proposal::Settled(true));
                };
                let mut rules = RuleList::read(tables, instance.id);
                let edited = rules.edit(
                    |rule| rule.state == AccessRuleState::Active && refused.reason(rule.rule.id).is_some(),
                    |rule| {
                        rule.state = AccessRuleState::Error;
                        rule.failure = refused.reason(rule.rule.id).map(str::to_owned);
                    },
                );
                if edited == 0 {
                    return Ok(Proposal::Settled(true));
                }
                let (is_complete, status, cause) = (!rules.is_full(), rules.status(), cause_of(operation));
                let mut change = Change::default();
                rules.write(&cause, &mut change);
                change.edit_instance(tables, operation.share, &cause, |instance| {
                    instance.access_rules_status = status;
                });
                Ok(Proposal::Commit(instance.placement.backend.clone(), change, is_complete))
            })
            .await?;
        if is_complete {
            return Ok(());
        }
    }
}
