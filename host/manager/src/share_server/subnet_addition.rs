//! Letting a share server in service serve a subnet that was added to its network (Manila: `update_share_server_network_allocations`).
//!
//! ```text
//!   count --> allocate in the new subnet --> record: the server has the subnet, its driver may be told --> call --> take in --> active
//!        \--failed--> give back --> active, without the subnet                                       \--failed--> error
//! ```
//!
//! Every step may be repeated: the provider finds what it allocated for this server and subnet, the driver what it did. Once the driver may
//! have been told, the addresses stay with the server until its tear-down, as those of its set-up do.

use super::setup::{keep_details, networks, refused, unallocated};
use super::{carry, network_change};
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Attempt, End};
use crate::manager::Inner;
use crate::operation::Judgement;
use crate::records::{Cause, Change, Tables};
use crate::runner::{Progress, Step, failed, judged};
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkData, ServerNetwork, ShareNetworkSubnet,
};
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::server_update::{AllocationChange, AllocationOutcome};
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::SnapshotStatus;
use bulkhead_sandbox::{AddressRequest, AllocationError, NetworkProvider, Purpose, Release, SubnetChoice};
use std::sync::Arc;

/// Whether the driver may be told.
enum Readiness {
    /// The server has its addresses, and the record says so.
    Ready,
    /// The operation is somebody else's, or was given up.
    NotOurs,
}

/// Which server comes to serve which subnet.
type Wanted = (ShareServerId, ShareNetworkSubnetId);

/// One attempt.
pub(super) async fn run(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    (id, subnet): Wanted,
) -> Result<Step, ManagerError> {
    match prepare(inner, attempt, (id, subnet)).await? {
        Ok(Readiness::Ready) => {}
        Ok(Readiness::NotOurs) => return Ok(Step::Ended),
        Err(error) => {
            let judgement = progress.judge(inner, &attempt.operation.verb, &error);
            if judgement != Judgement::Repeat {
                give_back(attempt, (id, subnet)).await;
            }
            return judged(inner, attempt, judgement, error).await;
        }
    }
    let change = match inner.read(|tables| change_of(tables, (id, subnet))) {
        Ok(change) => change,
        Err(error) => return failed(inner, attempt, progress, error).await,
    };
    match attempt.serving.driver.update_network_allocations(&attempt.reason(), &change).await {
        Ok(outcome) => succeed(inner, attempt, &change, &outcome).await,
        Err(error) => {
            keep_details(inner, attempt, id, &error).await?;
            failed(inner, attempt, progress, error).await
        }
    }
}

