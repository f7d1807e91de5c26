//! `[[endpoint]]` and `[[request]]`.

use super::service::undeclared;
use super::slot::{self, Place, RequestPart, Text};
use super::{below, plain_text, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::manifest::{
    AnswerKind, BodyFormat, CommandEffect, HttpMethod, Manifest, RequestTemplate, SlotType, TemplateScope,
};
use bulkhead_model::pattern::{Part, parts};
use std::collections::{BTreeMap, BTreeSet};

/// The most of an answer that is kept, in bytes: what a guest can hold beside its own memory.
const LARGEST_CAPTURE: u64 = 16 << 20;
/// The longest a request may take, in seconds: the longest deadline a backend may configure is a day.
const LONGEST_TIMEOUT: u64 = 86_400;
/// The longest text of a body, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// The longest path and query, in bytes.
const LONGEST_PATH: usize = 2048;
/// The most headers of a template.
const MOST_HEADERS: usize = 32;
/// Stands for a slot while a JSON body is checked: it is a value, is no key, and ends any string it is put into.
const JSON_STAND_IN: &str = "[\"\"]";
/// Headers that are the host's to set: how a message ends, where it goes, who sends it, how it is packed.
const HOSTS_OWN: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers of an answer that hold what only the host's session sees.
const SESSIONS_OWN: [&str; 4] = ["authorization", "set-cookie", "set-cookie2", "www-authenticate"];

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, endpoint) in manifest.endpoints.iter().enumerate() {
        reason(&endpoint.reason, steps!("endpoint", place, "reason"), findings);
    }
    for (place, template) in manifest.requests.iter().enumerate() {
        let table = steps!("request", place);
        reason(&template.reason, below!(table.as_slice(), "reason"), findings);
        endpoint(manifest, template, &table, findings);
        method(template, &table, findings);
        path(&template.path, below!(table.as_slice(), "path"), findings);
        headers(&template.headers, &table, findings);
        body(template.body, template.text.as_deref(), &table, findings);
        returns(template, &table, findings);
        transfer(template, &table, findings);
        limits(template, &table, findings);
        slot::check(&template.slots, &texts(template, &table), &table, findings);
        slot::types(manifest, &template.slots, &table, findings);
        scope(template, &table, findings);
    }
}

fn endpoint(manifest: &Manifest, template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    known_endpoint(manifest, &template.endpoint, table, findings);
    let Some(name) = &template.session else { return };
    let path = below!(table, "session");
    match manifest.session(name.as_str()) {
        None => {
            let sessions = manifest.sessions.iter().map(|session| session.name.as_str());
            findings.push(undeclared("[[session]]", name, sessions, path));
        }
        Some(session) if session.endpoint != template.endpoint => {
            let message = format!("the session '{name}' is one with the endpoint '{}'", session.endpoint);
            findings.push(Finding::new(path, message));
        }
        Some(_) => {}
    }
}

pub(super) fn known_endpoint(
    manifest: &Manifest,
    name: &bulkhead_model::id::Label,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    if manifest.endpoint(name.as_str()).is_none() {
        let endpoints = manifest.endpoints.iter().map(|endpoint| endpoint.name.as_str());
        findings.push(undeclared("[[endpoint]]", name, endpoints, below!(table, "endpoint")));
    }
}

fn method(template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let (method, effect) = (template.method, template.effect);
    if method == HttpMethod::Delete && effect != CommandEffect::Destroy {
        let finding = Finding::new(below!(table, "effect"), "a DELETE removes something");
        findings.push(finding.hint("effect = \"destroy\""));
    }
    if matches!(method, HttpMethod::Put | HttpMethod::Patch) && effect == CommandEffect::Read {
        let message = format!("a {} changes something", method.as_str());
        findings.push(Finding::new(below!(table, "effect"), message).hint("effect = \"change\""));
    }
    if method.only_reads() && template.body != BodyFormat::None {
        let message = format!("a {} carries no body", method.as_str());
        findings.push(Finding::new(below!(table, "body"), message).hint("use the query, or POST"));
    }
}

/// A path with a query, literal but for slots.
pub(super) fn path(text: &str, at: Vec<Step>, findings: &mut Vec<Finding>) {
    let literal: String = parts(text)
        .into_iter()
        .map(|part| match part {
            Part::Literal(text) => text,
            Part::Place(_) => "x".to_owned(),
        })
        .collect();
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "/-._~!$'()*+,;:@?&=".contains(letter);
    let (path, query) = literal.split_once('?').unwrap_or((&literal, ""));
    let message = if !path.starts_with('/') || path.starts_with("//") {
        "a path begins with one '/'; the operator binds the endpoint to an address".to_owned()
    } else if path.split('/').any(|step| matches!(step, "." | "..")) {
        "a path has no steps '.' and '..'".to_owned()
    } else if query.contains('?') || !literal.chars().all(allowed) {
        "a path and query are letters, digits and -._~!$'()*+,;:@&= beside slots; the host encodes slots"
            .to_owned()
    } else if text.len() > LONGEST_PATH {
        format!("a path and query have at most {LONGEST_PATH} bytes")
    } else {
        return;
    };
    findings.push(Finding::new(at, message));
}

