use crate::helper::{Helper, METHODS, Request, Token, is_as_asked};
use crate::replicas::Replicas;
use bulkhead_helper::protocol::{Ending, JobAnswer, JobCall, JobEnd, JobKey, JobState, Refusal, StartJob};
use bulkhead_model::error::CapabilityCode;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// A runtime directory, and what helpers are started with to use it.
struct Place {
    directory: tempfile::TempDir,
    more: &'static [&'static str],
}

impl Place {
    fn new(more: &'static [&'static str]) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), more }
    }

    fn helper(&self) -> Helper {
        let runtime = self.directory.path().to_str().expect("a text");
        Helper::start(&[self.more, &["--runtime", runtime]].concat())
    }

    /// The process that keeps the one job that there is.
    fn keeper(&self) -> Pid {
        let wanted = self.directory.path().to_str().expect("a text").to_owned();
        let keepers: Vec<Pid> = std::fs::read_dir("/proc")
            .expect("processes")
            .flatten()
            .filter(|entry| {
                let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                line.contains("--keep-job") && line.contains(&wanted)
            })
            .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
            .collect();
        let [keeper] = keepers.as_slice() else { panic!("{keepers:?}") };
        *keeper
    }
}

fn key(text: &str) -> JobKey {
    JobKey {
        backend: "backend".to_owned(),
        subject: "share-1".to_owned(),
        job: "copy".parse().expect("a label"),
        key: text.to_owned(),
    }
}

fn job(text: &str, stages: Vec<Request>) -> JobCall {
    let stages = stages.into_iter().map(|stage| stage.build(0)).collect();
    JobCall::Start(StartJob { key: key(text), stages, counts_bytes: true })
}

fn state(answer: Result<JobAnswer, Refusal>) -> JobState {
    match answer.expect("a state") {
        JobAnswer::State(state) => state,
        other => panic!("{other:?}"),
    }
}

fn is_running(state: &JobState) -> bool {
    matches!(state, JobState::Running { .. })
}

