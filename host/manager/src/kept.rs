//! Secrets that drivers keep for a resource go with it by themselves: what is kept for a share, snapshot, group or share server that has
//! no record any more is removed.
//!
//! Where a resource ends nothing is read for this: a backend's supervisor sweeps, as `begun` does, and for the same reasons. What is kept
//! for a resource in the making stays, for its record stands before its driver is called.
//!
//! The failure path: what is not removed this time is removed the next.

use crate::begun;
use crate::manager::Inner;
use crate::records::Tables;
use bulkhead_model::id::{BackendName, ShareGroupId, ShareInstanceId, ShareServerId, SnapshotInstanceId};
use bulkhead_model::key::KEPT;
use bulkhead_model::scope::Scope;
use bulkhead_store::Key;
use uuid::Uuid;

/// Remove the secrets of `backend` that are nobody's any more.
pub(crate) async fn sweep(inner: &Inner, backend: &BackendName) {
    let prefix = Key::prefix(&[KEPT, backend.as_str()]);
    let is_useless = |key: &Key| {
        let parts = key.parts();
        parts.get(2).is_some_and(|owner| !is_there(&inner.records.read(), owner))
    };
    if let Err(error) = begun::remove(inner, &prefix, is_useless).await {
        tracing::warn!(backend.name = %backend, "secrets of resources that are gone were not removed: {error}");
    }
}

/// Whether a resource, as keys name it, has a record. One of a kind that is not known is taken to have one.
fn is_there(tables: &Tables, owner: &str) -> bool {
    let id = |prefix: &str| owner.strip_prefix(prefix).map(|id| id.parse::<Uuid>());
    let everything = &Scope::Everything;
    match [id("share-snapshot-"), id("share-group-"), id("share-server-"), id("share-")] {
        [Some(Ok(id)), ..] => tables.snapshot_instance(SnapshotInstanceId::from_uuid(id)).is_some(),
        [_, Some(Ok(id)), ..] => tables.group(everything, ShareGroupId::from_uuid(id)).is_some(),
        [_, _, Some(Ok(id)), _] => tables.server(everything, ShareServerId::from_uuid(id)).is_some(),
        [.., Some(Ok(id))] => tables.instance(ShareInstanceId::from_uuid(id)).is_some(),
        _ => true,
    }
}
