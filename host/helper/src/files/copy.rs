//! Copies of a file or tree: blocks shared where the filesystem can, copied elsewhere, holes left holes. Modes, times, owners (as far as
//! the host's user may), `user.*` attributes and access-control lists come along; links are copied as links; devices, pipes and sockets
//! are left out.

use super::Watch;
use super::beneath::{Parent, directory, failed, file, file_type, kernel, make_directory, make_file};
use super::bytes;
use super::metadata::Metadata;
use super::walk::{Step, Visitor, walk};
use crate::protocol::Mounts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use cap_std::fs::Dir;
use rustix::fs::{FileType, Stat, fstat, syncfs};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::path::Path;

/// Copy what stands at `source` to `destination`, where nothing may stand, and wait until all of it is on disk.
///
/// Cut short, it leaves what it has copied. Fails with `already-exists` only if something stood at `destination`; `not-found`,
/// `no-space`, `timed-out`, `busy`, `io`.
pub(super) fn copy(source: &Parent, destination: &Parent, watch: &Watch) -> Result<(), CapabilityError> {
    let status = source.look()?.ok_or_else(|| source.failed("copying", Errno::NOENT))?;
    let (from, to) = ((&source.directory, source.name()), (&destination.directory, destination.name()));
    let job = Job { subject: destination.subject(), level: Level::Top, watch };
    match file_type(&status) {
        FileType::Directory => copy_tree(source, destination, watch)?,
        FileType::RegularFile => job.file(from, to)?,
        FileType::Symlink => job.link(from, to, &status)?,
        _ => {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("{} is neither a file, a directory nor a link", source.subject()),
            ));
        }
    }
    syncfs(&destination.directory).map_err(|error| destination.failed("syncing", error))
}

fn copy_tree(source: &Parent, destination: &Parent, watch: &Watch) -> Result<(), CapabilityError> {
    let from = directory(&source.directory, source.name(), Mounts::Enter)
        .map_err(|error| source.failed("copying", error))?;
    make_directory(&destination.directory, destination.name())
        .map_err(|error| destination.failed("making", error))?;
    let to = directory(&destination.directory, destination.name(), Mounts::Stop)
        .map_err(|error| destination.failed("copying to", error))?;
    let job = Job { subject: destination.subject(), level: Level::Inside, watch };
    walk(&from, source.subject(), watch, &mut Copier { job, top: &to, current: None })
}

/// A place: a directory and a name in it.
type At<'place> = (&'place Dir, &'place Path);

/// Where in a copy something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// At the destination itself.
    Top,
    /// In a tree that this copy has made.
    Inside,
}

/// What every part of a copy needs to know.
#[derive(Debug, Clone, Copy)]
struct Job<'copy> {
    subject: &'copy str,
    level: Level,
    watch: &'copy Watch,
}

impl Job<'_> {
    fn failed(&self, error: Errno) -> CapabilityError {
        if error == Errno::EXIST && self.level == Level::Inside {
            let message =
                format!("copying to {} failed: others write into the copy; try again", self.subject);
            return CapabilityError::new(CapabilityCode::Busy, message);
        }
        failed("copying to", self.subject, error)
    }

    /// Copy a regular file. One that is gone or no file any more is left out.
    fn file(&self, from: At<'_>, to: At<'_>) -> Result<(), CapabilityError> {
        let source = match file(from.0, from.1, Mounts::Stop) {
            Ok(source) => source,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::XDEV) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let status = fstat(&source).map_err(|error| self.failed(error))?;
        if file_type(&status) != FileType::RegularFile {
            return Ok(());
        }
        let copy = make_file(to.0, to.1).map_err(|error| self.failed(error))?;
        bytes::copy(&source, &copy, &status, self.watch).map_err(|error| match error {
            bytes::Stopped::TimeIsUp(error) => error,
            bytes::Stopped::Failed(error) => self.failed(error),
        })?;
        Metadata::of(&source, &status).apply(&copy).map_err(|error| self.failed(error))
    }

    /// Copy a symbolic link as it is.
    fn link(&self, from: At<'_>, to: At<'_>, status: &Stat) -> Result<(), CapabilityError> {
        let text = match kernel(from.0.read_link_contents(from.1)) {
            Ok(text) => text,
            Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        kernel(to.0.symlink_contents(text, to.1)).map_err(|error| self.failed(error))?;
        Metadata::apply_to_link(to, status).map_err(|error| self.failed(error))
    }
}

/// Copies each entry of a walk. A directory gets its mode and times when all below it is done: it is written to until then.
struct Copier<'copy> {
    job: Job<'copy>,
    top: &'copy Dir,
    current: Option<Dir>,
}

impl Copier<'_> {
    /// The copy's directory at `path`.
    fn open(&self, path: &Path) -> Result<Dir, CapabilityError> {
        directory(self.top, path, Mounts::Stop).map_err(|error| self.job.failed(error))
    }
}

impl Visitor for Copier<'_> {
    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
        self.current = Some(self.open(&step.path)?);
        Ok(())
    }

    fn directory(&mut self, _step: &Step, name: &OsStr) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        make_directory(current, Path::new(name)).map_err(|error| self.job.failed(error))
    }

    fn entry(&mut self, step: &Step, name: &OsStr, status: &Stat) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let name = Path::new(name);
        let (from, to) = ((&step.directory, name), (current, name));
        match file_type(status) {
            FileType::RegularFile => self.job.file(from, to),
            FileType::Symlink => self.job.link(from, to, status),
            _ => Ok(()),
        }
    }

    fn leave(&mut self, step: &Step) -> Result<(), CapabilityError> {
        let status = fstat(&step.directory).map_err(|error| self.job.failed(error))?;
        let copy = self.open(&step.path)?;
        Metadata::of(&step.directory, &status).apply(&copy).map_err(|error| self.job.failed(error))
    }
}
