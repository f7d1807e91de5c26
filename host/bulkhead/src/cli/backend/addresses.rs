//! `bulkhead backend addresses|release-address`: what has which address of a backend's networks, and giving one back by hand.

use crate::cli::connection::{ConnectionOptions, OutputOptions, field, look_in};
use crate::cli::printer::Printer;
use crate::client::part;
use serde_json::{Value, json};
use std::net::IpAddr;

#[derive(Debug, clap::Args)]
pub(super) struct Addresses {
    /// The backend's name
    backend: String,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReleaseAddress {
    /// The backend's name
    backend: String,
    /// An address that 'bulkhead backend addresses' shows
    address: IpAddr,
    /// Also if its driver counts on it: you have made sure that nothing answers there
    #[arg(long)]
    in_use: bool,
}

impl Addresses {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let (client, path) = (connection.client(), format!("/v1/backends/{}/addresses", part(&self.backend)));
        let mut found = client.get(&path).await.map_err(look_in("bulkhead backend list"))?;
        let mut addresses = taken(&found);
        while found.get("more") == Some(&Value::Bool(true)) {
            let Some(last) = addresses.last().map(|last| field(last, "address")) else { break };
            found = client.get(&format!("{path}?after={}", part(&last))).await?;
            addresses.extend(taken(&found));
        }
        let networks = found.get("networks").and_then(Value::as_array).cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&json!({ "networks": networks, "addresses": addresses }));
        }
        if networks.is_empty() {
            printer.note("it gives out no addresses; [[grant.networks.user]] in its file binds a network");
        }
        printer.table(&["label", "cidr", "size", "free"], &networks);
        if !addresses.is_empty() {
            printer.table(
                &["address", "cidr", "state", "server", "backend", "project", "purpose", "until"],
                &addresses,
            );
        }
        Ok(())
    }
}

fn taken(found: &Value) -> Vec<Value> {
    found.get("addresses").and_then(Value::as_array).cloned().unwrap_or_default()
}

impl ReleaseAddress {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let address = self.address.to_string();
        let query = if self.in_use { "?in_use=true" } else { "" };
        let path = format!("/v1/backends/{}/addresses/{}{query}", part(&self.backend), part(&address));
        let look = look_in("bulkhead backend addresses");
        connection.client().delete(&path).await.map_err(look)?;
        printer.note(&format!("{address} is not in use any more; it rests before others get it"));
        Ok(())
    }
}
