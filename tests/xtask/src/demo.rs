//! `cargo xtask demo`: the newcomer's five minutes.

use crate::shell::{Outcome, command, run as run_command};
use crate::{guests, setup};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup::prepare()?;
    setup::storage();
    guests::build(guests::Programs::Run)?;
    run_command("the story of a share", command(guests::program("demo")).args(arguments))
}
