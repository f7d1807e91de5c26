//! Where things lie, and where clients find them.

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::{Error, ExportLocation, IpVersion, Resource, Result, Share, config};
use std::net::Ipv6Addr;

/// The root with all shares and snapshots.
pub(crate) const ROOT: &str = "shares";
/// A share.
pub(crate) const SHARE: &str = "{share}";
/// A share, or its new content, in the making.
pub(crate) const NEW_SHARE: &str = ".{share}.new";
/// A snapshot.
pub(crate) const SNAPSHOT: &str = "{share}@{snapshot}";
/// A snapshot in the making.
pub(crate) const NEW_SNAPSHOT: &str = ".{share}@{snapshot}.new";
/// The snapshot that a new share is made from.
pub(crate) const SOURCE: &str = "{source-share}@{source-snapshot}";

/// A path below the root, about the call's own share or snapshot.
pub(crate) fn path(pattern: &str) -> Path {
    Path::new(ROOT, pattern)
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

/// Where clients find a share.
pub(crate) fn export_location(share: &Share) -> Result<ExportLocation> {
    let directory = files::location(&path(SHARE).of(Resource::from(share)))?;
    let address = export_address()?;
    Ok(ExportLocation::new(match ip_version()? {
        IpVersion::V4 => format!("{address}:{directory}"),
        IpVersion::V6 => format!("[{address}]:{directory}"),
    }))
}
