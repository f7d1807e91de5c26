//! Sessions that the host keeps: one for each backend, session template, share server, controller and credentials, shared by all calls.
//!
//! Whoever finds no tokens logs in, and all who come meanwhile wait for that one login and share what comes of it, its failure too. An
//! answer that says the session has expired ends just the tokens it was asked with: who comes late with old ones finds the new. The login
//! runs as a task of its own, so that a call that is dropped meanwhile leaves no session behind that nobody knows of. Tokens are
//! [`Secret`]s: whatever echoes them is redacted. No await while a session's state is locked.

use super::controller::Controller;
use super::exchange::{ExchangeError, Payload, Transport, WireRequest};
use super::render::{self, Value, Values};
use super::token::{Tokens, tokens};
use crate::secret::{Redactor, Secret};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Digest, Label, ShareServerId};
use bulkhead_model::manifest::{SessionRequest, SessionTemplate};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How much of an answer to a login is kept, in bytes.
const LOGIN_CAPTURE: usize = 64 << 10;
/// For how long a refused login is not tried again: an array that counts them would lock the account.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// How long a login waits, when the endpoint asks it to, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a login is tried when the endpoint asks it to wait.
const MOST_TRIES: u32 = 5;

/// Whose session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionKey {
    /// The hash of the template.
    pub(super) template: Digest,
    /// The share server that the controller is an address of: whoever gets that address next is somebody else.
    pub(super) server: Option<ShareServerId>,
    /// The controller.
    pub(super) controller: String,
    /// Which credentials, by a hash that does not leave the process.
    pub(super) credentials: Digest,
}

/// What a session needs to begin.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) template: Arc<SessionTemplate>,
    /// The credentials by slot.
    pub(super) credentials: Arc<BTreeMap<Label, Credential>>,
    pub(super) redactor: Redactor,
}

/// A credential: an option's text or what a secret option refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    Text(String),
    Secret(Secret),
}

/// The session of one account with one controller.
#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Option<Arc<Tokens>>,
    /// Until when no login is tried, and why.
    refused: Option<(Instant, CapabilityError)>,
    /// The login under way.
    attempt: Option<Attempt>,
    /// How to log out.
    end: Option<(Arc<dyn Transport>, Controller, Account)>,
}

/// A login under way.
#[derive(Debug, Clone)]
struct Attempt {
    controller: Controller,
    /// None until it has ended; closed before that if it ended abruptly.
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Attempt {
    async fn ended(&mut self) -> Outcome {
        let outcome = self.outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| {
            tracing::error!(controller = %self.controller, "a login ended abruptly");
            Err(failed("the host failed inside; see the host's log"))
        })
    }
}

/// What a login brings all who wait for it.
type Outcome = Result<Arc<Tokens>, LoginError>;

/// Which login the answer to [`Session::tokens`] is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// None: there were tokens, or none may be tried yet.
    None,
    /// That of another call, which this one waited for.
    Awaited,
    /// This call's own.
    Own,
}

/// Why there is no session.
#[derive(Debug, Clone)]
pub(super) enum LoginError {
    /// The controller cannot be reached: another may be asked.
    NotSent(String),
    /// Anything else.
    Failed(CapabilityError),
}

impl Session {
    /// The tokens, from a new login if there are none or only `stale` ones. Waits for the login of whoever came first, and fails as that
    /// does; who comes after it has failed tries anew.
    pub(super) async fn tokens(
        self: &Arc<Self>,
        transport: &Arc<dyn Transport>,
        controller: &Controller,
        account: &Account,
        (stale, deadline): (Option<&Arc<Tokens>>, Instant),
    ) -> (Login, Outcome) {
        loop {
            let (login, mut attempt) = match self.find_or_begin(transport, controller, account, stale) {
                Ok(attempt) => attempt,
                Err(at_hand) => return (Login::None, at_hand),
            };
            let Ok(outcome) = tokio::time::timeout_at(deadline, attempt.ended()).await else {
                return (login, Err(failed("the session was not begun in time; nothing was sent")));
            };
            // Another generation may know the controller by other certificates: its failure says nothing of this one's.
            if outcome.is_ok() || attempt.controller.is_bound_as(controller) {
                return (login, outcome);
            }
        }
    }

    /// The login under way, or a new one; what there is if none is needed, or may be tried.
    fn find_or_begin(
        self: &Arc<Self>,
        transport: &Arc<dyn Transport>,
        controller: &Controller,
        account: &Account,
        stale: Option<&Arc<Tokens>>,
    ) -> Result<(Login, Attempt), Outcome> {
        let mut state = self.locked();
        if let Some(tokens) = &state.tokens
            && !stale.is_some_and(|stale| Arc::ptr_eq(stale, tokens))
        {
            return Err(Ok(Arc::clone(tokens)));
        }
        state.tokens = None;
        if let Some((until, error)) = &state.refused
            && *until > Instant::now()
        {
            return Err(Err(LoginError::Failed(error.clone())));
        }
        state.refused = None;
        // One that ended abruptly has nobody left who would tell what came of it.
        if let Some(attempt) = state.attempt.as_ref().filter(|attempt| attempt.outcome.has_changed().is_ok())
        {
            return Ok((Login::Awaited, attempt.clone()));
        }
        let (ends, outcome) = watch::channel(None);
        let attempt = Attempt { controller: controller.clone(), outcome };
        state.attempt = Some(attempt.clone());
        let whose = (Arc::clone(transport), controller.clone(), account.clone());
        tokio::spawn(Arc::clone(self).log_in(whose, ends));
        Ok((Login::Own, attempt))
    }

