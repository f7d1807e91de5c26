//! Where things lie. Every path is a pattern that the host fills with names of the call.

use bulkhead_sdk::Resource;
use bulkhead_sdk::files::Path;

/// The root with all shares and snapshots.
pub(crate) const POOL: &str = "pool";
/// The pool of the backend that replicas are pulled from.
pub(crate) const PEER: &str = "peer";
/// What the kernel says about the pool.
pub(crate) const KERNEL: &str = "kernel";
/// What the NFS server and its bus read.
pub(crate) const CONFIG: &str = "config";

/// A share.
pub(crate) const SHARE: &str = "shares/{share}";
/// A share, or its new content, in the making.
pub(crate) const NEW_SHARE: &str = "shares/.{share}.new";
/// What an operator wants to be taken over as a share.
pub(crate) const MANAGED_SHARE: &str = "shares/{managed}";
/// A snapshot.
pub(crate) const SNAPSHOT: &str = "snapshots/{snapshot}";
/// What an operator wants to be taken over as a snapshot.
pub(crate) const MANAGED_SNAPSHOT: &str = "snapshots/{managed}";
/// The snapshot that a new share is made from.
pub(crate) const SOURCE: &str = "snapshots/{source-snapshot}";
/// A snapshot of a replica while it is pulled.
pub(crate) const PULLED_SNAPSHOT: &str = "replication/{snapshot}";

/// A path below the pool.
pub(crate) fn pool(pattern: &str, resource: &Resource) -> Path {
    Path::new(POOL, pattern).of(resource.clone())
}

/// A path below the peer's pool.
pub(crate) fn peer(pattern: &str, resource: &Resource) -> Path {
    Path::new(PEER, pattern).of(resource.clone())
}
