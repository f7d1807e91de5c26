//! The first pass: the destination becomes what the source is.

use super::super::Watch;
use super::super::beneath::{self, file_type, kernel, make_directory, make_file, status};
use super::super::bytes::{self, Stopped};
use super::super::metadata::Metadata;
use super::super::remove;
use super::super::root::{Identity, identity};
use super::super::walk::{Step, Visitor, walk};
use super::{CopyProgress, Pair};
use crate::protocol::Mounts;
use bulkhead_model::error::CapabilityError;
use cap_std::fs::Dir;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Make the destination what the source is.
pub(super) fn mirror(
    pair: &Pair<'_>,
    subject: &str,
    progress: &CopyProgress,
    watch: &Watch,
) -> Result<(), CapabilityError> {
    walk(
        pair.from,
        subject,
        watch,
        &mut Mirror { pair, progress, watch, current: None, linked: HashMap::new() },
    )
}

struct Mirror<'copy> {
    pair: &'copy Pair<'copy>,
    progress: &'copy CopyProgress,
    watch: &'copy Watch,
    /// The destination's directory.
    current: Option<Dir>,
    /// Where a file that has several names stands at the destination.
    linked: HashMap<Identity, PathBuf>,
}

impl Mirror<'_> {
    fn failed(&self, error: Errno) -> CapabilityError {
        beneath::failed("copying to", self.pair.subject, error)
    }

    fn open(&self, path: &Path) -> Result<Dir, CapabilityError> {
        beneath::directory(self.pair.to, path, Mounts::Stop).map_err(|error| self.failed(error))
    }

    /// What stands at a name of the destination.
    fn look(&self, current: &Dir, name: &Path) -> Result<Option<Stat>, CapabilityError> {
        match status(current, name) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn clear(&self, current: &Dir, name: &Path) -> Result<(), CapabilityError> {
        remove::remove_name(current, name, (self.pair.subject, self.watch))
    }

    fn file(&mut self, step: &Step, name: &Path, status: &Stat) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let (own, path) = (identity(status), step.path.join(name));
        let there = self.look(current, name)?;
        if let Some(first) = self.linked.get(&own) {
            let twin = self.look(self.pair.to, first)?;
            self.progress.add(status.st_size);
            if twin.zip(there).is_some_and(|(twin, there)| identity(&twin) == identity(&there)) {
                return Ok(());
            }
            self.clear(current, name)?;
            return kernel(self.pair.to.hard_link(first, current, name)).map_err(|error| self.failed(error));
        }
        if !there.is_some_and(|there| is_same_file(status, &there)) {
            if there.is_some() {
                self.clear(current, name)?;
            }
            self.copy(step, current, name)?;
        }
        self.progress.add(status.st_size);
        if status.st_nlink > 1 {
            self.linked.insert(own, path);
        }
        Ok(())
    }

    fn copy(&self, step: &Step, current: &Dir, name: &Path) -> Result<(), CapabilityError> {
        let source = match beneath::file(&step.directory, name, Mounts::Stop) {
            Ok(source) => source,
            // Gone meanwhile: the comparison finds out.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::XDEV) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let status = fstat(&source).map_err(|error| self.failed(error))?;
        let copy = make_file(current, name).map_err(|error| self.failed(error))?;
        bytes::copy(&source, &copy, &status, self.watch).map_err(|error| match error {
            Stopped::TimeIsUp(error) => error,
            Stopped::Failed(error) => self.failed(error),
        })?;
        // Last of all: a file with the source's time is a whole one.
        Metadata::of(&source, &status).apply(&copy).map_err(|error| self.failed(error))
    }

    fn link(&self, step: &Step, name: &Path, status: &Stat) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let text = match kernel(step.directory.read_link_contents(name)) {
            Ok(text) => text,
            Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let there = self.look(current, name)?;
        let is_same = there.is_some_and(|there| file_type(&there) == FileType::Symlink)
            && kernel(current.read_link_contents(name)).is_ok_and(|found| found == text);
        if !is_same {
            if there.is_some() {
                self.clear(current, name)?;
            }
            kernel(current.symlink_contents(text, name)).map_err(|error| self.failed(error))?;
        }
        Metadata::apply_to_link((current, name), status).map_err(|error| self.failed(error))
    }

    /// Remove what the source does not have.
    fn prune(&self, source: &Dir, copy: &Dir) -> Result<(), CapabilityError> {
        let entries = kernel(copy.entries()).map_err(|error| self.failed(error))?;
        for entry in entries {
            self.watch.check()?;
            let name = kernel(entry).map_err(|error| self.failed(error))?.file_name();
            let is_wanted = !self.pair.ignored.contains(&name)
                && match status(source, Path::new(&name)) {
                    Ok(status) => is_copied(&status),
                    Err(Errno::NOENT) => false,
                    Err(error) => return Err(self.failed(error)),
                };
            if !is_wanted {
                self.clear(copy, Path::new(&name))?;
            }
        }
        Ok(())
    }
}

/// Whether things of this kind are copied.
pub(super) fn is_copied(status: &Stat) -> bool {
    matches!(file_type(status), FileType::RegularFile | FileType::Symlink | FileType::Directory)
}

/// Whether an earlier attempt has copied the file to its end.
fn is_same_file(source: &Stat, copy: &Stat) -> bool {
    file_type(copy) == FileType::RegularFile
        && (source.st_size, source.st_mtime, source.st_mtime_nsec)
            == (copy.st_size, copy.st_mtime, copy.st_mtime_nsec)
        && (source.st_mode, source.st_uid, source.st_gid) == (copy.st_mode, copy.st_uid, copy.st_gid)
        // A file with one name is nobody else's copy too.
        && (source.st_nlink > 1 || copy.st_nlink == 1)
}

impl Visitor for Mirror<'_> {
    fn enters(&mut self, _step: &Step, name: &OsStr) -> bool {
        !self.pair.ignored.contains(name)
    }

    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
        self.current = Some(self.open(&step.path)?);
        Ok(())
    }

    fn directory(&mut self, _step: &Step, name: &OsStr) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let name = Path::new(name);
        match self.look(current, name)? {
            Some(there) if file_type(&there) == FileType::Directory => return Ok(()),
            Some(_) => self.clear(current, name)?,
            None => {}
        }
        make_directory(current, name).map_err(|error| self.failed(error))
    }

    fn entry(&mut self, step: &Step, name: &OsStr, status: &Stat) -> Result<(), CapabilityError> {
        if self.pair.ignored.contains(name) {
            return Ok(());
        }
        match file_type(status) {
            FileType::RegularFile => self.file(step, Path::new(name), status),
            FileType::Symlink => self.link(step, Path::new(name), status),
            _ => Ok(()),
        }
    }

    fn leave(&mut self, step: &Step) -> Result<(), CapabilityError> {
        let copy = self.open(&step.path)?;
        self.prune(&step.directory, &copy)?;
        let status = fstat(&step.directory).map_err(|error| self.failed(error))?;
        Metadata::of(&step.directory, &status).apply(&copy).map_err(|error| self.failed(error))
    }
}
