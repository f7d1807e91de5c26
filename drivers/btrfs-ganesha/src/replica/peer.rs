//! The pool of the backend that replicas are pulled from.

use crate::place;
use bulkhead_btrfs_pool::place::SHARE;
use bulkhead_btrfs_pool::subvolume::{self, Access, Facts};
use bulkhead_sdk::{CapabilityCode, Error, OrAbsent, Resource, Result, Slots, execute, files};

/// How the active replica's subvolume is, as far as it can be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Active {
    /// It is there, and its clients write to it.
    Writable,
    /// It is there, and nobody can write to it any more.
    Frozen,
    /// It is not there, or its pool cannot be read.
    OutOfReach,
}

/// Look at a subvolume of the peer; none if it is not there.
pub(crate) fn look(pattern: &str, resource: &Resource) -> Result<Option<Facts>> {
    subvolume::look("show-peer-subvolume", pattern, resource)
}

/// How the active replica is. Fails only where the operator has bound no peer.
pub(crate) fn active(active: &Resource) -> Result<Active> {
    match files::status(&place::peer(SHARE, active)) {
        Err(error) if error.code() == CapabilityCode::Denied => return Err(unbound(&error.to_string())),
        Err(_) => return Ok(Active::OutOfReach),
        Ok(_) => {}
    }
    Ok(match look(SHARE, active) {
        Ok(Some(facts)) if facts.access == Access::ReadOnly => Active::Frozen,
        Ok(Some(_)) => Active::Writable,
        Ok(None) | Err(_) => Active::OutOfReach,
    })
}

fn unbound(why: &str) -> Error {
    Error::bad_configuration(format!(
        "replication needs root {}, bound to the pool of the other backend of its replication_domain: {why}",
        place::PEER
    ))
}

/// Let nobody write to the active replica any more.
pub(crate) fn freeze(active: &Resource) -> Result<()> {
    subvolume::run("freeze-peer", Slots::new().path_of("at", SHARE, active.clone())).map(drop)
}

/// Let its clients write to the active replica again.
pub(crate) fn thaw(active: &Resource) -> Result<()> {
    subvolume::run("thaw-peer", Slots::new().path_of("at", SHARE, active.clone())).map(drop)
}

/// Delete what was made there for a pull. Nothing there is success.
pub(crate) fn delete(pattern: &str, resource: &Resource) -> Result<()> {
    if files::status(&place::peer(pattern, resource)).or_absent()?.is_none() {
        return Ok(());
    }
    match execute::run("delete-peer-base", Slots::new().path_of("at", pattern, resource.clone())) {
        Err(error) if error.code() == CapabilityCode::NotFound => Ok(()),
        Err(error) => Err(subvolume::name_failure(error)),
        Ok(_) => Ok(()),
    }
}
