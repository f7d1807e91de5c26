//! `bulkhead snapshot`.

use super::connection::{ConnectionOptions, OutputOptions, WaitOptions, field, find};
use super::printer::Printer;
use super::share::pair;
use super::snapshot_rules::{Allow, Deny, Rules};
use crate::client::Client;
use anyhow::Context;
use serde_json::{Map, Value, json};

/// Snapshots of shares
#[derive(Debug, clap::Args)]
pub(crate) struct SnapshotCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Take a snapshot
    Create {
        /// The share's name or id
        share: String,
        /// A name for it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// List snapshots, newest first
    List {
        /// Those of this share only
        #[arg(long)]
        share: Option<String>,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a snapshot
    Show {
        /// Its name or id
        snapshot: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Let somebody mount a snapshot, read only
    Allow(Allow),
    /// Take such a rule away
    Deny(Deny),
    /// List who may mount a snapshot
    Rules(Rules),
    /// Take over a snapshot that somebody made at a share's backend; for operators
    Manage(Manage),
    /// Let a snapshot go and leave its data at the backend; for operators
    Unmanage {
        /// Its name or id
        snapshot: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Remove a snapshot
    Delete {
        /// Its name or id
        snapshot: String,
        /// Forget it even if the driver cannot remove it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
}

#[derive(Debug, clap::Args)]
struct Manage {
    /// The share's name or id
    share: String,
    /// What names it at the backend; the last component of it
    provider_location: String,
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// A word for the driver; may be repeated
    #[arg(long = "driver-option", value_name = "KEY=VALUE", value_parser = pair)]
    driver_options: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

const FIELDS: [&str; 6] = ["id", "name", "share_id", "size", "status", "created_at"];

impl SnapshotCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create { share, name, output, wait } => {
                let share = find(&client, "shares", "share", &share).await?;
                let made = client
                    .post("/v2/snapshots", &json!({ "snapshot": { "share_id": share, "name": name } }))
                    .await?;
                let id = made
                    .pointer("/snapshot/id")
                    .and_then(Value::as_str)
                    .context("the daemon's answer lacks the snapshot")?;
                let snapshot =
                    wait.settled(&client, &format!("/v2/snapshots/{id}"), "snapshot", printer).await?;
                show(&snapshot, output, printer)
            }
            Verb::List { share, output } => {
                let query = match share {
                    Some(share) => format!("?share_id={}", find(&client, "shares", "share", &share).await?),
                    None => String::new(),
                };
                let listed = client.get(&format!("/v2/snapshots/detail{query}")).await?;
                let snapshots = listed.get("snapshots").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&snapshots);
                }
                printer.table(&FIELDS, snapshots.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Verb::Show { snapshot, output } => {
                let id = find(&client, "snapshots", "snapshot", &snapshot).await?;
                let found = client.get(&format!("/v2/snapshots/{id}")).await?;
                show(found.get("snapshot").unwrap_or(&Value::Null), output, printer)
            }
            Verb::Allow(allow) => allow.run(&client, printer).await,
            Verb::Deny(deny) => deny.run(&client, printer).await,
            Verb::Rules(rules) => rules.run(&client, printer).await,
            Verb::Manage(manage) => manage.run(&client, printer).await,
            Verb::Unmanage { snapshot, wait } => {
                let id = find(&client, "snapshots", "snapshot", &snapshot).await?;
                let path = format!("/v2/snapshots/{id}");
                client.post(&format!("{path}/action"), &json!({ "unmanage": null })).await?;
                wait.vanished(&client, &path, "snapshot", printer).await?;
                printer.note("let go; its data are still at the backend");
                Ok(())
            }
            Verb::Delete { snapshot, force, wait } => {
                let id = find(&client, "snapshots", "snapshot", &snapshot).await?;
                let path = format!("/v2/snapshots/{id}");
                if force {
                    client.post(&format!("{path}/action"), &json!({ "force_delete": null })).await?;
                } else {
                    client.delete(&path).await?;
                }
                wait.vanished(&client, &path, "snapshot", printer).await
            }
        }
    }
}

impl Manage {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let share = find(client, "shares", "share", &self.share).await?;
        let driver_options: Map<String, Value> =
            self.driver_options.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let asked = json!({ "snapshot": {
            "share_id": share,
            "provider_location": self.provider_location,
            "name": self.name,
            "description": self.description,
            "driver_options": driver_options,
        } });
        let made = client.post("/v2/snapshots/manage", &asked).await?;
        let id = made
            .pointer("/snapshot/id")
            .and_then(Value::as_str)
            .context("the daemon's answer lacks the snapshot")?;
        let path = format!("/v2/snapshots/{id}");
        let snapshot = self.wait.settled(client, &path, "snapshot", printer).await?;
        show(&snapshot, self.output, printer)
    }
}

fn show(snapshot: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(snapshot);
    }
    let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(snapshot, name))).collect();
    printer.pairs(&pairs);
    Ok(())
}
