//! `bulkhead driver`: what a vendor needs.

mod answer;
mod build;
mod call;
mod check;
mod compiled;
mod embed;
mod function;
mod guest_target;
mod inspect;
mod lab;
mod new;
mod programs;
mod records;
mod trace;

use super::printer::Printer;

/// Write, build, look into and try drivers
#[derive(Debug, clap::Args)]
pub(crate) struct DriverCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    New(new::New),
    Build(build::Build),
    Embed(embed::Embed),
    Inspect(inspect::Inspect),
    Call(call::Call),
    Check(check::Check),
}

impl DriverCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        match self.verb {
            Verb::New(command) => command.run(printer),
            Verb::Build(command) => command.run(printer),
            Verb::Embed(command) => command.run(printer),
            Verb::Inspect(command) => command.run(printer),
            Verb::Call(command) => command.run(printer).await,
            Verb::Check(command) => command.run(printer).await,
        }
    }
}
