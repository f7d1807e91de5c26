//! An array's own command line: what is sent, what is kept, and what is not known.

use crate::array::{Array, PAGER, PASSWORD, PROMPT};
use crate::keys;
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use bulkhead_helper::protocol::{Ending, Finished, SlotArgument, Unreviewed};
use bulkhead_model::error::CapabilityCode;
use bulkhead_ssh::{Dialogue, PlainPlace, Pool, Quoting, Target};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
    let place = place(&array, Quoting::Plain, None);
    let lost = run(&place, request(&["flood"])).await.expect_err("it does not say that it has ended");
    assert!(matches!(lost, RunError::OutcomeUnknown { .. }), "{lost}");
}

#[tokio::test]
async fn commands_share_a_pool_of_connections_that_are_kept() {
    let array = Array::new().await;
    let target = Target { pool: Pool { min: 1, max: 3 }, ..target(&array) };
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
    let dialogue = Dialogue::new(PROMPT).and_then(|dialogue| dialogue.with_pager(PAGER, " "));
    let dialogue =
        dialogue.and_then(|dialogue| dialogue.with_errors(&["Error:".to_owned()])).expect("a dialogue");
    let place = place(&array, Quoting::Plain, Some(dialogue));
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
