//! `bulkhead share`.

use super::connection::{ConnectionOptions, OutputOptions, WaitOptions, field, find, gibibytes};
use super::migrate::Migrate;
use super::printer::Printer;
use super::share_server::find_network;
use crate::client::{Client, part};
use anyhow::Context;
use serde_json::{Map, Value, json};

/// Shares of a project
#[derive(Debug, clap::Args)]
pub(crate) struct ShareCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a share
    Create(Create),
    /// List shares, newest first
    List(List),
    /// Show a share and where clients find it
    Show {
        /// Its name or id
        share: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Make a share larger
    Extend(Resize),
    /// Make a share smaller; refused if it holds more
    Shrink(Resize),
    /// Put a share back to its newest snapshot
    Revert {
        /// Its name or id
        share: String,
        /// The snapshot's name or id
        snapshot: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Remove a share and its data
    Delete {
        /// Its name or id
        share: String,
        /// Forget it even if the driver cannot remove it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Take over a share that somebody made at a backend; for operators
    Manage(Manage),
    /// Let a share go and leave its data and exports at the backend; for operators
    Unmanage {
        /// Its name or id
        share: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Move a share to another pool or backend; for operators
    #[command(subcommand)]
    Migrate(Migrate),
    /// Overrule a share's status; for operators
    ResetStatus {
        /// Its name or id
        share: String,
        /// The status it shall have, for example available or error
        status: String,
    },
    /// Tell where a share would go now, and why not elsewhere, without making it; for operators
    WhyNot(WhyNot),
    /// Forget a share and leave its data at the backend; for operators
    Forget {
        /// Its name or id
        share: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// How it is exported, for example NFS
    protocol: String,
    /// Its size in GiB
    #[arg(value_parser = gibibytes, allow_negative_numbers = true)]
    size: u64,
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// Its share type
    #[arg(long = "type", value_name = "TYPE")]
    share_type: Option<String>,
    /// Make it from this snapshot, by name or id
    #[arg(long)]
    snapshot: Option<String>,
    /// Make it in this share group, by name or id
    #[arg(long)]
    group: Option<String>,
    /// The share network its clients are in, by name or id; for types whose backends make share servers
    #[arg(long, value_name = "NETWORK")]
    share_network: Option<String>,
    /// Metadata; may be repeated
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = pair)]
    properties: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

#[derive(Debug, clap::Args)]
struct Manage {
    /// The backend that holds it, and its pool where there are several: BACKEND or BACKEND#POOL
    backend: String,
    /// How it is exported, for example NFS
    protocol: String,
    /// Where it is exported, for example 10.0.0.5:/exports/old; the last component names it at the backend
    export_path: String,
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// Its share type
    #[arg(long = "type", value_name = "TYPE")]
    share_type: Option<String>,
    /// A word for the driver; may be repeated
    #[arg(long = "driver-option", value_name = "KEY=VALUE", value_parser = pair)]
    driver_options: Vec<(String, String)>,
    /// The share server it is on, by id; where the backend makes share servers
    #[arg(long, value_name = "SERVER")]
    share_server: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

#[derive(Debug, clap::Args)]
struct WhyNot {
    /// How it would be exported, for example NFS
    protocol: String,
    /// Its size in GiB
    #[arg(value_parser = gibibytes, allow_negative_numbers = true)]
    size: u64,
    /// Its share type
    #[arg(long = "type", value_name = "TYPE")]
    share_type: Option<String>,
    /// The snapshot it would be made from, by name or id
    #[arg(long)]
    snapshot: Option<String>,
    /// The share group it would be made in, by name or id
    #[arg(long)]
    group: Option<String>,
    /// The share network its clients would be in, by name or id
    #[arg(long, value_name = "NETWORK")]
    share_network: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those of all projects
    #[arg(long)]
    all_projects: bool,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
struct Resize {
    /// Its name or id
    share: String,
    /// Its new size in GiB
    #[arg(value_parser = gibibytes, allow_negative_numbers = true)]
    size: u64,
    #[command(flatten)]
    wait: WaitOptions,
}

/// `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write KEY=VALUE".to_owned())
}

impl ShareCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create(create) => create.run(&client, printer).await,
            Verb::List(list) => list.run(&client, printer).await,
            Verb::Show { share, output } => {
                let id = find(&client, "shares", "share", &share).await?;
                show(&client, &id, output, printer).await
            }
            Verb::Extend(resize) => resize.run(&client, "extend", printer).await,
            Verb::Shrink(resize) => resize.run(&client, "shrink", printer).await,
            Verb::Revert { share, snapshot, wait } => {
                let snapshot = find(&client, "snapshots", "snapshot", &snapshot).await?;
                let action = json!({ "revert": { "snapshot_id": snapshot } });
                act(&client, &share, action, &wait, printer).await.map(drop)
            }
            Verb::Delete { share, force, wait } => {
                let id = find(&client, "shares", "share", &share).await?;
                let path = format!("/v2/shares/{id}");
                if force {
                    client.post(&format!("{path}/action"), &json!({ "force_delete": null })).await?;
                } else {
                    client.delete(&with_group(&client, &path).await?).await?;
                }
                wait.vanished(&client, &path, "share", printer).await
            }
            Verb::Manage(manage) => manage.run(&client, printer).await,
            Verb::Unmanage { share, wait } => {
                let id = find(&client, "shares", "share", &share).await?;
                let path = format!("/v2/shares/{id}");
                client.post(&format!("{path}/action"), &json!({ "unmanage": null })).await?;
                wait.vanished(&client, &path, "share", printer).await?;
                printer.note("let go; its data are still at the backend");
                Ok(())
            }
            Verb::ResetStatus { share, status } => {
                let id = find(&client, "shares", "share", &share).await?;
                client
                    .post(
                        &format!("/v2/shares/{id}/action"),
                        &json!({ "reset_status": { "status": status } }),
                    )
                    .await
                    .map(drop)
            }
            Verb::Migrate(migrate) => migrate.run(&client, printer).await,
            Verb::WhyNot(why_not) => why_not.run(&client, printer).await,
            Verb::Forget { share } => {
                let id = find(&client, "shares", "share", &share).await?;
                client.post(&format!("/v1/shares/{id}/forget"), &Value::Null).await?;
                printer.note("forgotten; its data are still at the backend");
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let snapshot = match &self.snapshot {
            Some(name) => Some(find(client, "snapshots", "snapshot", name).await?),
            None => None,
        };
        let group = match &self.group {
            Some(name) => Some(find(client, "share-groups", "share-group", name).await?),
            None => None,
        };
        let network = match &self.share_network {
            Some(name) => Some(find_network(client, name).await?),
            None => None,
        };
        let metadata: Map<String, Value> =
            self.properties.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let asked = json!({ "share": {
            "share_proto": self.protocol,
            "size": self.size,
            "name": self.name,
            "description": self.description,
            "share_type": self.share_type,
            "snapshot_id": snapshot,
            "share_group_id": group,
            "share_network_id": network,
            "metadata": metadata,
        } });
        let made = client.post("/v2/shares", &asked).await?;
        let id = made
            .pointer("/share/id")
            .and_then(Value::as_str)
            .context("the daemon's answer lacks the share")?;
        self.wait.settled(client, &format!("/v2/shares/{id}"), "share", printer).await?;
        show(client, id, self.output, printer).await
    }
}

impl Manage {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let driver_options: Map<String, Value> =
            self.driver_options.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let asked = json!({ "share": {
            "service_host": self.backend,
            "protocol": self.protocol,
            "export_path": self.export_path,
            "name": self.name,
            "description": self.description,
            "share_type": self.share_type,
            "driver_options": driver_options,
            "share_server_id": self.share_server,
        } });
        let made = client.post("/v2/shares/manage", &asked).await?;
        let id = made
            .pointer("/share/id")
            .and_then(Value::as_str)
            .context("the daemon's answer lacks the share")?;
        self.wait.settled(client, &format!("/v2/shares/{id}"), "share", printer).await?;
        show(client, id, self.output, printer).await
    }
}

impl WhyNot {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let mut path = format!("/v1/placement?protocol={}&size={}", part(&self.protocol), self.size);
        if let Some(share_type) = &self.share_type {
            path.push_str(&format!("&share_type={}", part(share_type)));
        }
        if let Some(snapshot) = &self.snapshot {
            path.push_str(&format!("&snapshot={}", find(client, "snapshots", "snapshot", snapshot).await?));
        }
        if let Some(group) = &self.group {
            let group = find(client, "share-groups", "share-group", group).await?;
            path.push_str(&format!("&group={group}"));
        }
        if let Some(network) = &self.share_network {
            path.push_str(&format!("&share_network={}", find_network(client, network).await?));
        }
        let found = client.get(&path).await?.get("placement").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&found);
        }
        let list = |name| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        printer.table(&["backend", "pool", "room_gib", "goodness", "weight"], &list("fitting"));
        printer.table(&["backend", "pool", "reason"], &list("rejected"));
        Ok(())
    }
}

