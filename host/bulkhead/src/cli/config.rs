//! `bulkhead config`.

use super::printer::Printer;
use crate::config::{self, DEFAULT_FILE};
use std::path::PathBuf;

/// The daemon's configuration
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read a configuration and its backends, and say what is wrong with it
    Check {
        /// The configuration file
        #[arg(long, env = "BULKHEAD_CONFIG", default_value = DEFAULT_FILE, value_name = "FILE")]
        config: PathBuf,
    },
}

impl ConfigCommand {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        match self.verb {
            Verb::Check { config } => {
                let configuration = config::load(&config)?;
                let count = configuration.backends.len();
                let backends = if count == 1 { "backend" } else { "backends" };
                printer.note(&format!("{} is sound, with {count} {backends}", config.display()));
                Ok(())
            }
        }
    }
}
