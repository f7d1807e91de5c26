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

/// What takes long: every crash point of every story, many kills at random moments, addresses kept and given back, a link over SSH
/// that is cut, a thousand calls of an array whose sessions end, ten share servers beside a script that makes ten, power cuts, and a million steps of the simulation.
pub(crate) fn soak(arguments: &[String]) -> Outcome {
    setup::prepare()?;
    setup::storage();
    guests::build(Programs::Run)?;
    run("kills at random moments", command(guests::program("soak")).args(arguments))?;
    let one_test = |package_test: &str, name: &str| {
        let mut test = cargo();
        // Of the workspace, for the same features everywhere.
        test.args(["test", "--workspace", "--locked", "--test", package_test, name, "--", "--nocapture"]);
        test
    };
    run("every crash point", &mut one_test("manager", "crash_at_any_step"))?;
    let rounds = "sixteen_workers_never_have_an_address_twice_in_a_hundred_thousand_rounds";
    run("addresses, a hundred thousand rounds", one_test("capability", rounds).arg("--include-ignored"))?;
    let cuts = "operations_converge_while_the_link_is_cut_a_hundred_times_in_their_middle";
    run("a hundred cuts of a link over SSH", one_test("nfs", cuts).arg("--include-ignored"))?;
    let servers = "ten_share_servers_take_at_most_two_and_a_half_times_what_a_script_takes_for_them";
    run("ten share servers beside a script", one_test("nfs", servers).arg("--include-ignored"))?;
    let calls = "a_thousand_calls_outlive_the_twenty_seconds_of_an_arrays_session_again_and_again";
    run("a thousand calls of an array", one_test("daemon", calls).arg("--include-ignored"))?;
    run("power cuts", one_test("store", "power").env("BULKHEAD_POWER_CUTS", "1000"))?;
    run("the simulation", one_test("manager", "simulation").env("BULKHEAD_SIMULATION_STEPS", "1000000"))
}
