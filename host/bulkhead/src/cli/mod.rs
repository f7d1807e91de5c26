//! The command line: one subcommand a file. Stdout is data, everything else goes to stderr.

mod access;
mod audit;
mod backend;
mod config;
mod connection;
mod doctor;
mod driver;
mod exit;
mod migrate;
mod operation;
mod printer;
mod replica;
mod security_service;
mod serve;
mod share;
mod share_group;
mod share_network;
mod share_server;
mod share_type;
mod snapshot;
mod snapshot_rules;
mod store;

use clap::Parser;
use connection::ConnectionOptions;
use printer::Printer;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs storage vendors' share drivers as sandboxed WebAssembly components
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Serve),
    Driver(driver::DriverCommand),
    Backend(backend::BackendCommand),
    Share(share::ShareCommand),
    ShareGroup(share_group::ShareGroupCommand),
    ShareNetwork(share_network::ShareNetworkCommand),
    SecurityService(security_service::SecurityServiceCommand),
    ShareServer(share_server::ShareServerCommand),
    ShareType(share_type::ShareTypeCommand),
    Replica(replica::ReplicaCommand),
    Snapshot(snapshot::SnapshotCommand),
    Access(access::AccessCommand),
    Operation(operation::OperationCommand),
    Audit(audit::AuditCommand),
    Store(store::StoreCommand),
    Config(config::ConfigCommand),
    Doctor(doctor::Doctor),
}

impl Command {
    async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Driver(command) => command.run(printer).await,
            Self::Backend(command) => command.run(printer).await,
            Self::Share(command) => command.run(printer).await,
            Self::ShareGroup(command) => command.run(printer).await,
            Self::ShareNetwork(command) => command.run(printer).await,
            Self::SecurityService(command) => command.run(printer).await,
            Self::ShareServer(command) => command.run(printer).await,
            Self::ShareType(command) => command.run(printer).await,
            Self::Replica(command) => command.run(printer).await,
            Self::Snapshot(command) => command.run(printer).await,
            Self::Access(command) => command.run(printer).await,
            Self::Operation(command) => command.run(printer).await,
            Self::Audit(command) => command.run(printer).await,
            Self::Store(command) => command.run(printer).await,
            Self::Config(command) => command.run(printer),
            Self::Doctor(command) => command.run(printer),
        }
    }
}

/// Parse, run, and say how it went.
pub(crate) fn main() -> ExitCode {
    let printer = Printer::new();
    let cli = match Cli::try_parse_from(command_first(std::env::args_os())) {
        Ok(cli) => cli,
        Err(usage) => return exit::usage(&usage),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::failure(&exit::Unexpected::error("no threads can be started", error), &printer);
        }
    };
    match runtime.block_on(cli.command.run(&printer)).and_then(|()| printer.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failure(&error, &printer),
    }
}

/// The words of a command line, in which options that say which daemon may stand before the command: there they are no options of those
/// commands that talk to none.
fn command_first(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter().peekable();
    let mut ordered: Vec<OsString> = words.next().into_iter().collect();
    let mut early = Vec::new();
    while let Some(option) = words.next_if(|word| ConnectionOptions::begin_with(word)) {
        let has_value = option.to_string_lossy().contains('=');
        early.push(option);
        if !has_value {
            early.extend(words.next());
        }
    }
    ordered.extend(words.next());
    ordered.extend(early);
    ordered.extend(words);
    ordered
}

#[cfg(test)]
mod tests {
    use super::{Cli, command_first};
    use clap::{CommandFactory, Parser};
    use std::ffi::OsString;

    /// The words as they are parsed, and whether they are a command.
    fn parsed(line: &str) -> (String, bool) {
        let words = command_first(line.split(' ').map(OsString::from));
        let joined: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        (joined.join(" "), Cli::try_parse_from(&words).is_ok())
    }

    #[test]
    fn which_daemon_is_said_before_the_command_as_well_as_behind_it() {
        let behind = "bulkhead share --state /s --project=blue list --json".to_owned();
        assert_eq!(parsed("bulkhead --state /s --project=blue share list --json"), (behind.clone(), true));
        assert_eq!(parsed(&behind), (behind, true));
        for noun in ["backend list", "share-server list", "store backup /b", "audit tail", "operation list"] {
            assert!(parsed(&format!("bulkhead --state /s {noun}")).1, "{noun}");
        }
        for refused in [
            "bulkhead --state",
            "bulkhead --state /s",
            "bulkhead --state /s serve",
            "bulkhead --stat /s share list",
        ] {
            assert!(!parsed(refused).1, "{refused}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
