use crate::helper::{Helper, METHODS, Request, Token, is_as_asked};
use bulkhead_helper::protocol::{Ending, FromHelper, JobCall, PipeFinished, PipeRequest, ToHelper};
use bulkhead_model::error::CapabilityCode;
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

fn endings(finished: &PipeFinished) -> Vec<Ending> {
    finished.stages.iter().map(|stage| stage.ending).collect()
}

fn ending(finished: &PipeFinished) -> Ending {
    finished.decisive().expect("a stage").ending
}

fn copy() -> Request {
    Request::victim(&["copy-input"])
}

#[test]
fn stages_feed_each_other_and_the_last_ones_output_is_kept() {
    for arguments in METHODS {
        let mut helper = Helper::start(arguments);
        if !is_as_asked(&helper, arguments) {
            continue;
        }
        let stages = vec![Request::victim(&["flood", "3000000"]), copy(), Request::victim(&["count-input"])];
        let finished = helper.pipe(stages).expect("it runs");
        assert_eq!(endings(&finished), [Ending::Exited(0); 3]);
        assert!(finished.success());
        let outputs: Vec<&[u8]> = finished.stages.iter().map(|stage| stage.stdout.as_slice()).collect();
        assert_eq!(outputs, [b"".as_slice(), b"", b"3000000\n"]);
    }
}

