//! The packages of all generations that can be gone back to, by digest, in the state directory: a restart and a rollback need nothing of
//! the vendor's.
//!
//! A package is there whole or not at all: written beside its place, brought to the disk, then renamed. Whoever reads one back checks
//! its digest.

use super::load_failure::LoadFailure;
use bulkhead_model::id::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The end of a package's name.
const SUFFIX: &str = ".wasm";

/// The folder of packages.
#[derive(Debug)]
pub(super) struct Packages {
    folder: PathBuf,
    /// How many candidates hold which package.
    held: Mutex<BTreeMap<Digest, usize>>,
}

/// A package that stays as long as this is not dropped.
#[derive(Debug)]
pub(super) struct Lease {
    packages: Arc<Packages>,
    digest: Digest,
}

impl Packages {
    /// Open the folder, or make it with mode 0700.
    pub(super) fn open(folder: PathBuf) -> io::Result<Arc<Self>> {
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Arc::new(Self { folder, held: Mutex::default() }))
    }

    /// Where the package with this digest is kept.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let text = digest.to_string();
        self.folder.join(format!("{}{SUFFIX}", text.strip_prefix("sha256:").unwrap_or(&text)))
    }

    /// Keep a package. A file of its name with other bytes is replaced: it was damaged.
    pub(super) fn keep(self: &Arc<Self>, digest: Digest, bytes: &[u8]) -> Result<Lease, LoadFailure> {
        let path = self.path(&digest);
        let mut held = self.lock();
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            self.write(&path, bytes).map_err(|source| LoadFailure::Keep { path, source })?;
        }
        let count = held.entry(digest).or_default();
        *count = count.saturating_add(1);
        Ok(Lease { packages: Arc::clone(self), digest })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = path.with_extension("new");
        // Left over from a daemon that was killed.
        drop(fs::remove_file(&beside));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Remove every package but those that `needed` names and those that are held. What cannot be removed is told and stays.
    pub(super) fn keep_only(&self, needed: impl FnOnce() -> BTreeSet<Digest>) {
        let held = self.lock();
        // In this order: who lets go of a package has recorded its generation before.
        let mut spared: BTreeSet<Digest> = held.keys().copied().collect();
        spared.extend(needed());
        let spared: BTreeSet<PathBuf> = spared.iter().map(|digest| self.path(digest)).collect();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                return tracing::warn!("cannot list {}: {error}", self.folder.display());
            }
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !spared.contains(path)) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("a package that no generation needs stays at {}: {error}", path.display());
            }
        }
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.packages.lock();
        if let Some(count) = held.get_mut(&self.digest) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn packages() -> (tempfile::TempDir, Arc<Packages>) {
        let folder = tempfile::tempdir().expect("a folder");
        let packages = Packages::open(folder.path().join("packages")).expect("made");
        (folder, packages)
    }

    fn digest(number: u8) -> Digest {
        Digest::from_bytes([number; 32])
    }

    #[test]
    fn a_package_is_kept_for_its_owner_alone_and_a_damaged_one_is_replaced() {
        let (_folder, packages) = packages();
        for damage in [None, Some(&b"half of"[..]), Some(b"")] {
            if let Some(damage) = damage {
                fs::write(packages.path(&digest(1)), damage).expect("damaged");
            }
            packages.keep(digest(1), b"a package").expect("kept");
            assert_eq!(fs::read(packages.path(&digest(1))).expect("there"), b"a package");
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&packages.folder), mode(&packages.path(&digest(1)))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&packages.folder).expect("a folder").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_nobody_needs_goes_and_what_is_held_stays() {
        let (_folder, packages) = packages();
        let held = packages.keep(digest(1), b"1").expect("kept");
        drop(packages.keep(digest(2), b"2").expect("kept"));
        drop(packages.keep(digest(3), b"3").expect("kept"));
        packages.keep_only(|| BTreeSet::from([digest(2)]));
        let there = |number| packages.path(&digest(number)).exists();
        assert_eq!((there(1), there(2), there(3)), (true, true, false));
        drop(held);
        packages.keep_only(BTreeSet::new);
        assert_eq!((there(1), there(2)), (false, false));
    }
}
