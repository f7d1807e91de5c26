//! The second pass: both sides are looked at anew, and only what is equal to the last byte counts as copied.

use super::super::Watch;
use super::super::beneath::{self, file_type, kernel, status};
use super::super::metadata::Metadata;
use super::super::root::{Identity, identity};
use super::super::walk::{Step, Visitor, walk};
use super::mirror::is_copied;
use super::{CopyProgress, CopySummary, Pair};
use crate::protocol::Mounts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::text::GuestText;
use cap_std::fs::{Dir, File};
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

/// How much is read at once, in bytes.
const BUFFER: usize = 1 << 18;
/// The most bytes of a tenant's name in a message.
const SHOWN: usize = 200;

/// Fails with `conflict` and the first difference.
pub(super) fn compare(
    pair: &Pair<'_>,
    subject: &str,
    progress: &CopyProgress,
    watch: &Watch,
) -> Result<CopySummary, CapabilityError> {
    let mut comparison = Comparison {
        pair,
        progress,
        watch,
        current: None,
        linked: HashMap::new(),
        originals: HashMap::new(),
        summary: CopySummary::default(),
    };
    walk(pair.from, subject, watch, &mut comparison)?;
    Ok(comparison.summary)
}

struct Comparison<'copy> {
    pair: &'copy Pair<'copy>,
    progress: &'copy CopyProgress,
    watch: &'copy Watch,
    current: Option<Dir>,
    /// The copy of each source, and the source of each copy: as many names as there, and no more.
    linked: HashMap<Identity, Identity>,
    originals: HashMap<Identity, Identity>,
    summary: CopySummary,
}

