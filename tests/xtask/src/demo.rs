//! `cargo xtask demo`: the newcomer's five minutes.

use crate::shell::{self, Outcome, cargo};
use crate::{guests, setup};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup::prepare()?;
    guests::build()?;
    shell::run(
        "the story of a share",
        cargo()
            .args(["run", "--quiet", "--locked", "--package", "bulkhead-tests", "--bin", "demo", "--"])
            .args(arguments),
    )
}
