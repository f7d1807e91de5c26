//! `bulkhead share-type`.

use super::connection::{ConnectionOptions, OutputOptions, field, look_in};
use super::printer::Printer;
use super::share::pair;
use crate::client::Client;
use serde_json::{Map, Value, json};

/// Share types: what tenants are promised, and which backends keep it; for operators
#[derive(Debug, clap::Args)]
pub(crate) struct ShareTypeCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a share type
    Create(Create),
    /// List share types
    List {
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a share type and its extra specs
    Show {
        /// Its name or id
        share_type: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Remove a share type that no share was made with
    Delete {
        /// Its name or id
        share_type: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its name
    name: String,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// What it asks of backends, for example snapshot_support=True or replication_type=dr; may be repeated
    #[arg(long = "spec", value_name = "KEY=VALUE", value_parser = pair)]
    specs: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputOptions,
}

impl ShareTypeCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create(create) => create.run(&client, printer).await,
            Verb::List { output } => {
                let listed = client.get("/v2/types").await?;
                let types = listed.get("share_types").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&types);
                }
                printer.table(
                    &["id", "name", "description"],
                    types.as_array().map(Vec::as_slice).unwrap_or_default(),
                );
                Ok(())
            }
            Verb::Show { share_type, output } => {
                let found = client
                    .get(&format!("/v2/types/{share_type}"))
                    .await
                    .map_err(look_in("bulkhead share-type list"))?;
                show(found.get("share_type").unwrap_or(&Value::Null), output, printer)
            }
            Verb::Delete { share_type } => client
                .delete(&format!("/v2/types/{share_type}"))
                .await
                .map(drop)
                .map_err(look_in("bulkhead share-type list")),
        }
    }
}

impl Create {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let mut specs: Map<String, Value> =
            self.specs.into_iter().map(|(key, value)| (key, json!(value))).collect();
        // Manila wants it said; most backends make no share servers.
        specs.entry("driver_handles_share_servers").or_insert(json!("False"));
        let asked = json!({ "share_type": {
            "name": self.name, "description": self.description, "extra_specs": specs,
        } });
        let made = client.post("/v2/types", &asked).await?;
        show(made.get("share_type").unwrap_or(&Value::Null), self.output, printer)
    }
}

fn show(share_type: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(share_type);
    }
    let shown = ["id", "name", "description"];
    let mut pairs: Vec<_> = shown.iter().map(|name| ((*name).to_owned(), field(share_type, name))).collect();
    let specs = share_type.get("extra_specs").and_then(Value::as_object);
    for (key, value) in specs.into_iter().flatten() {
        pairs.push((key.clone(), value.as_str().unwrap_or_default().to_owned()));
    }
    printer.pairs(&pairs);
    Ok(())
}
