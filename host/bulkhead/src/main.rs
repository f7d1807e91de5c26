//! The `bulkhead` program: parse, dispatch, exit code.
#![forbid(unsafe_code)]

mod cli;
mod client;
mod config;
mod daemon;
mod log;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
