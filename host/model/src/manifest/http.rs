//! `[[endpoint]]`, `[[request]]` and `[[session]]`: what a driver sends to its backend's management, and how the host logs in for it.

use super::{Capture, CommandEffect, Repeat, SlotType, TemplateScope, one_mebibyte};
use crate::id::{Digest, Label};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[endpoint]]`: a management interface that the operator binds to the addresses of its controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndpointTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl HttpMethod {
    /// As it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it only reads, by its definition.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// What a request carries, and how the values of slots in it are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyFormat {
    /// Nothing.
    #[default]
    None,
    /// `text` as JSON: slots stand where values stand.
    Json,
    /// `text` as `application/x-www-form-urlencoded`: slots stand where values stand.
    Form,
    /// `text` as XML: slots stand in text or in quoted attributes.
    Xml,
    /// The content of a file, streamed by the host: for `upload`.
    File,
}

impl BodyFormat {
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Where the body of a successful answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// To the guest, cut at `capture`.
    #[default]
    Bytes,
    /// Into a file, streamed by the host: for `download`.
    File,
}

impl AnswerKind {
    const fn is_bytes(&self) -> bool {
        matches!(self, Self::Bytes)
    }
}

/// `[[request]]`: a named HTTP request with typed slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// What it does at the backend.
    pub effect: CommandEffect,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// The endpoint it goes to.
    pub endpoint: Label,
    /// The session it is sent in; none: without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Label>,
    /// The method.
    pub method: HttpMethod,
    /// Path and query; `{slot}` is a place to fill.
    pub path: String,
    /// Headers beside those that the host sets, by lower-case name; `{slot}` is a place to fill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "BodyFormat::is_none")]
    pub body: BodyFormat,
    /// The text of the body; `{slot}` is a place to fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The types of its slots.
    #[serde(default)]
    pub slots: BTreeMap<Label, SlotType>,
    /// How far it reaches.
    #[serde(default)]
    pub scope: TemplateScope,
    /// The headers of the answer that the driver sees, by lower-case name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<String>,
    /// Secrets in the body of an answer with 2xx, by the purpose that they are for: taken out, and held for the call by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captures: BTreeMap<Label, Capture>,
    /// Where the body of the answer goes.
    #[serde(default, skip_serializing_if = "AnswerKind::is_bytes")]
    pub answer: AnswerKind,
    /// How much of the answer's body is kept, in bytes (1 MiB).
    #[serde(default = "one_mebibyte")]
    pub capture: u64,
    /// The most bytes that are streamed from or to a file (1 TiB).
    #[serde(default = "one_tebibyte")]
    pub largest: u64,
    /// How long it may take, logging in not counted, in seconds (60).
    #[serde(default = "one_minute")]
    pub timeout: u64,
}

const fn one_tebibyte() -> u64 {
    1 << 40
}

const fn one_minute() -> u64 {
    60
}

const fn half_a_minute() -> u64 {
    30
}

/// `[[session]]`: how the host logs in, carries the tokens, sees that they have expired, and logs out. One for each controller, for all
/// calls and generations of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// The endpoint it is a session with.
    pub endpoint: Label,
    /// The options that its slots are filled from, of type `string` or `secret`.
    #[serde(default)]
    pub credentials: BTreeMap<Label, String>,
    /// The request that logs in. Answered with 2xx it has.
    pub login: SessionRequest,
    /// What the answer brings that later requests carry.
    #[serde(rename = "token")]
    pub tokens: Vec<TokenTemplate>,
    /// What an answer looks like when the session is none any more.
    #[serde(default)]
    pub expired: ExpiredTemplate,
    /// The request that logs out, with the tokens; none: sessions are left to expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logout: Option<SessionRequest>,
    /// How long login and logout may take, in seconds (30).
    #[serde(default = "half_a_minute")]
    pub timeout: u64,
}

/// A request of a session's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionRequest {
    /// The method.
    pub method: HttpMethod,
    /// Path and query, letter by letter.
    pub path: String,
    /// Headers beside those that the host sets, by lower-case name; `{slot}` is a place to fill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "BodyFormat::is_none")]
    pub body: BodyFormat,
    /// The text of the body; `{slot}` is a place to fill with a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where in an answer a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenSource {
    /// A header, by its lower-case name.
    Header,
    /// A cookie, by its name.
    Cookie,
    /// A text or number of a JSON body, by JSON pointer (RFC 6901).
    Json,
    /// The text of an element of an XML body, or one of its attributes, by [its path](crate::xml_path::XmlPath). Just one stands there.
    Xml,
}

/// Where in a request a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenPlace {
    /// A header, by its lower-case name.
    Header,
    /// A cookie, by its name.
    Cookie,
}

/// Which requests carry a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenUse {
    /// All.
    #[default]
    All,
    /// Those whose method is neither `GET` nor `HEAD`: what guards against forged requests.
    Changes,
}

impl TokenUse {
    const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

/// `[[session.token]]`: something of the login's answer that later requests carry. Never seen by the driver, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenTemplate {
    /// Where it is found.
    pub from: TokenSource,
    /// The header, cookie, pointer or path there.
    pub key: String,
    /// Where it goes.
    pub to: TokenPlace,
    /// The header or cookie there.
    pub name: String,
    /// What stands before it there, for example `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Which requests carry it.
    #[serde(default, rename = "on", skip_serializing_if = "TokenUse::is_all")]
    pub used_on: TokenUse,
}

/// `expired`: an answer that has one of these statuses, or that holds this value at this pointer or path, was not given to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpiredTemplate {
    /// The statuses (401).
    pub status: Vec<u16>,
    /// A JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Instead of a pointer, a [path](crate::xml_path::XmlPath) into a body that is XML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    /// The text that stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Default for ExpiredTemplate {
    fn default() -> Self {
        Self { status: vec![401], pointer: None, xml: None, value: None }
    }
}

impl EndpointTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:endpoint", self)
    }
}

impl RequestTemplate {
    /// The hash of its canonical form, by which a grant pins it: any other word, slot, type or limit is another template.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:request", self)
    }
}

impl SessionTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:session", self)
    }
}
