//! `bulkhead store`: copies of a daemon's state, made while it runs, and put back where there is none.
//!
//! A copy is a directory with the store and the key of its ledger; without the key nobody could tell whether the records are whole. It is
//! as secret as the state directory itself. Compiled drivers are not in it: they are made again.

use super::printer::Printer;
use crate::config::DEFAULT_STATE_DIRECTORY;
use crate::daemon::StateDirectory;
use bulkhead_store::{SqliteStore, StoreFacts};
use std::path::PathBuf;

/// Copy, check and put back a daemon's state
#[derive(Debug, clap::Args)]
pub(crate) struct StoreCommand {
    /// The daemon's state directory
    #[arg(
        long,
        global = true,
        env = "BULKHEAD_STATE",
        default_value = DEFAULT_STATE_DIRECTORY,
        value_name = "DIRECTORY",
        help_heading = "Which daemon"
    )]
    state: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Copy the state into a new directory; the daemon may go on meanwhile
    Backup {
        /// The directory to make; as secret as the state directory
        into: PathBuf,
    },
    /// Put a copy into the state directory, which must hold no state and be no running daemon's
    Restore {
        /// The directory of the copy; it stays
        from: PathBuf,
    },
    /// Read the store through; the daemon may go on meanwhile
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl StoreCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        // Nothing else is to be done meanwhile.
        tokio::task::block_in_place(|| self.act(printer))
    }

    fn act(self, printer: &Printer) -> anyhow::Result<()> {
        match self.verb {
            Verb::Backup { into } => {
                let from = StateDirectory::find(&self.state)?;
                let to = StateDirectory::open(&into)?;
                let facts = SqliteStore::back_up(&from.store(), &to.store())?;
                from.copy_kept_files(&to)?;
                to.copy_tenure(&from)?;
                printer.note(&format!("copied {} into {}", told(facts), into.display()));
            }
            Verb::Restore { from } => {
                let source = StateDirectory::find(&from)?;
                let to = StateDirectory::open(&self.state)?;
                let facts = SqliteStore::restore(&source.store(), &to.store())?;
                source.copy_kept_files(&to)?;
                to.succeed(&source)?;
                printer.note(&format!(
                    "put {} into {}\nwhat was made or removed at the backends since the copy is not in it: end the daemon with the \
                     newer state, which is refused its roots once this one has loaded them; then look at 'bulkhead backend show' and \
                     ensure each backend",
                    told(facts),
                    self.state.display()
                ));
            }
            Verb::Check { json } => {
                let facts = SqliteStore::check(&StateDirectory::find(&self.state)?.store())?;
                if json {
                    let (format, revision, entries) = (facts.format, facts.revision, facts.entries);
                    return printer.json(
                        &serde_json::json!({ "format": format, "revision": revision, "entries": entries }),
                    );
                }
                printer.data(&format!("sound: {}", told(facts)));
            }
        }
        Ok(())
    }
}

fn told(facts: StoreFacts) -> String {
    let StoreFacts { format, revision, entries } = facts;
    format!("a store of format {format} with {entries} entries at revision {revision}")
}
