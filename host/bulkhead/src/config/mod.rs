//! The daemon's configuration: one TOML file and a directory of backends.
//!
//! The only reader of configuration files. Unknown keys are errors with file, line and a suggestion; a file that has an error is refused
//! whole. The daemon reads the files of backends one by one, so that a mistake in one stops no other.

mod authentication;
mod backend;
mod environment;
mod intervals;
mod load;
mod ssh;
mod trust;

pub(crate) use authentication::TokenConfiguration;
pub(crate) use backend::{BackendConfiguration, BackendSettings};
pub(crate) use environment::environment;
pub(crate) use load::{ConfigurationError, backend_files, backend_name, load, load_main, parse_backend};
pub(crate) use ssh::{SshAlgorithms, SshConfiguration, SshQuoting};
pub(crate) use trust::open as open_trusted;

use bulkhead_model::grant::Ceiling;
use bulkhead_model::id::{BackendName, Label};
use intervals::Intervals;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where `bulkhead serve` looks if nobody names a file.
pub(crate) const DEFAULT_FILE: &str = "/etc/bulkhead/bulkhead.toml";
/// Where the daemon keeps its state if nobody says.
pub(crate) const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/bulkhead";

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Configuration {
    /// Where state is kept: store, keys, cache, the operator's socket. Mode 0700.
    pub(crate) state_directory: PathBuf,
    /// The address of the tenant API (127.0.0.1:8786).
    pub(crate) listen: SocketAddr,
    /// Host names that clients may use in `Host` beside the listen address and `localhost`.
    pub(crate) host_names: Vec<String>,
    /// A directory of backends, one `NAME.toml` each, relative to this file.
    pub(crate) backend_directory: Option<PathBuf>,
    /// Where this stands, absolute.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// Static tokens; none means no authentication, which only a loopback address may have.
    #[serde(rename = "token")]
    pub(crate) tokens: Vec<TokenConfiguration>,
    /// What no grant may exceed.
    pub(crate) ceiling: Ceiling,
    /// Backends.
    #[serde(rename = "backend")]
    pub(crate) backends: BTreeMap<BackendName, BackendConfiguration>,
    /// Machines that are reached over SSH.
    pub(crate) ssh: BTreeMap<Label, SshConfiguration>,
    /// How often the daemon looks at its backends by itself.
    pub(crate) intervals: Intervals,
    /// Whether the access rules of a share or snapshot are taken away before it is let go (no).
    pub(crate) unmanage_removes_access_rules: bool,
    /// The helper program; none looks beside this program.
    pub(crate) helper: Option<PathBuf>,
    /// How log lines are written.
    pub(crate) log_format: LogFormat,
    /// Which log lines are written, in the words of tracing's filter (`info`).
    pub(crate) log_filter: String,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            state_directory: PathBuf::from(DEFAULT_STATE_DIRECTORY),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8786)),
            host_names: Vec::new(),
            backend_directory: None,
            file: PathBuf::new(),
            tokens: Vec::new(),
            ceiling: Ceiling::default(),
            backends: BTreeMap::new(),
            ssh: BTreeMap::new(),
            intervals: Intervals::default(),
            unmanage_removes_access_rules: false,
            helper: None,
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
