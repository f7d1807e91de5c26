//! Removal of a file or tree: whatever a tenant put there, nothing outside it, nothing on another filesystem.

use super::beneath::{Mounts, Parent, failed, file_type, is_dots, open};
use super::walk::{Step, Visitor, walk};
use super::watch::Watch;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, chmodat, fchmod, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// How many directories deep a tree is emptied in place; what lies deeper is first moved to its top. A tenant can nest directories
/// without end, and neither descriptors nor the kernel's longest path do.
const DEEPEST: usize = 64;

/// Remove what stands at `at` and sync its directory. Nothing there is success.
///
/// A mount point inside is found before anything is removed, and refuses the whole. Fails with `denied`, `timed-out` (what is gone
/// stays gone), `io`.
pub(super) fn remove(at: &Parent, subject: &str, watch: &Watch) -> Result<(), CapabilityError> {
    let Some(status) = at.look()? else { return Ok(()) };
    if file_type(&status) == FileType::Directory {
        let top = open_tree(at, subject)?;
        walk(&top, subject, watch, &mut MountsInside { subject })?;
        loop {
            empty(&top, subject, watch)?;
            match unlinkat(&at.directory, &at.name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => break,
                // A tenant writes on while it is emptied: emptied again, until the time is up.
                Err(Errno::NOTEMPTY | Errno::EXIST) => watch.check()?,
                Err(error) => return Err(at.failed("removing", error)),
            }
        }
    } else {
        match unlinkat(&at.directory, &at.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(at.failed("removing", error)),
        }
    }
    at.sync()
}

fn open_tree(at: &Parent, subject: &str) -> Result<OwnedFd, CapabilityError> {
    open_directory(&at.directory, &CString::new(at.name.as_str()).unwrap_or_default())
        .map_err(|error| failed("removing", subject, error))
}

/// Open a directory to empty it. One whose mode keeps its owner out is opened up first, as far as the host's user may.
fn open_directory(directory: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
    match open(directory.as_fd(), name, flags, Mounts::Stop) {
        Err(Errno::ACCESS) => {
            let closed = open(
                directory.as_fd(),
                name,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW,
                Mounts::Stop,
            )?;
            chmodat(CWD, format!("/proc/self/fd/{}", closed.as_raw_fd()), Mode::RWXU, AtFlags::empty())?;
            open(directory.as_fd(), name, flags, Mounts::Stop)
        }
        answer => answer,
    }
}

/// Refuses a tree in which something is mounted.
struct MountsInside<'subject> {
    subject: &'subject str,
}

impl Visitor for MountsInside<'_> {
    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
        let entries =
            Dir::read_from(&step.directory).map_err(|error| failed("reading", self.subject, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("reading", self.subject, error))?;
            let candidate = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if !candidate || is_dots(entry.file_name()) {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            if open(&step.directory, entry.file_name(), flags, Mounts::Stop)
                .is_err_and(|error| error == Errno::XDEV)
            {
                return Err(CapabilityError::new(
                    CapabilityCode::NotOwned,
                    format!(
                        "something is mounted inside {}; unmount it first; nothing was removed",
                        self.subject
                    ),
                ));
            }
        }
        Ok(())
    }

    fn entry(&mut self, _step: &Step, _name: &CStr, _status: &Stat) -> Result<(), CapabilityError> {
        Ok(())
    }

    /// No path leads there to mount something on; should it be so all the same, the removal stops at it.
    fn too_deep(&mut self) -> Result<(), CapabilityError> {
        Ok(())
    }
}

/// Empty the directory `top`: depth first, one descriptor a level, at most [`DEEPEST`] levels.
fn empty(top: &OwnedFd, subject: &str, watch: &Watch) -> Result<(), CapabilityError> {
    let mut levels: Vec<(OwnedFd, CString)> = Vec::new();
    loop {
        let directory = levels.last().map_or(top, |(directory, _)| directory);
        match first_directory_left(directory, subject, watch)? {
            Some(name) if levels.len() < DEEPEST => match open_directory(directory, &name) {
                Ok(inner) => levels.push((inner, name)),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(failed("removing", subject, error)),
            },
            Some(name) => match raise(directory, &name, top) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(failed("removing", subject, error)),
            },
            None => {
                let Some((_, name)) = levels.pop() else { return Ok(()) };
                let above = levels.last().map_or(top, |(directory, _)| directory);
                match unlink_inside(above, &name, AtFlags::REMOVEDIR) {
                    // Not empty: somebody put something there meanwhile; it is found again.
                    Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(error) => return Err(failed("removing", subject, error)),
                }
            }
        }
    }
}

/// Remove everything in `directory` that is no directory; the first directory met, if there is one.
fn first_directory_left(
    directory: &OwnedFd,
    subject: &str,
    watch: &Watch,
) -> Result<Option<CString>, CapabilityError> {
    let reading = |error| failed("reading", subject, error);
    let entries = Dir::read_from(directory).map_err(reading)?;
    for entry in entries {
        watch.check()?;
        let entry = entry.map_err(reading)?;
        if is_dots(entry.file_name()) {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|status| file_type(&status) == FileType::Directory),
            known => known == FileType::Directory,
        };
        if is_directory {
            return Ok(Some(entry.file_name().to_owned()));
        }
        match unlink_inside(directory, entry.file_name(), AtFlags::empty()) {
            // A directory now: found again by the next reading.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(error) => return Err(failed("removing", subject, error)),
        }
    }
    Ok(None)
}

/// Move the directory `name` to the top of the tree that is being removed.
fn raise(directory: &OwnedFd, name: &CStr, top: &OwnedFd) -> Result<(), Errno> {
    let raised = format!(".bulkhead-removed-{}", uuid::Uuid::new_v4());
    match renameat_with(directory, name, top, raised.as_str(), RenameFlags::NOREPLACE) {
        Err(Errno::ACCESS) => {
            for closed in [directory, top, &open_directory(directory, name)?] {
                fchmod(closed, Mode::RWXU)?;
            }
            renameat_with(directory, name, top, raised.as_str(), RenameFlags::NOREPLACE)
        }
        answer => answer,
    }
}

/// Unlink one entry; a directory whose mode forbids its owner to is opened up first.
fn unlink_inside(directory: &OwnedFd, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(directory, name, flags) {
        Err(Errno::ACCESS) => {
            fchmod(directory, Mode::RWXU)?;
            unlinkat(directory, name, flags)
        }
        answer => answer,
    }
}
