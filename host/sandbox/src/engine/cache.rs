//! Compiled code from start to start. Such code is run as this host's own, so nothing is taken on trust: each file begins with a MAC
//! over the engine's compatibility hash, the digest of the component and the code, under a key that only this host has. Code that a
//! vendor supplies has none and is never taken.
//!
//! A file is read once, into memory, and what was verified is what is loaded. Whatever does not fit is compiled again.

use super::EngineError;
use bulkhead_model::id::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::component::Component;

/// Bytes of a MAC.
const MAC_BYTES: usize = 32;
/// The largest file that is read, in bytes: 1 GiB. Compiled code is about ten times as large as its component.
const LARGEST_FILE: u64 = 1 << 30;
/// What the MAC is for, so that no other MAC of the same key fits.
const PURPOSE: &[u8] = b"bulkhead compiled component 1";

/// Tells the new files of this process apart.
static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

/// The directory of compiled code.
pub(crate) struct AotCache {
    directory: PathBuf,
    mac: Hmac<Sha256>,
}

impl AotCache {
    /// Make the directory, or check that nobody else writes it.
    pub(crate) fn open(
        directory: PathBuf,
        key: &[u8; 32],
        engine: &wasmtime::Engine,
    ) -> Result<Self, EngineError> {
        let failed = |source| EngineError::CacheDirectory { path: directory.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let metadata = std::fs::symlink_metadata(&directory).map_err(failed)?;
        let open = |problem, remedy| EngineError::CacheOpen { path: directory.clone(), problem, remedy };
        if !metadata.is_dir() {
            return Err(open("is a symbolic link", "put a directory there"));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(open("belongs to another user", "chown it to the user that this host runs as"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(open("is open to other users", "chmod 700 it and remove its files"));
        }
        let mut block = [0; 64];
        if let Some(start) = block.get_mut(..key.len()) {
            start.copy_from_slice(key);
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(PURPOSE);
        mac.update(&compatibility(engine));
        Ok(Self { directory, mac })
    }

    /// The code compiled from the component `digest` by this host with these settings; none if there is none.
    pub(crate) fn read(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let path = self.directory.join(file_name(digest));
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(driver.digest = %digest, reason = %error, "compiled code cannot be read; compiling again");
                return None;
            }
        };
        let code = self.verified(digest, &bytes);
        let Some(code) = code else {
            tracing::warn!(
                driver.digest = %digest,
                "compiled code is not of this host, this version or this driver; compiling again"
            );
            return None;
        };
        #[expect(unsafe_code, reason = "code of this host's own, see SAFETY")]
        // SAFETY: `deserialize` asks for bytes that `Component::serialize` of a compatible engine wrote. The MAC that was just checked
        // over exactly these bytes in memory covers the engine's compatibility hash, and its key is known to this host alone, which
        // makes such MACs in `write` only, over what `serialize` answered.
        let component = unsafe { Component::deserialize(engine, code) };
        component
            .inspect_err(|error| {
                tracing::warn!(driver.digest = %digest, reason = %error, "compiled code does not load; compiling again");
            })
            .ok()
    }

    /// Keep `code`, which `serialize` made of the component `digest`. A failure costs time at the next start, nothing else.
    pub(crate) fn write(&self, digest: &Digest, code: &[u8]) {
        if let Err(error) = self.replace(digest, code) {
            tracing::warn!(driver.digest = %digest, reason = %error, "compiled code cannot be kept");
        }
    }

    /// In one step: whoever reads meets the old file or the new one. A torn file has no right MAC, so nothing is synced.
    fn replace(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        let name = file_name(digest);
        let new = self.directory.join(format!(".{name}.{}.{number}.new", std::process::id()));
        let written = self.write_new(&new, digest, code);
        let moved = written.and_then(|()| std::fs::rename(&new, self.directory.join(name)));
        if moved.is_err() {
            // Nothing more can be done about it, and the first error says why.
            drop(std::fs::remove_file(&new));
        }
        moved
    }

    fn write_new(&self, path: &Path, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&self.mac_of(digest, code).finalize().into_bytes())?;
        file.write_all(code)
    }

    fn verified<'bytes>(&self, digest: &Digest, bytes: &'bytes [u8]) -> Option<&'bytes [u8]> {
        let (mac, code) = bytes.split_at_checked(MAC_BYTES)?;
        self.mac_of(digest, code).verify_slice(mac).ok()?;
        Some(code)
    }

    fn mac_of(&self, digest: &Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(digest.as_bytes());
        mac.update(code);
        mac
    }
}

impl fmt::Debug for AotCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AotCache").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The file that holds the code of a component.
pub(super) fn file_name(digest: &Digest) -> String {
    format!("{}.aot", digest.to_string().replace(':', "-"))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All settings and the version of the engine, in 32 bytes.
fn compatibility(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Takes what a value feeds to a hasher, and keeps all of it.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |start| u64::from_le_bytes(*start))
    }
}
