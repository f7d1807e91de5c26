//! One helper at a time for one daemon's state: a locked file. While an earlier helper still ends its commands, it holds the lock, and
//! the next one runs nothing.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use std::path::Path;

/// The lock, held or not yet.
#[derive(Debug)]
pub struct Lock {
    file: Option<OwnedFd>,
    held: bool,
}

impl Lock {
    /// For a helper that is alone by other means.
    #[must_use]
    pub const fn none() -> Self {
        Self { file: None, held: true }
    }

    /// The lock file at `path`; made if it is not there. Never removed: a removed file could be locked twice.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { file: Some(file), held: false })
    }

    /// Take the lock if it is free. Once held it stays held until the process ends.
    pub fn is_held(&mut self) -> bool {
        if let (false, Some(file)) = (self.held, &self.file) {
            self.held = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        }
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_has_it_once_the_first_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("helper.lock");
        let mut first = Lock::open(&path).expect("a lock");
        let mut second = Lock::open(&path).expect("a lock");
        assert!(first.is_held() && !second.is_held());
        drop(first);
        assert!(second.is_held());
    }
}
