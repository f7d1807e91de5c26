//! Sessions: begun once for all who wait, renewed when they have expired, never seen.

use crate::lab::{CONTROLLERS, Lab, PASSWORD, code, with_header};
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::http::fake::{SentRequest, answer};
use bulkhead_capability::http::{ExchangeError, WireResponse};
use bulkhead_capability::testing::origin;
use bulkhead_model::effect::{Effect, EffectOutcome};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::target::CallTarget;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Lets an array hand out sessions, of which `valid` says whether it is still one.
fn array(lab: &Lab, valid: impl Fn(usize) -> bool + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    lab.fake.answer_all(move |sent: &SentRequest| Ok(serve(sent, &counted, &valid)));
    logins
}

fn serve(sent: &SentRequest, logins: &AtomicUsize, valid: &dyn Fn(usize) -> bool) -> WireResponse {
    if sent.line == "POST /session" {
        let number = logins.fetch_add(1, Ordering::SeqCst) + 1;
        return with_header(201, "set-cookie", &format!("sid=session-{number}; Path=/"));
    }
    let cookie = sent.headers.iter().find(|(name, _)| name == "cookie").map(|(_, value)| value.clone());
    let number = cookie.and_then(|cookie| cookie.strip_prefix("sid=session-")?.parse().ok());
    if number.is_some_and(valid) { answer(200, "{}") } else { answer(401, "log in") }
}

#[tokio::test]
async fn a_session_is_begun_once_and_shared_by_all_calls() {
    let lab = Lab::new().await;
    let logins = array(&lab, |_| true);
    let calls: Vec<_> = (0..16).map(|_| lab.call()).collect();
    let asked =
        calls.iter().map(|call| async { call.http().send("in-session", &[]).await.map(|one| one.status) });
    let answers = futures_of(asked).await;
    assert!(answers.into_iter().all(|answer| answer == Ok(200)));
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    let login = &lab.fake.sent()[0];
    assert_eq!(login.body, format!("{{\"user\":\"bulkhead\",\"password\":\"{PASSWORD}\"}}").into_bytes());
}

/// Another generation of the lab's backend, with the same password.
fn next_generation(lab: &Lab, change: impl FnOnce(&mut BackendParts)) -> Arc<Backend> {
    let (manifest, grant) = (lab.backend.manifest().clone(), lab.backend.grant().clone());
    let mut parts = lab.host.parts("lab", manifest, grant).expect("parts");
    parts.secrets.redactor = lab.backend.redactor().clone();
    let password = parts.secrets.redactor.secret(PASSWORD.as_bytes().to_vec()).expect("a secret");
    parts.secrets.options.insert("password".to_owned(), password);
    change(&mut parts);
    Backend::new(parts).expect("another generation")
}

fn call_on(backend: &Arc<Backend>, lab: &Lab) -> Call {
    let until = Instant::now() + Duration::from_secs(60);
    backend.begin(origin("lifecycle.stats"), CallTarget::share(lab.share), until, 0)
}

async fn ask(call: &Call) -> Result<u16, CapabilityError> {
    call.http().send("in-session", &[]).await.map(|answer| answer.status)
}

/// How many calls ask at once, and may.
const CALLS: u32 = 16;

fn let_all_in(parts: &mut BackendParts) {
    for endpoint in parts.grant.endpoints.values_mut() {
        endpoint.concurrency = CALLS;
    }
}

fn logins(lab: &Lab) -> usize {
    lab.fake.sent().iter().filter(|sent| sent.line == "POST /session").count()
}

