//! Making and renaming.

use super::beneath::{self, Parent};
use crate::protocol::{Mounts, RenameKind};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fs::{Mode, RenameFlags, fchmod, renameat_with};
use rustix::io::Errno;

pub(super) fn make_directory(parent: &Parent, mode: u32) -> Result<(), CapabilityError> {
    let failed = |error| parent.failed("making", error);
    beneath::make_directory(&parent.directory, parent.name()).map_err(failed)?;
    let made = beneath::directory(&parent.directory, parent.name(), Mounts::Stop).map_err(failed)?;
    fchmod(&made, Mode::from_raw_mode(mode & 0o777)).map_err(failed)?;
    parent.sync()
}

/// Rename in one step, and wait until both directories are on disk.
pub(super) fn rename(source: &Parent, destination: &Parent, kind: RenameKind) -> Result<(), CapabilityError> {
    let flags = match kind {
        RenameKind::NoReplace => RenameFlags::NOREPLACE,
        RenameKind::Exchange => RenameFlags::EXCHANGE,
    };
    renameat_with(&source.directory, source.name(), &destination.directory, destination.name(), flags)
        .map_err(|error| match error {
            Errno::NOENT => {
                let message = format!("{} is not there", source.subject());
                CapabilityError::new(CapabilityCode::NotFound, message)
            }
            error => destination.failed("renaming to", error),
        })?;
    source.sync()?;
    destination.sync()
}
