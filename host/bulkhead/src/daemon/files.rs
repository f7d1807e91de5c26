//! The files of backends in the running daemon: a new one loads its backend, a changed one swaps it, one that cannot be read is told and
//! changes nothing, and a removed one is told while its backend goes on serving until somebody unloads it.
//!
//! The directory is looked at every [`PERIOD`]: content is what counts, not times. Content is taken once two looks in a row have seen the
//! same, so that a file that is being written is not; a hangup signal is its operator's word that all files are as they should be, and
//! also reads the backends and the SSH targets of the main file anew. Which content has been taken already, the manager knows.

use super::load_failure::LoadFailure;
use super::places::Places;
use crate::config::{self, BackendConfiguration, BackendSettings, ConfigurationError};
use bulkhead_manager::{BackendFailure, Manager, Offer, Origin, Written};
use bulkhead_model::canonical;
use bulkhead_model::id::{BackendName, Digest};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(2);

/// The largest file of a backend, in bytes: an honest one has a thousandth.
const LARGEST_BYTES: u64 = 1 << 20;

/// The content of a file.
struct Content {
    origin: Origin,
    text: String,
}

/// A file with what could be read of it.
type Listed = (PathBuf, Result<Content, ConfigurationError>);

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    content: Digest,
    is_offered: bool,
}

/// Whether content counts at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Only if the look before saw the same.
    Settled,
    /// At once.
    Immediate,
}

/// The files of backends.
pub(super) struct BackendFiles {
    manager: Manager,
    places: Arc<Places>,
    main_file: PathBuf,
    directory: Option<PathBuf>,
    /// The backends of the main file.
    in_main_file: BTreeSet<BackendName>,
    seen: BTreeMap<BackendName, Seen>,
    /// What was told once and is not told again before it changes.
    told: BTreeMap<PathBuf, String>,
}

