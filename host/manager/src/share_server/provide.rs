//! A server for a share or a group that is being made (contract 4.4): one that is there and fits, or a new one.
//!
//! Under the lock of the subnet at this backend: whoever comes while another one chooses sees what that one chose. The lock is not held
//! while a server is set up: who gets one that is not ready waits for the operation that sets it up, and is woken at its end.

use super::{carry, room, settle};
use crate::error::ManagerError;
use crate::journal::{About, Attempt, Freshness, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Change, Row, Stored, Tables};
use crate::replica::carry::host_string;
use crate::runner::{Progress, Step, enter, failed, launch};
use crate::view::ServerLimits;
use bulkhead_model::error::{Blame, CallError};
use bulkhead_model::id::{OperationId, ShareNetworkId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, ShareInstance};
use bulkhead_model::share_server::{
    ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver, ServerRequest, ShareServer,
    ShareServerStatus,
};
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who needs a server.
#[derive(Debug, Clone)]
struct Needy {
    network: ShareNetworkId,
    placement: Placement,
}

/// What became of the need.
enum Provision {
    /// It lives on a server that serves, or needs none.
    Ready,
    /// It lives on one that is being set up.
    Awaits(ShareServerId),
    /// It cannot have one.
    Impossible(OperationFailure),
    /// It has none yet.
    Open(Needy),
}

/// Let the share or group that `operation` makes have a server. None if it has one that serves, or needs none: its own call may follow.
pub(crate) async fn provide(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Option<Step>, ManagerError> {
    loop {
        let provision = look(&inner.records.read(), operation);
        let needy = match provision {
            Provision::Ready => return Ok(None),
            Provision::Awaits(server) => {
                let step = format!("waiting for share server {server} to be set up");
                inner.wait(operation.id, &step, None).await?;
                // The set-up may have ended between the look and this: then nobody wakes this one.
                let is_over = !matches!(look(&inner.records.read(), operation), Provision::Awaits(_));
                return Ok(Some(if is_over { Step::Again } else { Step::Wait }));
            }
            Provision::Impossible(failure) => {
                settle::refuse(inner, operation, failure).await?;
                return Ok(Some(Step::Ended));
            }
            Provision::Open(needy) => needy,
        };
        if let Some(step) = choose(inner, operation, progress, &needy).await? {
            return Ok(Some(step));
        }
    }
}

/// How the share or group of an operation stands.
fn look(tables: &Tables, operation: &Operation) -> Provision {
    let of = |instance: &Stored<ShareInstance>| {
        (instance.share_network, instance.share_server, instance.placement.clone())
    };
    let needy = match (&operation.verb, operation.verb.group()) {
        (Verb::CreateShare | Verb::CreateShareFromSnapshot { .. }, _) => {
            tables.instance_of(operation.share).map(of)
        }
        (Verb::CreateReplica { replica }, _) => tables.instance(*replica).map(of),
        (Verb::CreateShareGroup { .. } | Verb::CreateShareGroupFromSnapshot { .. }, Some(group)) => tables
            .group(&Scope::Everything, group)
            .map(|group| (group.share_network, group.share_server, group.placement.clone())),
        _ => None,
    };
    let Some((Some(network), server, placement)) = needy else { return Provision::Ready };
    let Some(id) = server else { return Provision::Open(Needy { network, placement }) };
    let Some(server) = tables.server(&Scope::Everything, id) else {
        return Provision::Impossible(unusable(format!("share server {id} is not there any more")));
    };
    match server.status {
        ShareServerStatus::Active => Provision::Ready,
        ShareServerStatus::Creating => Provision::Awaits(id),
        status => Provision::Impossible(
            server.failure.clone().unwrap_or_else(|| unusable(format!("share server {id} is '{status}'"))),
        ),
    }
}

fn unusable(message: String) -> OperationFailure {
    OperationFailure { code: "invalid-share-server".to_owned(), blame: Blame::Backend, message }
}

/// Choose a server and commit the choice; none to look again, else the step that the attempt ends with.
async fn choose(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
    needy: &Needy,
) -> Result<Option<Step>, ManagerError> {
    let Some(subnet) = subnet_of(&inner.records.read(), needy.network) else {
        let reason = format!("share network {} has no subnet for this backend", needy.network);
        settle::refuse(inner, operation, OperationFailure { code: NETWORK.to_owned(), ..unusable(reason) })
            .await?;
        return Ok(Some(Step::Ended));
    };
    let lock = inner.gates.of_subnet(&needy.placement.backend, subnet);
    let _chosen_alone = lock.lock().await;
    if !matches!(look(&inner.records.read(), operation), Provision::Open(_)) {
        return Ok(None);
    }
    let Some((serving, _slot)) = enter(inner, &operation.backend).await? else {
        return Ok(Some(Step::Again));
    };
    if inner.runners.is_draining() {
        return Ok(Some(Step::Wait));
    }
    let limits = serving.description.server_limits;
    let full = bound_and_full(&inner.records.read(), operation, limits);
    if let Some(reason) = full {
        let failure = OperationFailure { code: "share-server-full".to_owned(), ..unusable(reason) };
        settle::refuse(inner, operation, failure).await?;
        return Ok(Some(Step::Ended));
    }
    let Some(attempt) = inner.begin_attempt(operation.id, &serving, progress.freshness).await? else {
        return Ok(Some(Step::Ended));
    };
    progress.freshness = Freshness::Journalled;
    let choice = match ask(inner, &attempt, needy, subnet).await {
        Ok(choice) => choice,
        Err(error) => return failed(inner, &attempt, progress, error).await.map(Some),
    };
    let started = inner
        .transact(|tables| match choice {
            ServerChoice::Existing(server) => move_in(tables, operation, server),
            ServerChoice::New => move_into_new(inner, tables, operation, (needy, subnet)),
        })
        .await?;
    if let Some(started) = started {
        launch(inner, started, Freshness::Journalled);
    }
    Ok(None)
}

/// The code of what is wrong with a share network.
pub(super) const NETWORK: &str = "bad-network-configuration";

/// The subnet of a network that servers of this host are in: the one without an availability zone, for this host has none.
pub(crate) fn subnet_of(tables: &Tables, network: ShareNetworkId) -> Option<ShareNetworkSubnetId> {
    tables.share_network(&Scope::Everything, network)?.subnet_for(None).map(|subnet| subnet.id)
}

/// Why the one server that a share can be on, its snapshot's or its group's, takes it not: it is full.
fn bound_and_full(tables: &Tables, operation: &Operation, limits: ServerLimits) -> Option<String> {
    if operation.verb.group().is_some() {
        return None;
    }
    let share = tables.share(&Scope::Everything, operation.share)?;
    let of_snapshot = match operation.verb {
        Verb::CreateShareFromSnapshot { snapshot } => tables.snapshot_instance_of(snapshot),
        _ => None,
    };
    let beside = of_snapshot.and_then(|one| tables.instance(one.share_instance)?.share_server);
    let of_group = || tables.group(&Scope::Everything, share.group?)?.share_server;
    room::shortage(tables, limits, beside.or_else(of_group)?, share.size.get())
}

/// Ask the driver, where there is anything to choose from.
async fn ask(
    inner: &Inner,
    attempt: &Attempt,
    needy: &Needy,
    subnet: ShareNetworkSubnetId,
) -> Result<ServerChoice, CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    if attempt.operation.verb.group().is_some() {
        let (group, source) = inner.read(|tables| carry::group(tables, &attempt.operation))?;
        let anything = ServerLimits::default();
        let candidates = inner.read(|tables| Ok(candidates(inner, tables, needy, subnet, (anything, 0))))?;
        if candidates.is_empty() {
            return Ok(ServerChoice::New);
        }
        return driver
            .choose_server_for_group(&reason, &ServerChoiceForGroup { candidates, group, source })
            .await;
    }
    let (share, source, group) = inner.read(|tables| carry::share(tables, &attempt.operation))?;
    let candidates = match &source {
        // What is made from a snapshot lives where the snapshot does: nothing else is on offer.
        Some(source) => match &source.share.server {
            Some(server) => return beside(inner, server),
            None => return Err(CallError::Host { reason: "the source lives on no share server".to_owned() }),
        },
        None => {
            let bounds = (attempt.serving.description.server_limits, share.size.get());
            inner.read(|tables| Ok(candidates(inner, tables, needy, subnet, bounds)))?
        }
    };
    if candidates.is_empty() {
        return Ok(ServerChoice::New);
    }
    driver.choose_server_for_share(&reason, &ServerChoiceForShare { candidates, share, source, group }).await
}

