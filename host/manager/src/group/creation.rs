//! Making a group: where, and what is committed for it.

use super::policy;
use super::types::{self, ShareGroupTypeView};
use super::verbs::{about, view};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{Freshness, Initiator};
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Row, Stored, Tables};
use crate::request::check_text;
use crate::runner::launch;
use crate::scheduler::{self, AskedShare, Wish};
use crate::share::new_instance;
use crate::share_server::{self, network::NetworkWish};
use crate::share_type;
use crate::view::{ShareGroupView, ShareTypeView};
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{OperationId, ShareGroupId, ShareGroupSnapshotId, ShareId, ShareNetworkId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::share_group::{GroupMember, ShareGroup, ShareGroupSnapshot};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::ShareGroupStatus;
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tracing::instrument;

/// The most share types of a group.
const MOST_TYPES: usize = 30;

/// A share group to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NewShareGroup {
    /// The tenant's name for it, at most 255 letters.
    pub display_name: Option<String>,
    /// The tenant's words about it, at most 255 letters.
    pub display_description: Option<String>,
    /// The share types its shares may have, by name or id; none takes the built-in `default`. None for a group made from a snapshot, which
    /// takes over those of the group it was taken of.
    pub share_types: Vec<String>,
    /// Its type by name or id; none takes the built-in `default`.
    pub group_type: Option<String>,
    /// The group snapshot to make it from, with all its shares; none makes an empty group.
    pub source_snapshot: Option<ShareGroupSnapshotId>,
    /// The share network its shares shall be reached through, where its types ask for share servers; none elsewhere, and for a group made
    /// from a snapshot, which is where the group is that it was taken of. Left out of the words of a repeated request if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_network: Option<ShareNetworkId>,
}

/// A group that was committed: its operation, and what was given out in its pool.
type Started = (ShareGroupId, Option<(OperationId, Placement, u64)>);

/// A request for a group, checked as far as it can be without the records.
struct Asked<'a> {
    context: &'a RequestContext,
    new: &'a NewShareGroup,
    identity: &'a Identity,
}

