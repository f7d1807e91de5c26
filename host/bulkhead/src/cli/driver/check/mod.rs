//! `bulkhead driver check`: which sentences of the contract a driver keeps.

mod bench;
mod eye;
mod login;
mod place;
mod sight;
mod tape;

use super::compiled::CompiledCode;
use super::lab::Lab;
use crate::cli::printer::Printer;
use anyhow::{Context, bail};
use bench::Bench;
use bulkhead_conformance::{Budget, Plan, Report, Rules, Sample, Subject, all_checks, all_sweeps};
use bulkhead_model::access::AccessTo;
use bulkhead_model::share::Protocol;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::ReplicationType;
use bulkhead_model::suggestion::nearest;
use bulkhead_package::Package;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tape::{Header, Tape};

/// Say which sentences of the contract a driver keeps
///
/// Everything the driver asks of the host is answered by fakes in a directory of its own, unless --against names a real place. Each
/// function is also tried with every host call it makes failing, timing out, and being the last one before the host is killed: repeated,
/// it must converge.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The component, as 'bulkhead driver build' writes it
    driver: PathBuf,
    /// What the fakes give the driver: options, what shares are like, what commands answer
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    config: Option<PathBuf>,
    /// Try the driver on a real place, which nobody else uses meanwhile: the roots and programs that this file names
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Write down everything that the place answers, for --replay
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Try the driver on what --record has written down, as often as then: the place need not be there. --config or --against as then
    #[arg(long, value_name = "FILE", conflicts_with = "budget")]
    replay: Option<PathBuf>,
    /// How long faults in host calls are tried, in seconds; what does not fit is reported as skipped
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    budget: u64,
    /// Only checks whose names contain this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    #[command(flatten)]
    compiled: CompiledCode,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A name that no check has would leave nothing to judge.
fn check_names(only: &[String]) -> anyhow::Result<()> {
    let known: Vec<&str> =
        all_checks().iter().map(|check| check.id).chain(all_sweeps().iter().map(|sweep| sweep.id)).collect();
    let is_known = |wanted: &String| known.iter().any(|id| id.contains(wanted.as_str()));
    match only.iter().find(|wanted| !is_known(wanted)) {
        None => Ok(()),
        Some(wanted) => match nearest(wanted, known.iter().copied()) {
            Some(meant) => bail!("no check's name contains '{wanted}'\nhint: did you mean '{meant}'?"),
            None => {
                bail!("no check's name contains '{wanted}'\nhint: without --only the report names them all")
            }
        },
    }
}

impl Check {
    pub(super) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        check_names(&self.only)?;
        let package = Package::open(&self.driver)?;
        let scratch = tempfile::Builder::new()
            .prefix("bulkhead-check-")
            .tempdir()
            .context("cannot make a directory for the roots")?;
        super::call::log_to_stderr("off");
        let report = self.report(package, scratch.path()).await?;
        if let Some(file) = &self.junit {
            std::fs::write(file, report.junit())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        if self.json {
            printer.json(&report)?;
        } else {
            printer.data(&report.to_string());
        }
        judged(&report)
    }

    async fn report(&self, package: Package, scratch: &Path) -> anyhow::Result<Report> {
        let file = self.against.as_deref().or(self.config.as_deref());
        let lab = Lab::load(file, &package, scratch)?;
        let mut subject = Subject {
            driver: package.manifest.driver.name.to_string(),
            version: package.manifest.driver.version.to_string(),
            digest: package.digest.to_string(),
            place: self
                .against
                .as_ref()
                .map_or_else(|| "fakes".to_owned(), |file| file.display().to_string()),
        };
        let (mut header, tape) = match &self.replay {
            Some(file) => Tape::open(file)?,
            None => {
                // On an array that keeps what an earlier run could not delete, new ids meet nothing old.
                let seed = if self.against.is_some() { std::process::id() } else { 1 };
                let backends = if self.against.is_none() || lab.peer.is_some() { 2 } else { 1 };
                let tape = if self.record.is_some() { Tape::recording() } else { Tape::Off };
                (Header::new(&subject, seed, backends), tape)
            }
        };
        let mut budget = Budget::Time(Duration::from_secs(self.budget));
        if self.replay.is_some() {
            subject.place = header.place();
            budget = Budget::Faults(header.faults);
        }
        let sample = sample(&lab, &package, header.seed)?;
        let plan = Plan { subject, sample, budget, only: self.only.clone() };
        let engine = self.compiled.engine()?;
        let bench = if self.against.is_some() && self.replay.is_none() {
            Bench::real((engine, package), lab, scratch, tape).await?
        } else {
            Bench::faked((engine, package), lab, scratch, (tape, header.backends)).await?
        };
        let report = bulkhead_conformance::run(Arc::clone(&bench) as _, plan).await;
        bench.end().await?;
        bench.tape().check()?;
        if let Some(file) = &self.record {
            header.faults = report.faults().map_or(0, |faults| faults.tried);
            bench.tape().save(file, &header)?;
        }
        Ok(report)
    }
}

/// The names of the two backends.
const NAMES: [&str; 2] = ["lab", "lab-peer"];

fn sample(lab: &Lab, package: &Package, seed: u32) -> anyhow::Result<Sample> {
    let protocols = &package.manifest.driver.protocols;
    let by_user = lab.rules.first().is_some_and(|rule| matches!(rule.access_to, AccessTo::User(_)));
    // One GiB has no room to shrink.
    let size = lab.share.size.max(Gibibytes::new(2)?);
    Ok(Sample {
        seed,
        project: lab.share.project.clone(),
        protocol: lab.share.protocol,
        foreign_protocol: Protocol::ALL.into_iter().find(|protocol| !protocols.contains(protocol)),
        size,
        pool: lab.share.pool.clone(),
        extra_specs: lab.share.extra_specs.clone(),
        metadata: lab.share.metadata.clone(),
        rules: if by_user { Rules::User } else { Rules::Ip },
        on_servers: lab.on_servers,
        replication: lab.replication.unwrap_or(ReplicationType::Readable),
        hosts: NAMES.map(str::to_owned),
    })
}

/// Success is that nothing is broken and something holds.
fn judged(report: &Report) -> anyhow::Result<()> {
    let (held, broken, skipped) = report.counts();
    if broken > 0 {
        let ids: Vec<&str> = report.broken().map(|check| check.id).collect();
        bail!("{broken} sentences of the contract do not hold: {}", ids.join(", "));
    }
    if held == 0 {
        bail!("nothing could be judged: {skipped} checks were skipped\nhint: the report says why for each");
    }
    Ok(())
}
