//! Setting a server up (contract 4.4): counts, addresses, the driver's hook, the check of the network, the driver's call.
//!
//! Every step may be repeated: the provider finds what it allocated for this server, the driver what it made. After a crash the operation
//! goes on with the same addresses. What the driver tells of a half-made server is kept for its tear-down.

use super::{carry, settle};
use crate::error::ManagerError;
use crate::journal::{Attempt, End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Tables};
use crate::runner::{Progress, Step, failed};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode, ErrorDetail};
use bulkhead_model::id::{ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkData, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::share_server::{ServerOutcome, ShareServer, ShareServerStatus};
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::text::GuestText;
use bulkhead_sandbox::{AddressRequest, AllocationError, NetworkProvider, Purpose, Release, SubnetChoice};
use std::sync::Arc;

/// One attempt at setting a server up.
pub(super) async fn run(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    id: ShareServerId,
) -> Result<Step, ManagerError> {
    let network = match prepare(inner, attempt, id).await? {
        Ok(network) => network,
        Err(error) => {
            keep_or_release(inner, attempt, id, &error).await;
            return end(inner, attempt, progress, id, error).await;
        }
    };
    let request = match inner.read(|tables| carry::server(tables, id)) {
        Ok(server) => server.request,
        Err(error) => return end(inner, attempt, progress, id, error).await,
    };
    match attempt.serving.driver.setup_server(&attempt.reason(), &network, &request).await {
        Ok(outcome) => succeed(inner, attempt, id, &outcome).await,
        Err(error) => {
            keep_details(inner, attempt, id, &error).await?;
            end(inner, attempt, progress, id, error).await
        }
    }
}

async fn end(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    id: ShareServerId,
    error: CallError,
) -> Result<Step, ManagerError> {
    let step = failed(inner, attempt, progress, error).await?;
    if step == Step::Ended {
        settle::wake_those_on(inner, id);
    }
    Ok(step)
}

/// Everything before the driver makes the server: its addresses are kept, and it is recorded that the driver may have been told.
async fn prepare(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    id: ShareServerId,
) -> Result<Result<ServerNetwork, CallError>, ManagerError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    let counts = async {
        let user = driver.network_allocations_number(&reason).await?;
        let admin = match driver.admin_network_allocations_number(&reason).await {
            Err(error) if error.is_not_implemented() => 0,
            answer => answer?,
        };
        Ok::<_, CallError>((user, admin))
    };
    let counts = match counts.await {
        Ok(counts) => counts,
        Err(error) => return Ok(Err(error)),
    };
    let kept = match allocate(inner, attempt, id, counts).await {
        Ok(kept) => kept,
        Err(error) => return Ok(Err(error)),
    };
    record_addresses(inner, attempt, id, &kept).await?;
    let (server, subnets) = {
        let tables = inner.records.read();
        let server = carry::server(&tables, id);
        match server.and_then(|server| Ok((carry::subnets(&tables, &server)?, server))) {
            Ok((subnets, server)) => (server, subnets),
            Err(error) => return Ok(Err(error)),
        }
    };
    let network = carry::network(&server, subnets, &kept.allocations);
    if let Err(invalid) = network.check_segmentation() {
        return Ok(Err(refused(DriverErrorCode::BadNetworkConfiguration, &invalid)));
    }
    // The driver is told of the addresses, with rights on the server: from here on it may have done something with them.
    alter(inner, attempt, id, |server| server.may_exist = true).await?;
    match driver.after_allocation(&reason, &server.for_driver(), &kept.allocations).await {
        Err(error) if error.is_not_implemented() => Ok(Ok(network)),
        Err(error) => {
            // One that answers says that nothing came of it; one that does not may have left something behind.
            if matches!(error, CallError::Answered(_)) {
                alter(inner, attempt, id, |server| server.may_exist = false).await?;
            }
            Ok(Err(error))
        }
        Ok(()) => Ok(Ok(network)),
    }
}

/// Addresses that are kept for a server, and what is known of the networks that its subnets are in.
struct Kept {
    allocations: Vec<NetworkAllocation>,
    data: Vec<(ShareNetworkSubnetId, NetworkData)>,
}

