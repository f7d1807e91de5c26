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
use printer::Printer;
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
    let cli = match Cli::try_parse() {
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

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