impl List {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let query = if self.all_projects { "?all_tenants=1" } else { "" };
        let listed = client.get(&format!("/v2/shares/detail{query}")).await?;
        let shares = listed.get("shares").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&shares);
        }
        let mut columns = vec!["id", "name", "size", "share_proto", "status", "host"];
        if self.all_projects {
            columns.push("project_id");
        }
        printer.table(&columns, shares.as_array().map(Vec::as_slice).unwrap_or_default());
        Ok(())
    }
}

impl Resize {
    async fn run(self, client: &Client, verb: &str, printer: &Printer) -> anyhow::Result<()> {
        let action = json!({ verb: { "new_size": self.size } });
        let share = act(client, &self.share, action, &self.wait, printer).await?;
        if self.wait.waits() && share.get("size").and_then(Value::as_u64) != Some(self.size) {
            // A refused shrink puts the share back to available: what it is tells, not its status.
            anyhow::bail!(
                "the share is {} GiB still: the driver refused, most likely because it holds more than {} GiB\nhint: see 'bulkhead operation list'",
                field(&share, "size"),
                self.size
            );
        }
        Ok(())
    }
}

/// The path that deletes a share: for one of a group it names the group.
async fn with_group(client: &Client, path: &str) -> anyhow::Result<String> {
    let found = client.get(path).await?;
    let group = found.pointer("/share/share_group_id").and_then(Value::as_str);
    Ok(group.map_or_else(|| path.to_owned(), |group| format!("{path}?share_group_id={group}")))
}

