//! `bulkhead share migrate`.

use super::connection::{OutputOptions, field, find};
use super::printer::Printer;
use crate::client::Client;
use serde_json::{Value, json};

/// What can be done to move a share.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Migrate {
    /// Begin to move a share to another pool or backend; clients may read meanwhile
    Start(Start),
    /// Cut over to the new place once the first phase is done
    Complete {
        /// The share's name or id
        share: String,
    },
    /// Stop, and leave the share as it was
    Cancel {
        /// The share's name or id
        share: String,
    },
    /// Tell how far the latest migration is
    Progress {
        /// The share's name or id
        share: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Tell how to mount a share from outside, to copy it by hand where neither its driver nor the host can move it
    Connection {
        /// The share's name or id
        share: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Overrule the word that tells how far the latest migration is
    ResetTaskState {
        /// The share's name or id
        share: String,
        /// The word, for example migration_error; none takes it away
        state: Option<String>,
    },
}

/// Where to, and what has to be kept.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Start {
    /// The share's name or id
    share: String,
    /// Where to: BACKEND or BACKEND#POOL
    to: String,
    /// Fail if clients cannot write meanwhile
    #[arg(long)]
    writable: bool,
    /// Fail if not all file metadata survive
    #[arg(long)]
    preserve_metadata: bool,
    /// Fail if clients notice
    #[arg(long)]
    nondisruptive: bool,
    /// Fail if snapshots do not move along
    #[arg(long)]
    preserve_snapshots: bool,
    /// Let the host copy, whatever the driver could do
    #[arg(long, conflicts_with_all = ["writable", "preserve_metadata", "nondisruptive", "preserve_snapshots"])]
    force_host_assisted: bool,
    /// The share type it shall have afterwards
    #[arg(long = "type", value_name = "TYPE")]
    share_type: Option<String>,
}

async fn act(client: &Client, share: &str, action: Value) -> anyhow::Result<Value> {
    let id = find(client, "shares", "share", share).await?;
    client.post_experimental(&format!("/v2/shares/{id}/action"), &action).await
}

impl Migrate {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Start(start) => start.run(client, printer).await,
            Self::Complete { share } => {
                act(client, &share, json!({ "migration_complete": null })).await?;
                printer.note("asked for; 'bulkhead share show' tells when it has moved");
                Ok(())
            }
            Self::Cancel { share } => {
                act(client, &share, json!({ "migration_cancel": null })).await?;
                printer.note("asked for; 'bulkhead share show' tells when it is as before");
                Ok(())
            }
            Self::Progress { share, output } => {
                let progress = act(client, &share, json!({ "migration_get_progress": null })).await?;
                if output.json {
                    return printer.json(&progress);
                }
                let shown = ["task_state", "total_progress"];
                printer.pairs(&shown.map(|name| (name.to_owned(), field(&progress, name))));
                Ok(())
            }
            Self::Connection { share, output } => {
                let id = find(client, "shares", "share", &share).await?;
                let answer = client.get(&format!("/v1/shares/{id}/connection")).await?;
                let found = answer.get("connection").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&found);
                }
                let shown = ["mount", "unmount", "access_mapping"];
                printer.pairs(&shown.map(|name| (name.to_owned(), field(&found, name))));
                Ok(())
            }
            Self::ResetTaskState { share, state } => {
                act(client, &share, json!({ "reset_task_state": { "task_state": state } })).await.map(drop)
            }
        }
    }
}

impl Start {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let action = json!({ "migration_start": {
            "host": self.to,
            "writable": self.writable,
            "preserve_metadata": self.preserve_metadata,
            "nondisruptive": self.nondisruptive,
            "preserve_snapshots": self.preserve_snapshots,
            "force_host_assisted_migration": self.force_host_assisted,
            "new_share_type_id": self.share_type,
        } });
        act(client, &self.share, action).await?;
        printer.note("begun; 'bulkhead share migrate progress' tells how far it is");
        Ok(())
    }
}
