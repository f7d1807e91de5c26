//! The resources a call is about, as a driver names them to the host. Naming any other is denied.

use crate::share::Share;
use crate::snapshot::Snapshot;

/// A resource by its id. Names at the backend derive from it in the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A share instance.
    Share(String),
    /// A snapshot instance; its share comes with it.
    Snapshot(String),
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
