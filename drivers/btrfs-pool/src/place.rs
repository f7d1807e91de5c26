//! Where things lie. Every path is a pattern that the host fills with names of the call.

use bulkhead_sdk::Resource;
use bulkhead_sdk::files::Path;

/// The root with all shares and snapshots.
pub const POOL: &str = "pool";
/// What the kernel says about the pool.
pub const KERNEL: &str = "kernel";
/// What the NFS server and its bus read.
pub const CONFIG: &str = "config";

/// A share.
pub const SHARE: &str = "shares/{share}";
/// A share, or its new content, in the making.
pub const NEW_SHARE: &str = "shares/.{share}.new";
/// What an operator wants to be taken over as a share.
pub const MANAGED_SHARE: &str = "shares/{managed}";
/// A snapshot.
pub const SNAPSHOT: &str = "snapshots/{snapshot}";
/// What an operator wants to be taken over as a snapshot.
pub const MANAGED_SNAPSHOT: &str = "snapshots/{managed}";
/// The snapshot that a new share is made from.
pub const SOURCE: &str = "snapshots/{source-snapshot}";

/// A path below the pool.
pub fn pool(pattern: &str, resource: &Resource) -> Path {
    Path::new(POOL, pattern).of(resource.clone())
}
