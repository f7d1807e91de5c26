//! The state directory: who may look into it, and the keys that are made once and kept.

use anyhow::{Context, bail};
use bulkhead_model::tenure::Tenure;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bits that others than the owner hold.
const OTHERS: u32 = 0o077;

/// Files that a copy of the state must have. The key of the cache is not among them: what it protects is made again.
const KEPT: [&str; 2] = [LEDGER_KEY, "secrets.key"];

/// The key of the ledger, which every state has.
const LEDGER_KEY: &str = "ledger.key";

/// Which copy of a state this is.
const TENURE: &str = "tenure";

/// A state directory, made if it was missing.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Open the directory, or make it with mode 0700. One that others may enter is refused: it holds keys and the operator's socket.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .with_context(|| format!("cannot make the state directory {}", path.display()))?;
        }
        let metadata = path
            .metadata()
            .with_context(|| format!("cannot look at the state directory {}", path.display()))?;
        if !metadata.is_dir() {
            bail!("{} is not a directory\nhint: set state-directory to one", path.display());
        }
        if metadata.mode() & OTHERS != 0 {
            bail!(
                "the state directory {} can be entered by others\nhint: chmod 0700 {}",
                path.display(),
                path.display()
            );
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Open the directory, which must be there.
    pub(crate) fn find(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            bail!(
                "{} is no state directory\nhint: name the one of a daemon, or a copy of it",
                path.display()
            );
        }
        Self::open(path)
    }

    /// Which copy of a state this is; written down the first time.
    pub(crate) fn tenure(&self) -> anyhow::Result<Tenure> {
        match self.written_tenure()? {
            Some(tenure) => Ok(tenure),
            None => {
                let tenure = Tenure::first();
                self.write_tenure(tenure)?;
                Ok(tenure)
            }
        }
    }

    fn written_tenure(&self) -> anyhow::Result<Option<Tenure>> {
        let path = self.path.join(TENURE);
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).with_context(|| {
                format!(
                    "{} cannot be read\nhint: bring it back from a backup, or remove it if no other copy of this state is served",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Whole or not at all, also through a crash.
    fn write_tenure(&self, tenure: Tenure) -> anyhow::Result<()> {
        let (path, draft) = (self.path.join(TENURE), self.path.join(format!("{TENURE}.new")));
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            writeln!(file, "{tenure}")?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Take over the tenure of `source`, a copy of a state, as it is: a backup is nobody's turn.
    pub(crate) fn copy_tenure(&self, source: &Self) -> anyhow::Result<()> {
        self.write_tenure(source.tenure()?)
    }

    /// Succeed the state that `source` is a copy of: from now on this one has its roots, and the old one gives way.
    pub(crate) fn succeed(&self, source: &Self) -> anyhow::Result<()> {
        match source.written_tenure()? {
            Some(old) => self.write_tenure(old.succeeded()),
            // A copy of a state from before there were tenures: nobody has claimed anything.
            None => self.write_tenure(Tenure::first()),
        }
    }

    /// Copy what stands beside the store and cannot be made again: keys, and the packages of generations. Fails if `to` has another of the same name.
    pub(crate) fn copy_kept_files(&self, to: &Self) -> anyhow::Result<()> {
        for name in KEPT {
            let (from, to) = (self.path.join(name), to.path.join(name));
            // A state that no version with it has served lacks the key of secrets: it has none sealed.
            if !from.exists() && name != LEDGER_KEY {
                continue;
            }
            let key = read_key(&from)?;
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
            let mut file = made.with_context(|| format!("cannot make {}", to.display()))?;
            file.write_all(&key)
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
        self.copy_packages(to)
    }

    /// The generations in the store are nothing without their packages. Whoever loads one checks its digest.
    fn copy_packages(&self, to: &Self) -> anyhow::Result<()> {
        let (from, to) = (self.packages(), to.packages());
        let Ok(packages) = from.read_dir() else { return Ok(()) };
        DirBuilder::new().mode(0o700).create(&to).with_context(|| format!("cannot make {}", to.display()))?;
        for package in packages.flatten().map(|entry| entry.file_name()) {
            let (from, to) = (from.join(&package), to.join(&package));
            // Forgotten meanwhile.
            let Ok(mut source) = File::open(&from) else { continue };
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
            let mut file = made.with_context(|| format!("cannot make {}", to.display()))?;
            std::io::copy(&mut source, &mut file)
                .and_then(|_| file.sync_all())
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(())
    }

    /// Where the store keeps its files.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Where compiled drivers are cached.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// Where the packages of generations are kept.
    pub(crate) fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// What keeps two helpers of this state from running commands at once.
    pub(crate) fn helper_lock(&self) -> PathBuf {
        self.path.join("helper.lock")
    }

    /// What the helper writes down of what outlives it.
    pub(crate) fn helper_runtime(&self) -> PathBuf {
        self.path.join("helper")
    }

    /// The operator's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(crate::client::SOCKET)
    }

    /// The 32 bytes of the key `name`, made at random the first time. Whoever else makes it at the same moment gets the same.
    pub(crate) fn key(&self, name: &str) -> anyhow::Result<[u8; 32]> {
        let path = self.path.join(format!("{name}.key"));
        if !path.exists() {
            let draft = self.path.join(format!(".{name}.key.{}", std::process::id()));
            make_key(&draft, &path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        read_key(&path)
    }
}

/// Whole or not at all, also through a crash; one that is there already stays.
fn make_key(draft: &Path, path: &Path) -> std::io::Result<()> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => std::fs::remove_file(draft),
        moved => Ok(moved?),
    }
}

fn read_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if file.metadata()?.mode() & OTHERS != 0 {
        bail!(
            "{} can be read by others\nhint: chmod 0600 {}; if somebody else has read it, what it protects is not protected",
            path.display(),
            path.display()
        );
    }
    let mut key = Vec::new();
    file.read_to_end(&mut key)?;
    key.try_into().ok().with_context(|| {
        format!("{} does not hold 32 bytes\nhint: bring it back from a backup; without it the records it protects cannot be checked", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("made");
        let key = state.key("ledger").expect("made");
        assert_eq!(state.key("ledger").expect("read"), key);
        assert_ne!(state.key("cache").expect("made"), key);
    }

    #[test]
    fn a_directory_or_key_that_others_may_read_is_refused_with_the_fix() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let state = StateDirectory::open(&path).expect("made");
        state.key("ledger").expect("made");
        std::fs::set_permissions(path.join("ledger.key"), Permissions::from_mode(0o644)).expect("changed");
        assert!(state.key("ledger").expect_err("too open").to_string().contains("chmod 0600"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("changed");
        assert!(StateDirectory::open(&path).expect_err("too open").to_string().contains("chmod 0700"));
    }

    #[test]
    fn a_copy_has_the_keys_of_ledger_and_secrets_and_lacks_only_what_was_never_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| StateDirectory::open(&folder.path().join(name)).expect("made");
        let (state, young) = (at("state"), at("young"));
        let keys = ["ledger", "secrets"].map(|name| state.key(name).expect("made"));
        let copy = at("copy");
        state.copy_kept_files(&copy).expect("copied");
        assert_eq!(["ledger", "secrets"].map(|name| copy.key(name).expect("copied")), keys);
        young.key("ledger").expect("made");
        young.copy_kept_files(&at("second")).expect("it has sealed nothing yet");
        assert!(at("empty").copy_kept_files(&at("third")).is_err(), "a state without its ledger's key");
    }

    #[test]
    fn a_truncated_key_is_told_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("made");
        state.key("ledger").expect("made");
        let path = folder.path().join("state/ledger.key");
        std::fs::write(&path, "short").expect("written");
        assert!(state.key("ledger").expect_err("too short").to_string().contains("32 bytes"));
        assert_eq!(std::fs::read(&path).expect("still there"), b"short");
    }
}
