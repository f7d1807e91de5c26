//! Sessions that the host keeps: one for each backend, session template, share server, controller and credentials, shared by all calls.
//!
//! Whoever finds no tokens logs in, and all who come meanwhile wait for that one login. An answer that says the session has expired ends
//! just the tokens it was asked with: who comes late with old ones finds the new. The login runs as a task of its own, so that a call that
//! is dropped meanwhile leaves no session behind that nobody knows of. Tokens are [`Secret`]s: whatever echoes them is redacted.

use super::controller::Controller;
use super::exchange::{ExchangeError, Payload, Transport, WireRequest, WireResponse};
use super::render::{self, Value, Values};
use crate::secret::{Redactor, Secret};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Digest, Label, ShareServerId};
use bulkhead_model::manifest::{
    HttpMethod, SessionRequest, SessionTemplate, TokenPlace, TokenSource, TokenTemplate, TokenUse,
};
use hyper::header::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

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

/// What a login brought.
pub(super) struct Tokens(Vec<(TokenTemplate, Secret)>);

/// How many there are, and nothing of them.
impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Tokens").field(&self.0.len()).finish()
    }
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
                let reason = format!(
                    "it refused the login with status {}; correct the credentials in the backend's options",
                    answer.status
                );
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

/// The tokens in the answer to a login.
fn tokens(template: &SessionTemplate, answer: &WireResponse, redactor: &Redactor) -> Result<Tokens, String> {
    let found = template.tokens.iter().map(|token| {
        let text = find(token, answer)
            .ok_or_else(|| format!("its answer to the login has no {}", describe(token)))?;
        let secret = redactor
            .secret(Zeroizing::new(text.as_bytes().to_vec()))
            .map_err(|error| format!("the {} of its answer to the login: {error}", describe(token)))?;
        Ok((token.clone(), secret))
    });
    found.collect::<Result<Vec<_>, String>>().map(Tokens)
}

fn describe(token: &TokenTemplate) -> String {
    match token.from {
        TokenSource::Header => format!("header '{}'", token.key),
        TokenSource::Cookie => format!("cookie '{}'", token.key),
        TokenSource::Json => format!("value at '{}'", token.key),
    }
}

fn find(token: &TokenTemplate, answer: &WireResponse) -> Option<Zeroizing<String>> {
    let found = match token.from {
        TokenSource::Header => answer.header(&token.key).map(str::to_owned),
        TokenSource::Cookie => answer.headers("set-cookie").find_map(|line| {
            let (name, value) = line.split(';').next()?.split_once('=')?;
            (name.trim() == token.key).then(|| value.trim().trim_matches('"').to_owned())
        }),
        TokenSource::Json => {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
            match body.pointer(&token.key)? {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        }
    };
    found.map(Zeroizing::new).filter(|text| !text.is_empty())
}

impl Tokens {
    /// The headers that carry them on a request with this method.
    pub(super) fn headers(
        &self,
        method: HttpMethod,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, CapabilityError> {
        let mut headers = Vec::new();
        let mut cookies = Zeroizing::new(String::new());
        let carried = |token: &TokenTemplate| token.used_on == TokenUse::All || !method.only_reads();
        for (token, secret) in self.0.iter().filter(|(token, _)| carried(token)) {
            let text = secret.expose_text().unwrap_or_default();
            match token.to {
                TokenPlace::Header => {
                    let value = Zeroizing::new(format!("{}{text}", token.prefix));
                    headers.push(render::header(&token.name, &value)?);
                }
                TokenPlace::Cookie => {
                    // A cookie that an array hands out may not end itself.
                    if text.contains([';', ',', ' ', '"', '\\']) {
                        return Err(CapabilityError::new(
                            CapabilityCode::Unavailable,
                            format!("the token '{}' cannot stand in a cookie", token.name),
                        ));
                    }
                    let separator = if cookies.is_empty() { "" } else { "; " };
                    let _never_fails = write!(cookies, "{separator}{}={text}", token.name).is_err();
                }
            }
        }
        if !cookies.is_empty() {
            headers.push(render::header("cookie", &cookies)?);
        }
        Ok(headers)
    }
}

/// Whether an answer says that it was given to no session.
pub(super) fn is_expired(template: &SessionTemplate, answer: &WireResponse) -> bool {
    let expired = &template.expired;
    if expired.status.contains(&answer.status) {
        return true;
    }
    let (Some(pointer), Some(value)) = (&expired.pointer, &expired.value) else { return false };
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    body.and_then(|body| {
        Some(match body.pointer(pointer)? {
            serde_json::Value::String(text) => text == value,
            // A number or a truth value, as JSON writes it.
            other => serde_json::from_str::<serde_json::Value>(value).is_ok_and(|value| value == *other),
        })
    })
    .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> SessionTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "session", "reason": "a test", "endpoint": "array",
            "login": { "method": "POST", "path": "/session" },
            "token": [
                { "from": "cookie", "key": "sid", "to": "cookie", "name": "sid" },
                { "from": "header", "key": "x-csrf", "to": "header", "name": "x-csrf", "on": "changes" },
                { "from": "json", "key": "/data/token", "to": "header", "name": "x-auth", "prefix": "Bearer " },
            ],
            "expired": { "status": [401], "pointer": "/error", "value": "EXPIRED" },
        }))
        .expect("a session")
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> WireResponse {
        WireResponse {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            truncated: false,
            streamed: 0,
        }
    }

    #[test]
    fn tokens_are_found_where_they_are_declared_and_carried_where_they_belong() {
        let headers = [
            ("set-cookie", "theme=dark; Path=/"),
            ("set-cookie", "sid=abcdef123; Path=/; HttpOnly"),
            ("x-csrf", "csrf-token"),
        ];
        let answer = answer(201, &headers, r#"{"data":{"token":"json-token"}}"#);
        let tokens = tokens(&template(), &answer, &Redactor::default()).expect("tokens");
        let sent = |method| {
            let headers = tokens.headers(method).expect("headers");
            let pair = |(name, value): (HeaderName, HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap_or_default())
            };
            headers.into_iter().map(pair).collect::<Vec<_>>()
        };
        assert_eq!(sent(HttpMethod::Get), ["x-auth: Bearer json-token", "cookie: sid=abcdef123"]);
        assert_eq!(
            sent(HttpMethod::Post),
            ["x-csrf: csrf-token", "x-auth: Bearer json-token", "cookie: sid=abcdef123"]
        );
        assert!(!format!("{tokens:?}").contains("token\""), "tokens are never printed");
    }

    #[test]
    fn a_login_without_its_tokens_says_which_is_missing() {
        let answer = answer(200, &[("set-cookie", "sid=abcdef123")], "{}");
        let told = tokens(&template(), &answer, &Redactor::default()).expect_err("no tokens");
        assert!(told.contains("header 'x-csrf'"), "{told}");
    }

    #[test]
    fn expiry_is_a_status_or_a_value() {
        let template = template();
        assert!(is_expired(&template, &answer(401, &[], "")));
        assert!(is_expired(&template, &answer(200, &[], r#"{"error":"EXPIRED"}"#)));
        assert!(!is_expired(&template, &answer(200, &[], r#"{"error":"OTHER"}"#)));
        assert!(!is_expired(&template, &answer(403, &[], "no JSON")));
    }
}