/// The server of the snapshot that a share is made from: it must serve (contract 4.4).
fn beside(inner: &Inner, server: &ServerForDriver) -> Result<ServerChoice, CallError> {
    let status =
        inner.read(|tables| Ok(tables.server(&Scope::Everything, server.id).map(|found| found.status)))?;
    if status == Some(ShareServerStatus::Active) {
        return Ok(ServerChoice::Existing(server.id));
    }
    let word = status.map_or("gone", ShareServerStatus::as_str);
    Err(CallError::InvalidAnswer {
        function: "share-servers.choose-share-server-for-share",
        reason: format!("the share server of the snapshot's share is '{word}', not 'active'"),
    })
}

/// The servers of the subnet at the backend that take shares, oldest first; those are none whose shares may not live in the pool, and those
/// that `gib` more would fill beyond the limits.
fn candidates(
    inner: &Inner,
    tables: &Tables,
    needy: &Needy,
    subnet: ShareNetworkSubnetId,
    (limits, gib): (ServerLimits, u64),
) -> Vec<ServerForDriver> {
    let backend = inner.backends.get(&needy.placement.backend);
    let reaches = |server: &ShareServer| {
        let pools = backend.as_ref().and_then(|backend| backend.pools_of_server(server.id));
        match (pools, &needy.placement.pool) {
            (Some(pools), Some(pool)) => pools.is_empty() || pools.contains(pool),
            _ => true,
        }
    };
    let has_room = |server: &ShareServer| room::shortage(tables, limits, server.id, gib).is_none();
    let fits = |server: &&Stored<ShareServer>| {
        server.subnet == subnet && server.status.takes_shares() && reaches(server) && has_room(server)
    };
    let mut found: Vec<_> = tables.servers_at(&needy.placement.backend).filter(fits).collect();
    found.sort_by_key(|server| (server.created_at, server.id));
    found.into_iter().map(|server| server.for_driver()).collect()
}

