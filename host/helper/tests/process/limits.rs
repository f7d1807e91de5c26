use crate::helper::{Helper, Request, Token};
use bulkhead_helper::protocol::{Ending, FromHelper, MOST_COMMANDS};
use bulkhead_model::error::CapabilityCode;
use serde_json::json;
use std::time::{Duration, Instant};

fn resident_kib(helper: &Helper) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", helper.process.id())).expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_flood_is_cut_and_ended_and_costs_little_memory() {
    let mut helper = Helper::start(&[]);
    helper.run(Request::victim(&["flood", "1000"])).expect("it runs");
    let before = resident_kib(&helper);
    let finished = helper.run(Request::victim(&["flood", "1000000000"])).expect("it runs");
    assert_eq!((finished.ending, finished.truncated), (Ending::Flooded, true));
    assert_eq!(finished.stdout.len(), 1 << 20);
    let rise = resident_kib(&helper).saturating_sub(before);
    assert!(rise <= 4096, "{rise} KiB");
}

#[test]
fn output_is_kept_up_to_the_limit_of_the_template() {
    let mut helper = Helper::start(&[]);
    let finished =
        helper.run(Request::victim(&["flood", "1000"]).with("capture", json!(10))).expect("it runs");
    assert_eq!((finished.ending, finished.truncated, finished.stdout.len()), (Ending::Exited(0), true, 10));
    let whole =
        helper.run(Request::victim(&["flood", "1000"]).with("capture", json!(1000))).expect("it runs");
    assert_eq!((whole.truncated, whole.stdout.len()), (false, 1000));
}

#[test]
fn a_command_that_does_not_read_its_input_is_not_waited_for() {
    let mut helper = Helper::start(&[]);
    let input = "x".repeat(1 << 20);
    let request = Request::victim(&["sleep"]).with("stdin", json!(input)).timeout(Duration::from_millis(300));
    let begun = Instant::now();
    assert_eq!(helper.run(request).expect("it runs").ending, Ending::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(4));
    let more = "x".repeat((1 << 20) + 1);
    let refused =
        helper.run(Request::victim(&["sleep"]).with("stdin", json!(more))).expect_err("it is refused");
    assert_eq!(refused.code, CapabilityCode::InvalidArgument);
}

#[test]
fn address_space_is_bounded() {
    let mut helper = Helper::start(&[]);
    let ending = helper.run(Request::victim(&["take-memory"])).expect("it runs").ending;
    assert_eq!(ending, Ending::Signalled(rustix::process::Signal::ABORT.as_raw()));
}

#[test]
fn one_command_too_many_is_refused_as_busy_and_the_others_go_on() {
    let mut helper = Helper::start(&[]);
    let token = Token::new();
    for _ in 0..MOST_COMMANDS {
        helper.begin_and_wait(Request::victim(&["sleep"]).with("env", token.variable()));
    }
    let refused = helper.run(Request::victim(&["sleep"])).expect_err("it is refused");
    assert_eq!(refused.code, CapabilityCode::Busy);
    token.wait_for(MOST_COMMANDS);
    helper.close();
    assert_eq!(token.carriers(), 0);
}

#[test]
fn commands_run_at_once() {
    let mut helper = Helper::start(&[]);
    let begun = Instant::now();
    let mut open: Vec<u64> = (0..10).map(|_| helper.begin(Request::victim(&["sleep-a-little"]))).collect();
    while !open.is_empty() {
        match helper.receive() {
            FromHelper::Started { .. } => {}
            FromHelper::Finished { id, .. } => open.retain(|other| *other != id),
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
}
