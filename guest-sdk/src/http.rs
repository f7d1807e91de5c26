//! Requests to the management of the backend's storage by *named request templates* of `driver.toml`. The host encodes every slot for its
//! place, keeps the session, and reaches no other address than the operator has bound. Neither credentials nor tokens are seen here.

use crate::capability::CapabilityError;
use crate::clock;
use crate::execute::Completeness;
use crate::files::Path;
use crate::host::{Host, host};
use crate::slots::Slots;
use std::time::Duration;

/// How long [`send_patiently`] waits where the endpoint does not say.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// The least that [`send_patiently`] waits at first: an endpoint may say "at once" each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The least that it waits after many refusals.
const LONGEST_LEAST_PAUSE: Duration = Duration::from_secs(5);
/// How much of a call's time [`send_patiently`] leaves for what comes after.
const RESERVE: Duration = Duration::from_secs(5);

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status, 100 to 599.
    pub status: u16,
    /// The headers that the template names in `returns`: name in lower case and value.
    pub headers: Vec<(String, String)>,
    /// The body, at most the template's `capture` limit. Secrets in it are masked.
    pub body: Vec<u8>,
    /// Whether all of it is here.
    pub completeness: Completeness,
    /// Which controller answered, from 0 in the order of the endpoint's binding; at a share server, which of its addresses.
    pub controller: u32,
    /// How long the endpoint asks to wait before the next request.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub duration: Duration,
}

impl Response {
    /// An answer with a status and a body: for tests.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// Whether its status is 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The first header with this lower-case name, if the template returns it and it is there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What was moved between an endpoint and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// The status, 100 to 599. Other than 2xx: nothing was kept.
    pub status: u16,
    /// Bytes moved.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Send a request once.
///
/// Idempotent exactly where its `repeat` says `safe`. Every status is an answer. Fails with `denied`, `invalid-argument`, `unavailable`
/// if no controller can be reached or no session begun (nothing was done), `outcome-unknown` if the link broke after the request went
/// out, `timed-out`, `busy`, `limit-exceeded`.
pub fn send(template: &str, slots: Slots) -> Result<Response, CapabilityError> {
    host().send_request(template, slots)
}

/// As [`send`], again as long as the endpoint asks to wait: on status 429 or 503 after what `retry-after` says, or a second, and never
/// sooner than after a pause that doubles from a tenth of a second to five seconds, nor past the call's time. The last answer is returned, whatever its status.
///
/// Only for templates whose `repeat` is `safe`, or endpoints that did nothing where they answer so.
pub fn send_patiently(template: &str, slots: Slots) -> Result<Response, CapabilityError> {
    let mut least = SHORTEST_PAUSE;
    loop {
        let answer = send(template, slots.clone())?;
        let pause = answer.retry_after.unwrap_or(USUAL_PAUSE).max(least);
        least = least.saturating_mul(2).min(LONGEST_LEAST_PAUSE);
        let is_refused = matches!(answer.status, 429 | 503);
        if !is_refused || clock::time_left() < pause.saturating_add(RESERVE) {
            return Ok(answer);
        }
        clock::sleep(pause);
    }
}

/// Send the content of the file at `source` as the body of a request, inside the host.
///
/// Idempotent as [`send`]. Fails with `not-found` if there is no such file, otherwise as [`send`].
pub fn upload(template: &str, slots: Slots, source: &Path) -> Result<Moved, CapabilityError> {
    host().upload(template, slots, source)
}

/// Send a request and put the body of a successful answer into the file at `destination`, in one step when it is complete.
///
/// Idempotent as [`send`]. Fails with `not-owned` if something else stands there, `no-space`, `limit-exceeded`, otherwise as [`send`].
pub fn download(template: &str, slots: Slots, destination: &Path) -> Result<Moved, CapabilityError> {
    host().download(template, slots, destination)
}