/// Live on a server that is there. Settled without a change if it does not take shares any more: then somebody looks again.
fn move_in(
    tables: &Tables,
    operation: &Operation,
    server: ShareServerId,
) -> Result<Proposal<Option<OperationId>>, ManagerError> {
    let takes = tables.server(&Scope::Everything, server).is_some_and(|found| found.status.takes_shares());
    if !takes || unfinished(tables, operation.id).is_none() {
        return Ok(Proposal::Settled(None));
    }
    let mut change = Change::default();
    // The server's turnstile: it is not torn down between this look and the commit.
    change.edit_server(tables, server, &cause_of(operation), |_| {});
    live_on(tables, operation, server, &mut change);
    Ok(Proposal::Commit(operation.backend.clone(), change, None))
}

/// Live on a new server, which is committed with the operation that sets it up.
fn move_into_new(
    inner: &Inner,
    tables: &Tables,
    operation: &Operation,
    (needy, subnet): (&Needy, ShareNetworkSubnetId),
) -> Result<Proposal<Option<OperationId>>, ManagerError> {
    // A network that has gone meanwhile is told of at the next look.
    let has_network = subnet_of(tables, needy.network) == Some(subnet);
    if unfinished(tables, operation.id).is_none() || !has_network {
        return Ok(Proposal::Settled(None));
    }
    let now = Timestamp::now();
    let server = ShareServer {
        id: ShareServerId::random(),
        project: operation.project.clone(),
        backend: needy.placement.backend.clone(),
        share_network: needy.network,
        subnet,
        further_subnets: further_subnets(inner, tables, needy, subnet),
        status: ShareServerStatus::Creating,
        identifier: None,
        is_auto_deletable: true,
        backend_details: BTreeMap::new(),
        network_allocations: Vec::new(),
        security_services: carry::security_services(tables, needy.network),
        request: request(tables, operation, &needy.placement),
        may_exist: false,
        failure: None,
        created_at: now,
        updated_at: now,
    };
    let about =
        About { share: server.id.queue(), project: server.project.clone(), backend: server.backend.clone() };
    let verb = Verb::SetUpShareServer { server: server.id };
    let set_up = inner.new_operation(verb, about, &operation.request);
    let mut change = Change::default();
    let words = format_args!("none -> creating, for {}", operation.subject());
    change.note(&cause_of(&set_up), format_args!("share-server/{}", server.id), words);
    // The network's turnstile: it does not go between this look and the commit.
    change.edit_share_network(tables, needy.network, |_| {});
    live_on(tables, operation, server.id, &mut change);
    let started = Some(set_up.id);
    change.insert(Row::Server(server));
    change.insert(Row::Operation(set_up));
    Ok(Proposal::Commit(operation.backend.clone(), change, started))
}

/// The other subnets that a new server serves from the start: all of its network's where its driver could add them to a server in service,
/// so that all servers of a network are alike; none for a driver that knows servers of one subnet alone.
fn further_subnets(
    inner: &Inner,
    tables: &Tables,
    needy: &Needy,
    first: ShareNetworkSubnetId,
) -> Vec<ShareNetworkSubnetId> {
    let network = tables.share_network(&Scope::Everything, needy.network);
    let Some(network) = network.filter(|_| inner.changes_servers(&needy.placement.backend)) else {
        return Vec::new();
    };
    let others = network.subnets.iter().filter(|one| one.availability_zone.is_none() && one.id != first);
    others.map(|one| one.id).collect()
}

/// Why a server is made: Manila's `metadata` of `setup_server`.
fn request(tables: &Tables, operation: &Operation, placement: &Placement) -> ServerRequest {
    let request_host = Some(host_string(placement));
    let share = match operation.verb.group() {
        Some(_) => None,
        None => tables.share(&Scope::Everything, operation.share),
    };
    match share {
        Some(share) => ServerRequest {
            request_host,
            share_type: Some(share.share_type),
            extra_specs: share.extra_specs.clone(),
        },
        None => ServerRequest { request_host, ..ServerRequest::default() },
    }
}

fn live_on(tables: &Tables, operation: &Operation, server: ShareServerId, change: &mut Change) {
    let cause = cause_of(operation);
    match operation.verb.group() {
        Some(group) => {
            change.edit_group(tables, group, &cause, |group| group.share_server = Some(server));
        }
        None => {
            let move_in = |instance: &mut ShareInstance| instance.share_server = Some(server);
            match operation.verb {
                Verb::CreateReplica { replica } => change.edit_replica(tables, replica, &cause, move_in),
                _ => change.edit_instance(tables, operation.share, &cause, move_in),
            }
        }
    }
}
