//! Where the programs and guests of this repository were built.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// The directory with `bulkhead` and `bulkhead-helper`, found upwards from the running test.
pub fn directory() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    this.ancestors()
        .find(|folder| folder.join("bulkhead").is_file() && folder.join("bulkhead-helper").is_file())
        .map(Path::to_owned)
        .context("bulkhead and bulkhead-helper are not built; type: cargo xtask test")
}

/// One of the programs.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(directory()?.join(name))
}

/// A guest built by `cargo xtask guests`.
pub fn guest(name: &str) -> anyhow::Result<PathBuf> {
    let target = directory()?.parent().map(Path::to_owned).unwrap_or_default();
    let path = target.join("guests").join(format!("{name}.wasm"));
    anyhow::ensure!(
        path.is_file(),
        "the guest {name} is not built at {}; type: cargo xtask guests",
        path.display()
    );
    Ok(path)
}

/// Where tests keep compiled guests from run to run.
pub fn compiled_code() -> anyhow::Result<PathBuf> {
    let target = directory()?.parent().map(Path::to_owned).unwrap_or_default();
    Ok(target.join("compiled-guests"))
}

/// The top of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").components().collect()
}

/// The Python environment that `cargo xtask test` made; none where it could not.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the test command tells its tests through the environment")]
pub fn python() -> Option<PathBuf> {
    std::env::var("BULKHEAD_TEST_PYTHON").ok().map(PathBuf::from)
}