#[test]
fn a_first_stage_that_fails_ends_the_others_and_is_the_one_that_failed() {
    let mut helper = Helper::start(&[]);
    let token = Token::new();
    let last = Request::victim(&["sleep"]).with("env", token.variable());
    let begun = Instant::now();
    let finished =
        helper.pipe(vec![Request::victim(&["flood-and-exit", "1000", "7"]), copy(), last]).expect("it runs");
    assert_eq!(endings(&finished), [Ending::Exited(7), Ending::Cancelled, Ending::Cancelled]);
    assert_eq!((ending(&finished), finished.success()), (Ending::Exited(7), false));
    assert_eq!(finished.stages[0].stderr, b"gave up\n");
    assert_eq!(token.carriers(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn the_end_of_a_stage_that_failed_is_not_the_end_of_what_the_next_one_reads() {
    let mut helper = Helper::start(&[]);
    // The reader would succeed at once if it saw an end of its input.
    for first in [Request::victim(&["flood-and-exit", "1000", "1"]), Request::victim(&["die-by", "abort"])] {
        let finished = helper.pipe(vec![first, Request::victim(&["count-input"])]).expect("it runs");
        assert_eq!(finished.stages[1].ending, Ending::Cancelled);
        assert_eq!(finished.stages[1].stdout, b"");
    }
}

#[test]
fn a_last_stage_that_fails_is_the_one_that_failed_though_its_writer_breaks_off() {
    let mut helper = Helper::start(&[]);
    for _ in 0..20 {
        let finished = helper
            .pipe(vec![
                Request::victim(&["flood", "50000000"]),
                Request::victim(&["read-and-exit", "100000", "3"]),
            ])
            .expect("it runs");
        assert_eq!(endings(&finished), [Ending::Cancelled, Ending::Exited(3)]);
        assert_eq!(ending(&finished), Ending::Exited(3));
        assert_eq!(finished.stages[1].stderr, b"gave up\n");
    }
}

#[test]
fn a_middle_stage_that_dies_ends_those_before_and_behind_it() {
    let mut helper = Helper::start(&[]);
    let stages =
        vec![Request::victim(&["flood-and-sleep", "10"]), Request::victim(&["die-by", "abort"]), copy()];
    let finished = helper.pipe(stages).expect("it runs");
    let aborted = Ending::Signalled(Signal::ABORT.as_raw());
    assert_eq!(endings(&finished), [Ending::Cancelled, aborted, Ending::Cancelled]);
    assert_eq!(ending(&finished), aborted);
}

#[test]
fn a_stage_that_is_killed_from_outside_has_failed() {
    let mut helper = Helper::start(&[]);
    let (first, second) = (Token::new(), Token::new());
    let id = helper.begin_pipe(vec![
        Request::victim(&["flood-and-sleep", "1000"]).with("env", first.variable()),
        Request::victim(&["count-input"]).with("env", second.variable()),
    ]);
    assert_eq!(helper.receive(), FromHelper::Started { id });
    first.wait_for(1);
    second.wait_for(1);
    first.kill();
    match helper.receive() {
        FromHelper::Piped { finished, .. } => {
            assert_eq!(endings(&finished), [Ending::Signalled(Signal::KILL.as_raw()), Ending::Cancelled]);
            assert_eq!(finished.stages[1].stdout, b"");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_is_content_with_less_does_not_make_its_writer_fail() {
    let mut helper = Helper::start(&[]);
    let reader = || Request::victim(&["read-and-exit", "10", "0"]);
    let finished = helper.pipe(vec![Request::victim(&["flood", "50000000"]), reader()]).expect("it runs");
    assert!(finished.success(), "{finished:?}");
    let failing = Request::victim(&["flood-and-exit", "5000000", "7"]);
    let finished = helper.pipe(vec![failing, reader()]).expect("it runs");
    assert_eq!(endings(&finished), [Ending::Exited(7), Ending::Exited(0)]);
    let finished = helper.pipe(vec![Request::victim(&["flood", "5000000000"]), reader()]).expect("it runs");
    assert_eq!(ending(&finished), Ending::Flooded, "nobody reads what is thrown away for ever");
}

#[test]
fn a_pipeline_is_cancelled_and_timed_out_as_a_whole() {
    for arguments in METHODS {
        let mut helper = Helper::start(arguments);
        if !is_as_asked(&helper, arguments) {
            continue;
        }
        let token = Token::new();
        let stages = |words: &[&str]| -> Vec<Request> {
            [words, &["daemons", "2"], &["sleep"]]
                .into_iter()
                .map(|words| Request::victim(words).with("env", token.variable()))
                .collect()
        };
        let id = helper.begin_pipe(stages(&["sleep"]));
        assert_eq!(helper.receive(), FromHelper::Started { id });
        token.wait_for(3);
        helper.send(&ToHelper::Cancel { id });
        let FromHelper::Piped { finished, .. } = helper.receive() else { panic!("no end") };
        assert_eq!((ending(&finished), token.carriers()), (Ending::Cancelled, 0));
        let mut timed = stages(&["sleep"]);
        timed[1].timeout = Duration::from_millis(300);
        let finished = helper.pipe(timed).expect("it runs");
        assert_eq!((ending(&finished), token.carriers()), (Ending::TimedOut, 0));
    }
}

#[test]
fn a_stage_that_is_refused_leaves_the_others_unstarted() {
    let mut helper = Helper::start(&[]);
    let token = Token::new();
    let first = || Request::victim(&["sleep"]).with("env", token.variable());
    let refused = helper.pipe(vec![first(), Request::victim(&["exit", "0"]).with("program", json!("sh"))]);
    assert_eq!(refused.expect_err("a shell").code, CapabilityCode::Denied);
    let refused = helper.pipe(vec![first(), copy().with("stdin", json!("text"))]);
    assert_eq!(refused.expect_err("an input of its own").code, CapabilityCode::InvalidArgument);
    for count in [0, 1, 9] {
        let refused = helper.pipe((0..count).map(|_| first()).collect());
        assert_eq!(refused.expect_err("too few or many").code, CapabilityCode::InvalidArgument, "{count}");
    }
    assert_eq!(token.carriers(), 0);
}

#[test]
fn every_kind_of_request_is_taken_once_and_only_after_a_sweep() {
    let mut helper = Helper::start(&[]);
    helper.pipe(vec![copy(), copy()]).expect("it runs");
    let stages = vec![copy().build(0), copy().build(0)];
    helper.send(&ToHelper::Pipe(Box::new(PipeRequest { id: 1, stages: stages.clone() })));
    let FromHelper::Refused { id: 1, refusal } = helper.receive() else { panic!("it is not refused") };
    assert_eq!(refusal.code, CapabilityCode::Denied);
    let job = JobCall::Entries { backend: "b".to_owned(), subject: "s".to_owned() };
    helper.send(&ToHelper::Job { id: 1, call: Box::new(job) });
    let FromHelper::Job { id: 1, answer: Err(refusal) } = helper.receive() else {
        panic!("it is not refused")
    };
    assert_eq!(refusal.code, CapabilityCode::Denied);
    let mut early = Helper::start_silent(&[]);
    early.greet();
    early.send(&ToHelper::Pipe(Box::new(PipeRequest { id: 1, stages })));
    let FromHelper::Refused { refusal, .. } = early.receive() else { panic!("it is not refused") };
    assert_eq!(refusal.code, CapabilityCode::Busy);
}
