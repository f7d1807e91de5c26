//! The engine: one per process, shared by all drivers. It compiles components, links them to the imports this host serves, and keeps
//! each digest once. The settings are in [`settings`], the clock that interrupts guests in [`ticker`], compiled code in [`cache`].

mod cache;
mod settings;
mod ticker;

#[cfg(test)]
pub(crate) use settings::settings;

use crate::component::Component;
use crate::link;
use crate::load::{self, LoadError};
use crate::state::State;
use bulkhead_model::id::Digest;
use cache::AotCache;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use ticker::Ticker;
use wasmtime::component::Linker;

/// The largest component that is loaded, in bytes: 64 MiB.
pub const LARGEST_COMPONENT: usize = 64 << 20;

/// How an engine is made.
#[derive(Clone)]
pub struct EngineConfig {
    /// Where compiled code is kept from start to start: a directory that is made with mode 0700. None: nothing is kept.
    pub cache_directory: Option<PathBuf>,
    /// The key that says that compiled code is this host's own. Whoever knows it can run code in this process.
    pub cache_key: [u8; 32],
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EngineConfig")
            .field("cache_directory", &self.cache_directory)
            .finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This machine or build does not run the settings.
    #[error("the WebAssembly engine cannot be set up on this machine: {reason}")]
    Settings {
        /// What the engine says.
        reason: String,
    },
    /// The thread that interrupts guests cannot be started.
    #[error("the thread that interrupts drivers cannot be started")]
    Ticker {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cache directory cannot be used.
    #[error("the directory for compiled drivers, {path}, cannot be used")]
    CacheDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else could write compiled code.
    #[error(
        "the directory for compiled drivers, {path}, {problem}: what stands in it is run as this host's own code; {remedy}"
    )]
    CacheOpen {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}

/// A wasmtime engine with all that drivers share. Ends, with its thread, when the last reference goes.
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    cache: Option<AotCache>,
    loaded: Mutex<BTreeMap<Digest, Component>>,
    _ticker: Ticker,
}

impl Engine {
    /// Make the engine of this process. Blocks on a few system calls.
    pub fn new(config: EngineConfig) -> Result<Arc<Self>, EngineError> {
        let refused = |error: &wasmtime::Error| EngineError::Settings { reason: format!("{error:#}") };
        let engine = wasmtime::Engine::new(&settings::settings()).map_err(|error| refused(&error))?;
        let linker = link::linker(&engine).map_err(|error| refused(&error))?;
        let cache = match config.cache_directory {
            Some(directory) => Some(AotCache::open(directory, &config.cache_key, &engine)?),
            None => None,
        };
        let ticker = Ticker::start(engine.clone()).map_err(|source| EngineError::Ticker { source })?;
        Ok(Arc::new(Self { engine, linker, cache, loaded: Mutex::default(), _ticker: ticker }))
    }

