//! Access rules of mountable snapshots: allowing and denying, always read only.
//!
//! As for shares a request only queues a rule, and one operation for each snapshot carries the queue to the driver in batches. The rules
//! stand in the record of the snapshot's instance, which is therefore the turnstile of its queue. The states stand in [`state`].

pub(crate) mod state;
pub(crate) mod update;

use crate::access::state::Reach;
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, End, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::{self, ability_of};
use crate::records::{Cause, Change, Row, Stored, Tables};
use crate::runner::launch;
use crate::share::require_ability;
use crate::share_server::network_change;
use bulkhead_model::access::AccessTo;
use bulkhead_model::id::{AccessRuleId, OperationId, SnapshotId};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance, StoredSnapshotRule};
use bulkhead_model::statistics::IpVersion;
use std::sync::Arc;
use tracing::instrument;

/// The most rules of one snapshot: with the longest names they fit the record of its instance.
pub(crate) const MOST_RULES: usize = 100;

impl Manager {
    /// Let somebody mount a snapshot, read only. The rule is `queued_to_apply` on return.
    ///
    /// Fails with [`Denial::NotOffered`] unless the share's snapshots are mountable, with [`Denial::DuplicateRule`], with
    /// [`Denial::NoIpv6`], with [`ManagerError::LimitExceeded`] at 100 rules, and while the snapshot is not `available`.
    pub async fn allow_snapshot_access(
        &self,
        context: &RequestContext,
        snapshot: SnapshotId,
        access_to: AccessTo,
    ) -> Result<StoredSnapshotRule, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| allow(&inner, &context, snapshot, &access_to).await).await
    }

    /// Take a rule of a snapshot away; it is gone once the driver has answered. Well if it is on its way out already.
    pub async fn deny_snapshot_access(
        &self,
        context: &RequestContext,
        snapshot: SnapshotId,
        rule: AccessRuleId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| deny(&inner, &context, snapshot, rule).await).await
    }
}

/// A snapshot with everything that a decision about its rules needs.
struct Found<'a> {
    snapshot: &'a Stored<Snapshot>,
    instance: &'a Stored<SnapshotInstance>,
    share: &'a Stored<Share>,
    placement: &'a Placement,
    share_instance: &'a ShareInstance,
}

fn find<'a>(tables: &'a Tables, scope: &Scope, id: SnapshotId) -> Result<Found<'a>, ManagerError> {
    let missing = || ManagerError::not_found("snapshot", id);
    let snapshot = tables.snapshot(scope, id).ok_or_else(missing)?;
    let instance = tables.snapshot_instance_of(id).ok_or_else(missing)?;
    let share = tables.share(&Scope::Everything, snapshot.share).ok_or_else(missing)?;
    let share_instance = &*tables.instance(instance.share_instance).ok_or_else(missing)?.value;
    Ok(Found { snapshot, instance, share, placement: &share_instance.placement, share_instance })
}

#[instrument(name = "snapshot.allow", skip_all, fields(request.id = %context.request, snapshot.id = %id))]
async fn allow(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
    access_to: &AccessTo,
) -> Result<StoredSnapshotRule, ManagerError> {
    context.require_change()?;
    let identity = Identity::of(context, "allow-snapshot-access", &(id, access_to))?;
    let (rule, operation) = inner
        .transact(|tables| {
            if let Some(first) = identity.first::<AccessRuleId>(tables)? {
                return Ok(Proposal::Settled((first, None)));
            }
            let found = find(tables, &context.scope(), id)?;
            operation::change_snapshot_access(found.share.support, found.instance.status)?;
            network_change::require_no_change(tables, found.snapshot.share)?;
            require_ability(
                inner,
                tables,
                found.placement,
                ability_of(&Verb::UpdateSnapshotAccess { snapshot: id }),
            )?;
            check_new(inner, &found, access_to)?;
            let rule = state::new_rule(access_to);
            let rule_id = rule.rule.id;
            let mut rules = found.instance.access_rules.clone();
            rules.push(rule);
            let (mut change, operation) = enqueue(inner, tables, &found, rules, &Initiator::of(context))?;
            identity.remember(tables, &mut change, rule_id);
            Ok(Proposal::Commit(found.placement.backend.clone(), change, (rule_id, Some(operation))))
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Repeat);
    }
    let tables = inner.records.read();
    let found = find(&tables, &Scope::Everything, id)?;
    let rule_of = |stored: &&StoredSnapshotRule| stored.rule.id == rule;
    let stored = found.instance.access_rules.iter().find(rule_of).cloned();
    stored.ok_or_else(|| ManagerError::not_found("access rule", rule))
}

fn check_new(inner: &Inner, found: &Found<'_>, access_to: &AccessTo) -> Result<(), ManagerError> {
    let rules = &found.instance.access_rules;
    if let Some(twin) = rules.iter().find(|rule| rule.rule.access_to == *access_to) {
        return Err(Denial::DuplicateRule { rule: twin.rule.id }.into());
    }
    if rules.len() >= MOST_RULES {
        return Err(ManagerError::LimitExceeded { what: "access rules of one snapshot", limit: MOST_RULES });
    }
    if let Some(serving) = inner.serving(&found.placement.backend) {
        let has_ipv6 = serving.ip_versions.contains(&IpVersion::V6);
        if !(Reach { protocol: found.share.protocol, has_ipv6 }).includes(access_to) {
            return Err(Denial::NoIpv6.into());
        }
    }
    Ok(())
}

