//! Which controller is asked.

use crate::lab::{CONTROLLERS, Lab, code, with_header};
use bulkhead_capability::http::ExchangeError;
use bulkhead_capability::http::fake::answer;
use bulkhead_capability::testing::origin;
use bulkhead_model::error::CapabilityCode;

fn away() -> ExchangeError {
    ExchangeError::NotSent { reason: "connection refused".to_owned() }
}

#[tokio::test]
async fn a_controller_that_cannot_be_reached_makes_way_and_the_next_stays_in_use() {
    let lab = Lab::new().await;
    lab.fake.answer(Err(away()));
    let first = lab.call().http().send("list", &[]).await.expect("an answer");
    let second = lab.call().http().send("list", &[]).await.expect("an answer");
    assert_eq!((first.controller, second.controller), (1, 1));
    let asked: Vec<_> = lab.fake.sent().into_iter().map(|sent| sent.controller).collect();
    assert_eq!(asked, [CONTROLLERS[0], CONTROLLERS[1], CONTROLLERS[1]]);
}

#[tokio::test]
async fn what_was_sent_is_sent_to_no_other_controller() {
    for (error, expected) in [
        (ExchangeError::Lost { reason: "cut".to_owned() }, CapabilityCode::OutcomeUnknown),
        (ExchangeError::TimedOut, CapabilityCode::TimedOut),
        (ExchangeError::TooLarge { what: "too much".to_owned() }, CapabilityCode::LimitExceeded),
        (ExchangeError::Impostor { reason: "another certificate".to_owned() }, CapabilityCode::Denied),
    ] {
        let lab = Lab::new().await;
        lab.fake.answer(Err(error));
        assert_eq!(code(lab.call().http().send("list", &[]).await), expected);
        assert_eq!(lab.fake.sent().len(), 1);
    }
}

#[tokio::test]
async fn without_any_controller_nothing_was_done_and_once_may_be_tried_again() {
    let lab = Lab::new().await;
    let origin = origin("shares.create-share");
    for _ in 0..2 {
        lab.fake.answer(Err(away()));
    }
    let failed = lab.call_of(origin.clone()).http().send("create-once", &lab.volume()).await;
    let error = failed.expect_err("nobody there");
    assert_eq!(error.code, CapabilityCode::Unavailable);
    assert!(error.message.contains("no controller of 'array'"), "{error}");
    let call = bulkhead_model::call::CallOrigin { call: bulkhead_model::id::CallId::next(), ..origin };
    lab.call_of(call).http().send("create-once", &lab.volume()).await.expect("tried again");
}

#[tokio::test]
async fn an_answer_is_an_answer_whatever_its_status() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(with_header(503, "retry-after", "7")));
    let busy = lab.call().http().send("list", &[]).await.expect("an answer");
    assert_eq!((busy.status, busy.retry_after_ms), (503, Some(7_000)));
    lab.fake.answer(Ok(with_header(302, "location", "http://evil.example/")));
    let moved = lab.call().http().send("list", &[]).await.expect("an answer");
    assert_eq!((moved.status, moved.headers.len()), (302, 0), "a redirect is an answer, followed by nobody");
    assert_eq!(lab.fake.sent().len(), 2);
}

#[tokio::test]
async fn a_body_beyond_the_template_s_limit_is_cut() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(answer(200, "0123456789")));
    let cut = lab.call().http().send("small", &[]).await.expect("an answer");
    assert_eq!((cut.body.as_slice(), cut.truncated), (b"01234567".as_slice(), true));
}
