//! The functions that only look.

use super::beneath::{self, Mounts, Parent, failed, file_type, kernel};
use super::walk::{Usage, walk};
use super::watch::{Watch, blocking};
use super::{LARGEST_FILE, bytes};
use crate::call::Call;
use crate::ownership;
use crate::resolve::ResolvedPath;
use crate::root::Root;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::RootUse;
use bulkhead_model::text::GuestText;
use cap_std::fs::FileType as EntryType;
use rustix::fs::{FileType, fstat, fstatvfs};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

/// The most entries that are listed.
pub const MOST_ENTRIES: usize = 10_000;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    SymbolicLink,
    /// A device, socket or pipe.
    Other,
}

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

/// Facts about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileStatus {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Whether the ownership record says that this backend made it for the path's resource.
    pub owned: bool,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DirectoryEntry {
    /// Its name; what is not UTF-8 is replaced.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// How full a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Space {
    /// Size of the filesystem, in bytes.
    pub total_bytes: u64,
    /// Bytes an unprivileged writer can still use.
    pub free_bytes: u64,
}

pub(super) async fn status(call: &Call, at: ResolvedPath) -> Result<FileStatus, CapabilityError> {
    let owned = ownership::find_own(call, &at).await?.is_some();
    blocking(call, None, move |_| {
        let parent = Parent::open(&at)?;
        let status = parent.look()?.ok_or_else(|| parent.failed("looking at", Errno::NOENT))?;
        Ok(FileStatus {
            kind: file_type(&status).into(),
            size_bytes: u64::try_from(status.st_size).unwrap_or(0),
            owned,
        })
    })
    .await
}

pub(super) async fn list(call: &Call, at: ResolvedPath) -> Result<Vec<DirectoryEntry>, CapabilityError> {
    blocking(call, None, move |watch| read_directory(&at, watch)).await
}

fn read_directory(at: &ResolvedPath, watch: &Watch) -> Result<Vec<DirectoryEntry>, CapabilityError> {
    let subject = at.subject();
    let reading = |error| failed("listing", &subject, error);
    let directory =
        beneath::directory(at.root.directory(), at.path.as_str(), Mounts::Enter).map_err(reading)?;
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

pub(super) async fn usage(call: &Call, at: ResolvedPath) -> Result<u64, CapabilityError> {
    blocking(call, None, move |watch| {
        let subject = at.subject();
        let parent = Parent::open(&at)?;
        let status = parent.look()?.ok_or_else(|| parent.failed("looking at", Errno::NOENT))?;
        match file_type(&status) {
            FileType::Directory => {}
            FileType::RegularFile => return Ok(u64::try_from(status.st_size).unwrap_or(0)),
            _ => return Ok(0),
        }
        let top = beneath::directory(at.root.directory(), at.path.as_str(), Mounts::Enter)
            .map_err(|error| failed("reading", &subject, error))?;
        let mut usage = Usage::default();
        walk(&top, &subject, watch, &mut usage)?;
        Ok(usage.bytes)
    })
    .await
}

pub(super) async fn read(call: &Call, at: ResolvedPath) -> Result<Vec<u8>, CapabilityError> {
    blocking(call, None, move |_| {
        let subject = at.subject();
        let reading = |error| failed("reading", &subject, error);
        let file = beneath::file(at.root.directory(), at.path.as_str(), Mounts::Enter).map_err(reading)?;
        let status = fstat(&file).map_err(reading)?;
        if file_type(&status) != FileType::RegularFile {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("{subject} is not a regular file"),
            ));
        }
        bytes::read_all(&file, LARGEST_FILE).map_err(reading)?.ok_or_else(|| {
            CapabilityError::new(
                CapabilityCode::LimitExceeded,
                format!("{subject} holds more than {LARGEST_FILE} bytes"),
            )
        })
    })
    .await
}

pub(super) async fn space(call: &Call, root: &str) -> Result<Space, CapabilityError> {
    let root = find_root(call, root)?;
    blocking(call, None, move |_| {
        let figures =
            fstatvfs(root.directory()).map_err(|error| failed("measuring", root.name().as_str(), error))?;
        Ok(Space {
            total_bytes: figures.f_blocks.saturating_mul(figures.f_frsize),
            free_bytes: figures.f_bavail.saturating_mul(figures.f_frsize),
        })
    })
    .await
}

fn find_root(call: &Call, name: &str) -> Result<Arc<Root>, CapabilityError> {
    let declared = call.backend().manifest().roots.iter().find(|root| root.name.as_str() == name);
    let declared = declared.ok_or_else(|| {
        let shown = GuestText::new(name, 64);
        CapabilityError::denied(
            format!("root '{shown}'"),
            format!("[[root]] name = \"{shown}\" in the driver's manifest"),
        )
    })?;
    let root = call.backend().root(&declared.name)?;
    if root.root_use() == RootUse::Kernel {
        return Err(crate::resolve::kernel_only(&root));
    }
    Ok(root)
}
