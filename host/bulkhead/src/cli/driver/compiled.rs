//! The engine of commands that call drivers. Compiling takes far longer than most calls, so compiled code is kept from run to run, as a
//! daemon keeps it in its state.

use crate::daemon::StateDirectory;
use anyhow::Context;
use bulkhead_sandbox::{Engine, EngineConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// How many compiled drivers are kept: as many as somebody works on at once. One takes some 10 MiB.
const KEPT: usize = 16;

/// Where compiled code is kept.
#[derive(Debug, clap::Args)]
pub(super) struct CompiledCode {
    /// Where compiled drivers are kept from run to run, for nobody else to enter: .cache/bulkhead in the home directory if not given
    #[arg(long, env = "BULKHEAD_CACHE", value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

impl CompiledCode {
    /// An engine that keeps what it compiles. Without a directory that can be used, unless one was named, it keeps nothing.
    pub(super) fn engine(&self) -> anyhow::Result<Arc<Engine>> {
        if let Some(directory) = &self.cache {
            return keeping(directory)
                .with_context(|| format!("compiled drivers cannot be kept in {}", directory.display()));
        }
        let usual = std::env::home_dir().map(|home| home.join(".cache/bulkhead"));
        match usual.and_then(|directory| keeping(&directory).ok()) {
            Some(engine) => Ok(engine),
            None => Ok(Engine::new(EngineConfig { cache_directory: None, cache_key: [0; 32] })?),
        }
    }
}

fn keeping(directory: &Path) -> anyhow::Result<Arc<Engine>> {
    let state = StateDirectory::open(directory)?;
    let config = EngineConfig { cache_directory: Some(state.cache()), cache_key: state.key("cache")? };
    let engine = Engine::new(config)?;
    forget_oldest(&state.cache(), KEPT);
    Ok(engine)
}

/// Remove all but the `kept` newest files. What cannot be removed costs room, nothing else.
fn forget_oldest(directory: &Path, kept: usize) {
    let Ok(entries) = directory.read_dir() else { return };
    let written =
        |path: &PathBuf| path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort_by_cached_key(|path| std::cmp::Reverse(written(path)));
    for file in files.into_iter().skip(kept) {
        drop(std::fs::remove_file(file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    #[test]
    fn only_the_newest_compiled_drivers_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        for age in 0..5 {
            let file = File::create(folder.path().join(format!("{age}.aot"))).expect("made");
            file.set_modified(SystemTime::now() - Duration::from_secs(age * 60)).expect("aged");
        }
        forget_oldest(folder.path(), 2);
        let mut names: Vec<_> =
            folder.path().read_dir().expect("read").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["0.aot", "1.aot"]);
    }

    #[test]
    fn a_named_directory_that_others_may_enter_is_refused_with_the_fix() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("opened");
        let compiled = CompiledCode { cache: Some(folder.path().to_owned()) };
        let told = format!("{:#}", compiled.engine().expect_err("too open"));
        assert!(told.contains("cannot be kept") && told.contains("chmod 0700"), "{told}");
    }
}
