//! Backends.

use bulkhead_model::call::DriverLimits;
use bulkhead_model::grant::Grant;
use bulkhead_model::place::Place;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[backend.NAME]`, or the whole of `NAME.toml` in the directory of backends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BackendConfiguration {
    /// The driver's package, relative to the file that names it.
    pub(crate) driver: PathBuf,
    /// Where its commands, files, services and jobs are (`local`): `ssh:TARGET` or `ssh-plain:TARGET` of `[ssh.TARGET]`.
    #[serde(default)]
    pub(crate) place: Place,
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

/// What makes a generation beside its driver: kept in the records, so that it can be gone back to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BackendSettings {
    /// Where its commands, files, services and jobs are.
    #[serde(skip_serializing_if = "Place::is_local")]
    pub(crate) place: Place,
    /// The driver's options.
    pub(crate) options: toml::Table,
    /// What it may touch.
    pub(crate) grant: Grant,
    /// What bounds its calls.
    pub(crate) limits: DriverLimits,
}

impl From<BackendConfiguration> for BackendSettings {
    fn from(configuration: BackendConfiguration) -> Self {
        let BackendConfiguration { driver: _, place, options, grant, limits } = configuration;
        Self { place, options, grant, limits }
    }
}