    async fn log_in(
        self: Arc<Self>,
        (transport, controller, account): (Arc<dyn Transport>, Controller, Account),
        ends: watch::Sender<Option<Outcome>>,
    ) {
        let begun = Instant::now();
        let answer = log_in(&*transport, &controller, &account).await;
        let mut state = self.locked();
        let outcome = match answer {
            Ok(tokens) => {
                let tokens = Arc::new(tokens);
                state.tokens = Some(Arc::clone(&tokens));
                state.end = Some((transport, controller, account));
                Ok(tokens)
            }
            Err(Refusal::Now(error)) => Err(error),
            Err(Refusal::ForAWhile(error)) => {
                state.refused = begun.checked_add(REFUSED_FOR).map(|until| (until, error.clone()));
                Err(LoginError::Failed(error))
            }
        };
        // In this order: who is told of a failure and asks again finds no login under way.
        state.attempt = None;
        ends.send_replace(Some(outcome));
    }

    /// Whether no login is tried at `now` because one was refused.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.locked().refused.as_ref().is_some_and(|(until, _)| *until > now)
    }

    /// Log out, if there is anything to log out of; a login under way is awaited before. Best effort: what fails is left to expire.
    pub(super) async fn end(&self) {
        let attempt = self.locked().attempt.clone();
        if let Some(mut attempt) = attempt {
            let _told_to_who_asked = attempt.ended().await.is_ok();
        }
        let (tokens, (transport, controller, account)) = {
            let mut state = self.locked();
            let (Some(tokens), Some(end)) = (state.tokens.take(), state.end.take()) else { return };
            (tokens, end)
        };
        let Some(logout) = &account.template.logout else { return };
        let built = request(logout, &account, Some(&tokens));
        let ended = match built {
            Ok(request) => transport.exchange(&controller, request).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match ended {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                tracing::warn!(%controller, status = answer.status, "a session was not logged out of")
            }
            Err(error) => tracing::warn!(%controller, error, "a session was not logged out of"),
        }
    }

    /// A panic while it is locked leaves it sound: every field stands for itself.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Refusal {
    Now(LoginError),
    ForAWhile(CapabilityError),
}

async fn log_in(
    transport: &dyn Transport,
    controller: &Controller,
    account: &Account,
) -> Result<Tokens, Refusal> {
    let mut tries = 0_u32;
    loop {
        tries = tries.saturating_add(1);
        let request = request(&account.template.login, account, None)
            .map_err(|error| Refusal::Now(LoginError::Failed(error)))?;
        let answer = transport.exchange(controller, request).await.map_err(|error| match error {
            ExchangeError::NotSent { reason } => Refusal::Now(LoginError::NotSent(reason)),
            ExchangeError::Impostor { reason } => {
                Refusal::Now(LoginError::Failed(CapabilityError::new(CapabilityCode::Denied, reason)))
            }
            other => Refusal::Now(failed(&format!("logging in failed: {other}"))),
        })?;
        if answer.is_success() {
            return tokens(&account.template, &answer, &account.redactor)
                .map_err(|reason| Refusal::ForAWhile(unavailable(controller, &reason)));
        }
        match super::answer::retry_after(&answer, std::time::SystemTime::now()) {
            Some(pause) if tries < MOST_TRIES && pause <= LONGEST_PAUSE => tokio::time::sleep(pause).await,
            Some(_) => {
                return Err(Refusal::Now(LoginError::Failed(unavailable(
                    controller,
                    &format!("it answered the login with status {} and asks to wait", answer.status),
                ))));
            }
            None if answer.status >= 500 => {
                let reason = format!("it answered the login with status {}", answer.status);
                return Err(Refusal::Now(LoginError::Failed(unavailable(controller, &reason))));
            }
            None => {
                let advice = match answer.status {
                    300..=399 => {
                        "it sends elsewhere, which is not followed; correct the controllers of the endpoint"
                    }
                    404 | 405 => "it has no such login; correct the controllers of the endpoint",
                    429 => "it takes no more at the moment; it is asked again after a while",
                    _ => "correct the credentials in the backend's options",
                };
                let reason = format!("it refused the login with status {}; {advice}", answer.status);
                return Err(Refusal::ForAWhile(unavailable(controller, &reason)));
            }
        }
    }
}

fn unavailable(controller: &Controller, reason: &str) -> CapabilityError {
    CapabilityError::new(CapabilityCode::Unavailable, format!("no session with {controller}: {reason}"))
}

fn failed(reason: &str) -> LoginError {
    LoginError::Failed(CapabilityError::new(CapabilityCode::Unavailable, reason))
}

/// A request of the session's own.
fn request(
    template: &SessionRequest,
    account: &Account,
    tokens: Option<&Tokens>,
) -> Result<WireRequest, CapabilityError> {
    let values: Values<'_> = account
        .credentials
        .iter()
        .map(|(slot, credential)| match credential {
            Credential::Text(text) => (slot, Value::Text(text)),
            Credential::Secret(secret) => (slot, Value::Secret(secret)),
        })
        .collect();
    let mut headers = render::headers(&template.headers, template.body, &values)?;
    if let Some(tokens) = tokens {
        headers.extend(tokens.headers(template.method)?);
    }
    let timeout = Duration::from_secs(account.template.timeout);
    Ok(WireRequest {
        name: account.template.name.clone(),
        method: template.method,
        target: render::target(&template.path, &Values::new())?,
        headers,
        payload: Payload::Bytes(render::body(template.body, template.text.as_deref(), &values)?),
        capture: LOGIN_CAPTURE,
        sink: None,
        largest: 0,
        deadline: Instant::now().checked_add(timeout).unwrap_or_else(Instant::now),
    })
}
