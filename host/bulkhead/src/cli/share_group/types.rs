//! `bulkhead share-group type`.

use super::super::connection::{OutputOptions, field, look_in};
use super::super::printer::Printer;
use super::super::share::pair;
use crate::client::Client;
use serde_json::{Map, Value, json};

/// Types of share groups: which share types they take and what they ask of backends; for operators
#[derive(Debug, clap::Subcommand)]
pub(super) enum Type {
    /// Make a type of share groups
    Create(Create),
    /// List types of share groups
    List {
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a type of share groups and its group specs
    Show {
        /// Its name or id
        group_type: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Remove a type of share groups that no group was made with
    Delete {
        /// Its name or id
        group_type: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name
    name: String,
    /// A share type that shares of its groups may have, by name or id; may be repeated
    #[arg(long = "type", value_name = "SHARE_TYPE", required = true)]
    share_types: Vec<String>,
    /// What it asks of backends, for example consistent_snapshot_support=host; may be repeated
    #[arg(long = "spec", value_name = "KEY=VALUE", value_parser = pair)]
    specs: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputOptions,
}

impl Type {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(client, printer).await,
            Self::List { output } => {
                let listed = client.get("/v2/share-group-types").await?;
                let types = listed.get("share_group_types").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&types);
                }
                printer.table(&["id", "name"], types.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Self::Show { group_type, output } => {
                let found = client
                    .get(&format!("/v2/share-group-types/{group_type}"))
                    .await
                    .map_err(look_in("bulkhead share-group type list"))?;
                show(found.get("share_group_type").unwrap_or(&Value::Null), output, printer)
            }
            Self::Delete { group_type } => client
                .delete(&format!("/v2/share-group-types/{group_type}"))
                .await
                .map(drop)
                .map_err(look_in("bulkhead share-group type list")),
        }
    }
}

impl Create {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let specs: Map<String, Value> =
            self.specs.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let asked = json!({ "share_group_type": {
            "name": self.name, "share_types": self.share_types, "group_specs": specs,
        } });
        let made = client.post("/v2/share-group-types", &asked).await?;
        show(made.get("share_group_type").unwrap_or(&Value::Null), self.output, printer)
    }
}

fn show(group_type: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(group_type);
    }
    let mut pairs: Vec<_> =
        ["id", "name"].iter().map(|name| ((*name).to_owned(), field(group_type, name))).collect();
    let share_types = group_type.get("share_types").and_then(Value::as_array);
    for share_type in share_types.into_iter().flatten() {
        pairs.push(("share type".to_owned(), share_type.as_str().unwrap_or_default().to_owned()));
    }
    let specs = group_type.get("group_specs").and_then(Value::as_object);
    for (key, value) in specs.into_iter().flatten() {
        pairs.push((key.clone(), value.as_str().unwrap_or_default().to_owned()));
    }
    printer.pairs(&pairs);
    Ok(())
}
