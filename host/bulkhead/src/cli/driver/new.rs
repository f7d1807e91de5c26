//! `bulkhead driver new`.

use crate::cli::printer::Printer;
use bulkhead_model::id::DriverName;
use bulkhead_package::scaffold::{self, Pattern};
use std::path::PathBuf;

/// Make a driver that builds and passes its own tests, with the SDK beside it
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The driver's name
    name: DriverName,
    /// Begin with an array that is managed over HTTPS, instead of with directories
    #[arg(long)]
    rest: bool,
    /// Begin with an array that is managed by its own command line over SSH, instead of with directories
    #[arg(long, conflicts_with = "rest")]
    ssh: bool,
    /// The folder to make, instead of one named like the driver
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl New {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let folder = self.directory.unwrap_or_else(|| PathBuf::from(self.name.as_str()));
        let pattern = match (self.rest, self.ssh) {
            (true, _) => Pattern::Rest,
            (_, true) => Pattern::Ssh,
            _ => Pattern::Directories,
        };
        let count = scaffold::unpack(&self.name, pattern, &folder)?;
        let shown = folder.display();
        printer.note(&format!(
            "made {shown} with {count} files; what you write is src/lib.rs and driver.toml\n\
             next:\n  cd {shown}\n  cargo test\n  bulkhead driver build"
        ));
        Ok(())
    }
}
