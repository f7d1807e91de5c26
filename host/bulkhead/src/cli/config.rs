//! `bulkhead config`.

use super::printer::Printer;
use crate::config::{self, BackendConfiguration, Configuration, DEFAULT_FILE};
use crate::daemon::{check_place, undeclared};
use anyhow::bail;
use bulkhead_model::place::Place;
use bulkhead_package::{Package, mode, options};
use std::error::Error;
use std::path::PathBuf;

/// The daemon's configuration
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read a configuration, its targets and its backends' options, and say what is wrong with it; 'bulkhead doctor' looks at the machine
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
                let (file, Findings { wrong, unseen }) = (config.display(), look_at(&configuration));
                for what in unseen {
                    printer.note(&what);
                }
                if !wrong.is_empty() {
                    bail!("{file} is not sound: {}", wrong.join("\n"));
                }
                let count = configuration.backends.len();
                let backends = if count == 1 { "backend" } else { "backends" };
                printer.note(&format!(
                    "{file} is sound, with {count} {backends}; 'bulkhead doctor --config {file}' looks at secrets, roots, programs and networks"
                ));
                Ok(())
            }
        }
    }
}

/// What a look at a configuration that can be read brings.
#[derive(Debug, Default)]
struct Findings {
    /// What the daemon will refuse.
    wrong: Vec<String>,
    /// What could not be looked at, and why.
    unseen: Vec<String>,
}

/// Whether targets can be used as they are declared, and options are those that their drivers declare. No secret is read, nobody is
/// connected to.
fn look_at(configuration: &Configuration) -> Findings {
    let mut findings = Findings::default();
    for (name, target) in &configuration.ssh {
        // What an array's command line needs beside what every target does stands in keys of its own.
        if let Err(error) = check_place(&Place::SshPlain(name.clone()), name, target) {
            findings.wrong.push(format!("[ssh.{name}]: {error}"));
        }
    }
    for (name, backend) in &configuration.backends {
        if let Place::Ssh(target) | Place::SshPlain(target) = &backend.place
            && !configuration.ssh.contains_key(target)
        {
            let error = undeclared(&backend.place, target, &configuration.ssh);
            findings.wrong.push(format!("backend {name}: {error}"));
        }
        match driver_of(backend) {
            Ok(package) => {
                let options = options::validate(&package.manifest.options, &backend.options);
                let checked = options.and_then(|options| {
                    mode::share_servers(&package.manifest.driver.dhss, &options).map(drop)
                });
                findings.wrong.extend(checked.err().map(|error| format!("backend {name}: {error}")));
            }
            Err(Missing::NotThere) => findings.unseen.push(format!(
                "backend {name}: its options were not looked at: there is no {}",
                backend.driver.display()
            )),
            Err(Missing::Unusable(reason)) => findings.wrong.push(format!("backend {name}: {reason}")),
        }
    }
    findings
}

/// Why there is no driver to look at.
enum Missing {
    /// A configuration may be checked elsewhere than its drivers are.
    NotThere,
    /// What is there is none.
    Unusable(String),
}

fn driver_of(backend: &BackendConfiguration) -> Result<Package, Missing> {
    match backend.driver.metadata() {
        Err(_) => Err(Missing::NotThere),
        // A pipe would be waited for without end.
        Ok(metadata) if !metadata.is_file() => {
            Err(Missing::Unusable(format!("{} is not a regular file", backend.driver.display())))
        }
        Ok(_) => Package::open(&backend.driver).map_err(|error| {
            let because = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            Missing::Unusable(format!("{error}{because}"))
        }),
    }
}
