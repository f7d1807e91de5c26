//! `cargo xtask test` and `soak`.

use crate::guests::Programs;
use crate::shell::{Outcome, cargo, command, run, works};
use crate::{guests, setup};

/// Install what the tests need and run them all.
pub(crate) fn test() -> Outcome {
    setup::prepare()?;
    setup::storage();
    guests::build(Programs::Tested)?;
    let python = setup::python()?;
    let mut tests = cargo();
    if works("cargo-nextest", "--version") {
        tests.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
    } else {
        tests.args([
            "test",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]);
    }
    if let Some(environment) = python {
        tests.env("BULKHEAD_TEST_PYTHON", environment);
    }
    run("the tests", &mut tests)?;
    run(
        "the examples in the documentation",
        cargo().args(["test", "--workspace", "--locked", "--doc", "--quiet"]),
    )
}

/// Kills at random moments, many of them.
pub(crate) fn soak(arguments: &[String]) -> Outcome {
    setup::prepare()?;
    setup::storage();
    guests::build(Programs::Run)?;
    run("the soak", command(guests::program("soak")).args(arguments))
}
