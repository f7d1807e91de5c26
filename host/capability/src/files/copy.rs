//! Copies of a file or tree: blocks shared where the filesystem can, copied elsewhere, holes left holes. Modes, times, owners (as far as
//! the host's user may), `user.*` attributes and access-control lists come along; links are copied as links; devices, pipes and sockets
//! are left out.

use super::beneath::{Mounts, Parent, failed, file_type, open, open_with_mode};
use super::bytes;
use super::metadata::Metadata;
use super::walk::{Step, Visitor, walk};
use super::watch::Watch;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, mkdirat, readlinkat, symlinkat, syncfs};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// Copy what stands at `source` to `destination`, where nothing may stand, and wait until all of it is on disk.
///
/// Cut short, it leaves what it has copied. Fails with `already-exists`, `not-found`, `no-space`, `timed-out`, `io`.
pub(super) fn copy(source: &Parent, destination: &Parent, watch: &Watch) -> Result<(), CapabilityError> {
    let status = source.look()?.ok_or_else(|| source.failed("copying", Errno::NOENT))?;
    let (from, to) = (c_name(&source.name)?, c_name(&destination.name)?);
    match file_type(&status) {
        FileType::Directory => copy_tree(source, destination, watch)?,
        FileType::RegularFile => {
            let job = Job { subject: &destination.name, watch };
            job.file((&source.directory, &from), (&destination.directory, &to))?;
        }
        FileType::Symlink => {
            let job = Job { subject: &destination.name, watch };
            job.link((&source.directory, &from), (&destination.directory, &to), &status)?;
        }
        _ => {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("{} is neither a file, a directory nor a link", source.name),
            ));
        }
    }
    syncfs(&destination.directory).map_err(|error| destination.failed("syncing", error))
}

fn copy_tree(source: &Parent, destination: &Parent, watch: &Watch) -> Result<(), CapabilityError> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
    let from = open(&source.directory, source.name.as_str(), flags, Mounts::Enter)
        .map_err(|error| source.failed("copying", error))?;
    mkdirat(&destination.directory, &destination.name, Mode::RWXU)
        .map_err(|error| destination.failed("making", error))?;
    let to = open(&destination.directory, destination.name.as_str(), flags, Mounts::Enter)
        .map_err(|error| destination.failed("copying to", error))?;
    let job = Job { subject: &destination.name, watch };
    let mut copier = Copier { job, top: &to, current: None, finished_last: Vec::new() };
    walk(&from, &source.name, watch, &mut copier)?;
    copier.finish()
}

fn c_name(name: &str) -> Result<CString, CapabilityError> {
    CString::new(name).map_err(|_| CapabilityError::new(CapabilityCode::InvalidArgument, "a name holds NUL"))
}

/// A place: a directory and a name in it.
type At<'place> = (&'place OwnedFd, &'place CStr);

/// What every part of a copy needs to know.
#[derive(Debug, Clone, Copy)]
struct Job<'copy> {
    subject: &'copy str,
    watch: &'copy Watch,
}

impl Job<'_> {
    fn failed(&self, error: Errno) -> CapabilityError {
        failed("copying to", self.subject, error)
    }

    /// Copy a regular file. One that is gone or no file any more is left out.
    fn file(&self, from: At<'_>, to: At<'_>) -> Result<(), CapabilityError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let source = match open(from.0, from.1, flags, Mounts::Stop) {
            Ok(source) => source,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::XDEV) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let status = fstat(&source).map_err(|error| self.failed(error))?;
        if file_type(&status) != FileType::RegularFile {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let copy =
            open_with_mode(to.0, to.1, (flags, mode), Mounts::Stop).map_err(|error| self.failed(error))?;
        bytes::copy(&source, &copy, &status, self.watch).map_err(|error| match error {
            bytes::Stopped::TimeIsUp(error) => error,
            bytes::Stopped::Failed(error) => self.failed(error),
        })?;
        Metadata::of(&source, &status).apply(&copy).map_err(|error| self.failed(error))
    }

    /// Copy a symbolic link as it is.
    fn link(&self, from: At<'_>, to: At<'_>, status: &Stat) -> Result<(), CapabilityError> {
        let text = match readlinkat(from.0, from.1, Vec::new()) {
            Ok(text) => text,
            Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        symlinkat(&*text, to.0, to.1).map_err(|error| self.failed(error))?;
        Metadata::apply_to_link(to, status).map_err(|error| self.failed(error))
    }
}

/// Copies each entry of a walk. A directory gets its mode and times last: it is written to until then.
struct Copier<'copy> {
    job: Job<'copy>,
    top: &'copy OwnedFd,
    current: Option<OwnedFd>,
    finished_last: Vec<(CString, Metadata)>,
}

impl Copier<'_> {
    fn finish(self) -> Result<(), CapabilityError> {
        for (path, metadata) in self.finished_last.into_iter().rev() {
            self.job.watch.check()?;
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
            let directory = open(self.top, path.as_c_str(), flags, Mounts::Stop)
                .map_err(|error| self.job.failed(error))?;
            metadata.apply(&directory).map_err(|error| self.job.failed(error))?;
        }
        Ok(())
    }

    /// Make the directory `path` in the copy; its parent was made before.
    fn make(&self, path: &CStr) -> Result<(), CapabilityError> {
        let bytes = path.to_bytes();
        let Some(cut) = bytes.iter().rposition(|byte| *byte == b'/') else { return Ok(()) };
        let (above, name) = bytes.split_at(cut);
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW;
        let above = open(self.top, above, flags, Mounts::Stop).map_err(|error| self.job.failed(error))?;
        let name = name.strip_prefix(b"/").unwrap_or(name);
        mkdirat(&above, name, Mode::RWXU).map_err(|error| self.job.failed(error))
    }
}

impl Visitor for Copier<'_> {
    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
        self.make(&step.path)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
        let directory = open(self.top, step.path.as_c_str(), flags, Mounts::Stop)
            .map_err(|error| self.job.failed(error))?;
        let status = fstat(&step.directory).map_err(|error| self.job.failed(error))?;
        self.finished_last.push((step.path.clone(), Metadata::of(&step.directory, &status)));
        self.current = Some(directory);
        Ok(())
    }

    fn entry(&mut self, step: &Step, name: &CStr, status: &Stat) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let (from, to) = ((&step.directory, name), (current, name));
        match file_type(status) {
            FileType::RegularFile => self.job.file(from, to),
            FileType::Symlink => self.job.link(from, to, status),
            _ => Ok(()),
        }
    }
}
