//! `bulkhead audit`.

use super::connection::{ConnectionOptions, field, look_in};
use super::printer::Printer;
use crate::client::part;
use serde_json::Value;

/// What drivers did and what changed
#[derive(Debug, clap::Args)]
pub(crate) struct AuditCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the newest records of the ledger, oldest first
    Tail {
        /// Those of this backend only
        #[arg(long)]
        backend: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        most: usize,
        /// Print JSON, one record a line
        #[arg(long)]
        json: bool,
    },
}

impl AuditCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Tail { backend, most, json } => {
                let only = backend.map(|name| format!("&backend={}", part(&name))).unwrap_or_default();
                let answer = client
                    .get(&format!("/v1/ledger?most={most}{only}"))
                    .await
                    .map_err(look_in("bulkhead backend list"))?;
                for record in
                    answer.get("records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
                {
                    printer.data(&if json {
                        record.to_string()
                    } else {
                        sentence(record).trim_end().to_owned()
                    });
                }
                Ok(())
            }
        }
    }
}

/// A record on one line.
fn sentence(record: &Value) -> String {
    let entry = record.get("entry").unwrap_or(&Value::Null);
    let head = format!("{}  {}#{}", field(record, "at"), field(record, "chain"), field(record, "sequence"));
    match entry.get("kind").and_then(Value::as_str) {
        Some("effect") => {
            let function = entry.pointer("/origin/function").and_then(Value::as_str).unwrap_or("-");
            format!(
                "{head}  {:<7} {} {} in {function}  {}",
                field(entry, "outcome"),
                field(entry, "capability"),
                field(entry, "subject"),
                field(entry, "detail")
            )
        }
        _ => format!(
            "{head}  {} {} by {}",
            field(entry, "resource"),
            field(entry, "change"),
            field(entry, "actor")
        ),
    }
}
