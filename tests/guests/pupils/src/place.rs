//! Where things lie, and where clients find them.

use crate::flaw::has;
use crate::server;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{
    CapabilityError, Error, ExportLocation, OrAbsent, Resource, Result, Share, Snapshot, config,
};

/// A share.
pub(crate) const SHARE: &str = "{share}";
/// A share in the making.
pub(crate) const NEW_SHARE: &str = ".{share}.new";
/// A snapshot.
pub(crate) const SNAPSHOT: &str = "{share}@{snapshot}";
/// A snapshot in the making.
pub(crate) const NEW_SNAPSHOT: &str = ".{share}@{snapshot}.new";
/// The snapshot that a new share is made from.
pub(crate) const SOURCE: &str = "{source-share}@{source-snapshot}";
/// What an operator names.
pub(crate) const MANAGED: &str = "{managed}";

/// The key of a share's size.
const SIZE: &str = "size-gib";

/// A path about a resource of the call.
pub(crate) fn path(pattern: &str, resource: impl Into<Resource>) -> Path {
    Path::new("shares", pattern).of(resource)
}

/// Whose private data.
pub(crate) fn of(resource: impl Into<Resource>) -> Owner {
    Owner::Of(resource.into())
}

/// Whether something stands there.
pub(crate) fn is_there(at: &Path) -> Result<bool> {
    Ok(files::status(at).or_absent()?.is_some())
}

/// The address of a share's server, or else the backend's.
fn address(share: &Share) -> Result<String> {
    match server::address(share)? {
        Some(address) => Ok(address),
        None => Ok(config::text("export_address")?.unwrap_or_default()),
    }
}

/// Where clients find a share.
pub(crate) fn locations(share: &Share) -> Result<Vec<ExportLocation>> {
    let directory = files::location(&path(SHARE, share))?;
    let address = address(share)?;
    let mut paths = vec![format!("{address}:{directory}")];
    if has("same-place-for-all")? {
        paths.push(format!("{address}:/the/same/for/all"));
    }
    Ok(paths.into_iter().map(ExportLocation::new).collect())
}

/// Where clients find a snapshot that they may mount.
pub(crate) fn snapshot_locations(snapshot: &Snapshot) -> Result<Vec<ExportLocation>> {
    let directory = files::location(&of_snapshot(snapshot))?;
    let address = address(&snapshot.share)?;
    Ok(vec![ExportLocation::new(format!("{address}:{directory}"))])
}

/// The recorded size of a share.
pub(crate) fn size(share: &Share) -> Result<Option<u64>> {
    let Some(entry) = private_data::get(&of(share), SIZE)? else { return Ok(None) };
    entry.value.parse().map(Some).map_err(|_| Error::internal("the recorded size is no number"))
}

/// Record the size of a share.
pub(crate) fn record_size(share: &Share, size_gib: u64) -> Result<()> {
    private_data::set(&of(share), SIZE, &size_gib.to_string(), Expected::Anything)?;
    Ok(())
}

/// Forget all private data of a resource.
pub(crate) fn forget(owner: &Owner) -> Result<()> {
    for entry in private_data::get_all(owner)? {
        private_data::remove(owner, &entry.key)?;
    }
    Ok(())
}

/// Copy a tree, so that the final name appears only on a whole copy.
pub(crate) fn copy(from: &Path, making: &Path, to: &Path) -> Result<(), CapabilityError> {
    files::remove(making)?;
    files::copy_tree(from, making)?;
    files::rename(making, to)
}

/// The path of a snapshot.
pub(crate) fn of_snapshot(snapshot: &Snapshot) -> Path {
    path(SNAPSHOT, snapshot)
}