impl Comparison<'_> {
    fn failed(&self, error: Errno) -> CapabilityError {
        beneath::failed("comparing with", self.pair.subject, error)
    }

    fn differs(&self, path: &Path, what: &str) -> CapabilityError {
        let path = path.strip_prefix(".").unwrap_or(path);
        let shown = GuestText::new(&path.to_string_lossy(), SHOWN);
        let hint = match what {
            "owner" => "; let the daemon run as a user that may set owners",
            _ => "; nobody may write to the share while it is copied",
        };
        CapabilityError::new(
            CapabilityCode::Conflict,
            format!(
                "the copy at {} has another {what} at '{shown}' than the source{hint}",
                self.pair.subject
            ),
        )
    }

    /// What both a file and a directory have beside content.
    fn same_status(&self, path: &Path, source: &Stat, copy: &Stat) -> Result<(), CapabilityError> {
        let kind = |status: &Stat| status.st_mode;
        let checks = [
            (file_type(source) == file_type(copy), "type"),
            ((source.st_uid, source.st_gid) == (copy.st_uid, copy.st_gid), "owner"),
            (file_type(source) == FileType::Symlink || kind(source) == kind(copy), "mode"),
            ((source.st_mtime, source.st_mtime_nsec) == (copy.st_mtime, copy.st_mtime_nsec), "time"),
        ];
        match checks.iter().find(|(is_same, _)| !is_same) {
            None => Ok(()),
            Some((_, what)) => Err(self.differs(path, what)),
        }
    }

    fn content(
        &mut self,
        step: &Step,
        name: &Path,
        path: &Path,
        status: &Stat,
    ) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let open = |directory: &Dir| beneath::file(directory, name, Mounts::Stop);
        let source = open(&step.directory).map_err(|error| self.failed(error))?;
        let copy = open(current).map_err(|_| self.differs(path, "type"))?;
        let copied = fstat(&copy).map_err(|error| self.failed(error))?;
        self.same_status(path, status, &copied)?;
        if status.st_size != copied.st_size {
            return Err(self.differs(path, "size"));
        }
        if Metadata::of(&source, status).attributes() != Metadata::of(&copy, &copied).attributes() {
            return Err(self.differs(path, "set of attributes"));
        }
        let twin = *self.linked.entry(identity(status)).or_insert_with(|| identity(&copied));
        let original = *self.originals.entry(identity(&copied)).or_insert_with(|| identity(status));
        if twin != identity(&copied) || original != identity(status) {
            return Err(self.differs(path, "set of hard links"));
        }
        if self.digest(source)? != self.digest(copy)? {
            return Err(self.differs(path, "content"));
        }
        self.progress.add(status.st_size);
        self.summary.bytes = self.summary.bytes.saturating_add(u64::try_from(status.st_size).unwrap_or(0));
        Ok(())
    }

    fn digest(&self, mut file: File) -> Result<[u8; 32], CapabilityError> {
        let (mut hash, mut buffer) = (Sha256::new(), vec![0_u8; BUFFER]);
        loop {
            self.watch.check()?;
            let read = kernel(file.read(&mut buffer)).map_err(|error| self.failed(error))?;
            if read == 0 {
                return Ok(hash.finalize().into());
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
    }

    fn link(&self, step: &Step, name: &Path, path: &Path, source: &Stat) -> Result<(), CapabilityError> {
        let Some(current) = &self.current else { return Ok(()) };
        let copied = status(current, name).map_err(|_| self.differs(path, "type"))?;
        self.same_status(path, source, &copied)?;
        let text = |directory: &Dir| kernel(directory.read_link_contents(name));
        match (text(&step.directory), text(current)) {
            (Ok(source), Ok(copy)) if source == copy => Ok(()),
            _ => Err(self.differs(path, "target")),
        }
    }

    /// Nothing stands at the destination that the source does not have.
    fn same_names(&self, step: &Step, copy: &Dir) -> Result<(), CapabilityError> {
        for entry in kernel(copy.entries()).map_err(|error| self.failed(error))? {
            let name = kernel(entry).map_err(|error| self.failed(error))?.file_name();
            let is_wanted = status(&step.directory, Path::new(&name)).is_ok_and(|status| is_copied(&status));
            if !is_wanted || self.pair.ignored.contains(&name) {
                return Err(self.differs(&step.path.join(&name), "set of names"));
            }
        }
        Ok(())
    }
}

impl Visitor for Comparison<'_> {
    fn enters(&mut self, _step: &Step, name: &OsStr) -> bool {
        !self.pair.ignored.contains(name)
    }

    fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
        let copy = beneath::directory(self.pair.to, &step.path, Mounts::Stop)
            .map_err(|_| self.differs(&step.path, "type"))?;
        self.same_names(step, &copy)?;
        self.current = Some(copy);
        self.summary.entries = self.summary.entries.saturating_add(1);
        Ok(())
    }

    fn entry(&mut self, step: &Step, name: &OsStr, status: &Stat) -> Result<(), CapabilityError> {
        if self.pair.ignored.contains(name) {
            return Ok(());
        }
        let (name, path) = (Path::new(name), step.path.join(name));
        match file_type(status) {
            FileType::RegularFile => self.content(step, name, &path, status)?,
            FileType::Symlink => self.link(step, name, &path, status)?,
            _ => {
                self.summary.left_out = self.summary.left_out.saturating_add(1);
                return Ok(());
            }
        }
        self.summary.entries = self.summary.entries.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self, step: &Step) -> Result<(), CapabilityError> {
        let copy = beneath::directory(self.pair.to, &step.path, Mounts::Stop)
            .map_err(|_| self.differs(&step.path, "type"))?;
        let source = fstat(&step.directory).map_err(|error| self.failed(error))?;
        let copied = fstat(&copy).map_err(|error| self.failed(error))?;
        self.same_status(&step.path, &source, &copied)?;
        let attributes =
            |directory: &Dir, status: &Stat| Metadata::of(directory, status).attributes().to_vec();
        if attributes(&step.directory, &source) != attributes(&copy, &copied) {
            return Err(self.differs(&step.path, "set of attributes"));
        }
        Ok(())
    }
}
