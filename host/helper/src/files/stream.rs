//! Files whose bytes go elsewhere or come from elsewhere, piece by piece, in the process that holds the roots.
//!
//! What comes in stands beside its place until it is complete, and is put there in one step, as `replace` does it.

use super::OpenedRoots;
use super::beneath::{Parent, file};
use super::replace::Beside;
use crate::protocol::{Before, FilePath, Mounts, Readers};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fs::{FileType, fstat};
use std::fs::File;

/// Open a regular file to be sent, and say how many bytes it has. Fails with `not-found`.
pub fn open(roots: &OpenedRoots, at: &FilePath) -> Result<(File, u64), CapabilityError> {
    let parent = roots.parent(at)?;
    let opened = file(&parent.directory, parent.name(), Mounts::Stop)
        .map_err(|error| parent.failed("opening", error))?;
    let status = fstat(&opened).map_err(|error| parent.failed("looking at", error))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(CapabilityError::new(
            CapabilityCode::NotFound,
            format!("{} is no file", parent.subject()),
        ));
    }
    Ok((opened.into_std(), u64::try_from(status.st_size).unwrap_or(0)))
}

/// Take the pieces that `next` hands over until there are none, and put the whole at `at` if `keep` then says so; else nothing of it stays.
/// Only with the path to oneself.
///
/// Fails with `already-exists` if something stands there although nothing should, `no-space`.
pub fn receive<P: AsRef<[u8]>>(
    roots: &OpenedRoots,
    (at, before): (&FilePath, Before),
    mut next: impl FnMut() -> Option<P>,
    keep: impl FnOnce() -> bool,
) -> Result<(), CapabilityError> {
    let parent: Parent = roots.parent(at)?;
    let mut beside = Beside::make(&parent, Readers::All)?;
    while let Some(piece) = next() {
        beside.write(piece.as_ref())?;
    }
    if keep() { beside.put_in_place(before) } else { Ok(()) }
}
