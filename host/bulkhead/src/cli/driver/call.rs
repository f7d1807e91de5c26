//! `bulkhead driver call`: one function of a driver in a real sandbox, with what it asks of the host printed beside it.

use super::answer;
use super::function::Function;
use super::lab::Lab;
use super::trace::Trace;
use crate::cli::printer::Printer;
use crate::{config, daemon};
use anyhow::{Context, bail};
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::{
    Abandoned, CommandRequest, CommandRunner, HelperClient, HelperPlace, RunError,
};
use bulkhead_capability::http::Network;
use bulkhead_capability::lock::Locks;
use bulkhead_capability::network_allocation::AddressBook;
use bulkhead_capability::secret::{Redactor, SecretSource};
use bulkhead_helper::protocol::Finished;
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_model::access::AccessUpdate;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::grant::Ceiling;
use bulkhead_model::id::{BackendName, GenerationNumber, OperationId, RequestId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::RevertRules;
use bulkhead_package::Package;
use bulkhead_sandbox::{Driver, Engine, EngineConfig, Generation};
use bulkhead_store::{MemoryStore, Store};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;

/// Call one function of a driver in a real sandbox, without a daemon
///
/// Nothing is kept from call to call: what the function is about is made before by the driver's own create-share and create-snapshot.
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
}

impl Call {
    pub(super) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let package = Package::open(&self.driver)?;
        check_exported(self.function, &package)?;
        let scratch = tempfile::Builder::new()
            .prefix("bulkhead-lab-")
            .tempdir()
            .context("cannot make a directory for the roots")?;
        let lab = Lab::load(self.config.as_deref(), &package, scratch.path())?;
        log_to_stderr(if self.trace { "warn,driver=debug" } else { "driver=error" });
        let before = lab.before.clone().unwrap_or_else(|| self.function.before());
        let bench = Bench::set_up(package, lab, scratch.path()).await?;
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

/// A backend with everything in memory but its roots.
struct Bench {
    lab: Lab,
    name: BackendName,
    ledger: Ledger,
    locks: Arc<Locks>,
    driver: Generation,
}

impl Bench {
    async fn set_up(package: Package, lab: Lab, scratch: &Path) -> anyhow::Result<Self> {
        let name: BackendName = "lab".parse()?;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        // Nothing of it outlives this process: the keys protect nothing.
        let ledger = Ledger::open(Arc::clone(&store), LedgerKey::new([0; 32])).await?;
        let helper = runner(&package.manifest, scratch).await?;
        let engine = Engine::new(EngineConfig { cache_directory: None, cache_key: [0; 32] })?;
        let source = SecretSource::new(Redactor::default(), config::environment());
        let secrets = source.of_options(&package.manifest.options, &lab.options)?;
        let locks = Arc::new(Locks::default());
        let backend = Backend::new(BackendParts {
            name: name.clone(),
            generation: GenerationNumber(1),
            manifest: Arc::new(package.manifest),
            grant: lab.grant.clone(),
            ceiling: Ceiling::default(),
            options: lab.options.clone(),
            secrets,
            limits: lab.limits.clone(),
            addresses: AddressBook::open(Arc::clone(&store), ledger.clone()).await?,
            store,
            ledger: ledger.clone(),
            helper,
            http: Arc::new(Network),
            locks: Arc::clone(&locks),
            tenure: None,
        })?;
        let component = engine.load(package.digest, &package.bytes)?;
        let driver = Generation::new(&engine, component, backend)?;
        Ok(Self { lab, name, ledger, locks, driver })
    }

    async fn call(&self, function: Function) -> Result<Value, CallError> {
        let reason = CallReason {
            request: RequestId::random(),
            operation: Some(OperationId::next()),
            earlier_attempts: 0,
        };
        let (lab, driver) = (&self.lab, &self.driver);
        match function {
            Function::Setup => driver.setup(&reason).await.map(|()| Value::Null),
            Function::Stats => Ok(json!(driver.stats(&reason).await?)),
            Function::BackendInfo => Ok(json!(driver.backend_info(&reason).await?)),
            Function::IpVersions => Ok(json!(driver.ip_versions(&reason).await?)),
            Function::CreateShare => Ok(json!(driver.create_share(&reason, &lab.share).await?)),
            Function::DeleteShare => driver.delete_share(&reason, &lab.share).await.map(|()| Value::Null),
            Function::EnsureShares => {
                let shares = std::slice::from_ref(&lab.share);
                Ok(answer::ensured(&driver.ensure_shares(&reason, shares).await?))
            }
            Function::UpdateAccess => {
                let (rules, add) = (lab.rules.clone(), lab.rules.clone());
                let update = AccessUpdate { rules, add, ..AccessUpdate::default() };
                Ok(answer::outcomes(&driver.update_access(&reason, &lab.share, &update).await?))
            }
            Function::ExtendShare => {
                driver.extend_share(&reason, &lab.share, lab.larger).await.map(|()| Value::Null)
            }
            Function::ShrinkShare => {
                driver.shrink_share(&reason, &lab.share, lab.smaller).await.map(|()| Value::Null)
            }
            Function::CreateSnapshot
            | Function::DeleteSnapshot
            | Function::CreateShareFromSnapshot
            | Function::RevertToSnapshot => self.call_about_snapshot(function, &reason).await,
        }
    }

    async fn call_about_snapshot(&self, function: Function, reason: &CallReason) -> Result<Value, CallError> {
        let (lab, driver, snapshot) = (&self.lab, &self.driver, self.lab.snapshot());
        match function {
            Function::DeleteSnapshot => driver.delete_snapshot(reason, &snapshot).await.map(|()| Value::Null),
            Function::CreateShareFromSnapshot => Ok(answer::creation(
                &driver.create_share_from_snapshot(reason, &lab.second_share, &snapshot).await?,
            )),
            Function::RevertToSnapshot => {
                let rules = RevertRules { share: lab.rules.clone(), snapshot: Vec::new() };
                Ok(answer::reversion(driver.revert_to_snapshot(reason, &snapshot, &rules).await?))
            }
            _ => Ok(answer::snapshot(&driver.create_snapshot(reason, &snapshot).await?)),
        }
    }
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

/// The helper, for a driver that has commands; one without needs no helper on this machine.
pub(super) async fn runner(manifest: &Manifest, scratch: &Path) -> anyhow::Result<Arc<dyn CommandRunner>> {
    if manifest.programs().is_empty() {
        return Ok(Arc::new(NoCommands));
    }
    let program = daemon::helper_program(None).context("the driver runs commands, which need the helper")?;
    let (lock, runtime) = (scratch.join("helper.lock"), scratch.join("helper"));
    let helper = HelperClient::start(HelperPlace::Beside { program, lock, runtime });
    helper.wait_until_swept().await?;
    Ok(Arc::new(helper))
}

/// Stands where nothing is ever run: the manifest has no command.
#[derive(Debug)]
struct NoCommands;

#[async_trait]
impl CommandRunner for NoCommands {
    async fn run(&self, _request: CommandRequest, _abandoned: Abandoned) -> Result<Finished, RunError> {
        Err(RunError::Unavailable { reason: "the driver declares no command".to_owned() })
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
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
