//! `bulkhead share-group`.

mod snapshot;
mod types;

use super::connection::{ConnectionOptions, OutputOptions, WaitOptions, field, find};
use super::printer::Printer;
use super::share_server::find_network;
use crate::client::Client;
use anyhow::Context;
use serde_json::{Value, json};
use snapshot::Snapshot;
use types::Type;

/// Groups of shares that live together and are snapshotted together
#[derive(Debug, clap::Args)]
pub(crate) struct ShareGroupCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a share group, empty or from a group snapshot
    Create(Create),
    /// List share groups, newest first
    List(List),
    /// Show a share group and its shares
    Show {
        /// Its name or id
        group: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Name or describe a share group anew
    Set {
        /// Its name or id
        group: String,
        /// A name for it
        #[arg(long)]
        name: Option<String>,
        /// Words about it
        #[arg(long)]
        description: Option<String>,
    },
    /// Snapshots of all shares of a group
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Types of share groups, for operators
    #[command(subcommand)]
    Type(Type),
    /// Remove a share group that has no shares and no snapshots
    Delete {
        /// Its name or id
        group: String,
        /// Forget it even if the driver cannot remove it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Overrule a share group's status; for operators
    ResetStatus {
        /// Its name or id
        group: String,
        /// The status it shall have: available or error
        status: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// A share type that its shares may have; may be repeated
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "snapshot")]
    share_types: Vec<String>,
    /// The type of the group, by name or id; without it the built-in one
    #[arg(long, value_name = "GROUP_TYPE")]
    group_type: Option<String>,
    /// The share network its shares' clients are in, by name or id; where backends make share servers
    #[arg(long, value_name = "NETWORK", conflicts_with = "snapshot")]
    share_network: Option<String>,
    /// Make it from this group snapshot with all its shares, by name or id
    #[arg(long)]
    snapshot: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those of all projects
    #[arg(long)]
    all_projects: bool,
    #[command(flatten)]
    output: OutputOptions,
}

const COLUMNS: [&str; 6] = ["id", "name", "status", "consistent_snapshot_support", "host", "created_at"];
const FIELDS: [&str; 8] = [
    "id",
    "name",
    "status",
    "host",
    "consistent_snapshot_support",
    "source_share_group_snapshot_id",
    "project_id",
    "created_at",
];

fn path(group: &str) -> String {
    format!("/v2/share-groups/{group}")
}

async fn find_group(client: &Client, name: &str) -> anyhow::Result<String> {
    find(client, "share-groups", "share-group", name).await
}

impl ShareGroupCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create(create) => create.run(&client, printer).await,
            Verb::List(list) => list.run(&client, printer).await,
            Verb::Show { group, output } => {
                show(&client, &find_group(&client, &group).await?, output, printer).await
            }
            Verb::Set { group, name, description } => {
                let id = find_group(&client, &group).await?;
                let given = [("name", name), ("description", description)];
                let fields: serde_json::Map<String, Value> = given
                    .into_iter()
                    .filter_map(|(field, value)| Some((field.to_owned(), json!(value?))))
                    .collect();
                client.put(&path(&id), &json!({ "share_group": fields })).await.map(drop)
            }
            Verb::Snapshot(snapshot) => snapshot.run(&client, printer).await,
            Verb::Type(group_type) => group_type.run(&client, printer).await,
            Verb::Delete { group, force, wait } => {
                let path = path(&find_group(&client, &group).await?);
                if force {
                    client.post(&format!("{path}/action"), &json!({ "force_delete": null })).await?;
                } else {
                    client.delete(&path).await?;
                }
                wait.vanished(&client, &path, "share_group", printer).await
            }
            Verb::ResetStatus { group, status } => {
                let path = path(&find_group(&client, &group).await?);
                let action = json!({ "reset_status": { "status": status } });
                client.post(&format!("{path}/action"), &action).await.map(drop)
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let source = match &self.snapshot {
            Some(name) => Some(snapshot::find_snapshot(client, name).await?),
            None => None,
        };
        let network = match &self.share_network {
            Some(name) => Some(find_network(client, name).await?),
            None => None,
        };
        let asked = json!({ "share_group": {
            "name": self.name,
            "description": self.description,
            "share_types": self.share_types,
            "share_group_type_id": self.group_type,
            "source_share_group_snapshot_id": source,
            "share_network_id": network,
        } });
        let made = client.post("/v2/share-groups", &asked).await?;
        let id = made
            .pointer("/share_group/id")
            .and_then(Value::as_str)
            .context("the daemon's answer lacks the share group")?;
        self.wait.settled(client, &path(id), "share_group", printer).await?;
        show(client, id, self.output, printer).await
    }
}

impl List {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let query = if self.all_projects { "?all_tenants=1" } else { "" };
        let listed = client.get(&format!("/v2/share-groups/detail{query}")).await?;
        let groups = listed.get("share_groups").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&groups);
        }
        let mut columns = COLUMNS.to_vec();
        if self.all_projects {
            columns.push("project_id");
        }
        printer.table(&columns, groups.as_array().map(Vec::as_slice).unwrap_or_default());
        Ok(())
    }
}

async fn show(client: &Client, id: &str, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    let found = client.get(&path(id)).await?;
    let group = found.get("share_group").unwrap_or(&Value::Null);
    if output.json {
        return printer.json(group);
    }
    let listed = client.get(&format!("/v2/shares?all_tenants=1&share_group_id={id}")).await?;
    let mut pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(group, name))).collect();
    for share in listed.get("shares").and_then(Value::as_array).into_iter().flatten() {
        pairs.push(("share".to_owned(), field(share, "id")));
    }
    printer.pairs(&pairs);
    Ok(())
}
