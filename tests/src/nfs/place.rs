//! Where an export is, and from where it is mounted.

use anyhow::Context;
use std::net::{IpAddr, SocketAddr};

/// Where an export is, and from where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The server's address.
    pub server: IpAddr,
    /// Where it speaks NFS.
    pub nfs_port: u16,
    /// Where it speaks the mount protocol.
    pub mount_port: u16,
    /// The export's path.
    pub path: String,
    /// The client's address.
    pub source: IpAddr,
    /// The network namespace that the client is in, as `ip netns` names it; none: this program's.
    pub namespace: Option<String>,
}

impl Place {
    /// The place that an export location (`ADDRESS:PATH`, `[ADDRESS]:PATH`) names, as `source` sees it.
    pub fn of(location: &str, ports: (u16, u16), source: &str) -> anyhow::Result<Self> {
        let (server, path) = location
            .split_once(":/")
            .with_context(|| format!("'{location}' is no export location: ADDRESS:PATH"))?;
        let server = server.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            server: server.parse().with_context(|| format!("'{server}' is no address"))?,
            nfs_port: ports.0,
            mount_port: ports.1,
            path: format!("/{path}"),
            source: source.parse().with_context(|| format!("'{source}' is no address"))?,
            namespace: None,
        })
    }

    /// The same, for a client in another network namespace.
    #[must_use]
    pub fn within(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    pub(super) const fn nfs(&self) -> SocketAddr {
        SocketAddr::new(self.server, self.nfs_port)
    }

    pub(super) const fn mount(&self) -> SocketAddr {
        SocketAddr::new(self.server, self.mount_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_location_may_have_an_address_of_either_kind() {
        let place = Place::of("10.77.0.1:/a/b", (2049, 20048), "10.77.0.11").expect("it is one");
        assert_eq!((place.nfs().to_string().as_str(), place.path.as_str()), ("10.77.0.1:2049", "/a/b"));
        let place = Place::of("[fd77::1]:/a", (2049, 20048), "fd77::11").expect("it is one");
        assert_eq!(place.mount().to_string(), "[fd77::1]:20048");
        assert!(Place::of("nowhere", (1, 2), "10.77.0.11").is_err());
    }
}
