//! What only looks.

use super::beneath::{self, failed, file_type, kernel};
use super::walk::{Usage, walk};
use super::{OpenedRoots, Watch, bytes};
use crate::protocol::{DirectoryEntry, FileFacts, FileKind, FilePath, Mounts, Space};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use cap_std::fs::{Dir, FileType as EntryType};
use rustix::fs::{FileType, Stat, fstat, fstatvfs};
use rustix::io::Errno;
use std::path::Path;

/// The most entries that are listed.
pub const MOST_ENTRIES: usize = 10_000;

impl From<FileType> for FileKind {
    fn from(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::SymbolicLink,
            _ => Self::Other,
        }
    }
}

impl From<EntryType> for FileKind {
    fn from(file_type: EntryType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::SymbolicLink
        } else {
            Self::Other
        }
    }
}

pub(super) fn look(roots: &OpenedRoots, at: &FilePath) -> Result<Option<FileFacts>, CapabilityError> {
    match roots.parent(at) {
        Ok(parent) => Ok(parent.look()?.as_ref().map(facts)),
        Err(error) if error.code == CapabilityCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts(status: &Stat) -> FileFacts {
    FileFacts { kind: file_type(status).into(), size_bytes: u64::try_from(status.st_size).unwrap_or(0) }
}

/// As [`look`]; denied where another filesystem is mounted there or on the way: what it holds is not what the operator named.
pub(super) fn look_at_managed(
    roots: &OpenedRoots,
    at: &FilePath,
) -> Result<Option<FileFacts>, CapabilityError> {
    let on_the_way = |error| failed("looking at", &at.to_string(), error);
    let above = at.path.as_str().rsplit_once('/').map_or(".", |(above, _)| above);
    match beneath::directory(roots.get(&at.root)?, above, Mounts::Stop) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        answer => answer.map_err(on_the_way)?,
    };
    let parent = roots.parent(at)?;
    if beneath::is_mount_point(&parent.directory, parent.name()) {
        return Err(on_the_way(Errno::XDEV));
    }
    Ok(parent.look()?.as_ref().map(facts))
}

pub(super) fn list(
    root: &Dir,
    (path, subject): (&str, &str),
    watch: &Watch,
) -> Result<Vec<DirectoryEntry>, CapabilityError> {
    let reading = |error| failed("listing", subject, error);
    let directory = beneath::directory(root, path, Mounts::Enter).map_err(reading)?;
    let mut entries = Vec::new();
    for entry in kernel(directory.entries()).map_err(reading)? {
        watch.check()?;
        let entry = kernel(entry).map_err(reading)?;
        if entries.len() >= MOST_ENTRIES {
            return Err(CapabilityError::new(
                CapabilityCode::LimitExceeded,
                format!("{subject} holds more than {MOST_ENTRIES} entries"),
            ));
        }
        let name = entry.file_name();
        let kind = match kernel(entry.file_type()).map_err(reading)? {
            known if known != EntryType::unknown() => known.into(),
            _ => match beneath::status(&directory, Path::new(&name)) {
                Ok(status) => file_type(&status).into(),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(reading(error)),
            },
        };
        entries.push(DirectoryEntry { name: name.to_string_lossy().into_owned(), kind });
    }
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

pub(super) fn usage(roots: &OpenedRoots, at: &FilePath, watch: &Watch) -> Result<u64, CapabilityError> {
    let parent = roots.parent(at)?;
    let status = parent.look()?.ok_or_else(|| parent.failed("looking at", Errno::NOENT))?;
    match file_type(&status) {
        FileType::Directory => {}
        FileType::RegularFile => return Ok(u64::try_from(status.st_size).unwrap_or(0)),
        _ => return Ok(0),
    }
    let top = beneath::directory(roots.get(&at.root)?, at.path.as_str(), Mounts::Enter)
        .map_err(|error| parent.failed("reading", error))?;
    let mut usage = Usage::default();
    walk(&top, parent.subject(), watch, &mut usage)?;
    Ok(usage.bytes)
}

pub(super) fn read(
    root: &Dir,
    at: &FilePath,
    (most, mounts): (u64, Mounts),
) -> Result<Vec<u8>, CapabilityError> {
    let reading = |error| failed("reading", &at.to_string(), error);
    let file = beneath::file(root, at.path.as_str(), mounts).map_err(reading)?;
    let status = fstat(&file).map_err(reading)?;
    if file_type(&status) != FileType::RegularFile {
        return Err(CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("{at} is not a regular file"),
        ));
    }
    let most_bytes = usize::try_from(most).unwrap_or(usize::MAX);
    // The size that the kernel reports of its own files says nothing: read to the end.
    bytes::read_all(&file, most_bytes).map_err(reading)?.ok_or_else(|| {
        CapabilityError::new(CapabilityCode::LimitExceeded, format!("{at} holds more than {most} bytes"))
    })
}

pub(super) fn space(root: &Dir, name: &Label) -> Result<Space, CapabilityError> {
    let figures = fstatvfs(root).map_err(|error| failed("measuring", name.as_str(), error))?;
    Ok(Space {
        total_bytes: figures.f_blocks.saturating_mul(figures.f_frsize),
        free_bytes: figures.f_bavail.saturating_mul(figures.f_frsize),
    })
}
