//! Removal of a file or tree: whatever a tenant put there, nothing outside it, nothing on another filesystem.

use super::Watch;
use super::beneath::{Parent, directory, failed, file_type, is_mount_point, kernel, place, status};
use super::walk::{LeftOut, Step, Visitor, walk};
use crate::protocol::Mounts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use cap_std::fs::{Dir, FileType as EntryType};
use rustix::fs::{AtFlags, FileType, Mode, RenameFlags, Stat, chmodat, fchmod, renameat_with};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// How many directories deep a tree is emptied in place; what lies deeper is first moved to its top. A tenant can nest directories
/// without end, and neither descriptors nor the kernel's longest path do.
const DEEPEST: usize = 64;

/// Remove what stands at `at` and sync its directory. Nothing there is success.
///
/// A mount point inside is found before anything is removed, and refuses the whole. Fails with `not-owned`, `denied`, `timed-out` (what
/// is gone stays gone), `io`.
pub(super) fn remove(at: &Parent, watch: &Watch) -> Result<(), CapabilityError> {
    let Some(status) = at.look()? else { return Ok(()) };
    if file_type(&status) == FileType::Directory {
        let top = open_to_empty(&at.directory, at.name()).map_err(|error| at.failed("removing", error))?;
        walk(&top, at.subject(), watch, &mut MountsInside { subject: at.subject() })?;
        loop {
            empty(&top, at.subject(), watch)?;
            match kernel(at.directory.remove_dir(at.name())) {
                Ok(()) | Err(Errno::NOENT) => break,
                // A tenant writes on while it is emptied: emptied again, until the time is up.
                Err(Errno::NOTEMPTY | Errno::EXIST) => watch.check()?,
                Err(error) => return Err(at.failed("removing", error)),
            }
        }
    } else {
        match kernel(at.directory.remove_file(at.name())) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(at.failed("removing", error)),
        }
    }
    at.sync()
}

/// Remove what stands at a name inside a tree that only the host writes to. Nothing there is success. Syncs nothing.
pub(super) fn remove_name(
    below: &Dir,
    name: &Path,
    (subject, watch): (&str, &Watch),
) -> Result<(), CapabilityError> {
    let removing = |error| failed("removing something in", subject, error);
    match status(below, name) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(removing(error)),
        Ok(status) if file_type(&status) != FileType::Directory => {
            return kernel(below.remove_file(name)).map_err(removing);
        }
        Ok(_) => {}
    }
    let top = open_to_empty(below, name).map_err(removing)?;
    empty(&top, subject, watch)?;
    kernel(below.remove_dir(name)).map_err(removing)
}

/// Open a directory to empty it. One whose mode keeps its owner out is opened up first, as far as the host's user may.
fn open_to_empty(below: &Dir, name: &Path) -> Result<Dir, Errno> {
    match directory(below, name, Mounts::Stop) {
        Err(Errno::ACCESS) => {
            // Through its descriptor: setting a mode by name would follow a link.
            let closed = place(below, name)?;
            let descriptors = rustix_linux_procfs::proc_self_fd()?;
            chmodat(descriptors, DecInt::from_fd(&closed), Mode::RWXU, AtFlags::empty())?;
            directory(below, name, Mounts::Stop)
        }
        answer => answer,
    }
}

/// Refuses a tree in which something is mounted.
struct MountsInside<'subject> {
    subject: &'subject str,
}

impl MountsInside<'_> {
    fn check(&self, step: &Step, name: &OsStr) -> Result<(), CapabilityError> {
        if !is_mount_point(&step.directory, Path::new(name)) {
            return Ok(());
        }
        Err(CapabilityError::new(
            CapabilityCode::NotOwned,
            format!("something is mounted inside {}; unmount it first; nothing was removed", self.subject),
        ))
    }
}

impl Visitor for MountsInside<'_> {
    fn directory(&mut self, step: &Step, name: &OsStr) -> Result<(), CapabilityError> {
        self.check(step, name)
    }

    fn entry(&mut self, step: &Step, name: &OsStr, _status: &Stat) -> Result<(), CapabilityError> {
        self.check(step, name)
    }

    /// Should something be mounted there, the removal stops at it.
    fn left_out(&mut self, _why: LeftOut) -> Result<(), CapabilityError> {
        Ok(())
    }
}

/// Empty the directory `top`: depth first, one descriptor a level, at most [`DEEPEST`] levels.
fn empty(top: &Dir, subject: &str, watch: &Watch) -> Result<(), CapabilityError> {
    let removing = |error| failed("removing", subject, error);
    let mut levels: Vec<(Dir, OsString)> = Vec::new();
    loop {
        let directory = levels.last().map_or(top, |(directory, _)| directory);
        match first_directory_left(directory, subject, watch)? {
            Some(name) if levels.len() < DEEPEST => match open_to_empty(directory, Path::new(&name)) {
                Ok(inner) => levels.push((inner, name)),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(removing(error)),
            },
            Some(name) => match raise(directory, Path::new(&name), top) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(removing(error)),
            },
            None => {
                let Some((_, name)) = levels.pop() else { return Ok(()) };
                let above = levels.last().map_or(top, |(directory, _)| directory);
                match opened_up(above, || above.remove_dir(&name)) {
                    // Not empty: somebody put something there meanwhile; it is found again.
                    Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(error) => return Err(removing(error)),
                }
            }
        }
    }
}

/// Remove everything in `directory` that is no directory; the first directory met, if there is one.
fn first_directory_left(
    directory: &Dir,
    subject: &str,
    watch: &Watch,
) -> Result<Option<OsString>, CapabilityError> {
    let reading = |error| failed("reading", subject, error);
    for entry in opened_up(directory, || directory.entries()).map_err(reading)? {
        watch.check()?;
        let entry = kernel(entry).map_err(reading)?;
        let name = entry.file_name();
        let is_directory = match kernel(entry.file_type()).map_err(reading)? {
            known if known != EntryType::unknown() => known.is_dir(),
            _ => status(directory, Path::new(&name))
                .is_ok_and(|status| file_type(&status) == FileType::Directory),
        };
        if is_directory {
            return Ok(Some(name));
        }
        match opened_up(directory, || directory.remove_file(&name)) {
            // A directory now: found again by the next reading.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(error) => return Err(failed("removing", subject, error)),
        }
    }
    Ok(None)
}

/// Move the directory `name` to the top of the tree that is being removed.
fn raise(directory: &Dir, name: &Path, top: &Dir) -> Result<(), Errno> {
    let raised = format!(".bulkhead-removed-{}", uuid::Uuid::new_v4());
    match renameat_with(directory, name, top, raised.as_str(), RenameFlags::NOREPLACE) {
        Err(Errno::ACCESS) => {
            for closed in [directory, top, &open_to_empty(directory, name)?] {
                fchmod(closed, Mode::RWXU)?;
            }
            renameat_with(directory, name, top, raised.as_str(), RenameFlags::NOREPLACE)
        }
        answer => answer,
    }
}

/// Do `work` in `directory`; one whose mode forbids its owner to is opened up first.
fn opened_up<T>(directory: &Dir, work: impl Fn() -> std::io::Result<T>) -> Result<T, Errno> {
    match kernel(work()) {
        Err(Errno::ACCESS) => {
            fchmod(directory, Mode::RWXU)?;
            kernel(work())
        }
        answer => answer,
    }
}
