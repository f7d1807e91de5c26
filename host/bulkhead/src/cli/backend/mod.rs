//! `bulkhead backend`.

mod addresses;
mod ensuring;
mod generations;
mod init;
mod make_pool;

pub(super) use init::installed;

use super::connection::{ConnectionOptions, field, look_in};
use super::printer::Printer;
use crate::client::part;
use bulkhead_model::place::Place;
use serde_json::Value;

/// Backends: what runs, how full it is, and how a new one is written down
#[derive(Debug, clap::Args)]
pub(crate) struct BackendCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List backends
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a backend: its driver, abilities, limits and statistics
    Show {
        /// Its name
        backend: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Load a backend from a file that no configuration names
    Load(generations::Load),
    /// Give a backend another driver, or what its configuration says now, while it serves
    Swap(generations::Swap),
    /// Go back to an earlier generation of a backend
    Rollback(generations::Rollback),
    /// Let a backend go
    Unload(generations::Unload),
    /// List the generations of a backend: what serves, what can be gone back to, and why others failed
    Generations(generations::Generations),
    /// Bring a backend's shares in line with the records now, and tell what was found
    Ensure(ensuring::Ensure),
    /// Show what the shares of a backend use, as last gathered
    Usage(ensuring::Usage),
    /// Show what a driver tells of its shares
    HookData(ensuring::HookData),
    /// Show how full a backend's networks are, and what has which of their addresses
    Addresses(addresses::Addresses),
    /// Give an address back by hand whose server is gone although nobody removed it
    ReleaseAddress(addresses::ReleaseAddress),
    /// Write a backend's file for a driver, with every option, grant and its reason, for you to edit
    Init(init::Init),
    /// Make and mount a btrfs filesystem on a sparse file, for a driver that wants one; safe to repeat
    MakePool(make_pool::MakePool),
}

impl BackendCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        match self.verb {
            Verb::List { json } => {
                let listed = self.connection.client().get("/v1/backends").await?;
                let backends = listed.get("backends").cloned().unwrap_or_default();
                if json {
                    return printer.json(&backends);
                }
                let rows: Vec<_> = backends.as_array().into_iter().flatten().map(row).collect();
                printer.table(
                    &[
                        "name",
                        "driver",
                        "version",
                        "status",
                        "shares",
                        "provisioned_gib",
                        "unfinished_operations",
                    ],
                    &rows,
                );
                Ok(())
            }
            Verb::Show { backend, json } => {
                let path = format!("/v1/backends/{}", part(&backend));
                let found =
                    self.connection.client().get(&path).await.map_err(look_in("bulkhead backend list"))?;
                let found = found.get("backend").cloned().unwrap_or_default();
                if json {
                    return printer.json(&found);
                }
                printer.pairs(&pairs(&found));
                Ok(())
            }
            Verb::Load(load) => load.run(&self.connection, printer).await,
            Verb::Swap(swap) => swap.run(&self.connection, printer).await,
            Verb::Rollback(rollback) => rollback.run(&self.connection, printer).await,
            Verb::Unload(unload) => unload.run(&self.connection, printer).await,
            Verb::Generations(generations) => generations.run(&self.connection, printer).await,
            Verb::Ensure(ensure) => ensure.run(&self.connection, printer).await,
            Verb::Usage(usage) => usage.run(&self.connection, printer).await,
            Verb::HookData(told) => told.run(&self.connection, printer).await,
            Verb::Addresses(addresses) => addresses.run(&self.connection, printer).await,
            Verb::ReleaseAddress(release) => release.run(&self.connection, printer).await,
            Verb::Init(init) => init.run(printer),
            Verb::MakePool(make_pool) => make_pool.run(printer),
        }
    }
}

fn row(backend: &Value) -> Value {
    let mut row = backend.clone();
    if let Some(fields) = row.as_object_mut() {
        fields.insert("version".to_owned(), Value::String(field(backend, "driver_version")));
        fields.insert("status".to_owned(), Value::String(state_of(backend)));
    }
    row
}

fn state_of(backend: &Value) -> String {
    backend.get("status").map_or_else(|| "-".to_owned(), |status| field(status, "state"))
}

/// Its place, with what that means to whoever reviews it.
fn place_of(backend: &Value) -> String {
    let place = field(backend, "place");
    let meaning = match place.parse() {
        Ok(Place::Local) => "this machine",
        Ok(Place::Ssh(_)) => "another machine, where bulkhead-helper checks and runs everything",
        Ok(Place::SshPlain(_)) => {
            "an array's own command line: words without paths, checked here, and taken apart by the array alone"
        }
        Err(_) => return place,
    };
    format!("{place} ({meaning})")
}

fn pairs(backend: &Value) -> Vec<(String, String)> {
    let plain = [
        "name",
        "driver",
        "driver_version",
        "vendor",
        "digest",
        "generation",
        "shares",
        "provisioned_gib",
        "unfinished_operations",
    ];
    let mut pairs: Vec<_> = plain.iter().map(|name| ((*name).to_owned(), field(backend, name))).collect();
    pairs.push(("place".to_owned(), place_of(backend)));
    pairs.push(("status".to_owned(), state_of(backend)));
    if let Some(change) = backend.get("last_change").filter(|change| !change.is_null()) {
        let names = ["asked", "asked_by", "state", "step", "generation", "asked_at"];
        let [asked, by, state, step, generation, at] = names.map(|name| field(change, name));
        let words = format!("{asked} by {by} at {at}: {state} at {step}, generation {generation}");
        pairs.push(("last change".to_owned(), words));
    }
    let failures = [
        ("failure", "/status/failure"),
        ("statistics failure", "/statistics_failure"),
        ("change failure", "/last_change/failure"),
    ];
    for (what, place) in failures {
        if let Some(failure) = backend.pointer(place).filter(|failure| !failure.is_null()) {
            let head = format!("{} (blame: {})", field(failure, "code"), field(failure, "blame"));
            pairs.push((what.to_owned(), head));
            let message = field(failure, "message");
            pairs.extend(message.lines().map(|line| (String::new(), line.to_owned())));
        }
    }
    if let Some(next) = backend.pointer("/status/next_attempt_at").filter(|next| !next.is_null()) {
        let attempts = backend.pointer("/status/failed_attempts").cloned().unwrap_or_default();
        pairs.push((
            "next attempt".to_owned(),
            format!("{} (failed so far: {attempts})", next.as_str().unwrap_or_default()),
        ));
    }
    for name in ["protocols", "abilities"] {
        let words: Vec<_> = backend
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let words = if words.is_empty() { "-".to_owned() } else { words.join(", ") };
        pairs.push((name.to_owned(), words));
    }
    for pool in backend.pointer("/statistics/pools").and_then(Value::as_array).into_iter().flatten() {
        pairs.push((
            format!("pool {}", field(pool, "name")),
            format!("{} free of {}", capacity(pool, "free"), capacity(pool, "total")),
        ));
    }
    pairs
}

fn capacity(pool: &Value, name: &str) -> String {
    let gib = pool.get(name).and_then(|capacity| capacity.get("gib")).and_then(Value::as_f64);
    gib.map_or_else(|| "unknown".to_owned(), |gib| format!("{gib:.1} GiB"))
}
