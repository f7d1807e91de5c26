//! Share servers as people see them: listing, showing, tearing down, taking over, letting go. All for operators: tenants meet their shares.

use super::cleanup::begin;
use super::provide::subnet_of;
use super::{carry, facts, find, policy};
use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Expect, Row, Stored, Tables};
use crate::request::{Force, check_metadata, check_text};
use crate::runner::launch;
use crate::view::ShareServerView;
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{BackendName, OperationId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_server::{ManagedServer, ServerRequest, ShareServer, ShareServerStatus};
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The most bytes of an operator's words for a driver, in all.
const OPTIONS_BYTES: usize = 32 * 1024;

/// A share server to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManageServer {
    /// The backend it is at.
    pub backend: BackendName,
    /// The share network it shall serve.
    pub share_network: ShareNetworkId,
    /// The subnet of that network it is in; none takes the one that servers of this host are in, and only that can be named.
    pub subnet: Option<ShareNetworkSubnetId>,
    /// What it is called at the backend, 1 to 255 letters.
    pub identifier: String,
    /// The operator's words for the driver.
    pub driver_options: BTreeMap<String, String>,
}

impl Manager {
    /// A share server inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_share_server(
        &self,
        scope: &Scope,
        id: ShareServerId,
    ) -> Result<ShareServerView, ManagerError> {
        let tables = self.inner.records.read();
        Ok(view_of(&self.inner, &tables, find(&tables, scope, id)?))
    }

    /// All share servers inside `scope`, oldest first.
    #[must_use]
    pub fn list_share_servers(&self, scope: &Scope) -> Vec<ShareServerView> {
        let tables = self.inner.records.read();
        let mut views: Vec<_> =
            tables.all_servers(scope).map(|server| view_of(&self.inner, &tables, server)).collect();
        views.sort_by_key(|view| (view.server.created_at, view.server.id));
        views
    }

    /// Tear a share server down that nothing is on. For operators.
    ///
    /// Fails with [`ManagerError::Conflict`] while shares or groups are on it or an operation is at work on it.
    pub async fn delete_share_server(
        &self,
        context: &RequestContext,
        id: ShareServerId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id).await).await
    }

    /// Take over as a share server what somebody made at a backend. For operators.
    ///
    /// Fails with [`ManagerError::Unsupported`] unless the backend's driver can, with [`ManagerError::Conflict`] unless the backend makes
    /// share servers, and with [`ManagerError::NotFound`] for a network that there is not.
    pub async fn manage_share_server(
        &self,
        context: &RequestContext,
        new: ManageServer,
    ) -> Result<ShareServerView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| manage(&inner, &context, new).await).await
    }

    /// Let a share server go that nothing is on; it stays at the backend with its addresses. With [`Force::Yes`] also where the driver lets
    /// none go. For operators.
    pub async fn unmanage_share_server(
        &self,
        context: &RequestContext,
        id: ShareServerId,
        force: Force,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| unmanage(&inner, &context, id, force).await).await
    }

    /// Set a share server's status by hand, after looking at the backend. For operators.
    ///
    /// Fails while an operation is at work on the server (abandon it first), and for statuses that need one.
    pub async fn reset_share_server_status(
        &self,
        context: &RequestContext,
        id: ShareServerId,
        status: ShareServerStatus,
    ) -> Result<ShareServerView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, id, status).await).await
    }
}

fn view_of(inner: &Inner, tables: &Tables, server: &Stored<ShareServer>) -> ShareServerView {
    let network = tables.share_network(&Scope::Everything, server.share_network);
    ShareServerView {
        server: Arc::clone(&server.value),
        share_network_name: network.and_then(|network| network.name.clone()),
        shares: tables.instances_on_server(server.id).count(),
        can_be_changed: inner.changes_servers(&server.backend),
        operation: tables
            .unfinished_of_share(server.id.queue())
            .next()
            .map(|operation| Arc::clone(&operation.value)),
    }
}

