//! `bulkhead snapshot allow|deny|rules`: who may mount a snapshot.

use super::connection::{OutputOptions, Rest, WaitOptions, field, find, look_in, status_of};
use super::printer::Printer;
use crate::client::Client;
use anyhow::{Context, bail};
use serde_json::{Value, json};

const FIELDS: [&str; 4] = ["id", "access_type", "access_to", "state"];

#[derive(Debug, clap::Args)]
pub(super) struct Allow {
    /// The snapshot's name or id
    snapshot: String,
    /// What TO is: ip, user, cert or cephx
    access_type: String,
    /// An address or network, a user, a certificate's common name, a Ceph client
    to: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct Deny {
    /// The snapshot's name or id
    snapshot: String,
    /// The rule's id
    rule: String,
    #[command(flatten)]
    wait: WaitOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rules {
    /// The snapshot's name or id
    snapshot: String,
    #[command(flatten)]
    output: OutputOptions,
}

impl Allow {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let snapshot = find(client, "snapshots", "snapshot", &self.snapshot).await?;
        let asked = json!({ "allow_access": { "access_type": self.access_type, "access_to": self.to } });
        let made = client.post(&format!("/v2/snapshots/{snapshot}/action"), &asked).await?;
        let rule = made.get("snapshot_access").context("the daemon's answer lacks the rule")?;
        let id = field(rule, "id");
        let rule = match self.wait.rest_of(printer, async || find_rule(client, &snapshot, &id).await).await? {
            Rest::Found(rule) => rule,
            Rest::Gone => bail!("the rule is gone"),
        };
        if status_of(&rule) == "error" {
            bail!("the rule is in error\nhint: 'bulkhead operation list' shows what failed");
        }
        if self.output.json {
            return printer.json(&rule);
        }
        let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(&rule, name))).collect();
        printer.pairs(&pairs);
        Ok(())
    }
}

impl Deny {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let snapshot = find(client, "snapshots", "snapshot", &self.snapshot).await?;
        client
            .post(
                &format!("/v2/snapshots/{snapshot}/action"),
                &json!({ "deny_access": { "access_id": self.rule } }),
            )
            .await
            .map_err(look_in("bulkhead snapshot rules SNAPSHOT"))?;
        let look = async || find_rule(client, &snapshot, &self.rule).await;
        match self.wait.rest_of(printer, look).await? {
            Rest::Found(rule) if self.wait.waits() => bail!(
                "the rule is still there, and is {}\nhint: 'bulkhead operation list' shows what failed",
                status_of(&rule)
            ),
            Rest::Found(_) | Rest::Gone => Ok(()),
        }
    }
}

impl Rules {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let snapshot = find(client, "snapshots", "snapshot", &self.snapshot).await?;
        let rules = list(client, &snapshot).await?;
        if self.output.json {
            return printer.json(&rules);
        }
        printer.table(&FIELDS, &rules);
        Ok(())
    }
}

async fn list(client: &Client, snapshot: &str) -> anyhow::Result<Vec<Value>> {
    let listed = client.get(&format!("/v2/snapshots/{snapshot}/access-list")).await?;
    Ok(listed.get("snapshot_access_list").and_then(Value::as_array).cloned().unwrap_or_default())
}

async fn find_rule(client: &Client, snapshot: &str, id: &str) -> anyhow::Result<Option<Value>> {
    Ok(list(client, snapshot).await?.into_iter().find(|rule| field(rule, "id") == id))
}
