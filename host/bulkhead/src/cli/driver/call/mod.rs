//! `bulkhead driver call`: one function of a driver in a real sandbox, with what it asks of the host printed beside it.

mod bench;
mod server;

pub(super) use bench::{runner, secrets};

use super::answer;
use super::compiled::CompiledCode;
use super::function::Function;
use super::lab::Lab;
use super::trace::Trace;
use crate::cli::printer::Printer;
use anyhow::{Context, bail};
use bench::Bench;
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_package::Package;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;

/// Call one function of a driver in a real sandbox, without a daemon
///
/// Nothing is kept from call to call: what the function is about is made before by the driver's own create-share, create-snapshot and
/// setup-server.
#[derive(Debug, clap::Args)]
pub(super) struct Call {
    /// The component, as 'bulkhead driver build' writes it
    driver: PathBuf,
    /// The function, for example create-share or shares.create-share
    function: Function,
    /// What the driver is given: roots, programs, options, the share and its rules
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what the driver asks of the host, and its whole log: without this only its errors
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    compiled: CompiledCode,
}

impl Call {
    pub(super) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let package = Package::open(&self.driver)?;
        check_exported(self.function, &package)?;
        let scratch = tempfile::Builder::new()
            .prefix("bulkhead-lab-")
            .tempdir()
            .context("cannot make a directory for the roots")?;
        let mut lab = Lab::load(self.config.as_deref(), &package, scratch.path())?;
        lab.share.mount_snapshot_support = package.abilities.has(Ability::MountableSnapshots);
        log_to_stderr(if self.trace { "warn,driver=debug" } else { "driver=error" });
        check_mode(self.function, &lab)?;
        let usual = if lab.on_servers { self.function.before_on_servers() } else { self.function.before() };
        let before = lab.before.clone().unwrap_or(usual);
        let engine = self.compiled.engine()?;
        let mut bench = Bench::set_up(&engine, package, lab, scratch.path()).await?;
        let mut trace = Trace::new(bench.ledger.clone(), bench.name.clone());
        for function in before {
            if self.trace {
                printer.note(&format!("{function} (before)"));
            }
            let outcome = bench.call(function).await;
            if self.trace {
                trace.print(printer).await?;
            }
            outcome
                .map_err(|error| failed(function, error))
                .context("what has to come before did not succeed")?;
        }
        if self.trace {
            printer.note(&self.function.to_string());
        }
        let outcome = bench.call(self.function).await;
        bench.locks.end_sessions().await;
        if self.trace {
            trace.print(printer).await?;
        }
        printer.json(&outcome.map_err(|error| failed(self.function, error))?)
    }
}

/// Only a driver that makes share servers here is asked about them.
fn check_mode(function: Function, lab: &Lab) -> anyhow::Result<()> {
    if function.is_about_servers() && !lab.on_servers {
        bail!(
            "{function} is about share servers, and the driver makes none here\n\
             hint: write driver_handles_share_servers = true under [options] in the file of --config"
        );
    }
    Ok(())
}

fn check_exported(function: Function, package: &Package) -> anyhow::Result<()> {
    let wanted = function.interfaces();
    if wanted.iter().any(|interface| package.abilities.has(*interface)) {
        return Ok(());
    }
    let exported: Vec<&str> = package.abilities.0.iter().map(|ability| ability.interface()).collect();
    bail!(
        "the driver does not export {}, so it has no {}\nhint: it exports {}",
        wanted.first().map_or("it", |interface| interface.interface()),
        function.name(),
        exported.join(", ")
    )
}

/// Who has to act, what the driver said, and what its failed call would leave behind.
fn failed(function: Function, error: CallError) -> anyhow::Error {
    let left = answer::left_behind(&error).map(|left| format!("; left behind: {left}")).unwrap_or_default();
    let what = format!("{function} failed, to be mended by: {}{left}", error.blame());
    anyhow::Error::new(error).context(what)
}

/// The driver's own log lines, and what else `filter` names: the words without what is the same on every line.
pub(super) fn log_to_stderr(filter: &str) {
    let only_words = format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::new(filter))
        .fmt_fields(only_words)
        .with_ansi(false)
        .without_time()
        .with_target(false);
    // A subscriber that is set already shows the lines as well.
    drop(subscriber.try_init());
}
