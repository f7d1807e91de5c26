//! The roots of a backend: directories the operator binds, opened once and held as `cap_std::fs::Dir`. Whoever has one reaches what lies
//! below it and nothing else; all paths are resolved by the kernel from the held descriptor, never by comparing texts.

use bulkhead_model::id::Label;
use bulkhead_model::manifest::{RootDeclaration, RootUse};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::Stat;
use std::io;
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
    /// A copy of this daemon's state was put back elsewhere, and serves it.
    #[error(
        "'{path}' is served by a restored copy of this daemon's state; let this backend be, or, if the other daemon has ended for good, \
         type: setfattr -x user.bulkhead.tenure {path}"
    )]
    Succeeded {
        /// The path.
        path: String,
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
    directory: Dir,
    ancestry: Vec<Identity>,
}

/// Which file or directory: device and number.
pub(crate) type Identity = (u64, u64);

impl Root {
    /// Open the directory `path` as the root that `declaration` asks for.
    pub fn open(declaration: &RootDeclaration, path: &Path) -> Result<Self, RootError> {
        let text = check_text(path)?;
        let failed = |error: io::Error| RootError::Open { path: text.clone(), reason: error.to_string() };
        let directory = open_bound(path).map_err(failed)?;
        let mode = directory.dir_metadata().map_err(failed)?.mode() & 0o7777;
        let ancestry = ancestry(&directory).map_err(failed)?;
        if ancestry.first() == ancestry.last() {
            return Err(RootError::Everything);
        }
        if declaration.root_use == RootUse::Config && mode & 0o022 != 0 {
            return Err(RootError::WritableByOthers { path: text, mode });
        }
        let (name, root_use) = (declaration.name.clone(), declaration.root_use);
        Ok(Self { name, path: text, root_use, directory, ancestry })
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

    /// Its directory: a place to start from, itself neither read nor synced.
    #[must_use]
    pub const fn directory(&self) -> &Dir {
        &self.directory
    }

    /// The identities of the directory and of everything above it, the filesystem's root last.
    pub(crate) fn ancestry(&self) -> &[Identity] {
        &self.ancestry
    }
}

/// The one place where an absolute path becomes a directory: the operator wrote it into the grant, no guest did.
#[expect(
    clippy::disallowed_methods,
    reason = "a root bound by the operator is where authority over files begins"
)]
fn open_bound(path: &Path) -> io::Result<Dir> {
    let directory = Dir::open_ambient_dir(path, ambient_authority())?;
    // To be told now rather than by the first call that the host's user may not read it.
    directory.entries().map(|_| directory)
}

/// The identities of `directory` and of everything above it. What is above is looked at and let go.
fn ancestry(directory: &Dir) -> io::Result<Vec<Identity>> {
    let identity = |directory: &Dir| directory.dir_metadata().map(|status| (status.dev(), status.ino()));
    let mut found = vec![identity(directory)?];
    let mut above = directory.open_parent_dir(ambient_authority())?;
    loop {
        let here = identity(&above)?;
        if found.last() == Some(&here) {
            return Ok(found);
        }
        found.push(here);
        above = above.open_parent_dir(ambient_authority())?;
    }
}

pub(crate) const fn identity(status: &Stat) -> Identity {
    (status.st_dev, status.st_ino)
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
