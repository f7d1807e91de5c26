//! System calls below a held directory, a `cap_std::fs::Dir`: code that has nothing else can name no absolute path and no `..`.
//!
//! cap-std follows links that stay below the directory, and a tenant's link must not be followed at all. So everything that is there
//! already is opened here, by `openat2` with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS: the kernel resolves the whole path and what
//! a change of the tree meanwhile can bring about is an error, never another place. What then happens to a single name in an opened
//! directory is a method of its `Dir`, none of which follows a link in that place. The rest, which cap-std does not offer, is rustix on
//! the `Dir`'s descriptor: renames that exchange or replace nothing, shared blocks, syncing of directories, sizes of filesystems,
//! attributes, and [`status`].

use crate::protocol::{FilePath, Mounts};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, File, OpenOptions, OpenOptionsExt};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fsync, openat2, statat};
use rustix::io::{Errno, Result as Kernel};
use rustix::path::Arg;
use std::io;
use std::path::Path;

/// How often a lookup is repeated that met a rename (`EAGAIN`).
const LOOKUPS: usize = 128;

/// Open the directory `path` below `root` for reading, as the operator set the root up. Fails with `not-found`, `denied`, `io`.
pub fn open_directory(root: &Dir, path: &str, subject: &str) -> Result<Dir, CapabilityError> {
    directory(root, path, Mounts::Enter).map_err(|error| failed("opening", subject, error))
}

/// Open the directory `path` for reading.
pub(super) fn directory(below: &Dir, path: impl Arg + Copy, mounts: Mounts) -> Kernel<Dir> {
    open(below, path, OFlags::DIRECTORY | OFlags::RDONLY, mounts).map(Dir::from)
}

/// Open the directory `path` as a mere place, which takes no right to read it.
pub(super) fn place(below: &Dir, path: impl Arg + Copy) -> Kernel<Dir> {
    open(below, path, OFlags::DIRECTORY | OFlags::PATH, Mounts::Stop).map(Dir::from)
}

/// Open the file `path` for reading. Waits for no writer, should it be a pipe.
pub(super) fn file(below: &Dir, path: impl Arg + Copy, mounts: Mounts) -> Kernel<File> {
    open(below, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW, mounts).map(File::from)
}

/// Whether something is mounted at the name `name`. Nothing there: no.
pub(super) fn is_mount_point(directory: &Dir, name: &Path) -> bool {
    open(directory, name, OFlags::PATH | OFlags::NOFOLLOW, Mounts::Stop)
        .is_err_and(|error| error == Errno::XDEV)
}

fn open(directory: &Dir, path: impl Arg + Copy, flags: OFlags, mounts: Mounts) -> Kernel<OwnedFd> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    if mounts == Mounts::Stop {
        resolve |= ResolveFlags::NO_XDEV;
    }
    // A mere handle takes no further flags.
    let always =
        if flags.contains(OFlags::PATH) { OFlags::CLOEXEC } else { OFlags::CLOEXEC | OFlags::NOCTTY };
    for _ in 0..LOOKUPS {
        match openat2(directory, path, flags | always, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

/// Make the file `name`, where nothing may stand, for its owner alone, and open it for writing.
pub(super) fn make_file(directory: &Dir, name: &Path) -> Kernel<File> {
    kernel(directory.open_with(name, OpenOptions::new().write(true).create_new(true).mode(0o600)))
}

/// Make the directory `name`, where nothing may stand, for its owner alone.
pub(super) fn make_directory(directory: &Dir, name: &Path) -> Kernel<()> {
    kernel(directory.create_dir_with(name, DirBuilder::new().mode(0o700)))
}

/// What stands at the name `name`; a link is a link.
///
/// Not cap-std's `symlink_metadata`: it panics at a file of the year -292277022657, and a tenant may set that.
pub(super) fn status(directory: &Dir, name: &Path) -> Kernel<Stat> {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// What the kernel said, of cap-std's answer.
pub(super) fn kernel<T>(answer: io::Result<T>) -> Kernel<T> {
    answer.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// The directory that a path's last component stands in, open for reading so that it can be synced.
#[derive(Debug)]
pub(super) struct Parent {
    /// The directory.
    pub(super) directory: Dir,
    name: String,
    subject: String,
}

impl Parent {
    /// Open the parent of `at`. Fails with `not-found` if it is not there, `denied` if a link stands on the way.
    pub(super) fn open(root: &Dir, at: &FilePath) -> Result<Self, CapabilityError> {
        let (above, subject) =
            (at.path.as_str().rsplit_once('/').map_or(".", |(above, _)| above), at.to_string());
        let directory = directory(root, above, Mounts::Enter)
            .map_err(|error| failed("opening the directory of", &subject, error))?;
        Ok(Self { directory, name: at.path.file_name().to_owned(), subject })
    }

    /// The component.
    pub(super) fn name(&self) -> &Path {
        Path::new(&self.name)
    }

    /// Root and path, for people.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// What stands there; none if nothing does. A link is a link.
    pub(super) fn look(&self) -> Result<Option<Stat>, CapabilityError> {
        match status(&self.directory, self.name()) {
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
