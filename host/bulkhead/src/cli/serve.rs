//! `bulkhead serve`.

use crate::config::{self, DEFAULT_FILE, LogFormat};
use crate::daemon;
use anyhow::Context;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
        start_log(configuration.log_format, &configuration.log_filter)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        daemon::run(configuration, stop).await
    }
}

fn start_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::builder().parse(filter).context("log-filter is not understood; 'info' is a good start")?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
