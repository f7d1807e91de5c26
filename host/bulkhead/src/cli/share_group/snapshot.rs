//! `bulkhead share-group snapshot`.

use super::super::connection::{OutputOptions, WaitOptions, field, find};
use super::super::printer::Printer;
use super::find_group;
use crate::client::Client;
use anyhow::Context;
use serde_json::{Value, json};

/// What can be done with snapshots of groups.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Snapshot {
    /// Take a snapshot of all shares of a group
    Create {
        /// The group's name or id
        group: String,
        /// A name for it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// List group snapshots, newest first
    List {
        /// Those of this group only
        #[arg(long)]
        group: Option<String>,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a group snapshot and its members
    Show {
        /// Its name or id
        snapshot: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Remove a group snapshot with all its members
    Delete {
        /// Its name or id
        snapshot: String,
        /// Forget it even if the driver cannot remove it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Overrule a group snapshot's status; for operators
    ResetStatus {
        /// Its name or id
        snapshot: String,
        /// The status it shall have: available or error
        status: String,
    },
}

const FIELDS: [&str; 5] = ["id", "name", "share_group_id", "status", "created_at"];

fn path(snapshot: &str) -> String {
    format!("/v2/share-group-snapshots/{snapshot}")
}

pub(super) async fn find_snapshot(client: &Client, name: &str) -> anyhow::Result<String> {
    find(client, "share-group-snapshots", "share-group snapshot", name).await
}

impl Snapshot {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Create { group, name, output, wait } => {
                let group = find_group(client, &group).await?;
                let asked = json!({ "share_group_snapshot": { "share_group_id": group, "name": name } });
                let made = client.post("/v2/share-group-snapshots", &asked).await?;
                let id = made
                    .pointer("/share_group_snapshot/id")
                    .and_then(Value::as_str)
                    .context("the daemon's answer lacks the group snapshot")?;
                let taken = wait.settled(client, &path(id), "share_group_snapshot", printer).await?;
                show(&taken, output, printer)
            }
            Self::List { group, output } => list(client, group, output, printer).await,
            Self::Show { snapshot, output } => {
                let found = client.get(&path(&find_snapshot(client, &snapshot).await?)).await?;
                show(found.get("share_group_snapshot").unwrap_or(&Value::Null), output, printer)
            }
            Self::Delete { snapshot, force, wait } => {
                let path = path(&find_snapshot(client, &snapshot).await?);
                if force {
                    client.post(&format!("{path}/action"), &json!({ "force_delete": null })).await?;
                } else {
                    client.delete(&path).await?;
                }
                wait.vanished(client, &path, "share_group_snapshot", printer).await
            }
            Self::ResetStatus { snapshot, status } => {
                let path = path(&find_snapshot(client, &snapshot).await?);
                let action = json!({ "reset_status": { "status": status } });
                client.post(&format!("{path}/action"), &action).await.map(drop)
            }
        }
    }
}

async fn list(
    client: &Client,
    group: Option<String>,
    output: OutputOptions,
    printer: &Printer,
) -> anyhow::Result<()> {
    let query = match group {
        Some(group) => format!("?share_group_id={}", find_group(client, &group).await?),
        None => String::new(),
    };
    let listed = client.get(&format!("/v2/share-group-snapshots/detail{query}")).await?;
    let snapshots = listed.get("share_group_snapshots").cloned().unwrap_or_default();
    if output.json {
        return printer.json(&snapshots);
    }
    printer.table(&FIELDS, snapshots.as_array().map(Vec::as_slice).unwrap_or_default());
    Ok(())
}

fn show(snapshot: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(snapshot);
    }
    let mut pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(snapshot, name))).collect();
    for member in snapshot.get("members").and_then(Value::as_array).into_iter().flatten() {
        pairs.push((
            "member".to_owned(),
            format!("{} of share {}", field(member, "id"), field(member, "share_id")),
        ));
    }
    printer.pairs(&pairs);
    Ok(())
}
