//! An array's own command line: what is sent, what is kept, and what is not known.

use crate::array::{Array, PAGER, PASSWORD, PROMPT};
use crate::keys;
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use bulkhead_capability::secret::Redactor;
use bulkhead_helper::protocol::{Ending, Finished, SlotArgument, Unreviewed};
use bulkhead_model::error::CapabilityCode;
use bulkhead_ssh::{Dialogue, Login, PlainPlace, Pool, Quoting, Target};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn target(array: &Array) -> Target {
    keys::target(array.port, &array.host_key, vec![keys::password(PASSWORD)])
}

fn place(array: &Array, quoting: Quoting, dialogue: Option<Dialogue>) -> PlainPlace {
    PlainPlace::new(Arc::new(target(array)), quoting, dialogue)
}

fn request(args: &[&str]) -> CommandRequest {
    let template = json!({
        "name": "tried", "reason": "a test", "effect": "change", "repeat": "safe", "program": "volume", "args": args,
        "slots": { "name": { "type": "opaque", "max": 100 } },
    });
    CommandRequest {
        template: serde_json::from_value(template).expect("a template"),
        program: "/volume".to_owned(),
        unreviewed: Unreviewed::Allowed,
        roots: BTreeMap::new(),
        slots: BTreeMap::from([("name".parse().expect("a label"), SlotArgument::Text("vol1".to_owned()))]),
        inside: None,
        timeout: Duration::from_secs(10),
    }
}

/// The array's shell as it is.
fn shell() -> Dialogue {
    let dialogue = Dialogue::new(PROMPT).and_then(|dialogue| dialogue.with_pager(PAGER, " "));
    dialogue.and_then(|dialogue| dialogue.with_errors(&["Error:".to_owned()])).expect("a dialogue")
}

/// The most that this process had in memory, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Until the array has so many connections.
async fn open(array: &Array, count: usize) {
    let closing = async {
        while array.seen.open.load(Ordering::SeqCst) != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let open = &array.seen.open;
    tokio::time::timeout(Duration::from_secs(5), closing)
        .await
        .unwrap_or_else(|_| panic!("{open:?} are open"));
}

async fn run(place: &PlainPlace, request: CommandRequest) -> Result<Finished, RunError> {
    let (_waiting, abandoned) = Abandoned::pair();
    place.run(request, abandoned).await
}

#[tokio::test]
async fn a_command_is_one_line_in_the_declared_quoting_and_its_exit_code_counts() {
    let array = Array::new().await;
    for (quoting, line) in
        [(Quoting::Plain, "volume create vol1"), (Quoting::Posix, "'volume' 'create' 'vol1'")]
    {
        let place = place(&array, quoting, None);
        assert_eq!(place.directories(), Directories::Nowhere);
        let finished = run(&place, request(&["create", "{name}"])).await.expect("it ran");
        assert_eq!(
            (finished.ending, finished.stdout.as_slice()),
            (Ending::Exited(0), b"created vol1 \n".as_slice())
        );
        assert_eq!(array.seen.lines.lock().expect("lines").last().map(String::as_str), Some(line));
        let failed = run(&place, request(&["delete", "{name}"])).await.expect("it ran");
        assert_eq!(failed.ending, Ending::Exited(7));
    }
}

#[tokio::test]
async fn a_value_that_a_line_could_be_taken_apart_at_never_leaves() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, None);
    for text in ["a b", "a;reboot", "$(reboot)", "a\u{2028}b"] {
        let mut request = request(&["create", "{name}"]);
        request.slots.insert("name".parse().expect("a label"), SlotArgument::Text(text.to_owned()));
        let refused = run(&place, request).await.expect_err("refused");
        assert!(
            matches!(&refused, RunError::Refused(refusal) if refusal.code == CapabilityCode::InvalidArgument),
            "{refused}"
        );
    }
    let mut unreviewed = request(&["create", "{name}"]);
    unreviewed.unreviewed = Unreviewed::Refused;
    let refused = run(&place, unreviewed).await.expect_err("refused").to_string();
    assert!(refused.contains("ceiling.unreviewed-programs = [\"volume\"]"), "{refused}");
    assert!(array.seen.lines.lock().expect("lines").is_empty());
}

#[tokio::test]
async fn a_command_whose_end_nobody_saw_has_an_unknown_outcome() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, None);
    for word in ["vanish", "mute"] {
        let lost = run(&place, request(&[word])).await.expect_err("lost");
        assert!(matches!(lost, RunError::OutcomeUnknown { .. }), "{lost}");
    }
    let mut hangs = request(&["hang"]);
    hangs.timeout = Duration::from_millis(300);
    let lost = run(&place, hangs).await.expect_err("it does not say that it has ended");
    assert!(matches!(lost, RunError::OutcomeUnknown { .. }), "{lost}");
    run(&place, request(&["create", "{name}"])).await.expect("the next one is served");
}

