//! Backends.

use bulkhead_model::call::DriverLimits;
use bulkhead_model::grant::Grant;
use serde::Deserialize;
use std::path::PathBuf;

/// `[backend.NAME]`, or the whole of `NAME.toml` in the directory of backends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BackendConfiguration {
    /// The driver's package, relative to the file that names it.
    pub(crate) driver: PathBuf,
    /// The driver's options, as its manifest declares them.
    #[serde(default)]
    pub(crate) options: toml::Table,
    /// What it may touch. Nothing unless said here.
    #[serde(default)]
    pub(crate) grant: Grant,
    /// What bounds its calls.
    #[serde(default)]
    pub(crate) limits: DriverLimits,
}