/// Everything before the driver is told: the server's addresses in the subnet are kept and recorded.
async fn prepare(
    inner: &Inner,
    attempt: &Attempt,
    (id, subnet): Wanted,
) -> Result<Result<Readiness, CallError>, ManagerError> {
    let found = inner.read(|tables| {
        let server = carry::server(tables, id)?;
        let subnet = carry::subnet_of(tables, &server, subnet)?;
        Ok((server, subnet))
    });
    let (server, subnet) = match found {
        Ok((server, subnet)) if server.serves(subnet.id) => return Ok(Ok(Readiness::Ready)),
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let kept = match allocate(attempt, &server, &subnet).await {
        Ok(kept) => kept,
        Err(error) => return Ok(Err(error)),
    };
    let recorded = network_change::write(inner, attempt, |tables, cause, change| {
        record(tables, (&server, subnet.id), &kept, (cause, change));
    });
    if recorded.await?.is_some() {
        return Ok(Ok(Readiness::Ready));
    }
    if inner.unfinished(attempt.operation.id).is_none() {
        give_back(attempt, (id, subnet.id)).await;
    }
    Ok(Ok(Readiness::NotOurs))
}

/// Addresses that are kept for a server in a new subnet, and what is known of the network they are in.
struct Kept {
    allocations: Vec<NetworkAllocation>,
    data: Option<NetworkData>,
}

async fn allocate(
    attempt: &Attempt,
    server: &ShareServer,
    subnet: &ShareNetworkSubnet,
) -> Result<Kept, CallError> {
    let count = attempt.serving.driver.network_allocations_number(&attempt.reason()).await?;
    let provider = networks(attempt)?;
    let version = attempt.serving.address_version();
    let data = match provider.describe(subnet, version).await {
        Ok(data) => Some(data),
        Err(AllocationError::NoNetwork { .. }) if count == 0 => None,
        Err(error) => return Err(unallocated(&error)),
    };
    let mut described = subnet.clone();
    if let Some(data) = &data {
        described.describe(data);
    }
    let allocations = if count == 0 {
        Vec::new()
    } else {
        let request = AddressRequest {
            server: server.id,
            project: Some(server.project.clone()),
            label: AllocationLabel::User,
            version,
            subnet: SubnetChoice::Given(Box::new(subnet.clone())),
            count: usize::try_from(count).unwrap_or(usize::MAX),
            purpose: Purpose::Host,
        };
        keep(&*provider, &request, attempt, subnet.id).await?
    };
    let network = carry::network(server, vec![described], &allocations);
    if let Err(invalid) = network.check_segmentation() {
        return Err(refused(DriverErrorCode::BadNetworkConfiguration, &invalid));
    }
    Ok(Kept { allocations, data })
}

/// Keep addresses. Where the driver counts otherwise, or exports with another version, than when an earlier attempt began, which it knows
/// nothing of, that one's go back.
async fn keep(
    provider: &dyn NetworkProvider,
    request: &AddressRequest,
    attempt: &Attempt,
    subnet: ShareNetworkSubnetId,
) -> Result<Vec<NetworkAllocation>, CallError> {
    let reason = attempt.reason();
    match provider.allocate(request, &reason).await {
        Err(AllocationError::OtherCount { .. } | AllocationError::OtherVersion { .. }) => {}
        answer => return answer.map_err(|error| unallocated(&error)),
    }
    let released = provider.release(request.server, &Release::Subnet(subnet), &reason).await;
    released.map_err(|error| unallocated(&error))?;
    provider.allocate(request, &reason).await.map_err(|error| unallocated(&error))
}

/// The server has the subnet from now on, with these addresses: its driver may be told.
fn record(
    tables: &Tables,
    (server, subnet): (&ShareServer, ShareNetworkSubnetId),
    kept: &Kept,
    (cause, change): (&Cause, &mut Change),
) {
    change.edit_server(tables, server.id, cause, |server| {
        server.further_subnets.push(subnet);
        server.network_allocations.extend(kept.allocations.iter().cloned());
    });
    let Some(data) = &kept.data else { return };
    change.edit_share_network(tables, server.share_network, |network| {
        for one in network.subnets.iter_mut().filter(|one| one.id == subnet) {
            one.describe(data);
        }
    });
}

/// Give back what was kept for a server that does not come to serve the subnet.
async fn give_back(attempt: &Attempt, (id, subnet): Wanted) {
    let Ok(provider) = networks(attempt) else { return };
    if let Err(error) = provider.release(id, &Release::Subnet(subnet), &attempt.reason()).await {
        // They go with the server: its tear-down releases what is left.
        tracing::warn!(share_server.id = %id, "addresses in a subnet that the server does not serve stay with it: {error}");
    }
}

fn change_of(tables: &Tables, (id, subnet): Wanted) -> Result<AllocationChange, CallError> {
    let server = carry::server(tables, id)?;
    let new_network = carry::network_of(tables, &server)?;
    let mut networks = new_network.networks.clone();
    networks.retain(|info| info.subnet.id != subnet);
    Ok(AllocationChange {
        current_network: ServerNetwork { networks, ..new_network.clone() },
        new_network,
        shares: carry::shares_on(tables, id),
        snapshots: carry::snapshots_on(tables, id),
        server: server.for_driver(),
    })
}

/// Take in where everything is now, piece by piece, so that no transaction is too large: after a crash the driver says the same again.
async fn succeed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    told: &AllocationChange,
    outcome: &AllocationOutcome,
) -> Result<Step, ManagerError> {
    for (share, locations) in &outcome.export_locations {
        network_change::write(inner, attempt, |tables, cause, change| {
            change.edit_replica(tables, *share, cause, |instance| {
                instance.export_locations = export::replace(&instance.export_locations, locations.clone());
            });
        })
        .await?;
    }
    for update in &outcome.snapshots {
        let snapshot = told.snapshots.iter().find(|one| one.id == update.id);
        let Some(snapshot) = snapshot.map(|one| one.snapshot) else { continue };
        network_change::write(inner, attempt, |tables, cause, change| {
            let instance = tables.snapshot_instances_of(snapshot).find(|one| one.id == update.id);
            if let Some(instance) = instance {
                change.edit_one_snapshot_instance(instance, cause, |instance| take_in(instance, update));
            }
        })
        .await?;
    }
    inner
        .conclude(attempt, |tables, cause, change| {
            network_change::end(tables, told.server.id, (cause, change), |server| {
                server.status = ShareServerStatus::Active;
                if let Some(details) = &outcome.backend_details {
                    server.backend_details.clone_from(details);
                }
            });
            End::well()
        })
        .await?;
    tracing::info!(share_server.id = %told.server.id, "the share server serves another subnet");
    Ok(Step::Ended)
}

fn take_in(instance: &mut SnapshotInstance, update: &SnapshotUpdate) {
    instance.status = match update.progress {
        SnapshotProgress::Available => SnapshotStatus::Available,
        _ => SnapshotStatus::Error,
    };
    if update.provider_location.is_some() {
        instance.provider_location.clone_from(&update.provider_location);
    }
    // Only of snapshots that can be mounted: of others none come this far.
    if let Some(locations) = &update.export_locations {
        instance.export_locations = export::replace(&instance.export_locations, locations.clone());
    }
}
