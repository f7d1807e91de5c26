//! Secrets of requests: where they go, what comes back of them, and who is refused.

use crate::lab::{Lab, PASSWORD, code, with_header};
use bulkhead_capability::call::Call;
use bulkhead_capability::http::fake::{SentRequest, answer};
use bulkhead_capability::http::{ExchangeError, HttpResponse, WireResponse};
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_store::Key;

const KEY: &str = "AQDzYW5kIGEga2V5==";

fn secret(reference: &str) -> [Slot; 1] {
    [Slot { name: "secret".to_owned(), value: SlotValue::Secret(reference.to_owned()) }]
}

async fn tell(call: &Call, template: &str, reference: &str) -> Result<HttpResponse, CapabilityError> {
    call.http().send(template, &secret(reference)).await
}

/// An answer that holds all of what was asked.
fn echo(request: &SentRequest) -> WireResponse {
    let mut echoed = answer(200, format!("{request:?} {}", String::from_utf8_lossy(&request.body)));
    let password = request.headers.iter().find(|(name, _)| name == "x-password");
    let value = password.map(|(_, value)| value.as_bytes().to_vec());
    echoed.headers.extend(value.map(|value| ("x-echo".to_owned(), value)));
    echoed
}

async fn written_down(lab: &Lab) -> String {
    let stored = lab.host.store.scan(&Key::prefix(&[])).await.expect("everything");
    let stored =
        stored.into_iter().map(|(key, value)| format!("{key} {}", String::from_utf8_lossy(&value.value)));
    format!("{:?} {}", lab.effects().await, stored.collect::<Vec<_>>().join("\n"))
}

/// Case T-S1.
#[tokio::test]
async fn an_endpoint_that_echoes_its_request_tells_the_driver_no_secret() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|request| Ok(echo(request)));
    let call = lab.call();
    let answer = tell(&call, "tell", "password").await.expect("an answer");
    let sent = lab.fake.sent().pop().expect("a request");
    assert_eq!(sent.body, format!("{{\"password\":\"{PASSWORD}\"}}").into_bytes());
    assert!(sent.headers.contains(&("x-password".to_owned(), format!("Bearer {PASSWORD}"))));
    assert_eq!(answer.headers, [("x-echo".to_owned(), "Bearer [secret]".to_owned())]);
    let body = String::from_utf8(answer.body).expect("text");
    assert!(body.contains("{\"password\":\"[secret]\"}"), "{body}");
    let told = format!("{body} {}", written_down(&lab).await);
    assert!(told.contains("secret=secret password"), "its name is told: {told}");
    assert!(!lab.backend.redactor().finds_in(told.as_bytes()), "{told}");
}

#[tokio::test]
async fn of_an_echo_that_is_cut_in_the_middle_of_a_secret_nothing_is_left() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|request| Ok(answer(200, request.body.clone())));
    let answer = tell(&lab.call(), "tell-briefly", "password").await.expect("an answer");
    assert!(answer.truncated);
    assert_eq!(String::from_utf8_lossy(&answer.body), "password=[secret]");
}

#[tokio::test]
async fn a_header_that_is_too_long_is_cut_behind_what_was_taken_out() {
    let lab = Lab::new().await;
    let long = format!("{}{PASSWORD}", "x".repeat(4096 - 4));
    lab.fake.answer(Ok(with_header(200, "x-echo", &long)));
    let answer = tell(&lab.call(), "tell", "password").await.expect("an answer");
    assert!(answer.headers[0].1.ends_with("x[sec"), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_failure_that_holds_a_secret_is_told_without_it() {
    let lab = Lab::new().await;
    lab.fake.answer(Err(ExchangeError::Lost { reason: format!("closed after '{PASSWORD}'") }));
    let error = tell(&lab.call(), "tell", "password").await.expect_err("lost");
    assert_eq!(error.code, CapabilityCode::OutcomeUnknown);
    assert!(error.message.contains("closed after '[secret]'"), "{error}");
    assert!(!lab.backend.redactor().finds_in(written_down(&lab).await.as_bytes()));
}

/// Case T-S5.
#[tokio::test]
async fn a_secret_goes_only_into_requests_that_name_it() {
    let lab = Lab::new().await;
    let call = lab.call();
    let error = tell(&call, "tell", "other").await.expect_err("another purpose");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("slots.secret.of"), "{error}");
    assert_eq!(code(tell(&call, "tell", "kept/of-nobody").await), CapabilityCode::NotFound);
    assert_eq!(code(tell(&call, "tell", "unset").await), CapabilityCode::NotFound);
    assert_eq!(code(tell(&call, "tell", "made-up").await), CapabilityCode::Denied);
    assert!(lab.fake.sent().is_empty());
}

#[tokio::test]
async fn a_key_that_an_endpoint_makes_is_held_by_reference_and_used_later() {
    let lab = Lab::new().await;
    let call = lab.call();
    lab.fake.answer(Ok(answer(201, format!("{{\"user\":7,\"key\":\"{KEY}\"}}"))));
    let made = call.http().send("make-key", &[]).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&made.body), "{\"user\":7,\"key\":\"[secret]\"}");
    let captured = call.secrets().captured("access-key").await.expect("granted").expect("captured");
    call.secrets().keep("key", &captured).await.expect("kept");
    drop(call);
    let later = lab.call();
    tell(&later, "tell", "kept/key").await.expect("an answer");
    let sent = lab.fake.sent().pop().expect("a request");
    assert_eq!(sent.body, format!("{{\"password\":\"{KEY}\"}}").into_bytes());
    assert!(!written_down(&lab).await.contains(KEY));
}

#[tokio::test]
async fn nothing_is_captured_of_an_answer_that_was_refused_or_cut() {
    let lab = Lab::new().await;
    let call = lab.call();
    lab.fake.answer(Ok(answer(409, format!("{{\"key\":\"{KEY}\"}}"))));
    let refused = call.http().send("make-key", &[]).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&refused.body), "{\"key\":\"[secret]\"}", "but it is taken out");
    assert_eq!(call.secrets().captured("access-key").await, Ok(None));
    lab.fake.answer(Ok(answer(201, format!("{{\"key\":\"{KEY}\",\"more\":\"{}\"}}", "x".repeat(64)))));
    let error = call.http().send("make-key", &[]).await.expect_err("cut");
    assert_eq!(error.code, CapabilityCode::LimitExceeded);
    assert!(error.message.contains("longer than its `capture`"), "{error}");
    lab.fake.answer(Ok(answer(201, "{\"key\":\"abc\"}")));
    let error = call.http().send("make-key", &[]).await.expect_err("no secret");
    assert!(error.message.contains("fewer than 6 bytes") && !error.message.contains("abc"), "{error}");
}
