//! From a reference to the secret itself: a file, a variable of the environment, or a credential that systemd hands a service.
//!
//! What others than its owner could read or change is refused: it is no secret, or not the one that the operator wrote.

use super::redactor::{LONGEST_BYTES, Redactor, Secret, SecretError};
use super::vault::Vault;
use bulkhead_model::secret::SecretReference;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The variable in which systemd tells a service where its credentials are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// Bits that others than the owner hold.
const OTHERS: u32 = 0o077;
/// That the file's group may read it.
const GROUP_READS: u32 = 0o040;

/// Looks up a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// Reads secrets from where their references say.
#[derive(Clone)]
pub struct SecretSource {
    redactor: Redactor,
    environment: Environment,
    vault: Option<Arc<Vault>>,
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretSource")
    }
}

/// Why a secret cannot be had. Never says its text.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("{reference} has no secret: {path} is not there; write it with mode 0600")]
    Missing {
        /// The reference.
        reference: SecretReference,
        /// The file.
        path: String,
    },
    /// The file is one that others may read or change.
    #[error("{reference} is no secret: others may read or change {path}; chmod 0600 {path}")]
    Open {
        /// The reference.
        reference: SecretReference,
        /// The file.
        path: String,
    },
    /// The file is somebody else's.
    #[error(
        "{reference} is not trusted: {path} belongs to user {owner}; it has to be root's or the daemon's: chown {own} {path}"
    )]
    Foreign {
        /// The reference.
        reference: SecretReference,
        /// The file.
        path: String,
        /// Its owner.
        owner: u32,
        /// Who the daemon runs as.
        own: u32,
    },
    /// The file is a link, a directory, a pipe.
    #[error("{reference} is no file: {path} is {kind}; name the regular file itself")]
    NoFile {
        /// The reference.
        reference: SecretReference,
        /// The file.
        path: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// It cannot be read.
    #[error("{reference} cannot be read")]
    Unreadable {
        /// The reference.
        reference: SecretReference,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("{reference} has no secret: the daemon's environment has no variable of that name")]
    NoVariable {
        /// The reference.
        reference: SecretReference,
    },
    /// There are no credentials.
    #[error(
        "{reference} has no secret: the daemon was started without credentials; add LoadCredential= or \
         LoadCredentialEncrypted= to its systemd unit"
    )]
    NoCredentials {
        /// The reference.
        reference: SecretReference,
    },
    /// What is there is none.
    #[error("{reference} cannot be used")]
    Text {
        /// The reference.
        reference: SecretReference,
        /// Why.
        #[source]
        source: SecretError,
    },
}

impl SecretSource {
    /// Secrets that `redactor` knows, from files and from what `environment` looks up.
    #[must_use]
    pub const fn new(redactor: Redactor, environment: Environment) -> Self {
        Self { redactor, environment, vault: None }
    }

    /// The same, with what seals the secrets that drivers keep.
    #[must_use]
    pub fn sealed_by(self, vault: Arc<Vault>) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The same, telling `redactor` the secrets from now on.
    #[must_use]
    pub fn telling(&self, redactor: Redactor) -> Self {
        Self { redactor, environment: Arc::clone(&self.environment), vault: self.vault.clone() }
    }

    pub(super) const fn vault(&self) -> Option<&Arc<Vault>> {
        self.vault.as_ref()
    }

    /// Who knows the secrets.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The secret that `reference` tells the place of. Of a file, one newline at its end does not belong to it.
    ///
    /// Reads; blocks on a few system calls. A file must be a regular one, no link, of root or of the daemon's own user, with no right for
    /// anybody else.
    ///
    /// # Errors
    /// It is not there, others may read or change it, or its text is empty, too short or too long; each with what to do.
    pub fn resolve(&self, reference: &SecretReference) -> Result<Secret, SourceError> {
        let bytes = match reference {
            SecretReference::File(path) => read(reference, path)?,
            SecretReference::Environment(name) => {
                let value = (self.environment)(name);
                let value = value.ok_or_else(|| SourceError::NoVariable { reference: reference.clone() })?;
                Zeroizing::new(value.into_vec())
            }
            SecretReference::Credential(name) => {
                let directory = (self.environment)(CREDENTIALS_DIRECTORY).map(PathBuf::from);
                let directory = directory.filter(|directory| directory.is_absolute());
                let missing = || SourceError::NoCredentials { reference: reference.clone() };
                read(reference, &directory.ok_or_else(missing)?.join(name))?
            }
        };
        let unfit = |source| SourceError::Text { reference: reference.clone(), source };
        self.redactor.secret(bytes).map_err(unfit)
    }
}

fn read(reference: &SecretReference, path: &Path) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let (reference, shown) = (|| reference.clone(), || path.display().to_string());
    let unreadable =
        |error: std::io::Error| SourceError::Unreadable { reference: reference(), source: error };
    // Non-blocking, so that a pipe without a writer does not hold the daemon.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(SourceError::Missing { reference: reference(), path: shown() }),
        Err(Errno::LOOP) => {
            return Err(SourceError::NoFile {
                reference: reference(),
                path: shown(),
                kind: "a symbolic link",
            });
        }
        Err(error) => return Err(unreadable(error.into())),
    };
    let status = fstat(&file).map_err(|error| unreadable(error.into()))?;
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Fifo => Some("a pipe"),
        _ => Some("a device"),
    };
    if let Some(kind) = kind {
        return Err(SourceError::NoFile { reference: reference(), path: shown(), kind });
    }
    // systemd lets a service's own user read a credential through an access list; the mode shows that as the right of root's group.
    let is_shared = matches!(reference(), SecretReference::Credential(_)) && status.st_uid == 0;
    let others = if is_shared { OTHERS & !GROUP_READS } else { OTHERS };
    let own = rustix::process::geteuid().as_raw();
    if status.st_uid != 0 && status.st_uid != own {
        return Err(SourceError::Foreign {
            reference: reference(),
            path: shown(),
            owner: status.st_uid,
            own,
        });
    }
    if status.st_mode & others != 0 {
        return Err(SourceError::Open { reference: reference(), path: shown() });
    }
    // With all its room from the beginning: a buffer that grows leaves copies behind. One byte more tells a longer file.
    let most = LONGEST_BYTES + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}
