//! `bulkhead snapshot`.

use super::connection::{ConnectionOptions, WaitOptions, field, find};
use super::printer::Printer;
use anyhow::Context;
use serde_json::{Value, json};

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
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// List snapshots, newest first
    List {
        /// Those of this share only
        #[arg(long)]
        share: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a snapshot
    Show {
        /// Its name or id
        snapshot: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
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

const FIELDS: [&str; 6] = ["id", "name", "share_id", "size", "status", "created_at"];

impl SnapshotCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create { share, name, json, wait } => {
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
                show(&snapshot, json, printer)
            }
            Verb::List { share, json } => {
                let query = match share {
                    Some(share) => format!("?share_id={}", find(&client, "shares", "share", &share).await?),
                    None => String::new(),
                };
                let listed = client.get(&format!("/v2/snapshots/detail{query}")).await?;
                let snapshots = listed.get("snapshots").cloned().unwrap_or_default();
                if json {
                    return printer.json(&snapshots);
                }
                printer.table(&FIELDS, snapshots.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Verb::Show { snapshot, json } => {
                let id = find(&client, "snapshots", "snapshot", &snapshot).await?;
                let found = client.get(&format!("/v2/snapshots/{id}")).await?;
                show(found.get("snapshot").unwrap_or(&Value::Null), json, printer)
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

fn show(snapshot: &Value, json: bool, printer: &Printer) -> anyhow::Result<()> {
    if json {
        return printer.json(snapshot);
    }
    let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(snapshot, name))).collect();
    printer.pairs(&pairs);
    Ok(())
}
