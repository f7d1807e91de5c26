//! `bulkhead driver inspect`.

use super::programs;
use crate::cli::printer::Printer;
use bulkhead_package::Package;
use bulkhead_package::inspect::Report;
use std::path::PathBuf;

/// Show what a driver can do and may touch; runs no code of it
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// The component, as 'bulkhead driver build' writes it
    driver: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let package = Package::open(&self.driver)?;
        let mut report = Report::of(&package);
        report.attend(programs::attention(&package.manifest));
        if self.json {
            return printer.json(&report);
        }
        printer.data(&report.to_string());
        Ok(())
    }
}
