//! Requests to the management of a backend's storage: the guest names a template and fills its slots, the host sends it.
//!
//! The right: a request, its endpoint and its session that the manifest declares and the grant pins by their hashes, an endpoint that the
//! grant binds to controllers or to the share server at hand, slots of the call's target. No other address is reachable: what is asked for
//! is a path, redirects are answers, and a name leads nowhere its binding does not allow. `policy` decides, `render` encodes, a
//! [`Transport`] sends, `session` logs in.
//!
//! A controller that cannot be reached, so that nothing was sent, makes way for the next; the one that answered stays in use. What was
//! sent and not answered is `outcome-unknown`. Answers are cut at the template's limits, and whatever holds a secret is redacted.

mod answer;
mod controller;
mod exchange;
pub mod fake;
mod metered;
mod network;
mod policy;
mod render;
mod session;
mod share_server;
mod shared;
mod tls;
mod token;

pub use controller::{BoundEndpoint, Controller, EndpointError, EndpointPlace, Host};
pub use exchange::{ExchangeError, Payload, Sink, Transport, WireRequest, WireResponse};
pub use network::Network;
pub use share_server::ServerEndpoint;
pub(crate) use shared::{HttpShared, SessionUser};

use crate::backend::Backend;
use crate::call::Call;
use crate::execute::once;
use crate::files::{Incoming, Outgoing};
use crate::record::Deed;
use crate::slot::{Path, Slot};
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::text::GuestText;
use policy::{Direction, Prepared};
use serde::{Deserialize, Serialize};
use session::{Login, LoginError, Session, SessionKey};
use shared::EndpointState;
use std::sync::Arc;
use std::time::Duration;
use token::Tokens;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How long a request waits for others of its endpoint, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How many sessions that others began a request is sent in, at most: where each has ended when it comes, something else is wrong.
const MOST_SESSIONS: usize = 3;
/// The longest name in a ledger's record, in bytes.
const SHOWN: usize = 128;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// The status, 100 to 599.
    pub status: u16,
    /// The headers that the template names in `returns`: name in lower case and value.
    pub headers: Vec<(String, String)>,
    /// The body, cut at the template's `capture`.
    pub body: Vec<u8>,
    /// Whether it was cut.
    pub truncated: bool,
    /// Which controller answered, from 0.
    pub controller: u32,
    /// How long the endpoint asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What was moved between an endpoint and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOutcome {
    /// The status, 100 to 599. Other than 2xx: nothing was kept.
    pub status: u16,
    /// Bytes moved.
    pub bytes_done: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// The `http` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Http<'call> {
    call: &'call Call,
}

