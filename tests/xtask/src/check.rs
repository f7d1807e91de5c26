//! `cargo xtask check`: everything that is checked without running the programs.

use crate::shell::{Outcome, cargo, run as run_command, works};

pub(crate) fn run() -> Outcome {
    run_command("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    run_command(
        "lints",
        cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )?;
    run_command(
        "documentation",
        cargo().env("RUSTDOCFLAGS", "--deny warnings").args([
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--document-private-items",
        ]),
    )?;
    if works("cargo-deny", "--version") {
        run_command("dependencies", cargo().args(["deny", "check", "bans", "licenses", "sources"]))
    } else {
        eprintln!(
            "WARNING: cargo-deny is not installed, so duplicate crates, licences and sources were NOT checked."
        );
        eprintln!("         type: cargo install --locked cargo-deny");
        Ok(())
    }
}
