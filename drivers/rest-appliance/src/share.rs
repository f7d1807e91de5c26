//! Creating, deleting and ensuring shares.

use crate::array::{self, Volume, of_volume};
use crate::work;
use bulkhead_sdk::{
    AfterEnsuring, Creation, EnsuredShare, Error, ExportLocation, Health, IpVersion, Protocol, Result, Share,
    Slots, Snapshot, config,
};
use std::net::Ipv6Addr;

/// The status of what is there already.
const CONFLICT: u16 = 409;

/// Make an empty share.
pub(crate) fn create(share: &Share) -> Result<Vec<ExportLocation>> {
    make(share, "create-volume", || of_volume(share).unsigned("size", share.size_gib))
}

/// Make a share with the content of a snapshot.
pub(crate) fn create_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
    let slots = || of_volume(share).unsigned("size", share.size_gib).name_of("source", source);
    make(share, "clone-volume", slots).map(Creation::Available)
}

/// Ask, then tell, then wait. What an earlier attempt made, or makes still, is taken as this one's.
fn make(share: &Share, request: &str, slots: impl Fn() -> Slots) -> Result<Vec<ExportLocation>> {
    check_protocol(share)?;
    if array::volume(share)?.is_none() {
        let answer = array::send(request, slots())?;
        // An attempt whose answer was lost has come first.
        if !answer.is_success() && answer.status != CONFLICT {
            return Err(array::refused(request, &answer));
        }
    }
    work::wait(share)?;
    match array::volume(share)? {
        Some(volume) if volume.size_gib == share.size_gib => Ok(vec![location(&volume)?]),
        Some(volume) => Err(Error::conflict(format!(
            "{} is there with {} GiB instead of {}",
            share.name, volume.size_gib, share.size_gib
        ))),
        None => Err(Error::backend_failed(format!("the array has made {} and does not have it", share.name))),
    }
}

/// Remove a share; one that is not there is removed.
pub(crate) fn delete(share: &Share) -> Result<()> {
    let request = "delete-volume";
    let answer = array::send(request, of_volume(share))?;
    match answer.status {
        404 => Ok(()),
        _ => work::wait_for(request, &answer, share),
    }
}

/// Look at a share: does the array have it, and where do clients find it now?
pub(crate) fn ensure(share: &Share) -> Result<EnsuredShare> {
    let volume = array::volume(share)?;
    let locations = volume.as_ref().map(location).transpose()?;
    Ok(EnsuredShare {
        id: share.id.clone(),
        export_locations: locations.map(|location| vec![location]),
        access_rules: if volume.is_some() { AfterEnsuring::ReapplyRules } else { AfterEnsuring::KeepRules },
        health: if volume.is_some() { Health::Sound } else { Health::Broken },
    })
}

/// The address clients mount from. Fails with `bad-configuration` if the operator's text can be no address.
pub(crate) fn export_address() -> Result<String> {
    let address = config::text("export_address")?.unwrap_or_default();
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter))
    };
    if is_name(&address) || address.parse::<Ipv6Addr>().is_ok() {
        Ok(address)
    } else {
        Err(Error::bad_configuration(
            "option export_address must be an IPv4 address, an IPv6 address or a host name, without port or path",
        ))
    }
}

/// The IP version clients mount with.
pub(crate) fn ip_version() -> Result<IpVersion> {
    let is_v6 = export_address()?.parse::<Ipv6Addr>().is_ok();
    Ok(if is_v6 { IpVersion::V6 } else { IpVersion::V4 })
}

fn location(volume: &Volume) -> Result<ExportLocation> {
    let (address, path) = (export_address()?, &volume.export);
    Ok(ExportLocation::new(match ip_version()? {
        IpVersion::V4 => format!("{address}:{path}"),
        IpVersion::V6 => format!("[{address}]:{path}"),
    }))
}

fn check_protocol(share: &Share) -> Result<()> {
    if share.protocol == Protocol::Nfs {
        return Ok(());
    }
    Err(Error::invalid_share(format!(
        "{} asks for {:?}; this driver serves NFS only",
        share.name, share.protocol
    )))
}
