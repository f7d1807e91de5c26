//! `update-access`, and the older way rule by rule for drivers that export only that (contract A-16).

use super::Generation;
use crate::bindings::convert::access::{outcomes_from_wit, rule_to_wit, update_to_wit};
use crate::bindings::convert::server::with_server;
use crate::bindings::v0_1::bulkhead::driver::types::{Share, ShareServer};
use crate::export::{AllowAccess, DenyAccess, UpdateAccess};
use crate::target;
use bulkhead_model::ability::Ability;
use bulkhead_model::access::{AccessOutcome, AccessRule, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::status::AccessRuleState;
use bulkhead_model::target::CallTarget;

impl Generation {
    pub(super) async fn update_access_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError> {
        let abilities = self.caller.component.abilities();
        let has_older_way = abilities.has(Ability::AccessByRule);
        if abilities.has(Ability::Access) {
            let ((wit_share, server), wit_update) = (with_server(share), update_to_wit(update));
            let outcome = self
                .call_at_with_keys::<UpdateAccess, _>(
                    share.server.as_ref(),
                    (reason, target::access(share, update)),
                    (&wit_share, &wit_update, server.as_ref()),
                    |(_, keys), outcomes| outcomes_from_wit(update, outcomes, keys),
                )
                .await;
            match outcome {
                Err(error) if error.is_not_implemented() && has_older_way => {}
                outcome => return outcome,
            }
        } else if !has_older_way {
            return Err(CallError::NotExported { interface: Ability::Access.interface() });
        }
        let (share, server, target) = {
            let (wit_share, server) = with_server(share);
            (wit_share, server, target::access(share, update))
        };
        let one_by_one = ByRule { generation: self, reason, share, server, target };
        one_by_one.update(update).await
    }
}

/// The calls for single rules that make up one update.
struct ByRule<'call> {
    generation: &'call Generation,
    reason: &'call CallReason,
    share: Share,
    server: Option<ShareServer>,
    target: CallTarget,
}

impl ByRule<'_> {
    /// First every rule to allow, then every rule to deny; the first failure ends it. A changed level is taken away and given anew,
    /// for a rule that is in force may be left as it is. With nothing to change all rules are given again.
    async fn update(&self, update: &AccessUpdate) -> Result<Vec<AccessOutcome>, CallError> {
        let is_synchronisation =
            update.add.is_empty() && update.remove.is_empty() && update.update.is_empty();
        let new = if is_synchronisation { &update.rules } else { &update.add };
        let mut outcomes = Vec::new();
        for rule in new {
            self.allow(rule).await?;
            outcomes.push(active(rule));
        }
        for rule in &update.update {
            self.deny(rule).await?;
            self.allow(rule).await?;
            outcomes.push(active(rule));
        }
        for rule in &update.remove {
            self.deny(rule).await?;
        }
        Ok(outcomes)
    }

    async fn allow(&self, rule: &AccessRule) -> Result<(), CallError> {
        let (target, rule) = (self.target.clone(), rule_to_wit(rule));
        let arguments = (&self.share, &rule, self.server.as_ref());
        self.generation.call::<AllowAccess, _>(self.reason, target, arguments, Ok).await
    }

    async fn deny(&self, rule: &AccessRule) -> Result<(), CallError> {
        let (target, rule) = (self.target.clone(), rule_to_wit(rule));
        let arguments = (&self.share, &rule, self.server.as_ref());
        self.generation.call::<DenyAccess, _>(self.reason, target, arguments, Ok).await
    }
}

const fn active(rule: &AccessRule) -> AccessOutcome {
    AccessOutcome { rule: rule.id, state: AccessRuleState::Active, access_key: None }
}
