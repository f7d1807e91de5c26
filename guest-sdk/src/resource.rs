//! The resources a call is about, as a driver names them to the host. Naming any other is denied.

use crate::group::ShareGroup;
use crate::share::Share;
use crate::share_server::{ServerNetwork, ShareServer};
use crate::snapshot::Snapshot;

/// A resource by its id. Names at the backend derive from it in the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A share instance.
    Share(String),
    /// A snapshot instance, or a member of a group snapshot; its share comes with it.
    Snapshot(String),
    /// A share group.
    ShareGroup(String),
    /// A share server.
    ShareServer(String),
}

impl Resource {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Share(id) | Self::Snapshot(id) | Self::ShareGroup(id) | Self::ShareServer(id) => id,
        }
    }
}

impl From<&ShareGroup> for Resource {
    fn from(group: &ShareGroup) -> Self {
        Self::ShareGroup(group.id.clone())
    }
}

impl From<&ShareServer> for Resource {
    fn from(server: &ShareServer) -> Self {
        Self::ShareServer(server.id.clone())
    }
}

impl From<&ServerNetwork> for Resource {
    fn from(network: &ServerNetwork) -> Self {
        Self::ShareServer(network.server_id.clone())
    }
}

impl From<&Share> for Resource {
    fn from(share: &Share) -> Self {
        Self::Share(share.id.clone())
    }
}

impl From<&Snapshot> for Resource {
    fn from(snapshot: &Snapshot) -> Self {
        Self::Snapshot(snapshot.id.clone())
    }
}
