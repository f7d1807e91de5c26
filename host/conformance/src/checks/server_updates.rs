//! Share servers in service that get another security service or serve one more subnet.

use super::{places, require_unchanged};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::server_update::{AllocationChange, SubnetAddition};

const UPDATES: [Ability; 2] = [Ability::ShareServers, Ability::ServerUpdates];

/// What is checked of servers in service.
pub(crate) const CHECKS: &[Check] = &[
    check!(
        "service-check-read-only",
        "server-updates.check-security-service-update",
        [UPDATES],
        service_check_read_only,
        "Reads only, within 30 s. The driver logs why not."
    ),
    check!(
        "service-update-again",
        "server-updates.update-security-service",
        [UPDATES],
        service_update_again,
        "Idempotent: a server that uses it is a success with the same answer."
    ),
    check!(
        "subnet-check-read-only",
        "server-updates.check-network-allocations-update",
        [UPDATES],
        subnet_check_read_only,
        "Reads only, within 30 s; nothing has been allocated yet. The driver logs why not."
    ),
    check!(
        "subnet-update-again",
        "server-updates.update-network-allocations",
        [UPDATES],
        subnet_update_again,
        "Idempotent: a server that serves it is a success with the same answer."
    ),
];

async fn service_check_read_only(stage: &Stage) -> Found {
    stage.require_servers()?;
    let change = stage.service_change().await?;
    let before = stage.holdings().await?;
    let could = stage.driver().check_security_service_update(&stage.reason(), &change).await;
    could.judge("check-security-service-update")?;
    require_unchanged(&before, &stage.holdings().await?, "check-security-service-update")
}

async fn service_update_again(stage: &Stage) -> Found {
    stage.require_servers()?;
    let change = stage.service_change().await?;
    let (driver, reason) = (stage.driver(), stage.reason());
    let first = driver.update_security_service(&reason, &change).await.prepare("update-security-service")?;
    let second = driver.update_security_service(&reason, &change).await;
    let second = second.judge("a second update-security-service")?;
    require(first == second, || format!("the second answer was {second:?}, the first {first:?}"))
}

async fn subnet_check_read_only(stage: &Stage) -> Found {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    let server = stage.set_up(&new).await.prepare("setup-server")?;
    let addition = SubnetAddition {
        server,
        new_subnet: stage.another_subnet(&new.network),
        network: new.network,
        shares: Vec::new(),
        rules: std::collections::BTreeMap::new(),
    };
    let before = stage.holdings().await?;
    let could = stage.driver().check_network_allocations_update(&stage.reason(), &addition).await;
    could.judge("check-network-allocations-update")?;
    require_unchanged(&before, &stage.holdings().await?, "check-network-allocations-update")
}

async fn subnet_update_again(stage: &Stage) -> Found {
    stage.require_servers()?;
    let change = stage.allocation_change().await?;
    let (driver, reason) = (stage.driver(), stage.reason());
    let first = driver.update_network_allocations(&reason, &change).await;
    let first = first.prepare("update-network-allocations")?;
    let told = first.backend_details.clone().unwrap_or_else(|| change.server.backend_details.clone());
    let server =
        bulkhead_model::share_server::ServerForDriver { backend_details: told, ..change.server.clone() };
    let again = AllocationChange { server, ..change };
    let second = driver.update_network_allocations(&reason, &again).await;
    let second = second.judge("a second update-network-allocations")?;
    let found = |outcome: &bulkhead_model::server_update::AllocationOutcome| {
        let of_share = |(share, locations): (&_, &Vec<_>)| (*share, places(locations));
        outcome
            .export_locations
            .iter()
            .map(of_share)
            .collect::<Vec<(bulkhead_model::id::ShareInstanceId, _)>>()
    };
    require(found(&first) == found(&second), || {
        format!("the second time shares were at {:?}, the first at {:?}", found(&second), found(&first))
    })
}