async fn act(
    client: &Client,
    share: &str,
    action: Value,
    wait: &WaitOptions,
    printer: &Printer,
) -> anyhow::Result<Value> {
    let id = find(client, "shares", "share", share).await?;
    client.post(&format!("/v2/shares/{id}/action"), &action).await?;
    wait.settled(client, &format!("/v2/shares/{id}"), "share", printer).await
}

async fn show(client: &Client, id: &str, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    let mut share = client.get(&format!("/v2/shares/{id}")).await?.get("share").cloned().unwrap_or_default();
    let locations = client.get(&format!("/v2/shares/{id}/export_locations")).await?;
    let locations = locations.get("export_locations").cloned().unwrap_or_default();
    if output.json {
        if let Some(fields) = share.as_object_mut() {
            fields.insert("export_locations".to_owned(), locations);
        }
        return printer.json(&share);
    }
    let shown = ["id", "name", "status", "size", "share_proto", "host", "project_id", "created_at"];
    let mut pairs: Vec<_> = shown.iter().map(|name| ((*name).to_owned(), field(&share, name))).collect();
    for name in ["share_network_id", "share_server_id"] {
        if share.get(name).is_some_and(|id| !id.is_null()) {
            pairs.push((name.to_owned(), field(&share, name)));
        }
    }
    if share.get("task_state").is_some_and(|state| !state.is_null()) {
        pairs.push(("task_state".to_owned(), field(&share, "task_state")));
    }
    for location in locations.as_array().map(Vec::as_slice).unwrap_or_default() {
        pairs.push(("export location".to_owned(), field(location, "path")));
    }
    printer.pairs(&pairs);
    Ok(())
}
