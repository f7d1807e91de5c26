//! Taking over servers that were made outside, and letting servers go (contract 4.5).

use super::{carry, settle, setup};
use crate::error::ManagerError;
use crate::journal::{Attempt, End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::operation::{Judgement, judge};
use crate::records::Change;
use crate::runner::{Progress, Step, failed};
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::{AllocationLabel, NetworkAllocation};
use bulkhead_model::share_server::{ManagedServer, ServerOutcome, ShareServer};
use bulkhead_model::target::CallTarget;
use bulkhead_sandbox::{SubnetChoice, TakeOver};
use std::net::IpAddr;
use std::sync::Arc;

/// One attempt at taking a server over: its addresses are looked up and kept, then the driver takes it.
pub(super) async fn take_over(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    (id, managed): (ShareServerId, &ManagedServer),
) -> Result<Step, ManagerError> {
    let kept = match inner.read(|tables| carry::server(tables, id)) {
        Ok(server) => keep_addresses(inner, attempt, &server, managed).await,
        Err(error) => Err(error),
    };
    let (server, kept) = match kept {
        Ok(kept) => kept,
        Err(error) => return failed(inner, attempt, progress, error).await,
    };
    record(inner, attempt, id, &kept).await?;
    let answer = attempt.serving.driver.manage_server(&attempt.reason(), &server.for_driver(), managed).await;
    match answer {
        Ok(outcome) => succeed(inner, attempt, id, &outcome).await,
        Err(error) => failed(inner, attempt, progress, error).await,
    }
}

/// Keep the addresses that the server has, those of the administrators' network first. Fails unless there are some where the driver needs
/// some, and each is in a network bound to the backend.
async fn keep_addresses(
    inner: &Inner,
    attempt: &Attempt,
    server: &ShareServer,
    managed: &ManagedServer,
) -> Result<(ShareServer, Vec<NetworkAllocation>), CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    let user = driver.network_allocations_number(&reason).await?;
    let admin = match driver.admin_network_allocations_number(&reason).await {
        Err(error) if error.is_not_implemented() => 0,
        answer => answer?,
    };
    if user.saturating_add(admin) == 0 {
        return Ok((server.clone(), Vec::new()));
    }
    let found = driver.share_server_network_info(&reason, &server.for_driver(), managed).await?;
    let mut left: Vec<IpAddr> = found.into_iter().collect();
    if left.is_empty() {
        let why =
            format!("the driver names no address of '{}', and a server here needs some", managed.identifier);
        return Err(setup::refused(DriverErrorCode::InvalidShareServer, &why));
    }
    let subnet = inner.read(|tables| carry::subnet(tables, server))?;
    let provider = setup::networks(attempt)?;
    for label in [AllocationLabel::Admin, AllocationLabel::User] {
        let take_over = TakeOver {
            server: server.id,
            project: server.project.clone(),
            label,
            subnet: SubnetChoice::Given(Box::new(subnet.clone())),
            addresses: left,
        };
        left = provider.manage(&take_over, &reason).await.map_err(|error| setup::unallocated(&error))?;
    }
    if let Some(stranger) = left.first() {
        let why = format!(
            "'{}' has the address {stranger}, which is in no network bound to the backend; bind it in its file: \
             [[grant.networks.user]] or [[grant.networks.admin]]",
            managed.identifier
        );
        return Err(setup::refused(DriverErrorCode::BadNetworkConfiguration, &why));
    }
    let kept = provider.allocations(server.id).await.map_err(|error| setup::unallocated(&error))?;
    Ok((server.clone(), kept.into_iter().map(|kept| kept.allocation).collect()))
}

async fn record(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareServerId,
    kept: &[NetworkAllocation],
) -> Result<(), ManagerError> {
    let operation = &attempt.operation;
    inner
        .transact(|tables| {
            if unfinished(tables, operation.id).is_none() {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            change.edit_server(tables, id, &cause_of(operation), |server| {
                server.network_allocations = kept.to_vec();
                server.may_exist = true;
            });
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}

async fn succeed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    id: ShareServerId,
    outcome: &ServerOutcome,
) -> Result<Step, ManagerError> {
    inner
        .conclude(attempt, |tables, cause, change| {
            setup::activate(tables, id, outcome, cause, change);
            End::well()
        })
        .await?;
    settle::wake_those_on(inner, id);
    Ok(Step::Ended)
}

/// One attempt at letting a server go: the driver forgets it, the host what it kept for it; its addresses stay out of use.
pub(super) async fn let_go(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    id: ShareServerId,
) -> Result<Step, ManagerError> {
    let gone = match inner.read(|tables| carry::server(tables, id)) {
        Ok(server) => forget(attempt, &server).await,
        Err(error) => Err(error),
    };
    if let Err(error) = gone {
        return failed(inner, attempt, progress, error).await;
    }
    inner
        .conclude(attempt, |tables, cause, change| {
            change.remove_server(tables, id, cause);
            change.note(cause, format_args!("share-server/{id}"), "let go; it stays at the backend");
            End::well()
        })
        .await?;
    Ok(Step::Ended)
}

async fn forget(attempt: &Attempt, server: &ShareServer) -> Result<(), CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    match driver.unmanage_server(&reason, &server.for_driver(), &server.security_services).await {
        // With force, a driver that lets no server go is not asked (contract M-06).
        Err(error) if judge(&attempt.operation.verb, &error, 0, 1) == Judgement::Reached => {}
        answer => answer?,
    }
    driver.let_go(&reason, CallTarget::server(server.id)).await?;
    let provider = setup::networks(attempt)?;
    provider.let_go(server.id, &reason).await.map_err(|error| setup::unallocated(&error))
}
