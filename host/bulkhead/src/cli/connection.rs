//! How commands reach the daemon, and how they wait for what it does.

use super::printer::Printer;
use crate::client::{Client, Refusal};
use crate::config::DEFAULT_STATE_DIRECTORY;
use anyhow::{Context, anyhow, bail};
use bulkhead_model::id::ProjectId;
use bulkhead_model::size::Gibibytes;
use hyper::StatusCode;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of every command that talks to the daemon.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConnectionOptions {
    /// The daemon's state directory, with its socket
    #[arg(
        long,
        global = true,
        env = "BULKHEAD_STATE",
        default_value = DEFAULT_STATE_DIRECTORY,
        value_name = "DIRECTORY",
        help_heading = "Which daemon"
    )]
    state: PathBuf,
    /// The project to act in
    #[arg(
        long,
        global = true,
        env = "BULKHEAD_PROJECT",
        default_value = "default",
        help_heading = "Which daemon"
    )]
    project: ProjectId,
}

impl ConnectionOptions {
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.state, self.project.as_str())
    }

    /// Whether `word` is one of these options, with or without its value.
    pub(crate) fn begin_with(word: &OsStr) -> bool {
        let text = word.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        matches!(name, "--state" | "--project")
    }
}

/// Whether a command returns at once or when the work is done.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WaitOptions {
    /// Return as soon as the daemon has taken the request
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after this many seconds; the work goes on
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    timeout: u64,
}

/// How a command writes what it read.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct OutputOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// From when on a wait is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// What a wait ends with.
pub(crate) enum Rest {
    /// The resource, in a status that does not change by itself.
    Found(Value),
    /// It is gone.
    Gone,
}

impl WaitOptions {
    /// Whether the caller sees the end of the work.
    pub(crate) const fn waits(&self) -> bool {
        !self.no_wait
    }

    /// Wait until the resource at `path` rests; at once if the user does not want to wait.
    pub(crate) async fn rest(
        &self,
        client: &Client,
        path: &str,
        envelope: &str,
        printer: &Printer,
    ) -> anyhow::Result<Rest> {
        let look = async || match client.get(path).await {
            Ok(mut answer) => answer
                .get_mut(envelope)
                .map(|found| Some(found.take()))
                .context("the daemon's answer lacks the resource"),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        };
        self.rest_of(printer, look).await
    }

    /// The same for whatever `look` finds; none is gone.
    pub(crate) async fn rest_of(
        &self,
        printer: &Printer,
        look: impl AsyncFn() -> anyhow::Result<Option<Value>>,
    ) -> anyhow::Result<Rest> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let Some(found) = look().await? else { return Ok(Rest::Gone) };
            let status = status_of(&found);
            if self.no_wait || !is_transient(&status) {
                return Ok(Rest::Found(found));
            }
            if began.elapsed() > WORTH_A_WORD && told != status {
                printer.note(&format!("{status} …"));
                told.clone_from(&status);
            }
            if began.elapsed().as_secs() >= self.timeout {
                bail!(
                    "still {status} after {} s; the work goes on\nhint: see 'bulkhead operation list'",
                    self.timeout
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Wait until the resource is there and well.
    pub(crate) async fn settled(
        &self,
        client: &Client,
        path: &str,
        envelope: &str,
        printer: &Printer,
    ) -> anyhow::Result<Value> {
        match self.rest(client, path, envelope, printer).await? {
            Rest::Found(found) => {
                let status = status_of(&found);
                if status.contains("error") {
                    let words = format!(
                        "it is {status}\nhint: 'bulkhead operation list' shows what failed, 'bulkhead audit tail' what the driver did"
                    );
                    return Err(match failure_of(client, &found).await {
                        Some(why) => anyhow!(why).context(words),
                        None => anyhow!(words),
                    });
                }
                Ok(found)
            }
            Rest::Gone => bail!("it is gone"),
        }
    }

    /// Wait until the resource is gone.
    pub(crate) async fn vanished(
        &self,
        client: &Client,
        path: &str,
        envelope: &str,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        match self.rest(client, path, envelope, printer).await? {
            Rest::Gone => Ok(()),
            Rest::Found(_) if self.no_wait => Ok(()),
            Rest::Found(found) => bail!(
                "it is still there, and is {}\nhint: 'bulkhead operation list' shows what failed",
                status_of(&found)
            ),
        }
    }
}

/// Why the newest operation that failed on the resource's share or group did; none if that is not told to whoever asks.
async fn failure_of(client: &Client, resource: &Value) -> Option<String> {
    let share = ["share_id", "share_group_id", "id"].iter().find_map(|name| given(resource, name))?;
    let listed = client.get("/v1/operations?most=100").await.ok()?;
    let is_about =
        |one: &&Value| ["share", "group", "server"].iter().find_map(|name| one.get(*name)) == Some(share);
    let failures = listed.get("operations")?.as_array()?.iter().filter(is_about);
    let failure =
        failures.filter_map(|operation| operation.get("failure")).find(|failure| !failure.is_null())?;
    Some(field(failure, "message"))
}

fn given<'a>(resource: &'a Value, name: &str) -> Option<&'a Value> {
    resource.get(name).filter(|value| !value.is_null())
}

/// The status or state of a resource.
pub(crate) fn status_of(resource: &Value) -> String {
    let status = resource.get("status").or_else(|| resource.get("state")).and_then(Value::as_str);
    status.unwrap_or("unknown").to_owned()
}

fn is_transient(status: &str) -> bool {
    status.ends_with("ing")
        || status.starts_with("queued_")
        || matches!(
            status,
            "creating_from_snapshot" | "reverting_to_snapshot" | "replication_change" | "migrating_to"
        )
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND)
}

/// Where to look for what was not found by its id; other errors stay as they are.
pub(crate) fn look_in(command: &str) -> impl FnOnce(anyhow::Error) -> anyhow::Error {
    move |error| {
        if is_not_found(&error) { anyhow!("{error}\nhint: '{command}' shows what there is") } else { error }
    }
}

/// A size in GiB, as a word of the command line.
pub(crate) fn gibibytes(text: &str) -> Result<u64, String> {
    let size = text.parse().ok().and_then(|size| Gibibytes::new(size).ok());
    size.map(Gibibytes::get)
        .ok_or_else(|| format!("write a whole number of GiB from 1 to {}", Gibibytes::LARGEST))
}

/// The id of the resource that `name` names: its id, or the name of exactly one.
pub(crate) async fn find(
    client: &Client,
    collection: &str,
    kind: &str,
    name: &str,
) -> anyhow::Result<String> {
    if name.parse::<bulkhead_model::id::ShareId>().is_ok() {
        return Ok(name.to_owned());
    }
    let listed = client.get(&format!("/v2/{collection}")).await?;
    let all = listed
        .get(collection.replace('-', "_"))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let named = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(name);
    let mut found = all.iter().filter(named).filter_map(|one| one.get("id").and_then(Value::as_str));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.to_owned()),
        (Some(_), Some(_)) => bail!("more than one {kind} is named '{name}'\nhint: name it by its id"),
        (None, _) => bail!(
            "there is no {kind} '{name}' in this project\nhint: 'bulkhead {kind} list' shows what there is in it; \
             --project NAME acts in another one"
        ),
    }
}

/// A field of a resource as text; `-` for none.
pub(crate) fn field(resource: &Value, name: &str) -> String {
    match resource.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
