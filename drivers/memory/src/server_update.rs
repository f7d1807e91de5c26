//! Share servers in service that get another security service, or addresses in one more subnet.

use crate::{options, place, server, share, snapshot};
use bulkhead_sdk::{
    AllocationOutcome, AllocationUpdate, Error, ReexportedShare, Result, SecurityServiceUpdate,
    ShareRuleOutcomes, SnapshotProgress, SnapshotUpdate, SubnetAddition,
};

/// The most subnets that a server has interfaces in.
const MOST_SUBNETS: usize = 4;

/// Whether the array joins the directory of the new service.
pub(crate) fn check_service(update: &SecurityServiceUpdate) -> Result<bool> {
    let is_refused = is_refused(update)?;
    if is_refused {
        bulkhead_sdk::log::warning("option refused_domain names the domain of the security service");
    }
    Ok(!is_refused)
}

fn is_refused(update: &SecurityServiceUpdate) -> Result<bool> {
    let refused = options::refused_domain()?;
    Ok(refused.is_some() && refused == update.new_service.domain)
}

/// Join the directory of the new service. Rules go by address or name, so that all of them stay in force.
pub(crate) fn update_service(update: &SecurityServiceUpdate) -> Result<Vec<ShareRuleOutcomes>> {
    if is_refused(update)? {
        return Err(Error::security_service_failed(format!(
            "the array does not join the directory that option refused_domain names; {} keeps what it uses",
            update.server.identifier
        )));
    }
    let current = update.current_service.as_ref().map(|service| service.id.as_str());
    server::use_service(&update.server.id, &update.new_service.id, current)?;
    Ok(Vec::new())
}

/// Whether the server may have interfaces in one more subnet.
pub(crate) fn check_subnet(addition: &SubnetAddition) -> bool {
    let has_room = addition.network.networks.len() < MOST_SUBNETS;
    if !has_room {
        bulkhead_sdk::log::warning(&format!("a server has interfaces in {MOST_SUBNETS} subnets at most"));
    }
    has_room
}

/// Plug the server into the new subnet; everything on it is reached there too.
pub(crate) fn update_addresses(update: &AllocationUpdate) -> Result<AllocationOutcome> {
    let refused = options::refused_network()?;
    let is_refused = |info: &bulkhead_sdk::NetworkInfo| refused.is_some() && info.subnet.cidr == refused;
    if update.new_network.networks.len() > MOST_SUBNETS || update.new_network.networks.iter().any(is_refused)
    {
        return Err(Error::bad_network_configuration(format!(
            "{} cannot be plugged into the subnet: it has {MOST_SUBNETS} already, or option refused_network names it",
            update.server.identifier
        )));
    }
    server::spread(&update.new_network)?;
    let mut outcome = AllocationOutcome::default();
    for share in &update.shares {
        share::get(share)?;
        let export_locations = place::export_locations(share, &share.name)?;
        outcome.shares.push(ReexportedShare { share_id: share.id.clone(), export_locations });
    }
    for snapshot in &update.snapshots {
        outcome.snapshots.push(SnapshotUpdate {
            export_locations: Some(snapshot::export_locations(snapshot)?),
            ..SnapshotUpdate::new(&snapshot.id, SnapshotProgress::Available)
        });
    }
    Ok(outcome)
}
