//! `bulkhead operation`.

use super::connection::{ConnectionOptions, OutputOptions, field, look_in};
use super::printer::Printer;
use crate::client::part;
use serde_json::Value;

/// What the daemon is doing, did, and cannot do yet
#[derive(Debug, clap::Args)]
pub(crate) struct OperationCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List operations, newest first
    List {
        /// Only those that run or wait
        #[arg(long)]
        unfinished: bool,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        most: usize,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show an operation: its step, its progress, why it waits or failed
    Show {
        /// Its id
        operation: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Try again now, instead of when its time comes
    Retry {
        /// Its id
        operation: String,
    },
    /// End it as failed; its resource carries the error status
    Abandon {
        /// Its id
        operation: String,
    },
}

const LIST: &str = "bulkhead operation list";
const COLUMNS: [&str; 6] = ["id", "verb", "subject", "backend", "state", "step"];
const FIELDS: [&str; 12] = [
    "id",
    "verb",
    "subject",
    "project",
    "backend",
    "request",
    "state",
    "step",
    "attempts",
    "deadline_at",
    "created_at",
    "updated_at",
];

impl OperationCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::List { unfinished, most, output } => {
                let listed =
                    client.get(&format!("/v1/operations?most={most}&unfinished={unfinished}")).await?;
                let mut operations = listed.get("operations").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&operations);
                }
                operations.as_array_mut().into_iter().flatten().for_each(name_subject);
                printer.table(&COLUMNS, operations.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Verb::Show { operation, output } => {
                let path = format!("/v1/operations/{}", part(&operation));
                let found = client.get(&path).await.map_err(look_in(LIST))?;
                show(&found, output, printer)
            }
            Verb::Retry { operation } => {
                let path = format!("/v1/operations/{}/retry", part(&operation));
                let changed = client.post(&path, &Value::Null).await.map_err(look_in(LIST))?;
                show(&changed, OutputOptions { json: false }, printer)
            }
            Verb::Abandon { operation } => {
                let path = format!("/v1/operations/{}/abandon", part(&operation));
                let changed = client.post(&path, &Value::Null).await.map_err(look_in(LIST))?;
                show(&changed, OutputOptions { json: false }, printer)
            }
        }
    }
}

/// What an operation is about: a share, or the share group or share server of one that is about that.
fn name_subject(operation: &mut Value) {
    let subject = ["share", "group", "server"].iter().find_map(|kind| operation.get(*kind)).cloned();
    if let (Some(fields), Some(subject)) = (operation.as_object_mut(), subject) {
        fields.insert("subject".to_owned(), subject);
    }
}

fn show(answer: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    let operation = answer.get("operation").unwrap_or(&Value::Null);
    if output.json {
        return printer.json(operation);
    }
    let mut operation = operation.clone();
    name_subject(&mut operation);
    let operation = &operation;
    let mut pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(operation, name))).collect();
    if let Some(failure) = operation.get("failure").filter(|failure| !failure.is_null()) {
        for name in ["code", "blame", "message"] {
            pairs.push((format!("failure {name}"), field(failure, name)));
        }
    }
    printer.pairs(&pairs);
    Ok(())
}
