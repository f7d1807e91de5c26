//! The part of the report about requests to the management of the backend's storage: endpoints, sessions and requests.

use super::report::{SlotReport, slots};
use bulkhead_model::id::{Digest, Label};
use bulkhead_model::manifest::{
    AnswerKind, BodyFormat, Capture, CommandEffect, EndpointTemplate, Repeat, RequestTemplate,
    SessionRequest, SessionTemplate, TemplateScope, TokenPlace, TokenSource, TokenTemplate, TokenUse,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointReport {
    /// Its name; the operator binds it to addresses.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
}

/// How the host logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// The endpoint.
    pub endpoint: Label,
    /// The options that hold the credentials, by slot.
    pub credentials: BTreeMap<Label, String>,
    /// The request that logs in.
    pub login: SessionRequestReport,
    /// What its answer brings, and where that goes.
    pub tokens: Vec<String>,
    /// What says that the session is none any more.
    pub expired: String,
    /// The request that logs out.
    pub logout: Option<SessionRequestReport>,
    /// How long login and logout may take, in seconds.
    pub timeout_seconds: u64,
}

/// A request of a session's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionRequestReport {
    /// Method and path.
    pub line: String,
    /// Headers that it sets.
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    pub body: BodyFormat,
    /// The text of the body.
    pub text: Option<String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RequestReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// What it does.
    pub effect: CommandEffect,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// How far it reaches.
    pub scope: TemplateScope,
    /// The endpoint.
    pub endpoint: Label,
    /// The session it is sent in.
    pub session: Option<Label>,
    /// Method, path and query.
    pub line: String,
    /// Headers that it sets.
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    pub body: BodyFormat,
    /// The text of the body.
    pub text: Option<String>,
    /// Its slots.
    pub slots: Vec<SlotReport>,
    /// Headers of the answer that the driver sees.
    pub returns: Vec<String>,
    /// Secrets in the body of the answer, by purpose.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub captures: BTreeMap<Label, Capture>,
    /// Where the body of the answer goes.
    pub answer: AnswerKind,
    /// How much of it is kept, in bytes.
    pub capture_bytes: u64,
    /// How much is streamed from or to a file, in bytes.
    pub largest_bytes: u64,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
}

pub(super) fn endpoint(template: &EndpointTemplate) -> EndpointReport {
    EndpointReport { name: template.name.clone(), digest: template.digest(), reason: template.reason.clone() }
}

pub(super) fn session(template: &SessionTemplate) -> SessionReport {
    SessionReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        endpoint: template.endpoint.clone(),
        credentials: template.credentials.clone(),
        login: session_request(&template.login),
        tokens: template.tokens.iter().map(token).collect(),
        expired: expired(template),
        logout: template.logout.as_ref().map(session_request),
        timeout_seconds: template.timeout,
    }
}

fn session_request(request: &SessionRequest) -> SessionRequestReport {
    SessionRequestReport {
        line: format!("{} {}", request.method.as_str(), request.path),
        headers: request.headers.clone(),
        body: request.body,
        text: request.text.clone(),
    }
}

fn token(token: &TokenTemplate) -> String {
    let from = match token.from {
        TokenSource::Header => "header",
        TokenSource::Cookie => "cookie",
        TokenSource::Json => "value at",
        TokenSource::Xml => "text in XML at",
    };
    let to = match token.to {
        TokenPlace::Header => "header",
        TokenPlace::Cookie => "cookie",
    };
    let on = match token.used_on {
        TokenUse::All => "every request",
        TokenUse::Changes => "every request but GET and HEAD",
    };
    let prefix = if token.prefix.is_empty() { String::new() } else { format!(" behind {:?}", token.prefix) };
    format!("{from} {} of the answer goes into {to} {}{prefix} of {on}", token.key, token.name)
}

fn expired(template: &SessionTemplate) -> String {
    let expired = &template.expired;
    let statuses: Vec<String> = expired.status.iter().map(u16::to_string).collect();
    let status = (!statuses.is_empty()).then(|| format!("status {}", statuses.join(", ")));
    let value = expired.pointer.as_ref().or(expired.xml.as_ref()).zip(expired.value.as_ref());
    let value = value.map(|(pointer, value)| format!("{value:?} at {pointer} of the body"));
    status.into_iter().chain(value).collect::<Vec<_>>().join(" or ")
}

pub(super) fn request(template: &RequestTemplate) -> RequestReport {
    RequestReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        effect: template.effect,
        repeat: template.repeat,
        scope: template.scope,
        endpoint: template.endpoint.clone(),
        session: template.session.clone(),
        line: format!("{} {}", template.method.as_str(), template.path),
        headers: template.headers.clone(),
        body: template.body,
        text: template.text.clone(),
        slots: slots(&template.slots),
        returns: template.returns.clone(),
        captures: template.captures.clone(),
        answer: template.answer,
        capture_bytes: template.capture,
        largest_bytes: template.largest,
        timeout_seconds: template.timeout,
    }
}