/// What goes out or comes in beside the template's own text.
#[derive(Clone, Copy)]
enum Cargo<'path> {
    None,
    From(&'path Path),
    Into(&'path Path),
}

/// What came of a request.
struct Done {
    answer: WireResponse,
    controller: usize,
    sent_bytes: u64,
    incoming: Option<Incoming>,
    duration: Duration,
}

/// Why there is no answer.
enum Failure {
    /// The controller cannot be reached and nothing was sent.
    NotSent(String),
    /// Nothing was done, and no other controller is asked.
    Refused(CapabilityError),
    /// It may have been done.
    Sent(CapabilityError),
}

impl<'call> Http<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Send the request `template` once. Idempotent where the template's `repeat` says so.
    ///
    /// Fails with `denied`, naming the line that would allow it; `invalid-argument` for what is not declared and slots outside their
    /// types; `unavailable` if nothing was sent or no session could be begun; `outcome-unknown`, `timed-out` if it was sent; `busy`,
    /// `limit-exceeded`.
    pub async fn send(&self, template: &str, slots: &[Slot]) -> Result<HttpResponse, CapabilityError> {
        let (prepared, deed) = self.begin("http.send", template, slots, Direction::Message).await?;
        let work = async {
            let prepared = prepared?;
            let done = self.perform(&prepared, Cargo::None).await?;
            let detail = told(&prepared, &done);
            let _alive_until_redacted = self.hold_captured(&prepared, &done.answer)?;
            Ok((self.response(&prepared, done), detail))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    /// Send the file at `source` as the body of the request `template`. Idempotent as [`Http::send`].
    ///
    /// Fails with `not-found` if there is no such file, `not-owned` if it is none of its resource's, otherwise as [`Http::send`].
    pub async fn upload(
        &self,
        template: &str,
        slots: &[Slot],
        source: &Path,
    ) -> Result<StreamOutcome, CapabilityError> {
        self.stream("http.upload", (template, slots), Direction::Upload, Cargo::From(source)).await
    }

    /// Send the request `template` and put the body of a successful answer into the file at `destination`. Idempotent as [`Http::send`];
    /// replaces a file that its resource owns.
    ///
    /// Fails with `not-owned`, `no-space`, `limit-exceeded` at the template's `largest`, otherwise as [`Http::send`].
    pub async fn download(
        &self,
        template: &str,
        slots: &[Slot],
        destination: &Path,
    ) -> Result<StreamOutcome, CapabilityError> {
        self.stream("http.download", (template, slots), Direction::Download, Cargo::Into(destination)).await
    }

    async fn stream(
        &self,
        function: &'static str,
        (template, slots): (&str, &[Slot]),
        direction: Direction,
        cargo: Cargo<'_>,
    ) -> Result<StreamOutcome, CapabilityError> {
        let (prepared, deed) = self.begin(function, template, slots, direction).await?;
        let work = async {
            let prepared = prepared?;
            let mut done = self.perform(&prepared, cargo).await?;
            let detail = told(&prepared, &done);
            let is_success = done.answer.is_success();
            if let Some(incoming) = done.incoming.take() {
                if is_success { incoming.keep(self.call).await? } else { incoming.abandon(self.call).await? }
            }
            let moved = if direction == Direction::Upload { done.sent_bytes } else { done.answer.streamed };
            let bytes_done = if is_success { moved } else { 0 };
            let outcome = StreamOutcome {
                status: done.answer.status,
                bytes_done,
                duration_ms: milliseconds(done.duration),
            };
            Ok((outcome, format!("{detail}, {bytes_done} bytes")))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    async fn begin(
        &self,
        function: &'static str,
        template: &str,
        slots: &[Slot],
        direction: Direction,
    ) -> Result<(Result<Prepared<'call>, CapabilityError>, Deed), CapabilityError> {
        let deed = Deed::new(function, GuestText::new(template, SHOWN).as_str());
        let taken = self.call.secrets().take_out(slots).await;
        let prepared = match taken {
            Ok(()) => policy::prepare(self.call, template, slots, direction).await,
            Err(error) => Err(error),
        };
        if let Ok(prepared) = &prepared {
            self.call.record(&deed, EffectOutcome::Begun, &prepared.detail).await?;
        }
        Ok((prepared, deed))
    }

    async fn perform(&self, prepared: &Prepared<'_>, cargo: Cargo<'_>) -> Result<Done, CapabilityError> {
        let call = self.call;
        let template = prepared.template;
        let state = call.backend().shared().http().endpoint(&template.endpoint, prepared.server());
        let _permit = self.permit(&state, prepared).await?;
        let begun = once::begin(call, (&template.name, template.repeat), &prepared.slots).await?;
        let outcome = self.over_controllers(prepared, &state, cargo).await;
        let (error, is_untouched) = match outcome {
            Ok(done) => return Ok(done),
            Err(Failure::NotSent(reason)) => {
                let message = format!("no controller of '{}' can be reached: {reason}", template.endpoint);
                (CapabilityError::new(CapabilityCode::Unavailable, message), true)
            }
            Err(Failure::Refused(error)) => (error, true),
            Err(Failure::Sent(error)) => (error, false),
        };
        if let (Some(begun), true) = (begun, is_untouched) {
            once::withdraw(call, begun).await?;
        }
        Err(error)
    }

    /// Ask one controller after the other until one takes the request.
    async fn over_controllers(
        &self,
        prepared: &Prepared<'_>,
        state: &EndpointState,
        cargo: Cargo<'_>,
    ) -> Result<Done, Failure> {
        let controllers = prepared.controllers();
        let urls: Vec<&str> = controllers.iter().map(Controller::url).collect();
        let mut reasons = Vec::new();
        for place in state.order(&urls, Instant::now()) {
            let Some(controller) = controllers.get(place) else { continue };
            match self.in_session(prepared, (place, controller), cargo).await {
                Err(Failure::NotSent(reason)) => {
                    state.unreachable(controller.url(), Instant::now());
                    reasons.push(reason);
                    if Instant::now() >= self.call.deadline() {
                        break;
                    }
                }
                outcome => {
                    if outcome.is_ok() {
                        state.answered(controller.url());
                    }
                    return outcome;
                }
            }
        }
        Err(Failure::NotSent(reasons.join("; ")))
    }

    /// Send the request to one controller, in the session if the template has one, and once more in a new one if it has expired. One that
    /// others began meanwhile is not new: it may have expired as well.
    async fn in_session(
        &self,
        prepared: &Prepared<'_>,
        (place, controller): (usize, &Controller),
        cargo: Cargo<'_>,
    ) -> Result<Done, Failure> {
        let Some((account, credentials)) = &prepared.account else {
            return self.exchange(prepared, (place, controller), None, cargo).await;
        };
        let key = SessionKey {
            template: account.template.digest(),
            server: prepared.server(),
            controller: controller.url().to_owned(),
            credentials: *credentials,
        };
        let backend = self.call.backend();
        let session = backend.shared().http().session(key, backend.session_user());
        let (mut stale, mut sent) = (None, 0_usize);
        loop {
            let (login, tokens) = self.tokens(&session, (account, controller), stale.as_ref()).await?;
            let done = self.exchange(prepared, (place, controller), Some(&tokens), cargo).await?;
            if !token::is_expired(&account.template, &done.answer) {
                return Ok(done);
            }
            sent = sent.saturating_add(1);
            let ended = match login {
                Login::Own | Login::Awaited if stale.is_some() => "right after logging in".to_owned(),
                Login::None if sent >= MOST_SESSIONS => format!("{sent} times, each time another one"),
                _ => {
                    if let Some(incoming) = done.incoming {
                        incoming.abandon(self.call).await.map_err(Failure::Refused)?;
                    }
                    stale = Some(tokens);
                    continue;
                }
            };
            // All answers say that nothing was done for want of a session.
            let (name, status) = (&account.template.name, done.answer.status);
            let message = format!("{controller} refuses the session '{name}' {ended}, with status {status}");
            return Err(Failure::Refused(CapabilityError::new(CapabilityCode::Unavailable, message)));
        }
    }

    /// The tokens, and which login they are from. One that this call makes is recorded.
    async fn tokens(
        &self,
        session: &Arc<Session>,
        (account, controller): (&session::Account, &Controller),
        stale: Option<&Arc<Tokens>>,
    ) -> Result<(Login, Arc<Tokens>), Failure> {
        let transport = self.call.backend().transport();
        let (begun, deadline) = (Instant::now(), self.call.deadline());
        let (login, found) = session.tokens(transport, controller, account, (stale, deadline)).await;
        if login == Login::Own {
            let (outcome, detail) = match &found {
                Ok(_) => {
                    (EffectOutcome::Done, format!("{controller} in {} ms", milliseconds(begun.elapsed())))
                }
                Err(LoginError::NotSent(reason)) => (EffectOutcome::Failed, reason.clone()),
                Err(LoginError::Failed(error)) => (EffectOutcome::Failed, error.message.clone()),
            };
            let deed = Deed::new("http.login", account.template.name.as_str());
            self.call.record(&deed, outcome, &detail).await.map_err(Failure::Refused)?;
        }
        match found {
            Ok(tokens) => Ok((login, tokens)),
            Err(LoginError::NotSent(reason)) => Err(Failure::NotSent(reason)),
            Err(LoginError::Failed(error)) => Err(Failure::Refused(error)),
        }
    }

    /// Send the request to one controller.
    async fn exchange(
        &self,
        prepared: &Prepared<'_>,
        (place, controller): (usize, &Controller),
        tokens: Option<&Tokens>,
        cargo: Cargo<'_>,
    ) -> Result<Done, Failure> {
        let template = prepared.template;
        let mut headers = prepared.headers.clone();
        if let Some(tokens) = tokens {
            headers.extend(tokens.headers(template.method).map_err(Failure::Refused)?);
        }
        let mut payload = Payload::Bytes(prepared.body.clone());
        let (mut sink, mut incoming, mut sent_bytes) = (None, None, 0);
        match cargo {
            Cargo::None => {}
            Cargo::From(source) => {
                let Outgoing { length, pieces } =
                    self.call.files().outgoing(source).await.map_err(Failure::Refused)?;
                if length > template.largest {
                    let message =
                        format!("the file has {length} bytes, more than the template's {}", template.largest);
                    return Err(Failure::Refused(CapabilityError::new(
                        CapabilityCode::LimitExceeded,
                        message,
                    )));
                }
                sent_bytes = length;
                payload = Payload::Stream { length, pieces };
            }
            Cargo::Into(destination) => {
                let begun = self.call.files().incoming(destination).await.map_err(Failure::Refused)?;
                sink = begun.sink();
                incoming = Some(begun);
            }
        }
        let request = WireRequest {
            name: template.name.clone(),
            method: template.method,
            target: prepared.target.clone(),
            headers,
            payload,
            capture: usize::try_from(template.capture).unwrap_or(usize::MAX),
            sink,
            largest: template.largest,
            deadline: policy::deadline(self.call, template),
        };
        let begun = Instant::now();
        match self.call.backend().transport().exchange(controller, request).await {
            Ok(answer) => {
                Ok(Done { answer, controller: place, sent_bytes, incoming, duration: begun.elapsed() })
            }
            Err(error) => {
                if let Some(incoming) = incoming {
                    incoming.abandon(self.call).await.map_err(Failure::Sent)?;
                }
                Err(failure(prepared, error))
            }
        }
    }

    async fn permit(
        &self,
        state: &EndpointState,
        prepared: &Prepared<'_>,
    ) -> Result<OwnedSemaphorePermit, CapabilityError> {
        let slots = Arc::clone(state.slots.permits());
        let longest = Instant::now().checked_add(LONGEST_WAIT).unwrap_or_else(|| self.call.deadline());
        let until = longest.min(self.call.deadline());
        match tokio::time::timeout_at(until, slots.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CapabilityError::new(
                CapabilityCode::Busy,
                format!(
                    "{} requests to '{}' are under way (grant.endpoints.{}.concurrency); try again later",
                    prepared.endpoint.concurrency, prepared.template.endpoint, prepared.template.endpoint
                ),
            )),
        }
    }
}

impl Backend {
    /// Log out of every session of the backend. For the host alone, once no call can log in again.
    ///
    /// Idempotent. What cannot be logged out of is left to expire.
    pub async fn end_sessions(&self) {
        self.shared().http().end_sessions().await;
    }
}

fn failure(prepared: &Prepared<'_>, error: ExchangeError) -> Failure {
    let name = &prepared.template.name;
    let sent = |code, what: String| Failure::Sent(CapabilityError::new(code, what));
    match error {
        ExchangeError::NotSent { reason } => Failure::NotSent(reason),
        ExchangeError::Impostor { reason } => {
            Failure::Refused(CapabilityError::new(CapabilityCode::Denied, reason))
        }
        ExchangeError::Lost { reason } => sent(
            CapabilityCode::OutcomeUnknown,
            format!("'{name}' was sent and may have been done: {reason}"),
        ),
        ExchangeError::TimedOut => sent(
            CapabilityCode::TimedOut,
            format!(
                "'{name}' was sent, and not answered within {} s or the call's time",
                prepared.template.timeout
            ),
        ),
        ExchangeError::TooLarge { what } => sent(CapabilityCode::LimitExceeded, what),
        ExchangeError::Packed { what } => sent(CapabilityCode::Io, format!("'{name}' was sent: {what}")),
        ExchangeError::Source { .. } => sent(CapabilityCode::Io, format!("'{name}': {error}")),
    }
}

/// What the ledger says of an answer.
fn told(prepared: &Prepared<'_>, done: &Done) -> String {
    let separator = if prepared.detail.is_empty() { "" } else { "; " };
    let by = match (prepared.server(), prepared.controllers().get(done.controller)) {
        (Some(server), Some(controller)) => format!("share server {server} at {controller}"),
        _ => format!("controller {}", done.controller),
    };
    format!(
        "{}{separator}{} answered by {by} with {} in {} ms",
        prepared.detail,
        prepared.template.method.as_str(),
        done.answer.status,
        milliseconds(done.duration)
    )
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
