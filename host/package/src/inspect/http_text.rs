//! The part of the report about requests, as text for people.

use super::http_report::{EndpointReport, RequestReport, SessionReport, SessionRequestReport};
use super::text::{captures, nature, slots};
use bulkhead_model::manifest::{AnswerKind, BodyFormat};
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

pub(super) fn endpoint(endpoint: &EndpointReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "  {}: {}", endpoint.name, endpoint.reason)?;
    writeln!(out, "    pinned as {}", endpoint.digest)
}

pub(super) fn session(session: &SessionReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "  {} (with endpoint {}): {}", session.name, session.endpoint, session.reason)?;
    own_request("logs in with", &session.login, out)?;
    for (slot, option) in &session.credentials {
        writeln!(out, "    {{{slot}}} is the option {option}; the driver never sees it in a request")?;
    }
    for token in &session.tokens {
        writeln!(out, "    {token}")?;
    }
    writeln!(out, "    has expired when an answer has {}", session.expired)?;
    match &session.logout {
        Some(logout) => own_request("logs out with", logout, out)?,
        None => writeln!(out, "    is not logged out of, but left to expire")?,
    }
    writeln!(out, "    at most {} s", session.timeout_seconds)?;
    writeln!(out, "    pinned as {}", session.digest)
}

fn own_request(verb: &str, request: &SessionRequestReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "    {verb} {}", request.line)?;
    headers(&request.headers, out)?;
    body(request.body, request.text.as_deref(), out)
}

fn headers(headers: &BTreeMap<String, String>, out: &mut Formatter<'_>) -> fmt::Result {
    headers.iter().try_for_each(|(name, value)| writeln!(out, "    header {name}: {value}"))
}

fn body(format: BodyFormat, text: Option<&str>, out: &mut Formatter<'_>) -> fmt::Result {
    let format = match format {
        BodyFormat::None => return Ok(()),
        BodyFormat::Json => "json",
        BodyFormat::Form => "form",
        BodyFormat::Xml => "xml",
        BodyFormat::File => return writeln!(out, "    carries a file, streamed by the host"),
    };
    writeln!(out, "    body ({format})")?;
    text.unwrap_or_default().lines().try_for_each(|line| writeln!(out, "    | {line}"))
}

pub(super) fn request(request: &RequestReport, out: &mut Formatter<'_>) -> fmt::Result {
    let nature = nature(request.effect, request.scope, request.repeat);
    writeln!(out, "  {} (to endpoint {}, {nature}): {}", request.name, request.endpoint, request.reason)?;
    writeln!(out, "    {}", request.line)?;
    match &request.session {
        Some(session) => writeln!(out, "    in session {session}")?,
        None => writeln!(out, "    without credentials")?,
    }
    headers(&request.headers, out)?;
    body(request.body, request.text.as_deref(), out)?;
    slots(&request.slots, out)?;
    if !request.returns.is_empty() {
        writeln!(out, "    shows the driver the headers {}", request.returns.join(", "))?;
    }
    captures("the answer", &request.captures, out)?;
    let (seconds, capture, largest) = (request.timeout_seconds, request.capture_bytes, request.largest_bytes);
    match (request.answer, request.body) {
        (AnswerKind::File, _) => writeln!(out, "    at most {seconds} s, {largest} bytes into a file")?,
        (_, BodyFormat::File) => writeln!(out, "    at most {seconds} s, {largest} bytes of the file")?,
        _ => writeln!(out, "    at most {seconds} s, {capture} bytes of the answer")?,
    }
    writeln!(out, "    pinned as {}", request.digest)
}
