//! A file's whole content in one step: written beside it, synced, put in its place, the directory synced.

use super::beneath::{Mounts, Parent, open_with_mode};
use super::bytes::write_all;
use bulkhead_model::error::CapabilityError;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// Put `content` at `at`, replacing what stands there. Only with the path to oneself: what a crash left beside it is replaced too.
pub(super) fn replace(at: &Parent, content: &[u8], mode: Mode) -> Result<(), CapabilityError> {
    let beside = name_beside(&at.name);
    let result = write_beside(at, &beside, content, mode)
        .and_then(|()| renameat(&at.directory, beside.as_str(), &at.directory, at.name.as_str()));
    if let Err(error) = result {
        if let Err(left) = unlinkat(&at.directory, beside.as_str(), AtFlags::empty())
            && left != Errno::NOENT
        {
            tracing::warn!(file = beside, error = %left, "a file that was not put in place could not be removed");
        }
        return Err(at.failed("writing", error));
    }
    at.sync()
}

/// Remove what a crash may have left beside `at`.
pub(super) fn clear(at: &Parent) -> Result<(), CapabilityError> {
    match unlinkat(&at.directory, name_beside(&at.name), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(at.failed("clearing up beside", error)),
    }
}

fn write_beside(at: &Parent, beside: &str, content: &[u8], mode: Mode) -> Result<(), Errno> {
    match unlinkat(&at.directory, beside, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = open_with_mode(&at.directory, beside, (flags, Mode::RUSR | Mode::WUSR), Mounts::Stop)?;
    write_all(&file, content)?;
    fchmod(&file, mode)?;
    fsync(&file)
}

/// Hidden, of one length whatever the name's, and always the same for one name, so that a crash leaves at most one of them.
fn name_beside(name: &str) -> String {
    let hash = Sha256::digest(name.as_bytes());
    let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!(".bulkhead-{digits}")
}
