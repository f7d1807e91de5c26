//! `bulkhead driver embed`: the manifest, for components that other tools have made.

use super::build::{read_manifest, write_package};
use crate::cli::printer::Printer;
use anyhow::Context;
use bulkhead_package::componentize;
use std::path::PathBuf;

/// Make a driver of a component in any language, by putting its manifest in
#[derive(Debug, clap::Args)]
pub(super) struct Embed {
    /// The component, without a manifest
    component: PathBuf,
    /// Its manifest
    #[arg(long, value_name = "FILE", default_value = "driver.toml")]
    manifest: PathBuf,
    /// The driver to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Embed {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let manifest = read_manifest(&self.manifest)?;
        let bytes = std::fs::read(&self.component)
            .with_context(|| format!("cannot read {}", self.component.display()))?;
        let component = componentize::embed(bytes, &manifest, &self.manifest.display().to_string())?;
        write_package(component, &self.output, printer)
    }
}
