//! Access rules of shares: allowing, denying, changing the level.
//!
//! A request only queues a rule, and answers. One operation for each share carries the queue to the driver in batches; requests that
//! come while a batch is out join the queue of the same operation. The states stand in [`state`].

#[cfg(test)]
mod cases;
pub(crate) mod list;
#[cfg(test)]
mod sample;
pub(crate) mod state;
pub(crate) mod update;

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation;
use crate::records::{Cause, Change, Row, Tables};
use crate::request::{NewAccessRule, check_metadata};
use crate::runner::launch;
use crate::share::find;
use crate::share_server::network_change;
use crate::view::StoredAccessRule;
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessRule};
use bulkhead_model::id::{AccessMappingId, AccessRuleId, OperationId, ShareId, ShareInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::status::AccessRuleState;
use bulkhead_model::time::Timestamp;
use list::RuleList;
use state::{GivenUp, Reach};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

impl Manager {
    /// Allow somebody in. The rule is `queued_to_apply` on return.
    ///
    /// Fails with [`Denial::DuplicateRule`], with [`Denial::NoIpv6`], with [`ManagerError::LimitExceeded`] at 4,000 rules, and while
    /// the share's status does not allow it.
    pub async fn allow_access(
        &self,
        context: &RequestContext,
        share: ShareId,
        new: NewAccessRule,
    ) -> Result<StoredAccessRule, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| allow(&inner, &context, share, new).await).await
    }

    /// Take a rule away; it is gone once the driver has answered. Well if it is on its way out already.
    pub async fn deny_access(
        &self,
        context: &RequestContext,
        share: ShareId,
        rule: AccessRuleId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| {
            let denial = |rules: &mut RuleList| {
                let on_its_way = [AccessRuleState::QueuedToDeny, AccessRuleState::Denying];
                if rules.iter().any(|one| one.rule.id == rule && on_its_way.contains(&one.state)) {
                    return Wish::Nothing;
                }
                state::queue_denial(rules, rule);
                Wish::Queued
            };
            change_rule(&inner, &context, share, rule, denial).await
        })
        .await
    }

    /// Change what a rule allows. The rule is `queued_to_update` on return. Well if it allows just that.
    pub async fn change_access_level(
        &self,
        context: &RequestContext,
        share: ShareId,
        rule: AccessRuleId,
        level: AccessLevel,
    ) -> Result<StoredAccessRule, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| {
            let new_level = |rules: &mut RuleList| {
                let known =
                    rules.iter().find(|one| one.rule.id == rule).map(|one| (one.rule.level, one.state));
                match known {
                    Some((_, AccessRuleState::QueuedToDeny | AccessRuleState::Denying)) => {
                        return Wish::Refused(Denial::RuleLeaving);
                    }
                    Some((same, state)) if same == level && state != AccessRuleState::Error => {
                        return Wish::Nothing;
                    }
                    _ => {}
                }
                state::queue_level(rules, rule, level);
                Wish::Queued
            };
            change_rule(&inner, &context, share, rule, new_level).await?;
            show(&inner.records.read(), &Scope::Everything, rule)
        })
        .await
    }

    /// Replace the metadata of a rule. No backend learns of it.
    pub async fn update_access_metadata(
        &self,
        context: &RequestContext,
        rule: AccessRuleId,
        metadata: BTreeMap<String, String>,
    ) -> Result<StoredAccessRule, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_metadata(&inner, &context, rule, metadata).await).await
    }

    /// The rules of a share, in the order they were asked for. Fails with [`ManagerError::NotFound`].
    pub fn list_access_rules(
        &self,
        scope: &Scope,
        share: ShareId,
    ) -> Result<Vec<StoredAccessRule>, ManagerError> {
        let tables = self.inner.records.read();
        let (_, instance) = find(&tables, scope, share)?;
        Ok(RuleList::read(&tables, instance.id).iter().cloned().collect())
    }

    /// A rule inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_access_rule(
        &self,
        scope: &Scope,
        rule: AccessRuleId,
    ) -> Result<StoredAccessRule, ManagerError> {
        show(&self.inner.records.read(), scope, rule)
    }
}

fn show(tables: &Tables, scope: &Scope, id: AccessRuleId) -> Result<StoredAccessRule, ManagerError> {
    tables
        .rule_place(id)
        .and_then(|chunk| chunk.rules.iter().find(|rule| rule.rule.id == id))
        .filter(|rule| scope.contains(&rule.project))
        .cloned()
        .ok_or_else(|| ManagerError::not_found("access rule", id))
}

