//! Where replication's things lie, beside those of the pool.

use bulkhead_sdk::Resource;
use bulkhead_sdk::files::Path;

/// The pool of the backend that replicas are pulled from.
pub(crate) const PEER: &str = "peer";
/// A snapshot of a replica while it is pulled.
pub(crate) const PULLED_SNAPSHOT: &str = "replication/{snapshot}";

/// A path below the peer's pool.
pub(crate) fn peer(pattern: &str, resource: &Resource) -> Path {
    Path::new(PEER, pattern).of(resource.clone())
}
