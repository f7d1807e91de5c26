//! The roots of a backend: directories the operator binds, opened once and held. All paths below them are resolved by the kernel
//! from the held descriptor, never by comparing texts.

use bulkhead_model::id::Label;
use bulkhead_model::manifest::{RootDeclaration, RootUse};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};
use std::path::Path;

/// Why a root was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Not absolute, or of letters that a template could not write.
    #[error(
        "'{0}' is not an absolute path of the letters A-Z a-z 0-9 . _ @ - + and '/', without '.' or '..'"
    )]
    Text(String),
    /// The whole filesystem.
    #[error("'/' is no root for a driver; make a directory for it")]
    Everything,
    /// It cannot be opened.
    #[error("'{path}' cannot be opened as a directory: {reason}; make it, or correct the grant")]
    Open {
        /// The path.
        path: String,
        /// What the kernel says.
        reason: String,
    },
    /// A privileged program reads it, and anybody could write there.
    #[error(
        "'{path}' is written to by others (mode {mode:o}), and a privileged program reads it: chmod go-w '{path}'"
    )]
    WritableByOthers {
        /// The path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
}

/// A root, opened.
#[derive(Debug)]
pub struct Root {
    name: Label,
    path: String,
    root_use: RootUse,
    directory: OwnedFd,
}

/// Which file or directory: device and number.
pub(crate) type Identity = (u64, u64);

impl Root {
    /// Open the directory `path` as the root that `declaration` asks for.
    pub fn open(declaration: &RootDeclaration, path: &Path) -> Result<Self, RootError> {
        let text = check_text(path)?;
        let opened = openat(CWD, path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let failed =
            |error: rustix::io::Errno| RootError::Open { path: text.clone(), reason: error.to_string() };
        let directory = opened.map_err(failed)?;
        let status = fstat(&directory).map_err(failed)?;
        if identity(&status) == filesystem_root()? {
            return Err(RootError::Everything);
        }
        let mode = status.st_mode & 0o7777;
        if declaration.root_use == RootUse::Config && mode & 0o022 != 0 {
            return Err(RootError::WritableByOthers { path: text, mode });
        }
        Ok(Self { name: declaration.name.clone(), path: text, root_use: declaration.root_use, directory })
    }

    /// Its name in the manifest.
    #[must_use]
    pub const fn name(&self) -> &Label {
        &self.name
    }

    /// Its absolute path, as the grant spells it. For printing and for the helper; the daemon itself uses the descriptor.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands in it.
    #[must_use]
    pub const fn root_use(&self) -> RootUse {
        self.root_use
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The identities of the directory and of everything above it.
    pub(crate) fn ancestry(&self) -> Result<Vec<Identity>, RootError> {
        let failed =
            |error: rustix::io::Errno| RootError::Open { path: self.path.clone(), reason: error.to_string() };
        let mut found = vec![identity(&fstat(&self.directory).map_err(failed)?)];
        let mut above = openat(&self.directory, "..", PARENT, Mode::empty()).map_err(failed)?;
        loop {
            let here = identity(&fstat(&above).map_err(failed)?);
            if found.last() == Some(&here) {
                return Ok(found);
            }
            found.push(here);
            above = openat(&above, "..", PARENT, Mode::empty()).map_err(failed)?;
        }
    }
}

const PARENT: OFlags = OFlags::DIRECTORY.union(OFlags::PATH).union(OFlags::CLOEXEC);

pub(crate) const fn identity(status: &Stat) -> Identity {
    (status.st_dev, status.st_ino)
}

fn filesystem_root() -> Result<Identity, RootError> {
    let failed =
        |error: rustix::io::Errno| RootError::Open { path: "/".to_owned(), reason: error.to_string() };
    let root = openat(CWD, "/", PARENT, Mode::empty()).map_err(failed)?;
    fstat(&root).map(|status| identity(&status)).map_err(failed)
}

/// A root's path is written into files and words, so that its alphabet is as small as theirs.
fn check_text(path: &Path) -> Result<String, RootError> {
    let refused = || RootError::Text(path.to_string_lossy().chars().take(256).collect());
    let text = path.to_str().ok_or_else(refused)?;
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() && !text.is_empty() {
        return Err(RootError::Everything);
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._@-+/".contains(letter);
    let below = trimmed.strip_prefix('/').ok_or_else(refused)?;
    let sound = below.split('/').all(|component| !matches!(component, "" | "." | ".."));
    if sound && trimmed.chars().all(allowed) && trimmed.len() <= 1024 {
        Ok(trimmed.to_owned())
    } else {
        Err(refused())
    }
}