/// Wait until the job does not run any more.
fn end(helper: &mut Helper, text: &str) -> JobState {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let state = state(helper.job(JobCall::Poll(key(text))));
        if !is_running(&state) {
            return state;
        }
        assert!(Instant::now() < until, "the job does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Wait until so many bytes have passed.
fn wait_until_counted(helper: &mut Helper, wanted: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match state(helper.job(JobCall::Poll(key("k")))) {
            JobState::Running { bytes_done: Some(bytes), .. } if bytes == wanted => return,
            JobState::Running { .. } => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < until, "nothing is counted");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(state: JobState) -> JobEnd {
    match state {
        JobState::Ended(end) => end,
        other => panic!("{other:?}"),
    }
}

fn code(answer: Result<JobAnswer, Refusal>) -> CapabilityCode {
    answer.expect_err("it is refused").code
}

fn sleeping(token: &Token) -> Request {
    Request::victim(&["sleep"]).with("env", token.variable())
}

#[test]
fn a_job_runs_to_its_end_and_counts_what_passes() {
    for arguments in METHODS {
        let place = Place::new(arguments);
        let mut helper = place.helper();
        if !is_as_asked(&helper, arguments) {
            continue;
        }
        let stages = || vec![Request::victim(&["flood", "3000000"]), Request::victim(&["count-input"])];
        assert!(!matches!(state(helper.job(job("k", stages()))), JobState::Lost));
        let end = ended(end(&mut helper, "k"));
        assert_eq!((end.success, end.bytes_done), (true, Some(3_000_000)));
        assert_eq!(
            (end.finished.ending, end.finished.stdout.as_slice()),
            (Ending::Exited(0), &b"3000000\n"[..])
        );
        // Another start finds it, whatever it is to run.
        let again = ended(state(helper.job(job("k", vec![Request::victim(&["exit", "0"])]))));
        assert_eq!(again, end);
    }
}

#[test]
fn a_job_outlives_its_helper_and_is_found_again() {
    for arguments in METHODS {
        let place = Place::new(arguments);
        let token = Token::new();
        let mut helper = place.helper();
        if !is_as_asked(&helper, arguments) {
            continue;
        }
        let stages = || {
            vec![
                Request::victim(&["flood-and-sleep", "100000"]).with("env", token.variable()),
                sleeping(&token),
            ]
        };
        assert!(is_running(&state(helper.job(job("k", stages())))));
        token.wait_for(2);
        helper.process.kill().expect("it is killed");
        helper.process.wait().expect("it is gone");
        // The sweep of the next one ends commands, not jobs.
        let mut next = place.helper();
        assert!(is_running(&state(next.job(job("k", stages())))));
        next.close();
        let mut last = place.helper();
        wait_until_counted(&mut last, 100_000);
        assert!(
            matches!(state(last.job(JobCall::Poll(key("k")))), JobState::Running { running_ms, .. } if running_ms > 0)
        );
        assert_eq!(token.carriers(), 2);
        assert_eq!(last.job(JobCall::Cancel(key("k"))), Ok(JobAnswer::Done));
        assert_eq!(token.carriers(), 0);
        let end = ended(state(last.job(JobCall::Poll(key("k")))));
        assert_eq!(
            (end.finished.ending, end.success, end.bytes_done),
            (Ending::Cancelled, false, Some(100_000))
        );
    }
}

#[test]
fn a_job_that_ends_while_no_helper_is_there_is_told_to_the_next_one() {
    let place = Place::new(&[]);
    let token = Token::new();
    let mut helper = place.helper();
    let last = Request::victim(&["sleep-a-little"]).with("env", token.variable());
    helper.job(job("k", vec![Request::victim(&["exit", "0"]), last])).expect("it runs");
    helper.close();
    token.wait_for(0);
    let mut next = place.helper();
    assert!(ended(end(&mut next, "k")).success);
}

#[test]
fn a_job_whose_keeper_was_killed_is_lost_and_nothing_of_it_is_left() {
    for arguments in METHODS {
        let place = Place::new(arguments);
        let token = Token::new();
        let mut helper = place.helper();
        if !is_as_asked(&helper, arguments) {
            continue;
        }
        let stages =
            vec![sleeping(&token), Request::victim(&["fork-bomb", "2"]).with("env", token.variable())];
        helper.job(job("k", stages)).expect("it runs");
        token.wait_for(8);
        kill_process(place.keeper(), Signal::KILL).expect("it runs");
        assert_eq!(end(&mut helper, "k"), JobState::Lost);
        assert_eq!(
            state(helper.job(job("k", vec![sleeping(&token)]))),
            JobState::Lost,
            "nothing is started again"
        );
        // What the keeper could not end is ended by who asks, or by the next helper.
        assert_eq!(helper.job(JobCall::Cancel(key("k"))), Ok(JobAnswer::Done));
        assert_eq!(token.carriers(), 0);
        assert_eq!(helper.job(JobCall::Forget(key("k"))), Ok(JobAnswer::Done));
        assert_eq!(code(helper.job(JobCall::Poll(key("k")))), CapabilityCode::NotFound);
    }
}

#[test]
fn a_job_fails_as_the_first_stage_that_failed() {
    let place = Place::new(&[]);
    let mut helper = place.helper();
    let cases: [(&str, Vec<Request>, Ending); 3] = [
        (
            "first",
            vec![Request::victim(&["flood-and-exit", "10", "7"]), Request::victim(&["count-input"])],
            Ending::Exited(7),
        ),
        (
            "last",
            vec![Request::victim(&["flood", "50000000"]), Request::victim(&["read-and-exit", "10", "3"])],
            Ending::Exited(3),
        ),
        ("only", vec![Request::victim(&["die-by", "abort"])], Ending::Signalled(Signal::ABORT.as_raw())),
    ];
    for (text, stages, wanted) in cases {
        helper.job(job(text, stages)).expect("it begins");
        let end = ended(end(&mut helper, text));
        assert_eq!((end.finished.ending, end.success), (wanted, false), "{text}");
    }
}

#[test]
fn a_job_is_bounded_by_the_shortest_of_its_times() {
    let place = Place::new(&[]);
    let token = Token::new();
    let mut helper = place.helper();
    let stages = vec![sleeping(&token), sleeping(&token).timeout(Duration::from_millis(300))];
    helper.job(job("k", stages)).expect("it begins");
    assert_eq!(ended(end(&mut helper, "k")).finished.ending, Ending::TimedOut);
    assert_eq!(token.carriers(), 0);
}

#[test]
fn what_cannot_begin_leaves_no_job() {
    let place = Place::new(&[]);
    let mut helper = place.helper();
    let shell = Request::victim(&["-c", "id"]).with("program", serde_json::json!("sh"));
    assert_eq!(code(helper.job(job("k", vec![shell]))), CapabilityCode::Denied);
    assert_eq!(code(helper.job(job("k", Vec::new()))), CapabilityCode::InvalidArgument);
    assert_eq!(code(helper.job(JobCall::Poll(key("k")))), CapabilityCode::NotFound);
    helper.job(job("k", vec![Request::victim(&["exit", "0"])])).expect("the key is free");
    assert!(ended(end(&mut helper, "k")).success);
    let mut without = Helper::start(&[]);
    assert_eq!(code(without.job(JobCall::Poll(key("k")))), CapabilityCode::Unavailable);
}

#[test]
fn a_key_that_runs_with_other_words_is_in_conflict_and_one_job_too_many_is_refused() {
    let place = Place::new(&[]);
    let token = Token::new();
    let mut helper = place.helper();
    for text in ["1", "2", "3", "4"] {
        assert!(is_running(&state(helper.job(job(text, vec![sleeping(&token)])))));
    }
    assert!(is_running(&state(helper.job(job("1", vec![sleeping(&token)])))));
    assert_eq!(code(helper.job(job("1", vec![Request::victim(&["sleep"])]))), CapabilityCode::Conflict);
    assert_eq!(code(helper.job(job("5", vec![sleeping(&token)]))), CapabilityCode::Busy);
    assert_eq!(code(helper.job(JobCall::Forget(key("1")))), CapabilityCode::Busy);
    let mut other = key("1");
    other.backend = "another".to_owned();
    let stages = vec![sleeping(&token).build(0)];
    let start = StartJob { key: other.clone(), stages, counts_bytes: false };
    let state = state(helper.job(JobCall::Start(start)));
    assert!(matches!(state, JobState::Running { bytes_done: None, .. }), "backends have jobs of their own");
    token.wait_for(5);
    for key in ["1", "2", "3", "4"].map(key).into_iter().chain([other]) {
        assert_eq!(helper.job(JobCall::Cancel(key.clone())), Ok(JobAnswer::Done));
        assert_eq!(helper.job(JobCall::Cancel(key)), Ok(JobAnswer::Done), "again");
    }
    assert_eq!(token.carriers(), 0);
}

#[test]
fn strange_keys_are_jobs_of_their_own_and_listed_in_order() {
    let place = Place::new(&[]);
    let mut helper = place.helper();
    let longest = "x".repeat(255);
    let texts = ["", "../../etc/passwd", "a\0b", "a\nb", "é\u{202e}", longest.as_str()];
    for text in texts {
        helper.job(job(text, vec![Request::victim(&["flood", "100000"])])).expect("it begins");
        assert!(ended(end(&mut helper, text)).success);
    }
    let too_long = "x".repeat(256);
    assert_eq!(
        code(helper.job(job(&too_long, vec![Request::victim(&["exit", "0"])]))),
        CapabilityCode::InvalidArgument
    );
    let entries = |helper: &mut Helper, subject: &str| {
        let call = JobCall::Entries { backend: "backend".to_owned(), subject: subject.to_owned() };
        match helper.job(call) {
            Ok(JobAnswer::Entries(entries)) => entries,
            other => panic!("{other:?}"),
        }
    };
    let listed = entries(&mut helper, "share-1");
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    let keys: Vec<&str> = listed.iter().map(|entry| entry.key.key.as_str()).collect();
    assert_eq!(keys, sorted);
    for entry in &listed {
        let end = ended(entry.state.clone());
        assert!(end.success && end.finished.stdout.is_empty() && end.finished.truncated);
    }
    assert_eq!(entries(&mut helper, "share-2"), []);
    for text in texts {
        assert_eq!(helper.job(JobCall::Forget(key(text))), Ok(JobAnswer::Done));
        assert_eq!(helper.job(JobCall::Forget(key(text))), Ok(JobAnswer::Done), "again");
    }
    assert_eq!(entries(&mut helper, "share-1"), []);
}

#[test]
fn a_replica_is_made_by_a_job_that_outlives_its_helper() {
    let Some(replicas) = Replicas::make() else { return };
    let place = Place::new(&[]);
    let mut helper = place.helper();
    replicas.write("large", 60_000_000);
    replicas.freeze("a");
    assert!(!matches!(
        state(helper.job(job("full", vec![replicas.send("a"), replicas.receive("a")]))),
        JobState::Lost
    ));
    helper.process.kill().expect("it is killed");
    helper.process.wait().expect("it is gone");
    let mut next = place.helper();
    let end = ended(end(&mut next, "full"));
    assert!(end.success, "{end:?}");
    assert!(end.bytes_done.is_some_and(|bytes| bytes > 60_000_000), "{:?}", end.bytes_done);
    assert_eq!(std::fs::read(replicas.copy("a", "large")).expect("the copy").len(), 60_000_000);
}