#[instrument(name = "access.allow", skip_all, fields(request.id = %context.request, share.id = %share))]
async fn allow(
    inner: &Arc<Inner>,
    context: &RequestContext,
    share: ShareId,
    new: NewAccessRule,
) -> Result<StoredAccessRule, ManagerError> {
    context.require_change()?;
    check_metadata(&new.metadata, list::METADATA_BYTES)?;
    let identity = Identity::of(context, "allow-access", &(share, &new))?;
    let (id, operation) = inner
        .transact(|tables| {
            if let Some(first) = identity.first::<AccessRuleId>(tables)? {
                return Ok(Proposal::Settled((first, None)));
            }
            let (share, instance) = find(tables, &context.scope(), share)?;
            operation::change_access(instance.status)?;
            network_change::require_no_change(tables, share.id)?;
            let mut rules = RuleList::read(tables, instance.id);
            check_new(inner, share, instance, &rules, &new)?;
            let rule = new_rule(share, &new);
            let id = rule.rule.id;
            rules.push(rule);
            let (mut change, operation) = enqueue(inner, tables, share, rules, &Initiator::of(context))?;
            identity.remember(tables, &mut change, id);
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, (id, Some(operation))))
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Repeat);
    }
    show(&inner.records.read(), &Scope::Everything, id)
}

fn check_new(
    inner: &Inner,
    share: &Share,
    instance: &ShareInstance,
    rules: &RuleList,
    new: &NewAccessRule,
) -> Result<(), ManagerError> {
    if let Some(twin) = rules.iter().find(|rule| rule.rule.access_to == new.access_to) {
        return Err(Denial::DuplicateRule { rule: twin.rule.id }.into());
    }
    if rules.len() >= list::MOST_RULES {
        return Err(ManagerError::LimitExceeded {
            what: "access rules of one share",
            limit: list::MOST_RULES,
        });
    }
    let serving = inner.backends.get(&instance.placement.backend).and_then(|backend| backend.serving());
    if let Some(serving) = serving {
        let has_ipv6 = serving.ip_versions.contains(&IpVersion::V6);
        if !(Reach { protocol: share.protocol, has_ipv6 }).includes(&new.access_to) {
            return Err(Denial::NoIpv6.into());
        }
    }
    Ok(())
}

fn new_rule(share: &Share, new: &NewAccessRule) -> StoredAccessRule {
    let now = Timestamp::now();
    StoredAccessRule {
        rule: AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: new.access_to.clone(),
            level: new.level,
        },
        share: share.id,
        project: share.project.clone(),
        state: AccessRuleState::QueuedToApply,
        access_key: None,
        failure: None,
        metadata: new.metadata.clone(),
        created_at: now,
        updated_at: now,
    }
}

/// What a request does to the rules.
enum Wish {
    Queued,
    Nothing,
    Refused(Denial),
}

#[instrument(name = "access.change", skip_all, fields(request.id = %context.request, share.id = %share, access_rule.id = %rule))]
async fn change_rule(
    inner: &Arc<Inner>,
    context: &RequestContext,
    share: ShareId,
    rule: AccessRuleId,
    wish: impl Fn(&mut RuleList) -> Wish,
) -> Result<(), ManagerError> {
    context.require_change()?;
    let operation = inner
        .transact(|tables| {
            let (share, instance) = find(tables, &context.scope(), share)?;
            let mut rules = RuleList::read(tables, instance.id);
            if !rules.iter().any(|one| one.rule.id == rule) {
                return Err(ManagerError::not_found("access rule", rule));
            }
            operation::change_access(instance.status)?;
            network_change::require_no_change(tables, share.id)?;
            match wish(&mut rules) {
                Wish::Nothing => return Ok(Proposal::Settled(None)),
                Wish::Refused(denial) => return Err(denial.into()),
                Wish::Queued => {}
            }
            let (change, operation) = enqueue(inner, tables, share, rules, &Initiator::of(context))?;
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, Some(operation)))
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Repeat);
    }
    Ok(())
}

/// The change that writes queued rules with the operation that carries them: the one at work already, or a new one. The host's own
/// wishes are never refused for a full queue: nobody would ask again.
pub(crate) fn enqueue(
    inner: &Inner,
    tables: &Tables,
    share: &Share,
    rules: RuleList,
    initiator: &Initiator,
) -> Result<(Change, OperationId), ManagerError> {
    let mut change = Change::default();
    let at_work = tables.unfinished_of_share(share.id).find(|one| one.verb == Verb::UpdateAccess);
    let operation = match at_work {
        Some(operation) => operation.id,
        None => {
            let (_, instance) = find(tables, &Scope::Everything, share.id)?;
            let backend = instance.placement.backend.clone();
            if initiator.is_refusable() {
                inner.admit(tables, &backend)?;
            }
            let about = About { share: share.id, project: share.project.clone(), backend };
            let operation = inner.new_operation(Verb::UpdateAccess, about, &initiator.request);
            let id = operation.id;
            change.insert(Row::Operation(operation));
            id
        }
    };
    let cause = initiator.cause(operation);
    let status = rules.status();
    rules.write(&cause, &mut change);
    change.edit_instance(tables, share.id, &cause, |instance| instance.access_rules_status = status);
    Ok((change, operation))
}