#[instrument(name = "share_server.delete", skip_all, fields(request.id = %context.request, share_server.id = %id))]
async fn delete(inner: &Arc<Inner>, context: &RequestContext, id: ShareServerId) -> Result<(), ManagerError> {
    context.require_operator()?;
    let identity = Identity::of(context, "delete-share-server", &id)?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareServerId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let server = find(tables, &Scope::Everything, id)?;
            policy::delete(&facts(tables, server))?;
            inner.admit(tables, &server.backend)?;
            let (mut change, operation) = begin(inner, tables, server, &Initiator::of(context));
            identity.remember(tables, &mut change, id);
            Ok(Proposal::Commit(server.backend.clone(), change, Some(operation)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}

#[instrument(name = "share_server.manage", skip_all, fields(request.id = %context.request))]
async fn manage(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: ManageServer,
) -> Result<ShareServerView, ManagerError> {
    context.require_operator()?;
    check_text("identifier", Some(&new.identifier))?;
    if new.identifier.is_empty() {
        return Err(ManagerError::invalid("identifier", "name the server as the backend calls it"));
    }
    check_metadata(&new.driver_options, OPTIONS_BYTES)?;
    let _tie = inner.ties.read().await;
    if inner.backends.get(&new.backend).is_none() {
        return Err(ManagerError::not_found("backend", &new.backend));
    }
    let loaded = inner.loaded(&inner.records.read(), &new.backend)?;
    if !loaded.description.handles_share_servers {
        return Err(Denial::NoServersHere { backend: new.backend.clone() }.into());
    }
    if !loaded.abilities.has(Ability::ManageServers) {
        return Err(ManagerError::Unsupported { backend: new.backend, what: "taking over share servers" });
    }
    let identity = Identity::of(context, "manage-share-server", &new)?;
    let (id, started) = inner
        .transact(|tables| match identity.first::<ShareServerId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose_management(inner, context, tables, (&new, &identity)),
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    let tables = inner.records.read();
    Ok(view_of(inner, &tables, find(&tables, &Scope::Everything, id)?))
}

type Started = (ShareServerId, Option<OperationId>);

fn propose_management(
    inner: &Inner,
    context: &RequestContext,
    tables: &Tables,
    (new, identity): (&ManageServer, &Identity),
) -> Result<Proposal<Started>, ManagerError> {
    let missing = || ManagerError::not_found("share network", new.share_network);
    let network = tables.share_network(&Scope::Everything, new.share_network).ok_or_else(missing)?;
    let Some(subnet) = subnet_of(tables, new.share_network) else {
        return Err(Denial::NoDefaultSubnet.into());
    };
    if new.subnet.is_some_and(|asked| asked != subnet) {
        let reason = format_args!("share servers here are in the network's default subnet, {subnet}");
        return Err(ManagerError::invalid("share_network_subnet_id", reason));
    }
    let is_known = |server: &&Stored<ShareServer>| server.identifier() == new.identifier;
    if let Some(known) = tables.servers_at(&new.backend).find(is_known) {
        return Err(Denial::ServerAlreadyManaged { server: known.id }.into());
    }
    inner.admit(tables, &new.backend)?;
    let now = Timestamp::now();
    let server = ShareServer {
        id: ShareServerId::random(),
        project: network.project_id.clone(),
        backend: new.backend.clone(),
        share_network: new.share_network,
        subnet,
        further_subnets: Vec::new(),
        status: ShareServerStatus::ManageStarting,
        identifier: Some(new.identifier.clone()),
        is_auto_deletable: false,
        backend_details: BTreeMap::new(),
        network_allocations: Vec::new(),
        security_services: carry::security_services(tables, new.share_network),
        request: ServerRequest::default(),
        may_exist: false,
        failure: None,
        created_at: now,
        updated_at: now,
    };
    let managed =
        ManagedServer { identifier: new.identifier.clone(), driver_options: new.driver_options.clone() };
    let verb = Verb::ManageShareServer { server: server.id, managed };
    let operation = inner.new_operation(verb, about(&server), &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let mut change = Change::default();
    if let Some(backend) = tables.backend(&new.backend) {
        // The turnstile of what is taken over on one backend: two requests never both find an identifier free.
        change.put(Expect::Unchanged(backend.revision), Row::Backend((*backend.value).clone()));
    }
    let words = format_args!("none -> manage_starting, on {}", server.backend);
    change.note(&cause, format_args!("share-server/{}", server.id), words);
    identity.remember(tables, &mut change, server.id);
    let started = (server.id, Some(operation.id));
    change.insert(Row::Server(server));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(new.backend.clone(), change, started))
}

#[instrument(name = "share_server.unmanage", skip_all, fields(request.id = %context.request, share_server.id = %id))]
async fn unmanage(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareServerId,
    force: Force,
) -> Result<(), ManagerError> {
    context.require_operator()?;
    let identity = Identity::of(context, "unmanage-share-server", &(id, force))?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareServerId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let server = find(tables, &Scope::Everything, id)?;
            policy::unmanage(&facts(tables, server))?;
            inner.admit(tables, &server.backend)?;
            let verb = Verb::UnmanageShareServer { server: id, force: force.is_forced() };
            let operation = inner.new_operation(verb, about(server), &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_server(tables, id, &cause, |server| {
                server.status = ShareServerStatus::UnmanageStarting;
            });
            identity.remember(tables, &mut change, id);
            let started = operation.id;
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(server.backend.clone(), change, Some(started)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}

async fn reset(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareServerId,
    status: ShareServerStatus,
) -> Result<ShareServerView, ManagerError> {
    context.require_operator()?;
    policy::rests(status)?;
    inner
        .transact(|tables| {
            let server = find(tables, &Scope::Everything, id)?;
            if let Some(running) = facts(tables, server).in_flight {
                return Err(Denial::InFlight { running }.into());
            }
            let cause = Cause {
                actor: context.actor.user.to_string(),
                request: context.request.clone(),
                operation: None,
            };
            let mut change = Change::default();
            change.edit_server(tables, id, &cause, |server| server.status = status);
            Ok(Proposal::Commit(server.backend.clone(), change, ()))
        })
        .await?;
    let tables = inner.records.read();
    Ok(view_of(inner, &tables, find(&tables, &Scope::Everything, id)?))
}

/// What an operation on a server is about.
fn about(server: &ShareServer) -> About {
    About { share: server.id.queue(), project: server.project.clone(), backend: server.backend.clone() }
}