#[tokio::test]
async fn a_flood_is_cut_and_not_kept() {
    let array = Array::new().await;
    let plain = place(&array, Quoting::Plain, None);
    let lost = run(&plain, request(&["flood"])).await.expect_err("it does not say that it has ended");
    assert!(matches!(lost, RunError::OutcomeUnknown { .. }), "{lost}");
    let (shell, before) = (place(&array, Quoting::Plain, Some(shell())), peak());
    let mut patient = request(&["flood"]);
    patient.timeout = Duration::from_secs(60);
    let cut = run(&shell, patient).await.expect("it is interrupted, and the prompt is seen");
    assert_eq!((cut.ending, cut.truncated), (Ending::Flooded, true));
    assert!(cut.stdout.starts_with(b"row of a flood\nrow"), "{:?}", cut.stdout.first_chunk::<40>());
    let grown = peak().saturating_sub(before);
    assert!(grown < 24 << 20, "memory grew by {grown} bytes");
}

#[tokio::test]
async fn commands_share_a_pool_of_connections_that_are_kept() {
    let array = Array::new().await;
    let target = Target { pool: Pool { min: 1, max: 3, ..Pool::default() }, ..target(&array) };
    let place = Arc::new(PlainPlace::new(Arc::new(target), Quoting::Plain, None));
    let commands: Vec<_> = (0..9)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { run(&place, request(&["slow"])).await })
        })
        .collect();
    for command in commands {
        assert_eq!(command.await.expect("a task").expect("it ran").ending, Ending::Exited(0));
    }
    assert_eq!(array.seen.most_running.load(Ordering::SeqCst), 3);
    assert!(array.seen.connections.load(Ordering::SeqCst) <= 3, "they are kept");
    let mut impatient = request(&["slow"]);
    impatient.timeout = Duration::from_millis(50);
    let holders: Vec<_> = (0..3)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { run(&place, request(&["slow"])).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let busy = run(&place, impatient).await.expect_err("none is free");
    assert!(busy.to_string().contains("max-connections"), "{busy}");
    for holder in holders {
        holder.await.expect("a task").expect("it ran");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let array = Array::new().await;
    let wrong = keys::target(array.port, &array.host_key, vec![keys::password("wrong-one")]);
    let place = PlainPlace::new(Arc::new(wrong), Quoting::Plain, None);
    let error = run(&place, request(&["create", "{name}"])).await.expect_err("not let in").to_string();
    assert!(error.contains("does not let 'root' in") && !error.contains("wrong-one"), "{error}");
}

#[tokio::test]
async fn a_shell_for_people_is_driven_by_its_prompt_and_its_pager() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, Some(shell()));
    let shown = run(&place, request(&["show"])).await.expect("it ran");
    let expected: String = (1..=30).map(|row| format!("row {row}\n")).collect();
    assert_eq!(
        (shown.ending, String::from_utf8_lossy(&shown.stdout).as_ref()),
        (Ending::Exited(0), expected.as_str())
    );
    let failed = run(&place, request(&["delete", "{name}"])).await.expect("it ran");
    assert_eq!(failed.ending, Ending::Exited(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("no such volume"), "{failed:?}");
    let lost = run(&place, request(&["vanish"])).await.expect_err("lost");
    assert!(matches!(lost, RunError::OutcomeUnknown { .. }), "{lost}");
}

#[tokio::test]
async fn a_shell_with_another_prompt_is_told_before_anything_is_typed() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, Some(Dialogue::new("other> ").expect("a dialogue")));
    let mut request = request(&["create", "{name}"]);
    request.timeout = Duration::from_millis(500);
    let error = run(&place, request).await.expect_err("no prompt");
    assert!(matches!(&error, RunError::Unavailable { reason } if reason.contains("'other> '")), "{error}");
    assert!(array.seen.lines.lock().expect("lines").is_empty());
}

