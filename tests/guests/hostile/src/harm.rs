//! Behaviours that waste what a call is given, or end it badly.

use crate::behaviour::Told;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Result, Slots, clock, execute, lock, log};
use std::hint::black_box;
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;

/// Do what is told, if it is one of these.
pub(crate) fn act(told: &Told) -> Result<()> {
    if told.is("loop") {
        spin();
    }
    if told.is("host-calls") {
        call_the_host();
    }
    if told.is("sleep") {
        sleep();
    }
    if told.is("hold-lock") {
        let _held = lock::acquire("everybody waits for this", Duration::from_secs(3600))?;
        sleep();
    }
    if told.is("memory") {
        grow_memory();
    }
    if told.is("stack") {
        recurse(0);
    }
    if told.is("trap") {
        trap();
    }
    flood(told);
    Ok(())
}

fn spin() -> ! {
    let mut round = 0_u64;
    loop {
        round = black_box(round.wrapping_add(1));
    }
}

fn call_the_host() -> ! {
    loop {
        black_box(clock::now_ms());
    }
}

fn sleep() -> ! {
    loop {
        clock::sleep(Duration::from_secs(3600));
    }
}

/// Page by page, each touched, until there is none: 4 GiB is all a 32-bit memory can have.
fn grow_memory() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; MEBIBYTE]));
    }
}

/// Until the stack is gone; the compiler must not see that there is no other end.
fn recurse(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        return 0;
    }
    let here = black_box([depth; 64]);
    let below = recurse(depth.wrapping_add(1));
    below.wrapping_add(here.iter().sum::<u64>())
}

#[expect(clippy::panic, reason = "the behaviour is a trap")]
fn trap() -> ! {
    panic!("told to trap")
}

/// Too much in one host call, or in many. Whatever the host answers, the driver goes on as if nothing had happened.
fn flood(told: &Told) {
    let large = |size: usize| "x".repeat(size);
    if told.is("log-flood") {
        for number in 0..100_000 {
            log::error(&format!("\u{1b}[2J\u{1b}[31m{number} \u{202e}forged\r\n2026-01-01 INFO all is well"));
        }
    }
    if told.is("huge-log-line") {
        log::info(&large(16 * MEBIBYTE));
    }
    if told.is("huge-key") {
        private_data::set(&Owner::Backend, &large(16 * MEBIBYTE), "x", Expected::Anything).ok();
    }
    if told.is("huge-value") {
        private_data::set(&Owner::Backend, "value", &large(MEBIBYTE), Expected::Anything).ok();
    }
    if told.is("many-keys") {
        for number in 0..100_000 {
            if private_data::set(&Owner::Backend, &format!("filler/{number}"), "x", Expected::Anything)
                .is_err()
            {
                break;
            }
        }
    }
    if told.is("huge-pattern") {
        files::status(&Path::new("shares", &large(16 * MEBIBYTE))).ok();
    }
    if told.is("huge-slot") {
        execute::run("copy-tree", Slots::new().text("from", large(16 * MEBIBYTE))).ok();
    }
    if told.is("many-slots") {
        let slots = (0..200_000).fold(Slots::new(), |slots, _| slots.unsigned("from", 1));
        execute::run("copy-tree", slots).ok();
    }
    if told.is("many-locks") {
        let names = 0..10_000;
        let held: Vec<_> =
            names.map(|number| lock::acquire(&number.to_string(), Duration::from_millis(1))).collect();
        black_box(held);
    }
}