#[instrument(name = "snapshot.deny", skip_all, fields(request.id = %context.request, snapshot.id = %id, access_rule.id = %rule))]
async fn deny(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: SnapshotId,
    rule: AccessRuleId,
) -> Result<(), ManagerError> {
    context.require_change()?;
    let operation = inner
        .transact(|tables| {
            let found = find(tables, &context.scope(), id)?;
            let mut rules = found.instance.access_rules.clone();
            if !rules.iter().any(|stored| stored.rule.id == rule) {
                return Err(ManagerError::not_found("access rule", rule));
            }
            operation::change_snapshot_access(found.share.support, found.instance.status)?;
            network_change::require_no_change(tables, found.snapshot.share)?;
            if !state::queue_denial(&mut rules, rule) {
                return Ok(Proposal::Settled(None));
            }
            let (change, operation) = enqueue(inner, tables, &found, rules, &Initiator::of(context))?;
            Ok(Proposal::Commit(found.placement.backend.clone(), change, Some(operation)))
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Repeat);
    }
    Ok(())
}

fn at_work<'a>(
    tables: &'a Tables,
    snapshot: &Snapshot,
) -> impl Iterator<Item = &'a Stored<Operation>> + use<'a> {
    let verb = Verb::UpdateSnapshotAccess { snapshot: snapshot.id };
    tables.unfinished_of_share(snapshot.share).filter(move |one| one.verb == verb)
}

/// The change that writes queued rules with the operation that carries them: the one at work already, or a new one.
fn enqueue(
    inner: &Inner,
    tables: &Tables,
    found: &Found<'_>,
    rules: Vec<StoredSnapshotRule>,
    initiator: &Initiator,
) -> Result<(Change, OperationId), ManagerError> {
    let mut change = Change::default();
    let snapshot = found.snapshot;
    let at_work = at_work(tables, snapshot).next().map(|operation| operation.id);
    let operation = match at_work {
        Some(operation) => operation,
        None => {
            let backend = found.placement.backend.clone();
            if initiator.is_refusable() {
                inner.admit(tables, &backend)?;
            }
            let about = About { share: snapshot.share, project: snapshot.project.clone(), backend };
            let verb = Verb::UpdateSnapshotAccess { snapshot: snapshot.id };
            let operation = inner.new_operation(verb, about, &initiator.request);
            let id = operation.id;
            change.insert(Row::Operation(operation));
            id
        }
    };
    let cause = initiator.cause(operation);
    if found.share_instance.share_server.is_some() {
        // A change of the server's network that begins at the same time sees this one, or is seen.
        change.touch_instance(tables, found.share_instance.id);
    }
    write(tables, snapshot.id, rules, &cause, &mut change);
    Ok((change, operation))
}

/// Write the rules of a snapshot, with the ledger's words.
pub(crate) fn write(
    tables: &Tables,
    snapshot: SnapshotId,
    rules: Vec<StoredSnapshotRule>,
    cause: &Cause,
    change: &mut Change,
) {
    let Some(instance) = tables.snapshot_instance_of(snapshot) else { return };
    for before in &instance.access_rules {
        let after = rules.iter().find(|rule| rule.rule.id == before.rule.id).map(|rule| rule.state);
        if after != Some(before.state) {
            let after = after.map_or("none", |state| state.as_str());
            let words = format_args!("{} -> {after}", before.state);
            change.note(cause, format_args!("snapshot-access/{}", before.rule.id), words);
        }
    }
    let is_new = |rule: &&StoredSnapshotRule| {
        instance.access_rules.iter().all(|before| before.rule.id != rule.rule.id)
    };
    for rule in rules.iter().filter(is_new) {
        let words = format_args!("none -> {}", rule.state);
        change.note(cause, format_args!("snapshot-access/{}", rule.rule.id), words);
    }
    change.edit_snapshot_instance(tables, snapshot, cause, |instance| instance.access_rules = rules);
}

/// A running update of a snapshot's rules has no point any more: the snapshot goes, or its update was given up for it. Its call, if one is
/// out, holds the gate that the removal waits for, and its answer is dropped.
pub(crate) fn supersede(inner: &Inner, tables: &Tables, snapshot: &Snapshot, change: &mut Change) {
    for operation in at_work(tables, snapshot) {
        inner.end(tables, change, &operation.value, End::well());
    }
}

/// Queue the rules in force of all mountable snapshots of a share again: the driver has lost them. Each in a transaction of its own; what
/// fails is logged, and queued by the next ensuring.
pub(crate) async fn reapply(inner: &Arc<Inner>, share: bulkhead_model::id::ShareId) {
    let snapshots: Vec<SnapshotId> = {
        let tables = inner.records.read();
        tables.snapshots_of(share).map(|snapshot| snapshot.id).collect()
    };
    for id in snapshots {
        let queued = inner
            .transact(|tables| {
                let found = find(tables, &Scope::Everything, id)?;
                let mut rules = found.instance.access_rules.clone();
                state::requeue(&mut rules, crate::access::state::Reapply::All);
                let is_left = rules.is_empty()
                    || found.instance.status.is_transient()
                    || network_change::in_flight_under(tables, found.snapshot.share).is_some();
                if is_left || !state::has_queued(&rules) {
                    return Ok(Proposal::Settled(None));
                }
                let initiator = Initiator::host("ensure");
                let (change, operation) = enqueue(inner, tables, &found, rules, &initiator)?;
                Ok(Proposal::Commit(found.placement.backend.clone(), change, Some(operation)))
            })
            .await;
        match queued {
            Ok(Some(operation)) => launch(inner, operation, Freshness::Repeat),
            // Gone meanwhile.
            Ok(None) | Err(ManagerError::NotFound { .. }) => {}
            Err(error) => {
                tracing::error!(snapshot.id = %id, "the snapshot's access rules were not queued again: {error}");
            }
        }
    }
}
