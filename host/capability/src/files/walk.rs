//! Looking through a tree without holding it: a list of directories still to be read, each opened anew from the top of the tree. Memory
//! and descriptors do not grow with the depth, and what a tenant changes meanwhile is skipped or an error, never followed.

use super::beneath::{Mounts, failed, is_dots, open};
use super::watch::Watch;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, statat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// The longest path inside a tree that the kernel takes, in bytes.
const LONGEST_PATH: usize = 4095;

/// A directory of a tree, being read.
#[derive(Debug)]
pub(super) struct Step {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// Its path from the top; `.` for the top itself.
    pub(super) path: CString,
}

/// What is done with each entry of a tree.
pub(super) trait Visitor {
    /// A directory is about to be read.
    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError>;
    /// An entry that is no directory.
    fn entry(&mut self, step: &Step, name: &CStr, status: &Stat) -> Result<(), CapabilityError>;
    /// A directory whose path is too long to be opened; skipped if this succeeds.
    fn too_deep(&mut self) -> Result<(), CapabilityError> {
        Err(CapabilityError::new(
            CapabilityCode::LimitExceeded,
            format!("a path inside the tree is longer than {LONGEST_PATH} bytes"),
        ))
    }
}

/// Visit the tree below `top`, each directory before what is in it. Other filesystems inside are not entered.
///
/// `subject` names the tree in errors. Fails with `timed-out`, or with what the visitor fails with.
pub(super) fn walk(
    top: impl AsFd,
    subject: &str,
    watch: &Watch,
    visitor: &mut impl Visitor,
) -> Result<(), CapabilityError> {
    let mut to_read = vec![c".".to_owned()];
    while let Some(path) = to_read.pop() {
        watch.check()?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
        let directory = match open(top.as_fd(), path.as_c_str(), flags, Mounts::Stop) {
            Ok(directory) => directory,
            // Gone, replaced or a mount since its parent was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            Err(error) => return Err(failed("reading", subject, error)),
        };
        let step = Step { directory, path };
        visitor.enter(&step)?;
        let entries = Dir::read_from(&step.directory).map_err(|error| failed("reading", subject, error))?;
        for entry in entries {
            watch.check()?;
            let entry = entry.map_err(|error| failed("reading", subject, error))?;
            if is_dots(entry.file_name()) {
                continue;
            }
            let status = match statat(&step.directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(failed("reading", subject, error)),
            };
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                match join(&step.path, entry.file_name()) {
                    Some(path) => to_read.push(path),
                    None => visitor.too_deep()?,
                }
            } else {
                visitor.entry(&step, entry.file_name(), &status)?;
            }
        }
    }
    Ok(())
}

/// `path/name`; none if the kernel does not take a path that long.
fn join(path: &CStr, name: &CStr) -> Option<CString> {
    let mut joined = path.to_bytes().to_vec();
    joined.push(b'/');
    joined.extend_from_slice(name.to_bytes());
    if joined.len() > LONGEST_PATH { None } else { CString::new(joined).ok() }
}

/// Adds up the lengths of regular files.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The sum so far.
    pub(super) bytes: u64,
}

impl Visitor for Usage {
    fn enter(&mut self, _step: &Step) -> Result<(), CapabilityError> {
        Ok(())
    }

    fn entry(&mut self, _step: &Step, _name: &CStr, status: &Stat) -> Result<(), CapabilityError> {
        if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
            self.bytes = self.bytes.saturating_add(u64::try_from(status.st_size).unwrap_or(0));
        }
        Ok(())
    }
}
