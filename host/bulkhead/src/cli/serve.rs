//! `bulkhead serve`.

use crate::config::{self, DEFAULT_FILE};
use crate::{daemon, log};
use bulkhead_capability::secret::Redactor;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Run the daemon
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The configuration file
    #[arg(long, env = "BULKHEAD_CONFIG", default_value = DEFAULT_FILE, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let configuration = config::load_main(&self.config)?;
        let redactor = Redactor::default();
        log::start(configuration.log_format, &configuration.log_filter, &redactor)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        daemon::run(configuration, redactor, stop).await
    }
}