/// What calls tell that all wait for one login, which is held until each of them does.
async fn while_a_login_is_held(lab: &Lab, calls: &[Call]) -> Vec<Result<u16, CapabilityError>> {
    let held = lab.fake.hold_next();
    let release = async {
        // Time stands still but for when everybody waits.
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    };
    tokio::join!(futures_of(calls.iter().map(ask)), release).0
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_fails_for_all_who_wait_for_it_and_who_comes_later_tries_anew() {
    let lab = Lab::with(let_all_in).await;
    lab.fake.answer_all(|_| Ok(answer(500, "overloaded")));
    let calls: Vec<_> = (0..CALLS).map(|_| lab.call()).collect();
    for told in while_a_login_is_held(&lab, &calls).await {
        let error = told.expect_err("no session");
        assert_eq!(error.code, CapabilityCode::Unavailable);
        assert!(error.message.contains("status 500"), "{error}");
    }
    assert_eq!(logins(&lab), 1);
    let failed =
        |effect: &&Effect| effect.capability == "http.login" && effect.outcome == EffectOutcome::Failed;
    assert_eq!(lab.effects().await.iter().filter(failed).count(), 1, "as many as there were");
    ask(&lab.call()).await.expect_err("no session");
    assert_eq!(logins(&lab), 2);
    let begun = array(&lab, |_| true);
    assert_eq!(ask(&lab.call()).await, Ok(200));
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_dead_is_asked_for_one_login_by_all_who_wait_and_then_the_next_one() {
    let lab = Lab::with(let_all_in).await;
    lab.fake.answer_all(|_| Err(ExchangeError::NotSent { reason: "connection refused".to_owned() }));
    let calls: Vec<_> = (0..CALLS).map(|_| lab.call()).collect();
    let told = while_a_login_is_held(&lab, &calls).await;
    assert!(told.into_iter().all(|told| code(told) == CapabilityCode::Unavailable));
    let asked: Vec<_> = lab.fake.sent().into_iter().map(|sent| sent.controller).collect();
    assert_eq!(asked.iter().filter(|asked| *asked == CONTROLLERS[0]).count(), 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_is_bound_otherwise_tries_a_login_of_its_own_after_anothers_has_failed() {
    let lab = Lab::with(let_all_in).await;
    lab.fake.answer_all(|_| Ok(answer(500, "overloaded")));
    let next = next_generation(&lab, |parts| {
        for endpoint in parts.grant.endpoints.values_mut() {
            endpoint.addresses = vec!["10.0.0.0/8".parse().expect("a network")];
        }
    });
    let calls = [lab.call(), call_on(&next, &lab), lab.call(), call_on(&next, &lab)];
    for told in while_a_login_is_held(&lab, &calls).await {
        assert_eq!(code(told), CapabilityCode::Unavailable);
    }
    assert_eq!(logins(&lab), 2, "one for each binding");
}

/// All of them at once.
async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waits = false;
        for (future, answer) in &mut pending {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *answer = Some(done),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pending.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_for_all_who_wait_and_their_requests_sent_again() {
    let lab = Lab::new().await;
    let newest = Arc::new(AtomicUsize::new(1));
    let valid = Arc::clone(&newest);
    let logins = array(&lab, move |number| number >= valid.load(Ordering::SeqCst));
    lab.call().http().send("in-session", &[]).await.expect("an answer");
    newest.store(2, Ordering::SeqCst);
    let calls: Vec<_> = (0..16).map(|_| lab.call()).collect();
    let asked =
        calls.iter().map(|call| async { call.http().send("in-session", &[]).await.map(|one| one.status) });
    assert!(futures_of(asked).await.into_iter().all(|answer| answer == Ok(200)));
    assert_eq!(logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_session_that_is_refused_right_away_is_not_tried_for_ever() {
    let lab = Lab::new().await;
    let logins = array(&lab, |_| false);
    let error = lab.call().http().send("create-in-session", &lab.volume()).await.expect_err("refused");
    assert_eq!(error.code, CapabilityCode::Unavailable);
    assert!(error.message.contains("right after logging in"), "{error}");
    assert_eq!(logins.load(Ordering::SeqCst), 2);
}

/// One call that asks in a session that has ended when its request comes, as has each of `renewals` that another call begins meanwhile.
/// Returns what the call tells, and how many logins there were.
async fn overtaken(renewals: usize) -> (Result<u16, CapabilityError>, usize) {
    let lab = Lab::new().await;
    let oldest = Arc::new(AtomicUsize::new(1));
    let valid = Arc::clone(&oldest);
    let logins = array(&lab, move |number| number >= valid.load(Ordering::SeqCst));
    ask(&lab.call()).await.expect("an answer");
    let (call, other) = (lab.call(), lab.call());
    let end_all = || oldest.store(logins.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    let mut held = lab.fake.hold_next();
    let others = async {
        for _ in 0..renewals {
            // The call's request is held now.
            tokio::time::sleep(Duration::from_secs(1)).await;
            end_all();
            ask(&other).await.expect("another session");
            end_all();
            // What is let go is refused, and the call's next request held.
            held = lab.fake.hold_next();
        }
        drop(held);
    };
    let (told, ()) = tokio::join!(ask(&call), others);
    (told, logins.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_call_began_and_that_has_ended_again_is_not_taken_for_one_refused_at_once() {
    let (told, logins) = overtaken(1).await;
    assert_eq!((told, logins), (Ok(200), 3), "the first, the other call's, and its own");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_one_ended_session_of_others_after_the_other_is_not_sent_for_ever() {
    let (told, logins) = overtaken(3).await;
    let error = told.expect_err("refused");
    assert_eq!(error.code, CapabilityCode::Unavailable);
    assert!(
        error.message.contains("refuses the session 'session' 3 times, each time another one"),
        "{error}"
    );
    assert_eq!(logins, 4, "none of its own");
}

#[tokio::test]
async fn a_refused_login_is_told_and_not_repeated_at_once() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|_| Ok(answer(403, "no such account")));
    for _ in 0..3 {
        let error = lab.call().http().send("in-session", &[]).await.expect_err("refused");
        assert_eq!(error.code, CapabilityCode::Unavailable);
        assert!(error.message.contains("correct the credentials"), "{error}");
        assert!(!error.message.contains(PASSWORD));
    }
    assert_eq!(lab.fake.sent().len(), 1, "an account is not locked by trying again and again");
}

#[tokio::test]
async fn a_controller_that_is_away_at_login_makes_way_for_the_next() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|sent| {
        if sent.controller == crate::lab::CONTROLLERS[0] {
            return Err(ExchangeError::NotSent { reason: "connection refused".to_owned() });
        }
        Ok(serve(sent, &AtomicUsize::new(0), &|_| true))
    });
    let answer = lab.call().http().send("in-session", &[]).await.expect("an answer");
    assert_eq!(answer.controller, 1);
}

#[tokio::test]
async fn every_generation_uses_the_same_session_and_the_end_logs_out() {
    let lab = Lab::new().await;
    let logins = array(&lab, |_| true);
    lab.call().http().send("in-session", &[]).await.expect("an answer");
    let next = next_generation(&lab, |_| {});
    let call = call_on(&next, &lab);
    call.http().send("in-session", &[]).await.expect("an answer");
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    next.end_sessions().await;
    let last = lab.fake.sent().pop().expect("a logout");
    assert_eq!(last.line, "DELETE /session");
    next.end_sessions().await;
    assert_eq!(lab.fake.sent().len(), 4, "once is enough");
}

fn logouts(lab: &Lab) -> usize {
    lab.fake.sent().iter().filter(|sent| sent.line == "DELETE /session").count()
}

/// Another generation, that logs in with another password.
fn with_another_password(lab: &Lab) -> Arc<Backend> {
    next_generation(lab, |parts| {
        let other = parts.secrets.redactor.secret(b"changed since".to_vec()).expect("a secret");
        parts.secrets.options.insert("password".to_owned(), other);
    })
}

/// Long enough for what goes on beside the test to be over.
async fn a_moment() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_the_last_generation_that_uses_it() {
    let lab = Lab::new().await;
    array(&lab, |_| true);
    let (changed, retired) = (with_another_password(&lab), next_generation(&lab, |_| {}));
    for backend in [&lab.backend, &changed, &retired] {
        assert_eq!(ask(&call_on(backend, &lab)).await, Ok(200));
    }
    assert_eq!(logins(&lab), 2, "one for each password");
    drop(retired);
    a_moment().await;
    assert_eq!(logouts(&lab), 0, "another generation uses it");
    let running = call_on(&changed, &lab);
    drop(changed);
    a_moment().await;
    assert_eq!(ask(&running).await, Ok(200));
    assert_eq!((logins(&lab), logouts(&lab)), (2, 0), "a call of a retired generation goes on in it");
    drop(running);
    a_moment().await;
    assert_eq!(logouts(&lab), 1);
    let last = lab.fake.sent().pop().expect("a logout");
    assert!(last.headers.contains(&("cookie".to_owned(), "sid=session-2".to_owned())), "{last:?}");
    assert_eq!(ask(&lab.call()).await, Ok(200));
    assert_eq!(logins(&lab), 2, "the session of the others goes on");
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_is_not_answered_holds_up_neither_a_new_generation_nor_the_end_for_ever() {
    let lab = Lab::new().await;
    array(&lab, |_| true);
    let replaced = with_another_password(&lab);
    assert_eq!(ask(&call_on(&replaced, &lab)).await, Ok(200));
    let _never_answered = lab.fake.hold_next();
    drop(replaced);
    a_moment().await;
    let again = with_another_password(&lab);
    assert_eq!(ask(&call_on(&again, &lab)).await, Ok(200));
    assert_eq!((logins(&lab), logouts(&lab)), (2, 0));
    let ending = tokio::time::timeout(Duration::from_secs(70), lab.backend.end_sessions());
    ending.await.expect("left to expire");
    assert_eq!(logouts(&lab), 1, "the one that is answered");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_refused_is_not_tried_again_at_once_by_the_next_generation_that_has_it() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|_| Ok(answer(403, "no such account")));
    for _ in 0..3 {
        let refused = with_another_password(&lab);
        assert_eq!(code(ask(&call_on(&refused, &lab)).await), CapabilityCode::Unavailable);
    }
    assert_eq!(logins(&lab), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(code(ask(&call_on(&with_another_password(&lab), &lab)).await), CapabilityCode::Unavailable);
    assert_eq!(logins(&lab), 2);
}

#[tokio::test]
async fn neither_password_nor_token_is_in_the_ledger_the_store_or_an_answer() {
    let lab = Lab::new().await;
    lab.fake.answer_all(|sent| {
        if sent.line == "POST /session" {
            return Ok(with_header(201, "set-cookie", "sid=token-of-the-session"));
        }
        Ok(answer(200, format!("{:?}", sent.headers)))
    });
    let answer = lab.call().http().send("in-session", &[]).await.expect("an answer");
    let body = String::from_utf8_lossy(&answer.body);
    assert!(!body.contains("token-of-the-session"), "{body}");
    let told = format!("{:?}", lab.effects().await);
    assert!(told.contains("http.login") && told.contains("http.send"), "{told}");
    for secret in [PASSWORD, "token-of-the-session"] {
        assert!(!told.contains(secret));
    }
    let prefix = bulkhead_store::Key::prefix(&[]);
    let stored = lab.host.store.scan_page(&prefix, None, 1_000).await.expect("a scan");
    assert!(!stored.is_empty());
    for (key, value) in stored {
        let text = String::from_utf8_lossy(&value.value);
        assert!(!text.contains(PASSWORD) && !text.contains("token-of-the-session"), "{key:?}");
    }
}

#[tokio::test]
async fn without_its_password_no_session_is_begun() {
    let lab = Lab::with(|parts| parts.secrets.options.clear()).await;
    let failed = lab.call().http().send("in-session", &[]).await;
    assert_eq!(code(failed), CapabilityCode::Unavailable);
    assert!(lab.fake.sent().is_empty());
}