#[instrument(name = "share_group.create", skip_all, fields(request.id = %context.request))]
pub(super) async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShareGroup,
) -> Result<ShareGroupView, ManagerError> {
    context.require_change()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    if new.share_types.len() > MOST_TYPES {
        return Err(ManagerError::invalid("share_types", format_args!("at most {MOST_TYPES} of them")));
    }
    if !new.share_types.is_empty() && new.source_snapshot.is_some() {
        let reason = "a group made from a snapshot takes over the types of the group it was taken of";
        return Err(ManagerError::invalid("share_types", reason));
    }
    let identity = Identity::of(context, "create-share-group", &new)?;
    let asked = Asked { context, new: &new, identity: &identity };
    let _tie = inner.ties.read().await;
    let (id, started) = inner
        .transact(|tables| match (identity.first::<ShareGroupId>(tables)?, new.source_snapshot) {
            (Some(first), _) => Ok(Proposal::Settled((first, None))),
            (None, None) => propose_empty(inner, &asked, tables),
            (None, Some(source)) => propose_from_snapshot(inner, &asked, tables, source),
        })
        .await?;
    if let Some((operation, placement, gib)) = started {
        if let (Some(backend), Some(pool)) = (inner.backends.get(&placement.backend), &placement.pool) {
            backend.count_placed(pool, gib);
        }
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

fn propose_empty(
    inner: &Inner,
    asked: &Asked<'_>,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let group_type = types::find(tables, asked.new.group_type.as_deref())?;
    let share_types = share_types(tables, asked.new, &group_type)?;
    let no_specs = std::collections::BTreeMap::new();
    let network = NetworkWish {
        named: asked.new.share_network,
        inherited: None,
        extra_specs: share_types.first().map_or(&no_specs, |share_type| &share_type.extra_specs),
    };
    let share_network = share_server::network::of_new(tables, asked.context, network)?;
    let wishes: Vec<_> = share_types
        .iter()
        .map(|share_type| wish(asked.context, share_type, types::asked_capability(&group_type.group_specs)))
        .collect();
    let placement = scheduler::choose_for_all(inner, tables, &wishes)?;
    inner.admit(tables, &placement.backend)?;
    let mut group = new_group(asked, &group_type, placement);
    group.share_network = share_network;
    group.share_types = share_types.into_iter().map(|share_type| share_type.id).collect();
    let verb = Verb::CreateShareGroup { group: group.id };
    let mut change = Change::default();
    Ok(commit(inner, asked, tables, (group, verb, 0), &mut change))
}

/// The share types of a new group, each once. They agree on share servers, and the group's type has all of them.
fn share_types(
    tables: &Tables,
    new: &NewShareGroup,
    group_type: &ShareGroupTypeView,
) -> Result<Vec<ShareTypeView>, ManagerError> {
    let mut found: Vec<ShareTypeView> = Vec::new();
    if new.share_types.is_empty() {
        found.push(share_type::find(tables, None)?);
    }
    for wanted in &new.share_types {
        let share_type = share_type::find(tables, Some(wanted))?;
        if !found.iter().any(|known| known.id == share_type.id) {
            found.push(share_type);
        }
    }
    if let Some(foreign) = found.iter().find(|one| !group_type.share_types.contains(&one.id)) {
        let reason = format_args!("the group's type '{}' does not have '{}'", group_type.name, foreign.name);
        return Err(ManagerError::invalid("share_types", reason));
    }
    let builds_servers =
        |share_type: &ShareTypeView| share_type::specs::wants_share_servers(&share_type.extra_specs);
    if let Some(first) = found.first()
        && found.iter().any(|one| builds_servers(one) != builds_servers(first))
    {
        let reason = "all of them agree on driver_handles_share_servers";
        return Err(ManagerError::invalid("share_types", reason));
    }
    Ok(found)
}

/// What the scheduler is asked for each type of an empty group: room for the smallest share, whatever its protocol.
fn wish(context: &RequestContext, share_type: &ShareTypeView, asked: Option<(String, String)>) -> Wish {
    let specs = share_type::kept_specs(share_type);
    Wish {
        beside: None,
        group: None,
        needs: share_type::needs(&specs).with_capability(asked),
        replica: None,
        asked: AskedShare {
            size: Gibibytes::SMALLEST,
            protocol: None,
            project: context.actor.project.clone(),
            user: context.actor.user.clone(),
            share_type: share_type.id,
            source_snapshot: None,
            extra_specs: specs,
        },
    }
}

fn new_group(asked: &Asked<'_>, group_type: &ShareGroupTypeView, placement: Placement) -> ShareGroup {
    let now = Timestamp::now();
    ShareGroup {
        id: ShareGroupId::random(),
        project: asked.context.actor.project.clone(),
        user: asked.context.actor.user.clone(),
        display_name: asked.new.display_name.clone(),
        display_description: asked.new.display_description.clone(),
        status: ShareGroupStatus::Creating,
        placement,
        share_network: None,
        share_server: None,
        group_type: group_type.id,
        group_specs: group_type.group_specs.clone(),
        share_types: Vec::new(),
        source_snapshot: asked.new.source_snapshot,
        consistency: None,
        created_at: now,
        updated_at: now,
    }
}

/// Put the group and its operation into `change`, beside what is there already.
fn commit(
    inner: &Inner,
    asked: &Asked<'_>,
    tables: &Tables,
    (group, verb, gib): (ShareGroup, Verb, u64),
    change: &mut Change,
) -> Proposal<Started> {
    let operation = inner.new_operation(verb, about(&group), &asked.context.request);
    let cause = Initiator::of(asked.context).cause(operation.id);
    let words = format_args!("none -> creating, on {}", group.placement.backend);
    change.note(&cause, format_args!("share-group/{}", group.id), words);
    asked.identity.remember(tables, change, group.id);
    let started = (group.id, Some((operation.id, group.placement.clone(), gib)));
    let backend = group.placement.backend.clone();
    change.insert(Row::Group(group));
    change.insert(Row::Operation(operation));
    Proposal::Commit(backend, std::mem::take(change), started)
}

/// A group beside the one its snapshot was taken of: with a share for each member, all of them inherited, none placed on its own.
fn propose_from_snapshot(
    inner: &Inner,
    asked: &Asked<'_>,
    tables: &Tables,
    id: ShareGroupSnapshotId,
) -> Result<Proposal<Started>, ManagerError> {
    let missing = || ManagerError::not_found("share group snapshot", id);
    let source = tables.group_snapshot(&asked.context.scope(), id).ok_or_else(missing)?;
    let parent = tables.group(&Scope::Everything, source.group).ok_or_else(missing)?;
    policy::create_from(source.status)?;
    let group_type = types::find(tables, asked.new.group_type.as_deref())?;
    if parent.share_types.iter().any(|one| !group_type.share_types.contains(one)) {
        let reason = format_args!("'{}' does not have all share types of the source", group_type.name);
        return Err(ManagerError::invalid("share_group_type_id", reason));
    }
    let asked_unit = types::asked_consistency(&group_type.group_specs);
    if asked_unit.is_some_and(|unit| !parent.consistency.is_some_and(|has| has.includes(unit))) {
        let reason =
            format_args!("'{}' asks for consistent snapshots, which the source lacks", group_type.name);
        return Err(ManagerError::invalid("share_group_type_id", reason));
    }
    if asked.new.share_network.is_some() && asked.new.share_network != parent.share_network {
        return Err(Denial::OtherNetwork { of: "the group that the snapshot was taken of" }.into());
    }
    share_server::network::require_at_rest(tables, (parent.share_network, parent.share_server))?;
    let members = originals(inner, tables, source, parent)?;
    let gib = members.iter().fold(0_u64, |sum, (member, _)| sum.saturating_add(member.size.get()));
    let placement = place_beside(inner, asked, tables, (parent, gib))?;
    inner.admit(tables, &placement.backend)?;
    let mut group = new_group(asked, &group_type, placement);
    group.share_types.clone_from(&parent.share_types);
    group.share_network = parent.share_network;
    group.share_server = parent.share_server;
    let mut change = Change::default();
    let cause = super::verbs::by_hand(asked.context);
    for (member, original) in members {
        let share = made_from(&group, member, original);
        let words = format_args!("none -> creating, {} in group {}", share.size, group.id);
        change.note(&cause, format_args!("share/{}", share.id), words);
        change.insert(Row::Instance(ShareInstance {
            share_network: group.share_network,
            share_server: group.share_server,
            ..new_instance(&share, &group.placement)
        }));
        change.insert(Row::Share(share));
    }
    // The source's turnstile: it is not deleted between this look and the commit. Neither is the server.
    change.edit_group_snapshot(tables, id, &cause, |_| {});
    if let Some(server) = group.share_server {
        change.edit_server(tables, server, &cause, |_| {});
    }
    let verb = Verb::CreateShareGroupFromSnapshot { group: group.id, group_snapshot: id };
    Ok(commit(inner, asked, tables, (group, verb, gib), &mut change))
}

type Original<'a> = (&'a GroupMember, &'a Stored<Share>);

/// The members with the shares they were taken of, all of which can be made from snapshots by the backend of today.
fn originals<'a>(
    inner: &Inner,
    tables: &'a Tables,
    source: &'a ShareGroupSnapshot,
    parent: &ShareGroup,
) -> Result<Vec<Original<'a>>, ManagerError> {
    let backend = &parent.placement.backend;
    let abilities = inner.loaded(tables, backend)?.abilities;
    let has_groups = abilities.has(Ability::ShareGroups);
    let mut found = Vec::with_capacity(source.members.len());
    for member in &source.members {
        let missing = || ManagerError::not_found("share", member.share);
        let share = tables.share(&Scope::Everything, member.share).ok_or_else(missing)?;
        if !has_groups && !share.support.create_share_from_snapshot {
            return Err(Denial::NotOffered { what: "shares from snapshots" }.into());
        }
        found.push((member, share));
    }
    let can = has_groups || abilities.has(Ability::ShareFromSnapshot);
    if !found.is_empty() && !can {
        return Err(ManagerError::Unsupported { backend: backend.clone(), what: "shares from snapshots" });
    }
    Ok(found)
}

fn place_beside(
    inner: &Inner,
    asked: &Asked<'_>,
    tables: &Tables,
    (parent, gib): (&ShareGroup, u64),
) -> Result<Placement, ManagerError> {
    let Ok(size) = Gibibytes::new(gib.max(1)) else {
        return Err(ManagerError::invalid("source_share_group_snapshot_id", "its shares are too large"));
    };
    let share_type = share_type::find(tables, None)?;
    let mut wish = wish(asked.context, &share_type, None);
    wish.needs = wish.needs.on_servers(parent.share_network.is_some().into());
    wish.beside = Some(parent.placement.clone());
    wish.asked.size = size;
    scheduler::choose(inner, tables, &wish)
}

fn made_from(group: &ShareGroup, member: &GroupMember, original: &Share) -> Share {
    Share {
        id: ShareId::random(),
        project: group.project.clone(),
        user: group.user.clone(),
        size: member.size,
        display_name: None,
        display_description: None,
        metadata: Default::default(),
        source_snapshot: None,
        rules_home: None,
        group: Some(group.id),
        source_member: Some(member.id),
        task_state: None,
        migration: None,
        created_at: group.created_at,
        updated_at: group.updated_at,
        ..original.clone()
    }
}