/// If rules of an instance are queued without an operation, begin one, as a repair.
pub(crate) async fn start_if_queued(inner: &Arc<Inner>, instance: ShareInstanceId, task: &'static str) {
    let initiator = Initiator::host(task);
    let started = inner
        .transact(|tables| {
            let Some(instance) = tables.instance(instance) else { return Ok(Proposal::Settled(None)) };
            let rules = RuleList::read(tables, instance.id);
            if !state::has_queued(&rules) {
                return Ok(Proposal::Settled(None));
            }
            let (share, instance) = find(tables, &Scope::Everything, instance.share)?;
            let (change, operation) = enqueue(inner, tables, share, rules, &initiator)?;
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, Some(operation)))
        })
        .await;
    match started {
        Ok(Some(operation)) => launch(inner, operation, Freshness::Repeat),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(share_instance.id = %instance, "queued access rules found no operation: {error}");
        }
    }
}

/// Give up rules of a share. In several transactions if they are many.
pub(crate) async fn give_up(
    inner: &Inner,
    share: ShareId,
    which: GivenUp,
    cause: &Cause,
) -> Result<(), ManagerError> {
    loop {
        let is_complete = inner
            .transact(|tables| {
                let Some(instance) = tables.instance_of(share) else { return Ok(Proposal::Settled(true)) };
                let mut rules = RuleList::read(tables, instance.id);
                if !rules.iter().any(|rule| which.includes(rule.state)) {
                    return Ok(Proposal::Settled(true));
                }
                state::give_up(&mut rules, which);
                let is_complete = !rules.is_full();
                let status = rules.status();
                let mut change = Change::default();
                rules.write(cause, &mut change);
                change.edit_instance(tables, share, cause, |instance| instance.access_rules_status = status);
                Ok(Proposal::Commit(instance.placement.backend.clone(), change, is_complete))
            })
            .await?;
        if is_complete {
            return Ok(());
        }
    }
}

/// Whether everything that a driver said of rules was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reported {
    /// It was.
    Wholly,
    /// One transaction takes no more: the same again takes in more of it.
    InPart,
}

/// Take in what a driver said of rules in force on an instance, in a call that was not about them alone.
pub(crate) fn report(
    tables: &Tables,
    instance: ShareInstanceId,
    outcomes: &[AccessOutcome],
    (cause, change): (&Cause, &mut Change),
) -> Reported {
    let mut rules = RuleList::read(tables, instance);
    state::report(&mut rules, outcomes);
    let (status, is_full) = (rules.status(), rules.is_full());
    rules.write(cause, change);
    change.edit_replica(tables, instance, cause, |instance| instance.access_rules_status = status);
    if is_full { Reported::InPart } else { Reported::Wholly }
}

/// The same in the transaction that ends the operation, for rules that were queued after [`give_up`].
pub(crate) fn give_up_late(tables: &Tables, share: ShareId, cause: &Cause, change: &mut Change) {
    let Some(instance) = tables.instance_of(share) else { return };
    let mut rules = RuleList::read(tables, instance.id);
    state::give_up(&mut rules, GivenUp::OnTheWay);
    let status = rules.status();
    rules.write(cause, change);
    // The turnstile, even if nothing joined: who joins the queue of this operation from now on finds it ended.
    change.edit_instance(tables, share, cause, |instance| instance.access_rules_status = status);
}

#[instrument(name = "access.update", skip_all, fields(request.id = %context.request, access_rule.id = %id))]
async fn change_metadata(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: AccessRuleId,
    metadata: BTreeMap<String, String>,
) -> Result<StoredAccessRule, ManagerError> {
    context.require_change()?;
    check_metadata(&metadata, list::METADATA_BYTES)?;
    inner
        .transact(|tables| {
            let rule = show(tables, &context.scope(), id)?;
            let (_, instance) = find(tables, &Scope::Everything, rule.share)?;
            let mut rules = RuleList::read(tables, instance.id);
            rules.edit(|one| one.rule.id == id, |one| one.metadata.clone_from(&metadata));
            let cause = Cause {
                actor: context.actor.user.to_string(),
                request: context.request.clone(),
                operation: None,
            };
            let mut change = Change::default();
            rules.write(&cause, &mut change);
            change.edit_instance(tables, rule.share, &cause, |_| {});
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await?;
    show(&inner.records.read(), &Scope::Everything, id)
}
