//! `cargo xtask demo|test|check|soak|measure|guests`: the commands of this repository.
//!
//! Each installs what it needs, says so, and can be repeated. Nothing here has dependencies: it must run on a machine that has
//! only cargo.
#![forbid(unsafe_code)]
#![expect(clippy::print_stderr, reason = "a developer's command: what it does is told on standard error")]

mod check;
mod demo;
mod guests;
mod measure;
mod setup;
mod shell;
mod verify;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  demo     build everything, start the daemon, and tell the whole story of a share: over NFS as root, else on directories
  test     install what the tests need and run them all
  check    formatting, lints, documentation and licences, each with warnings denied
  soak     what takes long: 1,000 kills at random moments, on directories and on real storage; every crash point of every story;
           1,000 power cuts; a million steps of the simulation
           [--seed N] [--daemon-kills N] [--helper-kills N]
           [--storage-daemon-kills N] [--storage-helper-kills N] [--storage-ganesha-kills N]
  measure  what a call, a command and a request cost, each beside its peer in the same run
           [--rounds N]
  guests   build the drivers of this repository into target/guests

Everything is built below target/. Packages are installed with apt-get where it is there and this is root; elsewhere the
command says what to install.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "demo" => demo::run(rest),
        "test" => verify::test(),
        "check" => check::run(),
        "soak" => verify::soak(rest),
        "measure" => measure::run_all(rest),
        "guests" => setup::prepare().and_then(|()| guests::build(guests::Programs::Run)),
        "help" | "--help" | "-h" => {
            eprintln!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: there is no command '{other}'\n\n{HELP}");
            return ExitCode::from(1);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
