//! System calls below a held directory: the kernel resolves every path, follows no symbolic link and leaves the directory under no
//! circumstances (`openat2` with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS). What a change of the tree meanwhile can bring about is an
//! error, never another place.

use crate::resolve::ResolvedPath;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fsync, openat2, statat};
use rustix::io::{Errno, Result as Kernel};
use std::ffi::CStr;

/// How often a lookup is repeated that met a rename (`EAGAIN`).
const LOOKUPS: usize = 128;

/// Whether a walk may enter what is mounted inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mounts {
    /// As the operator set the root up.
    Enter,
    /// A tree ends where another filesystem begins.
    Stop,
}

/// Open `path` below `directory`.
pub(super) fn open<P: rustix::path::Arg + Copy>(
    directory: impl AsFd,
    path: P,
    flags: OFlags,
    mounts: Mounts,
) -> Kernel<OwnedFd> {
    open_with_mode(directory, path, (flags, Mode::empty()), mounts)
}

/// Open, and perhaps make, `path` below `directory`.
pub(super) fn open_with_mode<P: rustix::path::Arg + Copy>(
    directory: impl AsFd,
    path: P,
    (flags, mode): (OFlags, Mode),
    mounts: Mounts,
) -> Kernel<OwnedFd> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    if mounts == Mounts::Stop {
        resolve |= ResolveFlags::NO_XDEV;
    }
    // A mere handle takes no further flags.
    let always =
        if flags.contains(OFlags::PATH) { OFlags::CLOEXEC } else { OFlags::CLOEXEC | OFlags::NOCTTY };
    for _ in 0..LOOKUPS {
        match openat2(directory.as_fd(), path, flags | always, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

/// The directory that a path's last component stands in, open for reading so that it can be synced.
#[derive(Debug)]
pub(super) struct Parent {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// The component.
    pub(super) name: String,
    subject: String,
}

impl Parent {
    /// Open the parent of `at`. Fails with `not-found` if it is not there, `denied` if a link stands on the way.
    pub(super) fn open(at: &ResolvedPath) -> Result<Self, CapabilityError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let above = at.path.as_str().rsplit_once('/').map_or(".", |(above, _)| above);
        let directory = open(at.root.directory(), above, flags, Mounts::Enter)
            .map_err(|error| failed("opening the directory of", &at.subject(), error))?;
        Ok(Self { directory, name: at.path.file_name().to_owned(), subject: at.subject() })
    }

    /// What stands there; none if nothing does. A link is a link.
    pub(super) fn look(&self) -> Result<Option<Stat>, CapabilityError> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("looking at", error)),
        }
    }

    /// Wait until what was made, renamed or removed in it is on disk.
    pub(super) fn sync(&self) -> Result<(), CapabilityError> {
        fsync(&self.directory).map_err(|error| self.failed("syncing the directory of", error))
    }

    /// The failure of `doing` something to this path.
    pub(super) fn failed(&self, doing: &str, error: Errno) -> CapabilityError {
        failed(doing, &self.subject, error)
    }
}

/// The type in a mode.
pub(super) fn file_type(status: &Stat) -> FileType {
    FileType::from_raw_mode(status.st_mode)
}

/// Whether a directory entry is one of the two that every directory has.
pub(super) fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// A system call's failure as a guest sees it: what was being done, to what, why, and what to do where that is known.
pub(super) fn failed(doing: &str, subject: &str, error: Errno) -> CapabilityError {
    let (code, reason) = match error {
        Errno::NOENT | Errno::NOTDIR => (CapabilityCode::NotFound, "it is not there".to_owned()),
        Errno::EXIST | Errno::NOTEMPTY => {
            (CapabilityCode::AlreadyExists, "something is there already".to_owned())
        }
        Errno::NOSPC | Errno::DQUOT => {
            (CapabilityCode::NoSpace, "the device or its quota is full".to_owned())
        }
        Errno::LOOP => (
            CapabilityCode::Denied,
            "a symbolic link stands there, and no line allows following one".to_owned(),
        ),
        Errno::XDEV => (
            CapabilityCode::Denied,
            "it leads to another filesystem, and no line allows entering one".to_owned(),
        ),
        Errno::ROFS => (CapabilityCode::Io, "the filesystem is read-only; mount it writable".to_owned()),
        Errno::ACCESS | Errno::PERM => {
            (CapabilityCode::Io, "the host's user may not; correct owner and mode of the root".to_owned())
        }
        Errno::AGAIN => (CapabilityCode::Busy, "it is being changed all the time; try again".to_owned()),
        other => (CapabilityCode::Io, other.to_string()),
    };
    CapabilityError::new(code, format!("{doing} {subject} failed: {reason}"))
}
