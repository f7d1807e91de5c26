//! `bulkhead share-server`.

use super::connection::{ConnectionOptions, OutputOptions, WaitOptions, field, find, look_in};
use super::printer::Printer;
use super::share::pair;
use crate::client::{Client, part};
use anyhow::Context;
use serde_json::{Map, Value, json};

/// Share servers: what backends keep for tenants' networks; for operators
#[derive(Debug, clap::Args)]
pub(crate) struct ShareServerCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the share servers of all projects, oldest first
    List(List),
    /// Show a share server
    Show {
        /// Its id
        server: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show what a share server's driver keeps about it
    Details {
        /// Its id
        server: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Tear a share server down that nothing is on, and give its addresses back
    Delete {
        /// Its id
        server: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Take over as a share server what somebody made at a backend
    Manage(Manage),
    /// Let a share server go that nothing is on, and leave it at the backend
    Unmanage {
        /// Its id
        server: String,
        /// Also where the driver cannot let it go
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Overrule a share server's status
    ResetStatus {
        /// Its id
        server: String,
        /// The status it shall have, for example active or error
        status: String,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those of this share network only, by name or id
    #[arg(long, value_name = "NETWORK")]
    share_network: Option<String>,
    /// Those in this status only
    #[arg(long)]
    status: Option<String>,
    /// Those at this backend only
    #[arg(long)]
    backend: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
struct Manage {
    /// The backend it is at
    backend: String,
    /// The share network it shall serve, by name or id
    share_network: String,
    /// What it is called at the backend
    identifier: String,
    /// A word for the driver; may be repeated
    #[arg(long = "driver-option", value_name = "KEY=VALUE", value_parser = pair)]
    driver_options: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

const COLUMNS: [&str; 6] = ["id", "host", "status", "share_network_name", "project_id", "updated_at"];
const FIELDS: [&str; 10] = [
    "id",
    "host",
    "status",
    "share_network_id",
    "share_network_name",
    "identifier",
    "is_auto_deletable",
    "project_id",
    "created_at",
    "updated_at",
];
const LIST: &str = "bulkhead share-server list";
const ENVELOPE: &str = "share_server";

fn path(server: &str) -> String {
    format!("/v2/share-servers/{}", part(server))
}

/// The id of a share network by its name or id.
pub(super) async fn find_network(client: &Client, name: &str) -> anyhow::Result<String> {
    find(client, "share-networks", "share-network", name).await
}

impl ShareServerCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::List(list) => list.run(&client, printer).await,
            Verb::Show { server, output } => show(&client, &server, output, printer).await,
            Verb::Details { server, output } => details(&client, &server, output, printer).await,
            Verb::Delete { server, wait } => {
                let path = path(&server);
                client.delete(&path).await.map_err(look_in(LIST))?;
                wait.vanished(&client, &path, ENVELOPE, printer).await
            }
            Verb::Manage(manage) => manage.run(&client, printer).await,
            Verb::Unmanage { server, force, wait } => {
                let path = path(&server);
                let action = json!({ "unmanage": { "force": force } });
                client.post(&format!("{path}/action"), &action).await.map_err(look_in(LIST))?;
                wait.vanished(&client, &path, ENVELOPE, printer).await?;
                printer.note("let go; it is still at the backend");
                Ok(())
            }
            Verb::ResetStatus { server, status } => {
                let action = json!({ "reset_status": { "status": status } });
                let path = format!("{}/action", path(&server));
                client.post(&path, &action).await.map(drop).map_err(look_in(LIST))
            }
        }
    }
}

impl List {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let mut query = Vec::new();
        if let Some(network) = &self.share_network {
            query.push(format!("share_network_id={}", find_network(client, network).await?));
        }
        if let Some(status) = &self.status {
            query.push(format!("status={}", part(status)));
        }
        if let Some(backend) = &self.backend {
            query.push(format!("host={}", part(&format!("bulkhead@{backend}"))));
        }
        let listed = client.get(&format!("/v2/share-servers?{}", query.join("&"))).await?;
        let servers = listed.get("share_servers").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&servers);
        }
        printer.table(&COLUMNS, servers.as_array().map(Vec::as_slice).unwrap_or_default());
        Ok(())
    }
}

impl Manage {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let driver_options: Map<String, Value> =
            self.driver_options.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let asked = json!({ ENVELOPE: {
            "host": self.backend,
            "share_network_id": find_network(client, &self.share_network).await?,
            "identifier": self.identifier,
            "driver_options": driver_options,
        } });
        let made = client.post("/v2/share-servers/manage", &asked).await?;
        let id = made
            .pointer("/share_server/id")
            .and_then(Value::as_str)
            .context("the daemon's answer lacks the share server")?;
        self.wait.settled(client, &path(id), ENVELOPE, printer).await?;
        show(client, id, self.output, printer).await
    }
}

async fn show(client: &Client, id: &str, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    let found = client.get(&path(id)).await.map_err(look_in(LIST))?;
    let server = found.get(ENVELOPE).unwrap_or(&Value::Null);
    if output.json {
        return printer.json(server);
    }
    let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(server, name))).collect();
    printer.pairs(&pairs);
    Ok(())
}

async fn details(client: &Client, id: &str, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    let found = client.get(&format!("{}/details", path(id))).await.map_err(look_in(LIST))?;
    let details = found.get("details").unwrap_or(&Value::Null);
    if output.json {
        return printer.json(details);
    }
    let names = details.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let pairs: Vec<_> = names.map(|name| (name.clone(), field(details, &name))).collect();
    printer.pairs(&pairs);
    Ok(())
}
