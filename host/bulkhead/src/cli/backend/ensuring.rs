//! `bulkhead backend ensure|usage|hook-data`: whether a backend's shares are as the records say, what they use, and what their driver
//! tells of them.

use crate::cli::connection::{ConnectionOptions, OutputOptions, Rest, WaitOptions, field, look_in};
use crate::cli::printer::Printer;
use crate::client::{Client, part};
use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub(super) struct Ensure {
    /// Its name
    backend: String,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct Usage {
    /// Its name
    backend: String,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct HookData {
    /// Its name
    backend: String,
    #[command(flatten)]
    output: OutputOptions,
}

impl Ensure {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let client = connection.client();
        let path = format!("/v1/backends/{}", part(&self.backend));
        let asked = client
            .post(&format!("{path}/ensure"), &Value::Null)
            .await
            .map_err(look_in("bulkhead backend list"))?;
        let begun = asked.get("ensuring").context("the daemon's answer lacks the ensuring")?;
        let watched = format!("{path}/ensurings/{}", part(&field(begun, "request")));
        let look = async || ensuring(&client, &watched).await.map(Some);
        let Rest::Found(ended) = self.wait.rest_of(printer, look).await? else {
            bail!("the daemon does not remember what it was asked");
        };
        if self.output.json {
            printer.json(&ended)?;
        } else {
            printer.pairs(&pairs(&ended));
        }
        match ended.pointer("/report/failure").filter(|failure| !failure.is_null()) {
            Some(failure) => Err(anyhow!(
                "{} (blame: {}): {}",
                field(failure, "code"),
                field(failure, "blame"),
                field(failure, "message")
            )
            .context("not all shares could be ensured; it is tried again by itself")),
            None => Ok(()),
        }
    }
}

/// How the ensuring stands, with a word for it that tells whether it goes on.
async fn ensuring(client: &Client, path: &str) -> anyhow::Result<Value> {
    let mut found = client.get(path).await?.get("ensuring").cloned().unwrap_or_default();
    let is_running = found.get("ended_at").is_none_or(Value::is_null);
    if let Some(fields) = found.as_object_mut() {
        fields.insert("state".to_owned(), json!(if is_running { "running" } else { "done" }));
    }
    Ok(found)
}

fn pairs(ensuring: &Value) -> Vec<(String, String)> {
    let mut pairs = vec![("state".to_owned(), field(ensuring, "state"))];
    let Some(report) = ensuring.get("report").filter(|report| !report.is_null()) else { return pairs };
    for name in ["asked", "healthy", "unanswered"] {
        pairs.push((name.to_owned(), field(report, name)));
    }
    for name in ["broken", "recovered", "reapplied"] {
        let shares = report.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<_> = shares.iter().filter_map(Value::as_str).collect();
        pairs.push((name.to_owned(), if ids.is_empty() { "-".to_owned() } else { ids.join(", ") }));
    }
    pairs
}

impl Usage {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let path = format!("/v1/backends/{}/usage", part(&self.backend));
        let listed = connection.client().get(&path).await.map_err(look_in("bulkhead backend list"))?;
        let usage = listed.get("usage").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&usage);
        }
        let rows = usage.as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            printer.note(
                "no figures; usage is gathered where the configuration's [intervals] has usage-seconds and the driver tells it",
            );
        }
        printer.table(&["share", "size", "used_gib", "gathered_at"], rows);
        Ok(())
    }
}

impl HookData {
    pub(super) async fn run(self, connection: &ConnectionOptions, printer: &Printer) -> anyhow::Result<()> {
        let path = format!("/v1/backends/{}/hook-data", part(&self.backend));
        let answer = connection.client().get(&path).await.map_err(look_in("bulkhead backend list"))?;
        let told = answer.get("hook_data").cloned().unwrap_or_default();
        if self.output.json {
            return printer.json(&told);
        }
        if let Some(failure) = told.get("failure").filter(|failure| !failure.is_null()) {
            let (code, message) = (field(failure, "code"), field(failure, "message"));
            printer.note(&format!("the last round failed, {code}: {message}"));
        }
        if told.get("told_at").is_none_or(Value::is_null) {
            printer.note(
                "nothing was told; hooks run where the configuration's [intervals] has hook-seconds and the driver tells them something",
            );
        }
        let shares = told.get("shares").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        printer.table(&["share", "key", "value"], &rows(shares));
        Ok(())
    }
}

/// One row for each pair; a share that nothing was told of has one of its own.
fn rows(shares: &[Value]) -> Vec<Value> {
    let mut rows = Vec::new();
    for share in shares {
        let id = field(share, "share");
        let data = share.get("data").and_then(Value::as_object).filter(|data| !data.is_empty());
        match data {
            Some(data) => rows
                .extend(data.iter().map(|(key, value)| json!({ "share": id, "key": key, "value": value }))),
            None => rows.push(json!({ "share": id })),
        }
    }
    rows
}
