//! A file's whole content in one step: written beside it, synced, put in its place, the directory synced.

use super::beneath::{Parent, kernel, make_file};
use crate::protocol::{Before, Readers};
use bulkhead_model::error::CapabilityError;
use cap_std::fs::{Dir, File, Permissions, PermissionsExt};
use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Put `content` at `at`. Only with the path to oneself: what a crash left beside it is replaced too.
///
/// Fails with `already-exists` if something stands there although nothing should.
pub(super) fn replace(
    at: &Parent,
    (content, readers): (&[u8], Readers),
    before: Before,
) -> Result<(), CapabilityError> {
    let mut beside = Beside::make(at, readers)?;
    beside.write(content)?;
    beside.put_in_place(before)
}

/// A file beside the place it shall stand at. Dropped before it is put there, it is removed.
#[derive(Debug)]
pub(super) struct Beside<'parent> {
    at: &'parent Parent,
    name: PathBuf,
    file: File,
    is_placed: bool,
}

impl<'parent> Beside<'parent> {
    /// Make it, empty, for these readers. Only with the path to oneself: what a crash left there is replaced.
    pub(super) fn make(at: &'parent Parent, readers: Readers) -> Result<Self, CapabilityError> {
        let name = name_beside(at.name());
        let made = remove_if_there(&at.directory, &name).and_then(|()| {
            let file = make_file(&at.directory, &name)?;
            kernel(file.set_permissions(Permissions::from_mode(readers.mode())))?;
            Ok(file)
        });
        let file = made.map_err(|error| at.failed("writing", error))?;
        Ok(Self { at, name, file, is_placed: false })
    }

    /// Add to it.
    pub(super) fn write(&mut self, content: &[u8]) -> Result<(), CapabilityError> {
        kernel(self.file.write_all(content)).map_err(|error| self.at.failed("writing", error))
    }

    /// Put it in its place, on disk.
    ///
    /// Fails with `already-exists` if something stands there although nothing should.
    pub(super) fn put_in_place(mut self, before: Before) -> Result<(), CapabilityError> {
        let placed = kernel(self.file.sync_all())
            .and_then(|()| put_in_place(&self.at.directory, &self.name, self.at.name(), before));
        placed.map_err(|error| self.at.failed("writing", error))?;
        self.is_placed = true;
        self.at.sync()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if self.is_placed {
            return;
        }
        // Should it stay, the next write to this path replaces it.
        let _stays = remove_if_there(&self.at.directory, &self.name).is_err();
    }
}

/// Remove what a crash may have left beside `at`.
pub(super) fn clear(at: &Parent) -> Result<(), CapabilityError> {
    remove_if_there(&at.directory, &name_beside(at.name()))
        .map_err(|error| at.failed("clearing up beside", error))
}

fn put_in_place(directory: &Dir, beside: &Path, name: &Path, before: Before) -> Result<(), Errno> {
    if before == Before::Nothing {
        match renameat_with(directory, beside, directory, name, RenameFlags::NOREPLACE) {
            // A filesystem that knows no such rename; that nothing stands there was seen a moment ago.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            answer => return answer,
        }
    }
    kernel(directory.rename(beside, directory, name))
}

fn remove_if_there(directory: &Dir, name: &Path) -> Result<(), Errno> {
    match kernel(directory.remove_file(name)) {
        Err(Errno::NOENT) => Ok(()),
        answer => answer,
    }
}

/// Hidden, of one length whatever the name's, and always the same for one name, so that a crash leaves at most one of them.
fn name_beside(name: &Path) -> PathBuf {
    let hash = Sha256::digest(name.as_os_str().as_bytes());
    let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!(".bulkhead-{digits}"))
}
