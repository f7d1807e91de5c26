//! What the operator set, checked as a whole: a wrong option is named before anything is started.

use bulkhead_sdk::config::{self, Value};
use bulkhead_sdk::{Error, IpVersion, Result};
use std::net::{IpAddr, Ipv6Addr};

/// Which versions of NFS are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// NFSv3 and NFSv4.
    Nfs3AndNfs4,
    /// NFSv4 alone.
    Nfs4,
}

impl Protocols {
    fn read() -> Result<Self> {
        Ok(match config::boolean("nfs3")? {
            Some(false) => Self::Nfs4,
            Some(true) | None => Self::Nfs3AndNfs4,
        })
    }
}

/// The usual ports of NFS and of NFSv3's mount protocol.
const NFS_PORT: u16 = 2049;
const MOUNT_PORT: u16 = 20048;

/// How the server listens, and where clients find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The addresses in export locations; at least one.
    pub export_addresses: Vec<IpAddr>,
    /// Those that only administrators are told.
    pub admin_addresses: Vec<IpAddr>,
    /// The address the server listens at.
    pub listen_address: IpAddr,
    /// The port of NFS.
    pub nfs_port: u16,
    /// The port of NFSv3's mount protocol.
    pub mount_port: u16,
    /// Which versions of NFS are served.
    pub protocols: Protocols,
}

impl Options {
    /// Read those of the backend's own server. Fails with `bad-configuration` where one is wrong.
    pub fn read() -> Result<Self> {
        let export_addresses = export_addresses()?;
        let (nfs_port, mount_port) = (port("nfs_port")?, port("mount_port")?);
        let protocols = Protocols::read()?;
        if nfs_port == mount_port && protocols == Protocols::Nfs3AndNfs4 {
            return Err(Error::bad_configuration(format!(
                "options nfs_port and mount_port are both {nfs_port}; give them two ports"
            )));
        }
        let listen_address = listen_address(&export_addresses)?;
        Ok(Self {
            export_addresses,
            admin_addresses: Vec::new(),
            listen_address,
            nfs_port,
            mount_port,
            protocols,
        })
    }

    /// Those of a share server with these addresses in the tenant's network, at least one, and these in the administrators'. Nobody else
    /// is in its network namespace: it listens at all of its addresses, and at the usual ports.
    pub fn of_share_server(export_addresses: Vec<IpAddr>, admin_addresses: Vec<IpAddr>) -> Result<Self> {
        let listen_address = match (export_addresses.as_slice(), admin_addresses.as_slice()) {
            ([only], []) => *only,
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let (nfs_port, mount_port) = (NFS_PORT, MOUNT_PORT);
        let protocols = Protocols::read()?;
        Ok(Self { export_addresses, admin_addresses, listen_address, nfs_port, mount_port, protocols })
    }

    /// The IP versions clients mount with.
    pub fn ip_versions(&self) -> Vec<IpVersion> {
        let mut versions = Vec::new();
        if self.export_addresses.iter().any(IpAddr::is_ipv4) {
            versions.push(IpVersion::V4);
        }
        if self.export_addresses.iter().any(IpAddr::is_ipv6) {
            versions.push(IpVersion::V6);
        }
        versions
    }
}

fn export_addresses() -> Result<Vec<IpAddr>> {
    let texts = match config::get("export_addresses")? {
        Some(Value::Texts(texts)) if !texts.is_empty() => texts,
        _ => {
            return Err(Error::bad_configuration(
                "option export_addresses is empty; name at least one IP address that clients reach",
            ));
        }
    };
    texts.iter().map(|text| address("export_addresses", text)).collect()
}

/// One address is listened at alone; several have only the whole machine in common.
fn listen_address(export_addresses: &[IpAddr]) -> Result<IpAddr> {
    if let Some(text) = config::text("listen_address")? {
        return address("listen_address", &text);
    }
    Ok(match export_addresses {
        [only] => *only,
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    })
}

fn address(option: &str, text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| {
        Error::bad_configuration(format!(
            "option {option} has '{text}', which must be an IPv4 or IPv6 address, without port, prefix or brackets"
        ))
    })
}

fn port(option: &str) -> Result<u16> {
    let value = config::integer(option)?.unwrap_or_default();
    match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Error::bad_configuration(format!("option {option} is {value}; it must be 1 to 65535"))),
    }
}

/// What the operator wants kept free, in percent, for every kind of share alike.
pub fn reserved_percentage() -> Result<u32> {
    let value = config::integer("reserved_share_percentage")?.unwrap_or(0);
    match u32::try_from(value) {
        Ok(percent) if percent <= 100 => Ok(percent),
        _ => Err(Error::bad_configuration(format!(
            "option reserved_share_percentage is {value}; it must be 0 to 100"
        ))),
    }
}