    /// Make a driver ready for calls: compile it, or take the code that this host compiled before, and link it.
    ///
    /// Compiling takes from a tenth of a second to many: call this where a thread may be blocked. Idempotent: a digest that is loaded
    /// already is answered at once. Two callers with one new digest both compile it.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<Component, LoadError> {
        if let Some(component) = self.known(&digest) {
            return Ok(component);
        }
        load::check_bytes(bytes)?;
        let found = Digest::from_bytes(Sha256::digest(bytes).into());
        if found != digest {
            return Err(LoadError::Digest { expected: digest, found });
        }
        let compiled = self.compile(digest, bytes)?;
        let component = load::link(&self.engine, &self.linker, digest, &compiled)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // What no generation uses any more goes when the next driver comes.
        loaded.retain(|_, component| component.is_used());
        loaded.insert(digest, component.clone());
        Ok(component)
    }

    fn known(&self, digest: &Digest) -> Option<Component> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn compile(&self, digest: Digest, bytes: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.read(&self.engine, &digest)) {
            return Ok(component);
        }
        let malformed = |error: &wasmtime::Error| LoadError::Malformed { reason: load::reason(error) };
        let component = wasmtime::component::Component::from_binary(&self.engine, bytes)
            .map_err(|error| malformed(&error))?;
        if let Some(cache) = &self.cache {
            match component.serialize() {
                Ok(code) => cache.write(&digest, &code),
                Err(error) => {
                    tracing::warn!(driver.digest = %digest, reason = %error, "compiled code cannot be kept");
                }
            }
        }
        Ok(component)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Guest};
    use std::os::unix::fs::PermissionsExt as _;

    fn engine_in(directory: &std::path::Path) -> Arc<Engine> {
        let config = EngineConfig { cache_directory: Some(directory.to_owned()), cache_key: [1; 32] };
        Engine::new(config).expect("an engine")
    }

    fn cached_file(directory: &std::path::Path) -> PathBuf {
        let entries =
            std::fs::read_dir(directory).expect("the cache").map(|entry| entry.expect("an entry").path());
        let files: Vec<_> = entries.collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn a_digest_is_loaded_once_and_forgotten_when_nobody_uses_it() {
        let engine = fixture::engine();
        let (digest, bytes) = Guest::default().build();
        let first = engine.load(digest, &bytes).expect("loads");
        let again = engine.load(digest, b"not looked at").expect("is known");
        assert!(first.is_same(&again));
        drop((first, again));
        let (other, other_bytes) = Guest::default().export("snapshots").build();
        let _other = engine.load(other, &other_bytes).expect("loads");
        assert!(engine.known(&digest).is_none());
    }

    #[test]
    fn bytes_that_are_not_of_their_digest_are_refused() {
        let (_, bytes) = Guest::default().build();
        let error = fixture::engine().load(Digest::from_bytes([0; 32]), &bytes).expect_err("another digest");
        assert!(matches!(error, LoadError::Digest { .. }), "{error}");
    }

    #[test]
    fn compiled_code_is_kept_and_used_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("code");
        let (digest, bytes) = Guest::default().build();
        engine_in(&cache).load(digest, &bytes).expect("compiles");
        let mode = std::fs::metadata(&cache).expect("the directory").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let engine = engine_in(&cache);
        let found = engine.cache.as_ref().and_then(|cache| cache.read(&engine.engine, &digest));
        assert!(found.is_some());
        engine.load(digest, &bytes).expect("loads what was kept");
    }

    #[test]
    fn tampered_code_is_never_run_but_compiled_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("code");
        let (digest, bytes) = Guest::default().build();
        engine_in(&cache).load(digest, &bytes).expect("compiles");
        let file = cached_file(&cache);
        let sound = std::fs::read(&file).expect("the code");
        let mut changed = sound.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for tampered in [&changed[..], &sound[..sound.len() - 1], b"", &[0; 32]] {
            std::fs::write(&file, tampered).expect("writes");
            let engine = engine_in(&cache);
            assert!(engine.cache.as_ref().is_some_and(|cache| cache.read(&engine.engine, &digest).is_none()));
            engine.load(digest, &bytes).expect("compiles again");
            assert_eq!(std::fs::read(&file).expect("the code").len(), sound.len());
        }
    }

    #[test]
    fn code_of_another_key_or_another_driver_is_not_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("code");
        let (digest, bytes) = Guest::default().build();
        engine_in(&cache).load(digest, &bytes).expect("compiles");
        let other = Engine::new(EngineConfig { cache_directory: Some(cache.clone()), cache_key: [2; 32] })
            .expect("an engine");
        assert!(other.cache.as_ref().is_some_and(|cache| cache.read(&other.engine, &digest).is_none()));
        let foreign = Digest::from_bytes([9; 32]);
        let file = cached_file(&cache);
        std::fs::copy(&file, file.with_file_name(cache::file_name(&foreign))).expect("copies");
        let engine = engine_in(&cache);
        assert!(engine.cache.as_ref().is_some_and(|cache| cache.read(&engine.engine, &foreign).is_none()));
    }

    #[test]
    fn a_cache_that_others_may_write_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("code");
        std::fs::create_dir(&cache).expect("makes it");
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o770)).expect("opens it");
        let config = EngineConfig { cache_directory: Some(cache), cache_key: [1; 32] };
        let error = Engine::new(config).expect_err("too open");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}
