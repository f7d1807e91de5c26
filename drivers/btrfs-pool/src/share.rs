//! Creating, deleting and ensuring shares.

use crate::export::{Clients, Export, Soundness};
use crate::place::{NEW_SHARE, SHARE, SOURCE};
use crate::server::{Server, instance_of};
use crate::{size, subvolume};
use bulkhead_sdk::service::Instance;
use bulkhead_sdk::{
    AfterEnsuring, CapabilityCode, Creation, EnsuredShare, Error, ErrorCode, ExportLocation, Health,
    Protocol, ReplicaState, Resource, Result, Share, Slots, Snapshot, execute, log,
};

/// Make an empty share. Nobody may mount it yet.
pub fn create(share: &Share) -> Result<Vec<ExportLocation>> {
    check_protocol(share)?;
    let resource = Resource::from(share);
    if !is_whole(share)? {
        subvolume::delete(NEW_SHARE, &resource)?;
        subvolume::run("create-subvolume", Slots::new().path_of("at", NEW_SHARE, resource.clone()))?;
        subvolume::run("open-to-clients", Slots::new().path_of("at", NEW_SHARE, resource.clone()))?;
        subvolume::finish_share(&resource, share.size_gib)?;
    }
    serve(share)
}

/// Make a share with the content of a snapshot.
pub fn create_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
    check_protocol(share)?;
    let resource = Resource::from(share);
    if !is_whole(share)? {
        subvolume::delete(NEW_SHARE, &resource)?;
        let slots = Slots::new().path("from", SOURCE).path("to", NEW_SHARE);
        execute::run("clone", slots).map_err(|error| match error.code() {
            CapabilityCode::NotFound => {
                Error::snapshot_not_found(format!("{} has no subvolume", source.name))
            }
            _ => subvolume::name_failure(error),
        })?;
        subvolume::finish_share(&resource, share.size_gib)?;
    }
    serve(share).map(Creation::Available)
}

/// Export a new share to nobody. If that fails, the host learns where it would be found, and keeps that.
fn serve(share: &Share) -> Result<Vec<ExportLocation>> {
    let export = Export::of_share(share);
    let locations = export.locations()?;
    let _held = export.hold()?;
    export.publish_first().map_err(|error| error.with_export_locations(locations.clone()))?;
    Ok(locations)
}

/// Whether an earlier attempt has come as far as the share's name. Another size is a conflict.
fn is_whole(share: &Share) -> Result<bool> {
    let resource = Resource::from(share);
    if !subvolume::is_there(SHARE, &resource)? {
        return Ok(false);
    }
    let wanted = share.size_gib.saturating_mul(subvolume::GIB);
    match subvolume::limit_bytes(SHARE, &resource)? {
        Some(found) if found == wanted => Ok(true),
        found => Err(Error::conflict(format!(
            "{} is there with a limit of {} bytes, not {} GiB; delete it first",
            share.name,
            found.unwrap_or_default(),
            share.size_gib
        ))),
    }
}

/// Remove a share, or what there is of it. First nobody is served any more, then the data goes, last what is remembered: the order
/// lets a repeated attempt find what is left.
pub fn delete(share: &Share) -> Result<()> {
    let resource = Resource::from(share);
    let export = Export::of_share(share);
    let _held = export.hold()?;
    export.withdraw()?;
    subvolume::delete(NEW_SHARE, &resource)?;
    subvolume::delete(SHARE, &resource)?;
    subvolume::forget_size(&resource)
}

/// Look at shares and bring their exports in line, without disturbing clients of those that are. A server that does not run is started
/// first. A share that fails does not hold up the others: it is left out, and stays as it is.
pub fn ensure_all(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
    let mut servers: Vec<(Instance, Result<()>)> = Vec::new();
    let mut ensured = Vec::new();
    for share in shares {
        let instance = instance_of(share);
        let known = servers.iter().find(|(known, _)| *known == instance).map(|(_, started)| started.clone());
        let started = known.unwrap_or_else(|| {
            let started = Server::at(&instance).and_then(|server| server.start()).map(drop);
            servers.push((instance, started.clone()));
            started
        });
        match started.and_then(|()| ensure(share)) {
            Ok(one) => ensured.push(one),
            Err(error) => log::error(&format!("{} was not ensured: {error}", share.name)),
        }
    }
    Ok(ensured)
}

fn ensure(share: &Share) -> Result<EnsuredShare> {
    let ensured = |locations, access_rules, health| EnsuredShare {
        id: share.id.clone(),
        export_locations: locations,
        access_rules,
        health,
    };
    if !is_served(share) {
        return Ok(ensured(None, AfterEnsuring::KeepRules, Health::Sound));
    }
    match subvolume::is_there(SHARE, &Resource::from(share)) {
        Ok(true) => {}
        Ok(false) => return Ok(ensured(None, AfterEnsuring::KeepRules, Health::Broken)),
        Err(error) if error.code() == ErrorCode::Conflict => {
            log::error(error.message());
            return Ok(ensured(None, AfterEnsuring::KeepRules, Health::Broken));
        }
        Err(error) => return Err(error),
    }
    let export = Export::of_share(share);
    let _held = export.hold()?;
    size::ensure(share)?;
    let access_rules = match export.restore()? {
        Soundness::Sound => AfterEnsuring::KeepRules,
        // Only with the rules of their shares are those of mountable snapshots sent again.
        Soundness::RulesLost | Soundness::ServedAgain => AfterEnsuring::ReapplyRules,
    };
    Ok(ensured(Some(export.locations()?), access_rules, Health::Sound))
}

/// Of a replicated share only the active replica is exported.
pub fn is_served(share: &Share) -> bool {
    matches!(share.replica_state, None | Some(ReplicaState::Active))
}

/// Serve a share to whom the rules of this call name.
pub fn admit(share: &Share) -> Result<()> {
    let export = Export::of_share(share);
    let _held = export.hold()?;
    export.publish(Clients::OfCall)
}

/// Serve a share to nobody, until it is served again.
pub fn shut(share: &Share) -> Result<()> {
    let export = Export::of_share(share);
    let _held = export.hold()?;
    export.suspend()
}

/// Fails with `invalid-share` unless the share is to be served by NFS.
pub fn check_protocol(share: &Share) -> Result<()> {
    if share.protocol == Protocol::Nfs {
        return Ok(());
    }
    Err(Error::invalid_share(format!(
        "{} asks for {:?}; this driver serves NFS only",
        share.name, share.protocol
    )))
}
