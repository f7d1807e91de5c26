//! `bulkhead backend load|swap|rollback|unload|generations`: which driver a backend runs, changed in the running daemon.

use crate::cli::connection::{ConnectionOptions, OutputOptions, Rest, WaitOptions, field, look_in};
use crate::cli::exit::Unexpected;
use crate::cli::printer::Printer;
use crate::client::{Client, part};
use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The columns of the list.
const COLUMNS: [&str; 8] =
    ["generation", "state", "driver", "driver_version", "package", "calls", "asked_by", "current_since"];

#[derive(Debug, clap::Args)]
pub(super) struct Load {
    /// Its name
    backend: String,
    /// Its file, as those in the directory of backends; read again by 'swap' and after a restart not needed any more
    file: PathBuf,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Debug, clap::Args)]
pub(super) struct Swap {
    /// Its name
    backend: String,
    /// The package to run with the settings that the backend has; without it the backend's configuration is read anew
    #[arg(long, value_name = "PACKAGE")]
    driver: Option<PathBuf>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// Its name
    backend: String,
    /// The generation; without it the one that served before the current one
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Debug, clap::Args)]
pub(super) struct Unload {
    /// Its name
    backend: String,
    /// Unload it although it holds shares, has unfinished operations or keeps services running: they stay on record and at the storage,
    /// run on, and wait until the backend is loaded again
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Generations {
    /// Its name
    backend: String,
    #[command(flatten)]
    output: OutputOptions,
}

/// How the end of a change is waited for and told.
#[derive(Debug, clap::Args)]
struct Outcome {
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    output: OutputOptions,
}

impl Load {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let body = json!({ "file": absolute(&self.file)? });
        self.outcome.change(&connection.client(), (&self.backend, "load"), &body, printer).await
    }
}

impl Swap {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let driver = self.driver.as_deref().map(absolute).transpose()?;
        let body = json!({ "driver": driver });
        self.outcome.change(&connection.client(), (&self.backend, "swap"), &body, printer).await
    }
}

impl Rollback {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let body = json!({ "to": self.to });
        self.outcome.change(&connection.client(), (&self.backend, "rollback"), &body, printer).await
    }
}

impl Unload {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let path = format!("/v1/backends/{}/unload", part(&self.backend));
        let body = json!({ "detach": self.detach });
        connection.client().post(&path, &body).await.map_err(look_in("bulkhead backend list"))?;
        printer.note(&format!("{} is unloaded", self.backend));
        Ok(())
    }
}

impl Generations {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let path = format!("/v1/backends/{}/generations", part(&self.backend));
        let listed = connection.client().get(&path).await.map_err(look_in("bulkhead backend list"))?;
        let generations = listed.get("generations").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&generations);
        }
        let generations = generations.as_array().map(Vec::as_slice).unwrap_or_default();
        printer.table(&COLUMNS, &generations.iter().map(row).collect::<Vec<_>>());
        for generation in generations {
            if let Some(failure) = generation.get("failure").filter(|failure| !failure.is_null()) {
                printer.note(&format!(
                    "generation {} failed at {}: {}",
                    field(generation, "generation"),
                    field(generation, "failed_step"),
                    field(failure, "message")
                ));
            }
        }
        Ok(())
    }
}

/// A package's digest is told apart by its beginning.
fn row(generation: &Value) -> Value {
    let mut row = generation.clone();
    if let Some(fields) = row.as_object_mut() {
        let package: String = field(generation, "package").chars().take("sha256:".len() + 12).collect();
        fields.insert("package".to_owned(), Value::String(package));
        fields.insert("calls".to_owned(), Value::String(field(generation, "running_calls")));
    }
    row
}

impl Outcome {
    /// Ask for a change, wait for its end, and tell it.
    async fn change(
        self,
        client: &Client,
        (backend, verb): (&str, &str),
        body: &Value,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/backends/{}", part(backend));
        let asked = client.post(&format!("{path}/{verb}"), body).await.map_err(look_in(match verb {
            "rollback" => "bulkhead backend generations",
            _ => "bulkhead backend list",
        }))?;
        let change = asked.get("change").context("the daemon's answer lacks the change")?;
        let watched = format!("{path}/changes/{}", part(&field(change, "request")));
        let ended = match self.wait.rest(client, &watched, "change", printer).await? {
            Rest::Found(change) => change,
            Rest::Gone => return Err(anyhow!("the daemon does not remember the change")),
        };
        if self.output.json {
            printer.json(&ended)?;
        }
        self.tell(backend, &ended, printer)
    }

    fn tell(&self, backend: &str, change: &Value, printer: &Printer) -> anyhow::Result<()> {
        let before = change.get("before").and_then(Value::as_u64);
        let state = field(change, "state");
        let generation = field(change, if state == "unchanged" { "before" } else { "generation" });
        let words = match state.as_str() {
            "failed" => return Err(failure(backend, change, before)),
            "unchanged" => format!("{backend} runs this already, as generation {generation}"),
            "running" => {
                format!("{backend} is being changed; 'bulkhead backend show {backend}' tells its end")
            }
            _ => format!("generation {generation} of {backend} is current"),
        };
        printer.note(&words);
        if !self.output.json && self.wait.waits() {
            printer.data(&generation);
        }
        Ok(())
    }
}

/// What stands in the way, and what serves meanwhile.
fn failure(backend: &str, change: &Value, before: Option<u64>) -> anyhow::Error {
    let failure = change.get("failure").cloned().unwrap_or_default();
    let step = field(change, "step");
    let cause = anyhow!(
        "{} (blame: {}): {}",
        field(&failure, "code"),
        field(&failure, "blame"),
        field(&failure, "message")
    );
    let head = match before {
        Some(before) => {
            format!("{backend} was not changed, generation {before} goes on serving: {step} failed")
        }
        None => format!("{backend} was not loaded: {step} failed"),
    };
    if field(&failure, "blame") == "host" {
        return Unexpected::error(head, cause);
    }
    cause.context(head)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}
