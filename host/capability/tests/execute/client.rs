use crate::scripted::Place;
use bulkhead_capability::execute::{
    Abandoned, CommandRequest, CommandRunner, HelperClient, HelperPlace, RunError, Waiting,
};
use bulkhead_helper::protocol::{
    Ending, EndingMethod, Finished, FromHelper, Refusal, ToHelper, Unreviewed, VERSION,
};
use bulkhead_model::error::CapabilityCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

fn client(place: &Place) -> Arc<HelperClient> {
    Arc::new(HelperClient::start(HelperPlace::Socket { path: place.path() }))
}

fn request() -> CommandRequest {
    let template = serde_json::json!({
        "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "program": "true",
    });
    CommandRequest {
        template: serde_json::from_value(template).expect("a template"),
        program: "/usr/bin/true".to_owned(),
        unreviewed: Unreviewed::Refused,
        roots: BTreeMap::new(),
        slots: BTreeMap::new(),
        inside: None,
        timeout: Duration::from_secs(60),
    }
}

fn run(client: &Arc<HelperClient>) -> (Waiting, JoinHandle<Result<Finished, RunError>>) {
    let (waiting, abandoned) = Abandoned::pair();
    let client = Arc::clone(client);
    (waiting, tokio::spawn(async move { client.run(request(), abandoned).await }))
}

#[tokio::test]
async fn answers_come_to_who_asked_in_whatever_order() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept_ready().await;
    client.wait_until_swept().await.expect("it is there");
    assert_eq!((client.process(), client.ending_method()), (Some(42), Some(EndingMethod::MarkAndSweep)));
    let (_first_waits, first) = run(&client);
    let first_id = helper.next_run().await;
    let (_second_waits, second) = run(&client);
    let second_id = helper.next_run().await;
    assert!(second_id > first_id);
    helper.say(&FromHelper::Started { id: first_id }).await;
    helper.finish(second_id, Ending::Exited(0), "second").await;
    helper.finish(first_id, Ending::Exited(1), "first").await;
    let first = first.await.expect("a task").expect("an end");
    assert_eq!((first.ending, first.stdout.as_slice()), (Ending::Exited(1), b"first".as_slice()));
    assert_eq!(second.await.expect("a task").expect("an end").stdout, b"second");
}

#[tokio::test]
async fn a_refusal_is_handed_on() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept_ready().await;
    let (_waiting, running) = run(&client);
    let id = helper.next_run().await;
    let refusal = Refusal::new(CapabilityCode::NotFound, "it is not there");
    helper.say(&FromHelper::Refused { id, refusal: refusal.clone() }).await;
    assert_eq!(running.await.expect("a task"), Err(RunError::Refused(refusal)));
}

#[tokio::test]
async fn a_lost_helper_leaves_the_outcome_unknown_and_the_next_one_is_reached() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept_ready().await;
    let (_waiting, running) = run(&client);
    helper.next_run().await;
    drop(helper);
    assert!(matches!(running.await.expect("a task"), Err(RunError::OutcomeUnknown { .. })));
    let mut next = place.accept_ready().await;
    let (_waiting, running) = run(&client);
    let id = next.next_run().await;
    next.finish(id, Ending::Exited(0), "").await;
    assert!(running.await.expect("a task").is_ok());
}

#[tokio::test]
async fn nothing_is_run_before_the_helper_has_swept() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept().await;
    helper.greet(VERSION).await;
    assert_eq!(helper.next().await, Some(ToHelper::Sweep));
    let (_waiting, running) = run(&client);
    assert!(tokio::time::timeout(Duration::from_millis(200), helper.next()).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(50), client.wait_until_swept()).await.is_err());
    helper.say(&FromHelper::Swept).await;
    let id = helper.next_run().await;
    helper.finish(id, Ending::Exited(0), "").await;
    assert!(running.await.expect("a task").is_ok());
}

#[tokio::test]
async fn who_no_longer_waits_has_the_command_ended() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept_ready().await;
    let (waiting, running) = run(&client);
    let id = helper.next_run().await;
    drop(waiting);
    assert_eq!(helper.next_cancel().await, id);
    assert!(!running.is_finished());
    helper.finish(id, Ending::Cancelled, "").await;
    assert_eq!(running.await.expect("a task").expect("an end").ending, Ending::Cancelled);
}

#[tokio::test]
async fn garbage_and_answers_out_of_turn_end_the_connection() {
    let place = Place::new();
    let client = client(&place);
    for round in 0..4 {
        let mut helper = place.accept_ready().await;
        let (_waiting, running) = run(&client);
        let id = helper.next_run().await;
        match round {
            0 => helper.stream.write_all(&[0xff; 64]).await.expect("it is written"),
            1 => helper.stream.write_all(&[1, 0, 0, 0, 99]).await.expect("it is written"),
            2 => helper.finish(id + 7, Ending::Exited(0), "").await,
            _ => helper.say(&FromHelper::Swept).await,
        }
        let error = running.await.expect("a task").expect_err("it is lost");
        assert!(matches!(error, RunError::OutcomeUnknown { .. }), "{error}");
        while helper.next().await.is_some() {}
    }
}

#[tokio::test]
async fn another_version_is_told_with_what_to_do() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept().await;
    helper.greet(VERSION + 1).await;
    let error = client.wait_until_swept().await.expect_err("it is not there");
    assert!(error.to_string().contains("install both from one release"), "{error}");
}

#[tokio::test]
async fn a_helper_that_cannot_be_started_or_reached_is_told_with_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    let missing = HelperClient::start(HelperPlace::Beside {
        program: at("bulkhead-helper"),
        lock: at("lock"),
        runtime: at("runtime"),
    });
    let error = missing.wait_until_swept().await.expect_err("it is not there");
    assert!(error.to_string().contains("install bulkhead-helper"), "{error}");
    let nobody = HelperClient::start(HelperPlace::Socket { path: at("socket") });
    let error = nobody.wait_until_swept().await.expect_err("it is not there");
    assert!(error.to_string().contains("start bulkhead-helper there"), "{error}");
}

#[tokio::test]
async fn a_client_that_is_dropped_closes_its_connection() {
    let place = Place::new();
    let client = client(&place);
    let mut helper = place.accept_ready().await;
    drop(client);
    let closed = async { while helper.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("it closes");
}