/// Headers as a template sets them.
pub(super) fn headers(headers: &BTreeMap<String, String>, table: &[Step], findings: &mut Vec<Finding>) {
    if headers.len() > MOST_HEADERS {
        let message = format!("a request has at most {MOST_HEADERS} headers of its own");
        findings.push(Finding::new(below!(table, "headers"), message));
    }
    for (name, value) in headers {
        let at = || below!(table, "headers", name.as_str());
        if !is_header_name(name) {
            findings.push(Finding::new(at(), format!("'{name}' is not a header's name in lower case")));
        } else if HOSTS_OWN.contains(&name.as_str()) {
            let finding = Finding::new(at(), format!("the header '{name}' is the host's to set"));
            findings.push(finding.hint("credentials stand in a [[session]], the type of a body in `body`"));
        }
        if !value.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic()) {
            findings.push(Finding::new(at(), "a header's value is printable ASCII"));
        }
    }
}

/// A token of RFC 9110, in lower case.
pub(super) fn is_header_name(name: &str) -> bool {
    let allowed = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "!#$%&'*+-.^_`|~".contains(letter)
    };
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

/// Whether a body's text is there where its format asks for one, and is of that format.
pub(super) fn body(format: BodyFormat, text: Option<&str>, table: &[Step], findings: &mut Vec<Finding>) {
    let at = || below!(table, "text");
    let (needs, text) = match (format, text) {
        (BodyFormat::None | BodyFormat::File, None) => return,
        (BodyFormat::None | BodyFormat::File, Some(_)) => {
            let finding = Finding::new(at(), "a body of this format has no text");
            findings.push(finding.hint("body = \"json\", \"form\" or \"xml\""));
            return;
        }
        (_, None) => (true, ""),
        (_, Some(text)) => (false, text),
    };
    if needs {
        findings.push(Finding::new(below!(table, "body"), "a body of this format needs a `text`"));
        return;
    }
    if text.len() > LONGEST_TEXT {
        findings.push(Finding::new(at(), format!("a body's text has at most {LONGEST_TEXT} bytes")));
    }
    let harmless = |letter: char| matches!(letter, '\n' | '\t') || bulkhead_model::text::is_harmless(letter);
    if !text.chars().all(harmless) {
        let message =
            "control characters other than line ends and tabs, and direction marks, are not allowed here";
        findings.push(Finding::new(at(), message));
    }
    match format {
        BodyFormat::Json => json(text, at(), findings),
        BodyFormat::Form => form(text, at(), findings),
        BodyFormat::Xml => xml(text, at(), findings),
        BodyFormat::None | BodyFormat::File => {}
    }
}

fn json(text: &str, at: Vec<Step>, findings: &mut Vec<Finding>) {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&stand_in(text, JSON_STAND_IN)) {
        findings.push(
            Finding::new(at, format!("with values in its slots this is no JSON: {error}"))
                .hint("a slot stands where a value stands, without quotes around it"),
        );
    }
}

fn form(text: &str, at: Vec<Step>, findings: &mut Vec<Finding>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~%+[]".contains(letter);
    let sound = text.split('&').all(|pair| match pair.split_once('=') {
        Some((key, value)) => {
            !key.is_empty() && key.chars().all(plain) && stand_in(value, "x").chars().all(plain)
        }
        None => false,
    });
    if !sound {
        let finding = Finding::new(at, "this is no form");
        findings.push(finding.hint("name={name}&size={size}"));
    }
}

/// A slot in a tag's name, a comment or markup of its own is not kept in its place by escaping.
fn xml(text: &str, at: Vec<Step>, findings: &mut Vec<Finding>) {
    if text.contains("<!") || text.trim_start().starts_with("<?xml-") {
        let message =
            "comments, CDATA and declarations are not allowed here: values are not escaped for them";
        findings.push(Finding::new(at.clone(), message));
    }
    let mut open = None;
    for part in parts(text) {
        match part {
            Part::Literal(literal) => {
                for letter in literal.chars() {
                    open = match (open, letter) {
                        (None, '<') => Some('>'),
                        (Some('>'), '>') => None,
                        (Some('>'), quote @ ('"' | '\'')) => Some(quote),
                        (Some(quote), letter) if quote == letter && quote != '>' => Some('>'),
                        (state, _) => state,
                    };
                }
            }
            Part::Place(name) if open == Some('>') => {
                let finding = Finding::new(at.clone(), format!("the slot '{name}' stands inside a tag"));
                findings.push(finding.hint("a slot stands between tags, or in quotes in an attribute"));
            }
            Part::Place(_) => {}
        }
    }
}

