//! `cargo xtask measure`: what calls, commands and requests cost, in the profile that is shipped.

use crate::shell::{Outcome, cargo, command, run, target};
use crate::{guests, setup};

pub(crate) fn run_all(arguments: &[String]) -> Outcome {
    setup::prepare()?;
    guests::build(guests::Programs::Run)?;
    run(
        "building everything for speed",
        cargo().args([
            "build",
            "--release",
            "--locked",
            "--package",
            "bulkhead",
            "--package",
            "bulkhead-helper",
            "--package",
            "bulkhead-measure",
        ]),
    )?;
    run("measuring", command(target().join("release/bulkhead-measure")).args(arguments))
}
