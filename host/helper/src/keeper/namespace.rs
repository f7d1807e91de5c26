//! The keeper's own mounts: what its group sees of the machine, and what only its group sees.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, stat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_change, mount_remount,
    move_mount, unmount,
};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The most bytes that a tmpfs of a group holds: sockets, recovery records, no data.
const TMPFS_OPTIONS: &std::ffi::CStr = c"mode=0755,size=64m";
const TMPFS_FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What is shown, and where.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<String, (u64, u64)>);

/// Why a directory cannot be shown.
#[derive(Debug)]
pub(super) enum BindError {
    /// Another one is there.
    Conflict,
    /// The kernel does not want to.
    System(Errno),
}

impl From<Errno> for BindError {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// Make the mounts this process's own: nothing that is mounted here shows on the machine, and each directory of `tmpfs` is empty.
///
/// `/proc` stays the machine's: a command that the helper runs inside the group finds its own descriptors there as well.
pub(super) fn enter(tmpfs: &[String]) -> Result<(), Errno> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    for directory in tmpfs {
        mount("tmpfs", directory.as_str(), "tmpfs", TMPFS_FLAGS, TMPFS_OPTIONS)?;
    }
    Ok(())
}

/// Make a directory and those above it, for all to enter.
pub(super) fn make_directory(path: &Path) -> Result<(), Errno> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

impl Shown {
    /// Show the directory of a detached mount at `at`.
    pub(super) fn bind(
        &mut self,
        mount: &OwnedFd,
        at: &str,
        (source, read_only): ((u64, u64), bool),
    ) -> Result<(), BindError> {
        match self.0.get(at) {
            Some(shown) if *shown == source => return Ok(()),
            Some(_) => return Err(BindError::Conflict),
            None => {}
        }
        make_directory(Path::new(at))?;
        move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::RDONLY, read_only);
        let checked = mount_remount(at, flags, "").and_then(|()| stat(at));
        match checked {
            Ok(found) if (found.st_dev, found.st_ino) == source => {
                self.0.insert(at.to_owned(), source);
                Ok(())
            }
            other => {
                let _nothing_more_can_be_done = unmount(at, UnmountFlags::DETACH).is_err();
                Err(BindError::System(other.err().unwrap_or(Errno::STALE)))
            }
        }
    }

    /// Take away what is shown at `at`; open files in it stay usable.
    pub(super) fn unbind(&mut self, at: &str) -> Result<(), Errno> {
        if !self.0.contains_key(at) {
            return Ok(());
        }
        match unmount(at, UnmountFlags::DETACH) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        self.0.remove(at);
        let _stays_empty = std::fs::remove_dir(at).is_err();
        Ok(())
    }
}
