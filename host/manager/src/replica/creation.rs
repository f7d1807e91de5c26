//! Making a replica: where, and what is committed for it.

use super::twin;
use super::verbs::{NewReplica, view};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Row, Tables};
use crate::runner::launch;
use crate::scheduler::{self, AskedShare, ReplicaWish, Wish};
use crate::share::{self, facts};
use crate::share_type;
use crate::view::ShareReplicaView;
use bulkhead_model::id::{OperationId, ShareInstanceId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ShareStatus};
use bulkhead_model::time::Timestamp;
use std::sync::Arc;
use tracing::instrument;

#[instrument(name = "replica.create", skip_all, fields(request.id = %context.request, share.id = %new.share))]
pub(super) async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewReplica,
) -> Result<ShareReplicaView, ManagerError> {
    context.require_change()?;
    let identity = Identity::of(context, "create-replica", &new)?;
    let _tie = inner.ties.read().await;
    let (id, started) = inner
        .transact(|tables| match identity.first::<ShareInstanceId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose_creation(inner, context, new, &identity, tables),
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

type Started = (ShareInstanceId, Option<(OperationId, Placement, u64)>);

fn propose_creation(
    inner: &Inner,
    context: &RequestContext,
    new: NewReplica,
    identity: &Identity,
    tables: &Tables,
) -> Result<Proposal<Started>, ManagerError> {
    let (share, active) = share::find(tables, &context.scope(), new.share)?;
    check_creation(tables, share, active)?;
    let placement = choose(inner, tables, share, active)?;
    inner.admit(tables, &placement.backend)?;
    let instance = ShareInstance { share_network: active.share_network, ..new_instance(share, &placement) };
    let id = instance.id;
    let about = About { share: share.id, project: share.project.clone(), backend: placement.backend.clone() };
    let operation = inner.new_operation(Verb::CreateReplica { replica: id }, about, &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (id, Some((operation.id, placement.clone(), share.size.get())));
    let mut change = Change::default();
    let words = format_args!("none -> creating, of share {} on {}", share.id, placement.backend);
    change.note(&cause, format_args!("replica/{id}"), words);
    change.edit_instance(tables, share.id, &cause, |_| {});
    if share.rules_home.is_none() {
        change.edit_share(tables, share.id, |share| share.rules_home = Some(active.id));
    }
    twin::add_to_replica(tables, share.id, id, &mut change);
    identity.remember(tables, &mut change, id);
    change.insert(Row::Instance(instance));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(placement.backend, change, started))
}

fn check_creation(tables: &Tables, share: &Share, active: &ShareInstance) -> Result<(), ManagerError> {
    let facts = facts(tables, share, active);
    if share.replication_type.is_none() {
        return Err(Denial::NotOffered { what: "replicas" }.into());
    }
    facts.require_no_group("replicas")?;
    if let Some(running) = facts.in_flight {
        return Err(Denial::InFlight { running }.into());
    }
    if active.status != ShareStatus::Available {
        return Err(Denial::ShareStatus { what: "making a replica", status: active.status }.into());
    }
    let state = active.replica_state.unwrap_or(ReplicaState::Error);
    if state != ReplicaState::Active {
        let advice = "; promote one first, for no replica of the share is active";
        return Err(Denial::ReplicaState { what: "making another", state, advice }.into());
    }
    if facts.snapshots.len() > twin::MOST_SNAPSHOTS {
        return Err(ManagerError::LimitExceeded {
            what: "snapshots of a share that gets another replica",
            limit: twin::MOST_SNAPSHOTS,
        });
    }
    Ok(())
}

fn choose(
    inner: &Inner,
    tables: &Tables,
    share: &Share,
    active: &ShareInstance,
) -> Result<Placement, ManagerError> {
    let domain = inner.loaded(tables, &active.placement.backend)?.description.replication_domain;
    let wish = Wish {
        asked: AskedShare::of(share, share.size),
        beside: None,
        group: None,
        needs: share_type::needs(&share.extra_specs),
        replica: Some(ReplicaWish {
            domain: domain.ok_or(Denial::NoReplicationDomain)?,
            taken: tables.instances_of(share.id).iter().map(|one| one.placement.backend.clone()).collect(),
        }),
    };
    scheduler::choose(inner, tables, &wish)
}

fn new_instance(share: &Share, placement: &Placement) -> ShareInstance {
    let now = Timestamp::now();
    ShareInstance {
        id: ShareInstanceId::random(),
        share: share.id,
        placement: placement.clone(),
        share_network: None,
        share_server: None,
        status: ShareStatus::Creating,
        progress_percent: Some(0),
        access_rules_status: AccessRulesStatus::Active,
        replica_state: Some(ReplicaState::OutOfSync),
        export_locations: Vec::new(),
        launched_at: None,
        unsound_since: None,
        created_at: now,
        updated_at: now,
    }
}
