//! The command line: one subcommand a file. Stdout is data, everything else goes to stderr.

mod driver;
mod exit;
mod printer;

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
    Driver(driver::DriverCommand),
}

impl Command {
    async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Driver(command) => command.run(printer).await,
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
            return exit::failure(&exit::Unexpected::new("no threads can be started", error), &printer);
        }
    };
    match runtime.block_on(cli.command.run(&printer)) {
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