#[tokio::test]
async fn an_array_that_answers_no_request_for_a_channel_is_left_in_time_and_served_later() {
    let array = Array::new().await;
    for dialogue in [None, Some(shell())] {
        array.seen.at_its_limit.store(true, Ordering::SeqCst);
        let target = Target { pool: Pool { max: 1, ..Pool::default() }, ..target(&array) };
        let place = PlainPlace::new(Arc::new(target), Quoting::Plain, dialogue);
        let begun = Instant::now();
        let mut asked = request(&["create", "{name}"]);
        asked.timeout = Duration::from_millis(500);
        let late = run(&place, asked).await.expect_err("no channel");
        assert!(matches!(late, RunError::Unavailable { .. }), "{late}");
        let (waiting, abandoned) = Abandoned::pair();
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(waiting);
        };
        let (left, ()) = tokio::join!(place.run(request(&["create", "{name}"]), abandoned), leaving);
        assert!(matches!(left, Err(RunError::Unavailable { .. })), "{left:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        array.seen.at_its_limit.store(false, Ordering::SeqCst);
        run(&place, request(&["create", "{name}"])).await.expect("the only connection is free");
    }
}

#[tokio::test]
async fn a_command_that_writes_before_it_reads_is_given_all_its_input() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, None);
    let mut asked = request(&["take"]);
    let text = "y".repeat(512 << 10);
    asked.template.stdin = Some(text.clone());
    let finished = run(&place, asked).await.expect("it ran");
    assert_eq!((finished.ending, finished.truncated), (Ending::Exited(0), true));
    let given = format!("given {}", text.len());
    assert_eq!(array.seen.lines.lock().expect("lines").last(), Some(&given));
}

#[tokio::test]
async fn a_connection_is_kept_after_a_clean_end_alone() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, None);
    run(&place, request(&["create", "{name}"])).await.expect("it ran");
    run(&place, request(&["create", "{name}"])).await.expect("it ran");
    assert_eq!(array.seen.connections.load(Ordering::SeqCst), 1);
    let mut hangs = request(&["hang"]);
    hangs.timeout = Duration::from_millis(300);
    run(&place, hangs).await.expect_err("it does not say that it has ended");
    open(&array, 0).await;
    let other = Dialogue::new("other> ").expect("a dialogue");
    let shell = PlainPlace::new(Arc::new(target(&array)), Quoting::Plain, Some(other));
    let mut asked = request(&["create", "{name}"]);
    asked.timeout = Duration::from_millis(500);
    run(&shell, asked).await.expect_err("no prompt");
    open(&array, 0).await;
    run(&place, request(&["create", "{name}"])).await.expect("another connection serves the next one");
}

#[tokio::test]
async fn an_array_that_leaves_closing_to_the_client_is_believed_its_exit_code() {
    let array = Array::new().await;
    let place = place(&array, Quoting::Plain, None);
    for _ in 0..2 {
        let begun = Instant::now();
        let finished = run(&place, request(&["linger"])).await.expect("it said how it ended");
        assert_eq!(
            (finished.ending, finished.stdout.as_slice()),
            (Ending::Exited(3), b"one\ntwo\n".as_slice())
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    assert_eq!(array.seen.connections.load(Ordering::SeqCst), 1, "it is kept");
}

#[tokio::test]
async fn connections_beyond_the_fewest_are_closed_when_nothing_is_asked() {
    let array = Array::new().await;
    let pool = Pool { min: 1, max: 3, idle: Duration::from_millis(500) };
    let place = PlainPlace::new(Arc::new(Target { pool, ..target(&array) }), Quoting::Plain, None);
    let (one, two, three) = tokio::join!(
        run(&place, request(&["slow"])),
        run(&place, request(&["slow"])),
        run(&place, request(&["slow"]))
    );
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(array.seen.open.load(Ordering::SeqCst), 3);
    open(&array, 1).await;
    run(&place, request(&["create", "{name}"])).await.expect("it ran");
    assert_eq!(array.seen.connections.load(Ordering::SeqCst), 3, "the one that is left serves");
    drop(place);
    open(&array, 0).await;
}

#[tokio::test]
async fn what_logged_in_is_known_for_as_long_as_the_connection_is_open() {
    let array = Array::new().await;
    let redactor = Redactor::default();
    let password = keys::Read { text: PASSWORD.to_owned(), redactor: redactor.clone() };
    let login = Login::Password(Arc::new(password));
    let target = keys::target(array.port, &array.host_key, vec![login]);
    let place = PlainPlace::new(Arc::new(target), Quoting::Plain, None);
    assert!(!redactor.finds_in(PASSWORD.as_bytes()));
    run(&place, request(&["create", "{name}"])).await.expect("it ran");
    assert!(redactor.finds_in(format!("account root, password {PASSWORD}").as_bytes()));
    drop(place);
    open(&array, 0).await;
    // What was known is forgotten with the next secret.
    let _next = redactor.secret(b"another one".to_vec()).expect("a secret");
    assert!(!redactor.finds_in(PASSWORD.as_bytes()));
}
