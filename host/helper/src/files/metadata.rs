//! What a copy keeps of a file beside its bytes. What the host's user may not set is left as it is; the bits that give a program its
//! owner's rights are kept only where the owner is.

use cap_std::fs::Dir;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fgetxattr,
    flistxattr, fsetxattr, futimens, utimensat,
};
use rustix::io::Errno;
use std::ffi::CString;
use std::path::Path;

/// The most that the kernel answers for names or for one value, in bytes.
const LARGEST: usize = 1 << 16;

/// Owner, mode, times and attributes.
#[derive(Debug)]
pub(super) struct Metadata {
    owner: (u32, u32),
    mode: u32,
    times: Timestamps,
    attributes: Vec<(CString, Vec<u8>)>,
}

impl Metadata {
    /// What `file`, whose status is `status`, has.
    pub(super) fn of(file: impl AsFd, status: &Stat) -> Self {
        Self {
            owner: (status.st_uid, status.st_gid),
            mode: status.st_mode & 0o7777,
            times: times(status),
            attributes: attributes(file.as_fd()),
        }
    }

    /// Its attributes and access-control lists, in order of their names.
    pub(super) fn attributes(&self) -> &[(CString, Vec<u8>)] {
        &self.attributes
    }

    /// Give it to `copy`.
    pub(super) fn apply(&self, copy: impl AsFd) -> Result<(), Errno> {
        let copy = copy.as_fd();
        let owned = fchown(copy, Some(Uid::from_raw(self.owner.0)), Some(Gid::from_raw(self.owner.1)));
        for (name, value) in &self.attributes {
            tolerate(fsetxattr(copy, name.as_c_str(), value, XattrFlags::empty()))?;
        }
        let mode = if owned.is_ok() { self.mode } else { self.mode & 0o1777 };
        fchmod(copy, Mode::from_raw_mode(mode))?;
        futimens(copy, &self.times)
    }

    /// Give owner and times of a link to its copy.
    pub(super) fn apply_to_link((directory, name): (&Dir, &Path), status: &Stat) -> Result<(), Errno> {
        let owner = (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)));
        tolerate(chownat(directory, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW))?;
        tolerate(utimensat(directory, name, &times(status), AtFlags::SYMLINK_NOFOLLOW))
    }
}

/// Full devices and failing ones are failures; what this user or this filesystem cannot have is not.
fn tolerate(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => Err(error),
        _ => Ok(()),
    }
}

fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

/// `user.*` and the access-control lists; what cannot be read is left out.
fn attributes(file: BorrowedFd<'_>) -> Vec<(CString, Vec<u8>)> {
    // Most files have none: asked for the length alone first.
    if flistxattr(file, &mut [0_u8; 0][..]).is_ok_and(|length| length == 0) {
        return Vec::new();
    }
    let mut names = vec![0_u8; LARGEST];
    let Ok(length) = flistxattr(file, &mut *names) else { return Vec::new() };
    let names = names.get(..length).unwrap_or_default();
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        if !name.starts_with(b"user.") && !name.starts_with(b"system.posix_acl_") {
            continue;
        }
        let Ok(name) = CString::new(name) else { continue };
        let mut value = vec![0_u8; LARGEST];
        if let Ok(length) = fgetxattr(file, name.as_c_str(), &mut *value) {
            value.truncate(length);
            found.push((name, value));
        }
    }
    // Each filesystem has its own order.
    found.sort();
    found
}
