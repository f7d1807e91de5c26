//! Where clients would find a share or snapshot, if there were anything to mount.

use crate::{options, own_address, server};
use bulkhead_sdk::{Error, ExportLocation, IpVersion, Protocol, Result, Share, config};
use std::net::Ipv6Addr;

/// The address in export locations. Fails with `bad-configuration` if the operator's text can be no address.
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

/// The IP versions clients would mount with: that of the address, or whichever the networks of share servers have.
pub(crate) fn ip_versions() -> Result<Vec<IpVersion>> {
    if options::makes_servers()? {
        return Ok(vec![IpVersion::V4, IpVersion::V6]);
    }
    let is_v6 = export_address()?.parse::<Ipv6Addr>().is_ok();
    Ok(vec![if is_v6 { IpVersion::V6 } else { IpVersion::V4 }])
}

/// Where the object `name` of `share` is: the share itself or a snapshot of it. Fails with `invalid-share` for a protocol that is not
/// served, with `invalid-share-server` if its server is not at the array, with `no-address-left` if it shall have an address of its own and
/// there is none.
pub(crate) fn export_locations(share: &Share, name: &str) -> Result<Vec<ExportLocation>> {
    if !matches!(share.protocol, Protocol::Nfs | Protocol::Cifs) {
        return Err(Error::invalid_share(format!(
            "{name} asks for {:?}; this driver serves NFS and CIFS only",
            share.protocol
        )));
    }
    let addresses = match &share.share_server_id {
        Some(server) => {
            let of_server = server::entrances(server)?;
            own_address::of(share, server)?.map_or(of_server, |own| vec![own])
        }
        None => vec![export_address()?],
    };
    addresses.iter().map(|address| export_location(share, name, address)).collect()
}

fn export_location(share: &Share, name: &str, address: &str) -> Result<ExportLocation> {
    let is_v6 = address.parse::<Ipv6Addr>().is_ok();
    let path = match share.protocol {
        Protocol::Nfs if is_v6 => format!("[{address}]:/{name}"),
        Protocol::Cifs => format!("\\\\{address}\\{name}"),
        _ => format!("{address}:/{name}"),
    };
    Ok(ExportLocation::new(path))
}
