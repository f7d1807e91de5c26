//! `bulkhead access`.

use super::connection::{ConnectionOptions, Rest, WaitOptions, field, find, look_in, status_of};
use super::printer::Printer;
use crate::client::part;
use anyhow::{Context, bail};
use serde_json::{Value, json};

/// Who may use a share
#[derive(Debug, clap::Args)]
pub(crate) struct AccessCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Let somebody in
    Allow {
        /// The share's name or id
        share: String,
        /// What TO is: ip, user, cert or cephx
        access_type: String,
        /// An address or network, a user, a certificate's common name, a Ceph client
        to: String,
        /// rw or ro
        #[arg(long, default_value = "rw")]
        level: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Take a rule away
    Deny {
        /// The share's name or id
        share: String,
        /// The rule's id
        rule: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// List the rules of a share
    List {
        /// The share's name or id
        share: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const FIELDS: [&str; 5] = ["id", "access_type", "access_to", "access_level", "state"];

impl AccessCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Allow { share, access_type, to, level, json, wait } => {
                let share = find(&client, "shares", "share", &share).await?;
                let rule = json!({ "allow_access": { "access_type": access_type, "access_to": &to, "access_level": level } });
                let made = client.post(&format!("/v2/shares/{share}/action"), &rule).await?;
                let id = made
                    .pointer("/access/id")
                    .and_then(Value::as_str)
                    .context("the daemon's answer lacks the rule")?;
                let path = format!("/v2/share-access-rules/{id}");
                let rule = match wait.rest(&client, &path, "access", printer).await? {
                    Rest::Found(rule) => rule,
                    Rest::Gone => bail!("the rule is gone"),
                };
                if status_of(&rule) == "error" {
                    bail!(
                        "the share's backend cannot let {to} in: the rule is in error\nhint: the daemon's log says why; 'bulkhead access deny {share} {id}' takes the rule away"
                    );
                }
                if json {
                    return printer.json(&rule);
                }
                let pairs: Vec<_> =
                    FIELDS.iter().map(|name| ((*name).to_owned(), field(&rule, name))).collect();
                printer.pairs(&pairs);
                Ok(())
            }
            Verb::Deny { share, rule, wait } => {
                let share = find(&client, "shares", "share", &share).await?;
                client
                    .post(
                        &format!("/v2/shares/{share}/action"),
                        &json!({ "deny_access": { "access_id": rule } }),
                    )
                    .await
                    .map_err(look_in("bulkhead access list SHARE"))?;
                let path = format!("/v2/share-access-rules/{}", part(&rule));
                wait.vanished(&client, &path, "access", printer).await
            }
            Verb::List { share, json } => {
                let share = find(&client, "shares", "share", &share).await?;
                let listed = client.get(&format!("/v2/share-access-rules?share_id={share}")).await?;
                let rules = listed.get("access_list").cloned().unwrap_or_default();
                if json {
                    return printer.json(&rules);
                }
                printer.table(&FIELDS, rules.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
        }
    }
}