fn stand_in(text: &str, value: &str) -> String {
    let filled = parts(text).into_iter().map(|part| match part {
        Part::Literal(text) => text,
        Part::Place(_) => value.to_owned(),
    });
    filled.collect()
}

fn returns(template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (number, name) in template.returns.iter().enumerate() {
        let at = || below!(table, "returns", number);
        if !is_header_name(name) {
            findings.push(Finding::new(at(), format!("'{name}' is not a header's name in lower case")));
        } else if SESSIONS_OWN.contains(&name.as_str()) {
            let message = format!("the header '{name}' holds what only the host's session sees");
            findings.push(Finding::new(at(), message));
        }
        if !seen.insert(name) {
            findings.push(Finding::new(at(), format!("'{name}' is listed twice")));
        }
    }
}

fn transfer(template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if template.body == BodyFormat::File && template.answer == AnswerKind::File {
        let message = "a request sends a file or brings one, not both";
        findings.push(Finding::new(below!(table, "answer"), message));
    }
}

fn limits(template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if template.capture > LARGEST_CAPTURE {
        let finding = Finding::new(
            below!(table, "capture"),
            format!("at most {LARGEST_CAPTURE} bytes of an answer are kept"),
        );
        findings.push(finding.hint("stream it into a file: answer = \"file\""));
    }
    if template.largest == 0 {
        findings.push(Finding::new(below!(table, "largest"), "at least one byte is streamed"));
    }
    if !(1..=LONGEST_TIMEOUT).contains(&template.timeout) {
        let message = format!("a timeout is from 1 to {LONGEST_TIMEOUT} seconds");
        findings.push(Finding::new(below!(table, "timeout"), message));
    }
}

fn texts<'a>(template: &'a RequestTemplate, table: &[Step]) -> Vec<Text<'a>> {
    let (path, query) = template.path.split_once('?').unwrap_or((&template.path, ""));
    let at = |key: &str| below!(table, key);
    let mut texts = vec![
        Text { text: path, path: at("path"), place: |_| Place::Request(RequestPart::Path) },
        Text { text: query, path: at("path"), place: |_| Place::Request(RequestPart::Query) },
    ];
    texts.extend(template.headers.iter().map(|(name, text)| Text {
        text,
        path: below!(table, "headers", name.as_str()),
        place: |_| Place::Request(RequestPart::Header),
    }));
    let place: fn(bool) -> Place = match template.body {
        BodyFormat::Json => |_| Place::Request(RequestPart::Json),
        BodyFormat::Form => |_| Place::Request(RequestPart::Form),
        BodyFormat::Xml => |_| Place::Request(RequestPart::Xml),
        BodyFormat::None | BodyFormat::File => return texts,
    };
    texts.extend(template.text.iter().map(|text| Text { text, path: at("text"), place }));
    texts
}

/// A request about the call's target names it by what the host derives. Whatever else may name something at the backend may name what
/// another tenant has there, wherever in the request it stands: an array that counts its objects takes a number in the query or the body
/// for one of them. What is as large as it says (`gib`, `bytes`) names nothing, and neither does one of a list that was reviewed (`enum`).
fn scope(template: &RequestTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if template.scope == TemplateScope::Backend {
        return;
    }
    for (name, slot) in &template.slots {
        let names_anything = matches!(
            slot,
            SlotType::Opaque { .. } | SlotType::Uuid | SlotType::Integer { .. } | SlotType::Port
        );
        if names_anything {
            let path = below!(table, "slots", name.as_str());
            let message =
                format!("with the slot '{name}' the driver can name what belongs to another tenant");
            let finding = Finding::new(path, message);
            let hint = match slot {
                SlotType::Integer { .. } | SlotType::Port => {
                    "use type = \"name\", \"gib\" or \"bytes\" for a size, \"enum\" for one of a few numbers, or declare scope = \"backend\""
                }
                _ => "use type = \"name\", or declare scope = \"backend\"",
            };
            findings.push(finding.hint(hint));
        }
    }
    if !template.slots.values().any(|slot| matches!(slot, SlotType::Name)) {
        let finding = Finding::new(
            below!(table, "scope"),
            "without a slot of type 'name' the request is about the whole backend",
        );
        findings.push(finding.hint("scope = \"backend\""));
    }
    plain_text(&template.path, below!(table, "path"), findings);
}