/// As many addresses as the driver counts: of the tenant's network in each of the server's subnets, and of the administrators' (contract
/// 3.9).
async fn allocate(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareServerId,
    (user, admin): (u32, u32),
) -> Result<Kept, CallError> {
    let provider = networks(attempt)?;
    let (server, subnets) = inner.read(|tables| {
        let server = carry::server(tables, id)?;
        let subnets = carry::subnets(tables, &server)?;
        Ok((server, subnets))
    })?;
    // Known even where no address is needed: Manila's plugin writes it on the subnet, whatever the count.
    let mut data = Vec::with_capacity(subnets.len());
    let version = attempt.serving.address_version();
    for subnet in &subnets {
        match provider.describe(subnet, version).await {
            Ok(found) => data.push((subnet.id, found)),
            Err(AllocationError::NoNetwork { .. }) if user == 0 => {}
            Err(error) => return Err(unallocated(&error)),
        }
    }
    let requests = requests(&server, (subnets, version), (user, admin));
    let reason = attempt.reason();
    let allocations = match keep(&*provider, &requests, &reason).await {
        // The driver counts otherwise, or exports with another version, than when an earlier attempt began, which it knows nothing of:
        // that one's go back.
        Err(AllocationError::OtherCount { .. } | AllocationError::OtherVersion { .. })
            if !server.may_exist =>
        {
            let released = provider.release(id, &Release::Purpose(Purpose::Host), &reason).await;
            released.map_err(|error| unallocated(&error))?;
            keep(&*provider, &requests, &reason).await
        }
        answer => answer,
    };
    Ok(Kept { allocations: allocations.map_err(|error| unallocated(&error))?, data })
}

/// What is asked of the provider: for each subnet, of the version that shares are exported with, then for the administrators.
fn requests(
    server: &ShareServer,
    (subnets, version): (Vec<ShareNetworkSubnet>, Option<IpVersion>),
    (user, admin): (u32, u32),
) -> Vec<AddressRequest> {
    let request = |label, count: u32, subnet| AddressRequest {
        server: server.id,
        project: Some(server.project.clone()),
        label,
        version: if label == AllocationLabel::User { version } else { None },
        subnet,
        count: usize::try_from(count).unwrap_or(usize::MAX),
        purpose: Purpose::Host,
    };
    let in_subnet = |subnet| request(AllocationLabel::User, user, SubnetChoice::Given(Box::new(subnet)));
    let mut requests: Vec<_> = subnets.into_iter().map(in_subnet).collect();
    let first = requests.first().map_or(SubnetChoice::First, |first| first.subnet.clone());
    requests.push(request(AllocationLabel::Admin, admin, first));
    requests.retain(|request| request.count > 0);
    requests
}

async fn keep(
    provider: &dyn NetworkProvider,
    requests: &[AddressRequest],
    reason: &CallReason,
) -> Result<Vec<NetworkAllocation>, AllocationError> {
    let mut kept = Vec::new();
    for request in requests {
        kept.extend(provider.allocate(request, reason).await?);
    }
    Ok(kept)
}

/// Where the addresses of the attempt's backend come from.
pub(super) fn networks(attempt: &Attempt) -> Result<Arc<dyn NetworkProvider>, CallError> {
    let none = "the backend has no networks that addresses could come from";
    attempt.serving.driver.networks().ok_or_else(|| refused(DriverErrorCode::BadNetworkConfiguration, &none))
}

/// Why addresses were not kept, as if the driver had said so: what repeats, what the tenant is told and who has to act follow from it.
pub(super) fn unallocated(error: &AllocationError) -> CallError {
    match error {
        AllocationError::Exhausted { .. }
        | AllocationError::Quota { .. }
        | AllocationError::Resting { .. } => refused(DriverErrorCode::NoAddressLeft, error),
        AllocationError::NoNetwork { .. }
        | AllocationError::TooMany { .. }
        | AllocationError::OtherCount { .. }
        | AllocationError::OtherVersion { .. }
        | AllocationError::NoSubnet { .. }
        | AllocationError::Foreign { .. }
        | AllocationError::InUse { .. }
        | AllocationError::InGroup { .. }
        | AllocationError::OfServer { .. }
        | AllocationError::NotGiven { .. }
        | AllocationError::KeptForAnother { .. } => refused(DriverErrorCode::BadNetworkConfiguration, error),
        AllocationError::Contended
        | AllocationError::Store(_)
        | AllocationError::Ledger(_)
        | AllocationError::Corrupt { .. }
        | AllocationError::Interrupted => CallError::Host { reason: error.to_string() },
    }
}

