//! Sessions that the host keeps: one for each backend, session template, share server, controller and credentials, shared by all calls.
//!
//! Whoever finds no tokens logs in, and all who come meanwhile wait for that one login. An answer that says the session has expired ends
//! just the tokens it was asked with: who comes late with old ones finds the new. The login runs as a task of its own, so that a call that
//! is dropped meanwhile leaves no session behind that nobody knows of. Tokens are [`Secret`]s: whatever echoes them is redacted.

use super::controller::Controller;
use super::exchange::{ExchangeError, Payload, Transport, WireRequest};
use super::render::{self, Value, Values};
use super::token::{Tokens, tokens};
use crate::secret::{Redactor, Secret};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Digest, Label, ShareServerId};
use bulkhead_model::manifest::{SessionRequest, SessionTemplate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
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
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Option<Arc<Tokens>>,
    /// Until when no login is tried, and why.
    refused: Option<(Instant, CapabilityError)>,
    /// How to log out.
    end: Option<(Arc<dyn Transport>, Controller, Account)>,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum LoginError {
    /// The controller cannot be reached: another may be asked.
    NotSent(String),
    /// Anything else.
    Failed(CapabilityError),
}

impl Session {
    /// The tokens, from a new login if there are none or only `stale` ones. Waits for the login of whoever came first.
    ///
    /// What is told of a login that was made is its duration; none if there was no need for one.
    pub(super) async fn tokens(
        self: &Arc<Self>,
        transport: &Arc<dyn Transport>,
        controller: &Controller,
        account: &Account,
        (stale, deadline): (Option<&Arc<Tokens>>, Instant),
    ) -> Result<(Arc<Tokens>, Option<Duration>), LoginError> {
        let (this, transport) = (Arc::clone(self), Arc::clone(transport));
        let (controller, account, stale) = (controller.clone(), account.clone(), stale.cloned());
        let working =
            tokio::spawn(async move { this.find_or_log_in(transport, controller, account, stale).await });
        match tokio::time::timeout_at(deadline, working).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a login ended abruptly");
                Err(failed("the host failed inside; see the host's log"))
            }
            Err(_) => Err(LoginError::Failed(CapabilityError::new(
                CapabilityCode::Unavailable,
                "the session was not begun in time; nothing was sent",
            ))),
        }
    }

    async fn find_or_log_in(
        &self,
        transport: Arc<dyn Transport>,
        controller: Controller,
        account: Account,
        stale: Option<Arc<Tokens>>,
    ) -> Result<(Arc<Tokens>, Option<Duration>), LoginError> {
        let mut state = self.state.lock().await;
        if let Some(tokens) = &state.tokens
            && !stale.is_some_and(|stale| Arc::ptr_eq(&stale, tokens))
        {
            return Ok((Arc::clone(tokens), None));
        }
        state.tokens = None;
        if let Some((until, error)) = &state.refused
            && *until > Instant::now()
        {
            return Err(LoginError::Failed(error.clone()));
        }
        state.refused = None;
        let begun = Instant::now();
        match log_in(&*transport, &controller, &account).await {
            Ok(tokens) => {
                let tokens = Arc::new(tokens);
                state.tokens = Some(Arc::clone(&tokens));
                state.end = Some((transport, controller, account));
                Ok((tokens, Some(begun.elapsed())))
            }
            Err(Refusal::Now(error)) => Err(error),
            Err(Refusal::ForAWhile(error)) => {
                state.refused = begun.checked_add(REFUSED_FOR).map(|until| (until, error.clone()));
                Err(LoginError::Failed(error))
            }
        }
    }

    /// Log out, if there is anything to log out of. Best effort: what fails is left to expire.
    pub(super) async fn end(&self) {
        let mut state = self.state.lock().await;
        let (Some(tokens), Some((transport, controller, account))) = (state.tokens.take(), state.end.take())
        else {
            return;
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
