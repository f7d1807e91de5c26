//! `bulkhead replica`.

use super::connection::{ConnectionOptions, OutputOptions, WaitOptions, field, find, look_in};
use super::printer::Printer;
use crate::client::Client;
use anyhow::Context;
use serde_json::{Value, json};

/// Replicas of shares on other backends
#[derive(Debug, clap::Args)]
pub(crate) struct ReplicaCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a replica of a share, on another backend of its replication domain
    Create {
        /// The share's name or id
        share: String,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// List replicas
    List(List),
    /// Show a replica
    Show {
        /// Its id
        replica: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Make a replica the active one
    Promote {
        /// Its id
        replica: String,
        /// Hold writes back for at most this long before the roles change
        #[arg(long, value_name = "SECONDS")]
        quiesce_wait: Option<u32>,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Bring a replica in step now; for operators
    Resync {
        /// Its id
        replica: String,
    },
    /// Remove a replica and its data
    Delete {
        /// Its id
        replica: String,
        /// Forget it even if the driver cannot remove it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those of this share only
    #[arg(long)]
    share: Option<String>,
    /// Those of all projects
    #[arg(long)]
    all_projects: bool,
    #[command(flatten)]
    output: OutputOptions,
}

const FIELDS: [&str; 6] = ["id", "share_id", "status", "replica_state", "host", "created_at"];
const LIST: &str = "bulkhead replica list";

fn path(replica: &str) -> String {
    format!("/v2/share-replicas/{replica}")
}

impl ReplicaCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create { share, output, wait } => create(&client, &share, output, &wait, printer).await,
            Verb::List(list) => list.run(&client, printer).await,
            Verb::Show { replica, output } => {
                let found = client.get(&path(&replica)).await.map_err(look_in(LIST))?;
                show(found.get("share_replica").unwrap_or(&Value::Null), output, printer)
            }
            Verb::Promote { replica, quiesce_wait, output, wait } => {
                let action = json!({ "promote": { "quiesce_wait_time": quiesce_wait } });
                client.post(&format!("{}/action", path(&replica)), &action).await.map_err(look_in(LIST))?;
                let found = wait.settled(&client, &path(&replica), "share_replica", printer).await?;
                show(&found, output, printer)
            }
            Verb::Resync { replica } => {
                let action = format!("{}/action", path(&replica));
                client.post(&action, &json!({ "resync": null })).await.map_err(look_in(LIST))?;
                printer.note("its backend is asked; 'bulkhead replica show' tells how far it is");
                Ok(())
            }
            Verb::Delete { replica, force, wait } => {
                if force {
                    let action = format!("{}/action", path(&replica));
                    client.post(&action, &json!({ "force_delete": null })).await.map_err(look_in(LIST))?;
                } else {
                    client.delete(&path(&replica)).await.map_err(look_in(LIST))?;
                }
                wait.vanished(&client, &path(&replica), "share_replica", printer).await
            }
        }
    }
}

async fn create(
    client: &Client,
    share: &str,
    output: OutputOptions,
    wait: &WaitOptions,
    printer: &Printer,
) -> anyhow::Result<()> {
    let share = find(client, "shares", "share", share).await?;
    let asked = json!({ "share_replica": { "share_id": share } });
    let made = client.post("/v2/share-replicas", &asked).await?;
    let id = made
        .pointer("/share_replica/id")
        .and_then(Value::as_str)
        .context("the daemon's answer lacks the replica")?;
    let found = wait.settled(client, &path(id), "share_replica", printer).await?;
    show(&found, output, printer)
}

impl List {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let query = match (&self.share, self.all_projects) {
            (Some(share), _) => format!("?share_id={}", find(client, "shares", "share", share).await?),
            (None, true) => "?all_tenants=1".to_owned(),
            (None, false) => String::new(),
        };
        let listed = client.get(&format!("/v2/share-replicas/detail{query}")).await?;
        let replicas = listed.get("share_replicas").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&replicas);
        }
        printer.table(&FIELDS, replicas.as_array().map(Vec::as_slice).unwrap_or_default());
        Ok(())
    }
}

fn show(replica: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(replica);
    }
    let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(replica, name))).collect();
    printer.pairs(&pairs);
    Ok(())
}
