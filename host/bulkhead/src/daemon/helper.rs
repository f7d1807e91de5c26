//! Finding and starting the helper.

use super::state::StateDirectory;
use anyhow::{Context, bail};
use bulkhead_capability::execute::{HelperClient, HelperPlace};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "bulkhead-helper";

/// The helper program: the configured one, else the one beside this program.
pub(crate) fn program(configured: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match configured {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .context("this program does not know where it stands")?
            .with_file_name(NAME),
    };
    if !path.is_file() {
        bail!("there is no {NAME} at {}", path.display());
    }
    Ok(path)
}

/// Start the helper. It is started again by itself whenever it ends.
pub(super) fn start(configured: Option<&Path>, state: &StateDirectory) -> anyhow::Result<Arc<HelperClient>> {
    let place = HelperPlace::Beside {
        program: program(configured)?,
        lock: state.helper_lock(),
        runtime: state.helper_runtime(),
    };
    Ok(Arc::new(HelperClient::start(place)))
}