pub(super) fn refused(code: DriverErrorCode, why: &dyn std::fmt::Display) -> CallError {
    CallError::Answered(DriverError { code, message: GuestText::message(&why.to_string()), detail: None })
}

/// Write the addresses into the server's record, and what is known of their networks into its subnets'.
async fn record_addresses(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareServerId,
    kept: &Kept,
) -> Result<(), ManagerError> {
    let operation = &attempt.operation;
    inner
        .transact(|tables| {
            if unfinished(tables, operation.id).is_none() {
                return Ok(Proposal::Settled(()));
            }
            let cause = cause_of(operation);
            let mut change = Change::default();
            change.edit_server(tables, id, &cause, |server| {
                server.network_allocations.clone_from(&kept.allocations);
            });
            describe(tables, id, &kept.data, &mut change);
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}

fn describe(
    tables: &Tables,
    id: ShareServerId,
    data: &[(ShareNetworkSubnetId, NetworkData)],
    change: &mut Change,
) {
    let Ok(server) = carry::server(tables, id) else { return };
    if data.is_empty() {
        return;
    }
    change.edit_share_network(tables, server.share_network, |network| {
        for (id, data) in data {
            if let Some(subnet) = network.subnets.iter_mut().find(|subnet| subnet.id == *id) {
                subnet.describe(data);
            }
        }
    });
}

async fn alter(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareServerId,
    alter: impl Fn(&mut ShareServer),
) -> Result<(), ManagerError> {
    let operation = &attempt.operation;
    inner
        .transact(|tables| {
            if unfinished(tables, operation.id).is_none() {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            change.edit_server(tables, id, &cause_of(operation), &alter);
            Ok(Proposal::Commit(operation.backend.clone(), change, ()))
        })
        .await
}

/// What a failed set-up tells of what is there: its tear-down gets it (contract 0.3, 10).
pub(super) async fn keep_details(
    inner: &Inner,
    attempt: &Attempt,
    id: ShareServerId,
    error: &CallError,
) -> Result<(), ManagerError> {
    match error {
        CallError::Answered(DriverError { detail: Some(ErrorDetail::ServerDetails(details)), .. }) => {
            alter(inner, attempt, id, |server| server.backend_details.extend(details.clone())).await
        }
        _ => Ok(()),
    }
}

/// After a failure before the driver could make anything, the addresses go back at once; a failure that repeats keeps them.
async fn keep_or_release(inner: &Inner, attempt: &Attempt, id: ShareServerId, error: &CallError) {
    let may_exist = inner.read(|tables| carry::server(tables, id)).is_ok_and(|server| server.may_exist);
    let repeats = matches!(error, CallError::Host { .. } | CallError::DeadlineExceeded { .. })
        || error.code().is_some_and(DriverErrorCode::is_repeated);
    if may_exist || repeats {
        return;
    }
    let Ok(provider) = networks(attempt) else { return };
    if let Err(error) = provider.release(id, &Release::Everything, &attempt.reason()).await {
        // They go with the server's record: its tear-down releases what is left.
        tracing::warn!(share_server.id = %id, "addresses of a server that was not made stay with its record: {error}");
        return;
    }
    if let Err(error) = alter(inner, attempt, id, |server| server.network_allocations.clear()).await {
        tracing::warn!(share_server.id = %id, "the record shows addresses that were given back: {error}");
    }
}

async fn succeed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    id: ShareServerId,
    outcome: &ServerOutcome,
) -> Result<Step, ManagerError> {
    inner
        .conclude(attempt, |tables, cause, change| {
            activate(tables, id, outcome, cause, change);
            End::well()
        })
        .await?;
    tracing::info!(share_server.id = %id, "the share server is set up");
    settle::wake_those_on(inner, id);
    Ok(Step::Ended)
}

/// The server serves from now on, as its driver says.
pub(super) fn activate(
    tables: &Tables,
    id: ShareServerId,
    outcome: &ServerOutcome,
    cause: &Cause,
    change: &mut Change,
) {
    change.edit_server(tables, id, cause, |server| {
        server.status = ShareServerStatus::Active;
        server.identifier.clone_from(&outcome.identifier);
        server.backend_details.clone_from(&outcome.backend_details);
        server.failure = None;
    });
}