impl BackendFiles {
    /// Offer every backend that the configuration has now.
    pub(super) async fn begin(
        (manager, places): (Manager, Arc<Places>),
        main_file: PathBuf,
        directory: Option<PathBuf>,
    ) -> Self {
        let mut files = Self {
            manager,
            places,
            main_file,
            directory,
            in_main_file: BTreeSet::new(),
            seen: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        files.look_at_main_file().await;
        files.look(Trust::Immediate).await;
        for (name, origin) in files.manager.backend_files() {
            let is_listed = files.seen.contains_key(&name) || files.in_main_file.contains(&name);
            let is_ours =
                files.directory.as_deref() == origin.file.parent() || origin.file == files.main_file;
            if is_ours && !is_listed {
                files.tell_removed(&name).await;
            }
        }
        files
    }

    /// Look for ever.
    pub(super) async fn watch(mut self, mut hangups: Signal) {
        loop {
            let trust = tokio::select! {
                () = tokio::time::sleep(PERIOD) => Trust::Settled,
                Some(()) = hangups.recv() => Trust::Immediate,
            };
            if trust == Trust::Immediate {
                tracing::info!("reading the files of backends anew");
                self.look_at_main_file().await;
            }
            self.look(trust).await;
        }
    }

    async fn look_at_main_file(&mut self) {
        let path = self.main_file.clone();
        let read = tokio::task::spawn_blocking(move || config::load_main(&path)).await;
        let configuration = match read {
            Ok(Ok(configuration)) => configuration,
            Ok(Err(error)) => return self.tell(&self.main_file.clone(), &told(error)),
            Err(error) => return self.tell(&self.main_file.clone(), &error.to_string()),
        };
        self.places.take_in(&configuration.ssh);
        let earlier = std::mem::take(&mut self.in_main_file);
        for (name, backend) in configuration.backends {
            match written_in(&self.main_file, &name, backend) {
                Ok(written) => {
                    let offer = Offer { origin: written.origin.clone(), written: Ok(written) };
                    self.manager.offer_backend(&name, offer);
                }
                Err(error) => self.tell(&self.main_file.clone(), &told(error)),
            }
            self.in_main_file.insert(name);
        }
        for name in earlier {
            if !self.in_main_file.contains(&name) {
                self.tell_removed(&name).await;
            }
        }
    }

    async fn look(&mut self, trust: Trust) {
        let Some(directory) = self.directory.clone() else { return };
        let place = directory.clone();
        let listed = tokio::task::spawn_blocking(move || list(&directory)).await;
        let files = match listed {
            Ok(Ok(files)) => files,
            // Nothing is known to be gone: the directory may be back at the next look.
            Ok(Err(error)) => return self.tell(&place, &told(error)),
            Err(error) => return self.tell(&place, &error.to_string()),
        };
        self.told.remove(&place);
        let mut there = BTreeSet::new();
        for (path, content) in files {
            let name = match config::backend_name(&path) {
                Ok(name) if self.in_main_file.contains(&name) => {
                    let file = self.main_file.clone();
                    self.tell(&path, &told(ConfigurationError::Duplicate { name, file, path: path.clone() }));
                    continue;
                }
                Ok(name) => name,
                Err(error) => {
                    self.tell(&path, &told(error));
                    continue;
                }
            };
            there.insert(name.clone());
            match content {
                Ok(content) => {
                    self.told.remove(&path);
                    self.consider(name, content, trust);
                }
                Err(error) => self.tell(&path, &told(error)),
            }
        }
        let gone: Vec<_> = self.seen.keys().filter(|name| !there.contains(*name)).cloned().collect();
        for name in gone {
            self.seen.remove(&name);
            self.tell_removed(&name).await;
        }
    }

    fn consider(&mut self, name: BackendName, content: Content, trust: Trust) {
        let now = content.origin.content;
        let before = self.seen.get(&name).copied().filter(|seen| seen.content == now);
        let counts = trust == Trust::Immediate || before.is_some();
        let is_offered = before.is_some_and(|seen| seen.is_offered);
        self.seen.insert(name.clone(), Seen { content: now, is_offered: is_offered || counts });
        if counts && !is_offered {
            let written = understand(&content);
            self.manager.offer_backend(&name, Offer { origin: content.origin, written });
        }
    }

    async fn tell_removed(&mut self, name: &BackendName) {
        tracing::warn!(
            backend.name = %name,
            "the configuration of backend {name} is gone; it goes on serving as it is until 'bulkhead backend unload {name}'"
        );
        if let Err(error) = self.manager.withdraw_offer(name).await {
            tracing::error!(backend.name = %name, "that its configuration is gone was not recorded: {error}");
        }
    }

    fn tell(&mut self, path: &Path, problem: &str) {
        if self.told.get(path).is_none_or(|told| told != problem) {
            tracing::error!("{}: nothing was changed: {problem}", path.display());
            self.told.insert(path.to_owned(), problem.to_owned());
        }
    }
}

fn list(directory: &Path) -> Result<Vec<Listed>, ConfigurationError> {
    let files = config::backend_files(directory)?;
    Ok(files.into_iter().map(|path| (path.clone(), read_content(&path))).collect())
}

fn read_content(path: &Path) -> Result<Content, ConfigurationError> {
    let text =
        read_text(path).map_err(|source| ConfigurationError::Read { path: path.to_owned(), source })?;
    let mut hash = Sha256::new();
    for part in [path.as_os_str().as_bytes(), &[0], text.as_bytes()] {
        hash.update(part);
    }
    let content = Digest::from_bytes(hash.finalize().into());
    Ok(Content { origin: Origin { file: path.to_owned(), content }, text })
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    config::open_trusted(path)?.take(LARGEST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_BYTES {
        return Err(io::Error::other(format!("it has more than {LARGEST_BYTES} bytes")));
    }
    Ok(text)
}

fn understand(content: &Content) -> Result<Written, BackendFailure> {
    write_down(content).map_err(|error| LoadFailure::from(error).told())
}

/// Read a backend's file.
pub(super) fn read(path: &Path) -> Result<Written, ConfigurationError> {
    write_down(&read_content(path)?)
}

fn write_down(content: &Content) -> Result<Written, ConfigurationError> {
    let backend = config::parse_backend(&content.text, &content.origin.file)?;
    written(backend, content.origin.clone())
}

/// A backend of the main file.
pub(super) fn written_in(
    main_file: &Path,
    name: &BackendName,
    backend: BackendConfiguration,
) -> Result<Written, ConfigurationError> {
    let content = canonical::digest("backend-file", &(main_file, name, &backend));
    written(backend, Origin { file: main_file.to_owned(), content })
}

fn written(backend: BackendConfiguration, origin: Origin) -> Result<Written, ConfigurationError> {
    let driver = backend.driver.clone();
    let settings = toml::to_string(&BackendSettings::from(backend))
        .map_err(|source| ConfigurationError::Unwritable { path: origin.file.clone(), source })?;
    Ok(Written { driver, settings, origin })
}

fn told(error: ConfigurationError) -> String {
    LoadFailure::from(error).told().message
}
