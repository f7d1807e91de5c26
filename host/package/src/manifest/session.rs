//! `[[session]]`.

use super::request::{body, headers, is_header_name, known_endpoint, path};
use super::{below, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    BodyFormat, Manifest, OptionType, SessionRequest, SessionTemplate, TokenPlace, TokenSource, TokenTemplate,
};
use bulkhead_model::pattern::{Part, parts};
use bulkhead_model::suggestion::nearest;
use bulkhead_model::xml_path::XmlPath;
use std::collections::BTreeSet;

/// The longest a login may take, in seconds.
const LONGEST_TIMEOUT: u64 = 600;
/// The most tokens of a session.
const MOST_TOKENS: usize = 8;
/// Headers that no token stands in.
const NO_TOKENS: [&str; 6] =
    ["connection", "content-length", "content-type", "cookie", "host", "transfer-encoding"];

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, template) in manifest.sessions.iter().enumerate() {
        let table = steps!("session", place);
        reason(&template.reason, below!(table.as_slice(), "reason"), findings);
        known_endpoint(manifest, &template.endpoint, &table, findings);
        credentials(manifest, template, &table, findings);
        request(template, &template.login, &below!(table.as_slice(), "login"), findings);
        if let Some(logout) = &template.logout {
            request(template, logout, &below!(table.as_slice(), "logout"), findings);
        }
        unused(template, &table, findings);
        tokens(template, &table, findings);
        expired(template, &table, findings);
        if !(1..=LONGEST_TIMEOUT).contains(&template.timeout) {
            let message = format!("a timeout is from 1 to {LONGEST_TIMEOUT} seconds");
            findings.push(Finding::new(below!(table.as_slice(), "timeout"), message));
        }
    }
}

/// Each is an option of the driver's own.
fn credentials(manifest: &Manifest, template: &SessionTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    for (slot, name) in &template.credentials {
        let at = below!(table, "credentials", slot.as_str());
        match manifest.options.iter().find(|option| option.name == *name) {
            Some(option) if matches!(option.option_type, OptionType::String | OptionType::Secret) => {}
            Some(_) => findings
                .push(Finding::new(at, format!("the option '{name}' is neither a string nor a secret"))),
            None => {
                let finding = Finding::new(at, format!("no [[option]] is named '{name}'"));
                let near = nearest(name, manifest.options.iter().map(|option| option.name.as_str()));
                findings.push(match near {
                    Some(near) => finding.hint(format!("did you mean '{near}'?")),
                    None => finding.hint(format!("[[option]] name = \"{name}\" type = \"secret\"")),
                });
            }
        }
    }
}

fn request(
    template: &SessionTemplate,
    request: &SessionRequest,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    path(&request.path, below!(table, "path"), findings);
    headers(&request.headers, table, findings);
    body(request.body, request.text.as_deref(), table, findings);
    if request.body == BodyFormat::File {
        findings.push(Finding::new(below!(table, "body"), "a session's request carries no file"));
    }
    if parts(&request.path).iter().any(|part| matches!(part, Part::Place(_))) {
        let message = "no credential may stand in a path: servers write down where requests go";
        findings.push(Finding::new(below!(table, "path"), message));
    }
    for name in slots(request) {
        if !template.credentials.contains_key(&name) {
            let finding =
                Finding::new(below!(table, "text"), format!("the slot '{{{name}}}' is no credential"));
            findings.push(finding.hint(format!("credentials.{name} = \"OPTION\"")));
        }
    }
}

/// The slots in headers and body.
fn slots(request: &SessionRequest) -> BTreeSet<Label> {
    let texts = request.headers.values().chain(&request.text);
    let places = texts.flat_map(|text| parts(text)).filter_map(|part| match part {
        Part::Place(name) => Some(name),
        Part::Literal(_) => None,
    });
    places.collect()
}

fn unused(template: &SessionTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let mut used = slots(&template.login);
    used.extend(template.logout.iter().flat_map(slots));
    for name in template.credentials.keys().filter(|name| !used.contains(*name)) {
        let at = below!(table, "credentials", name.as_str());
        findings.push(
            Finding::new(at, format!("the credential '{name}' stands nowhere"))
                .hint(format!("write {{{name}}} where it shall stand, or take it away")),
        );
    }
}

fn tokens(template: &SessionTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if template.tokens.is_empty() || template.tokens.len() > MOST_TOKENS {
        let message = format!("a session has 1 to {MOST_TOKENS} tokens");
        findings.push(Finding::new(below!(table, "token"), message).hint("[[session.token]]"));
    }
    bodies(template, table, findings);
    let mut seen = BTreeSet::new();
    for (number, token) in template.tokens.iter().enumerate() {
        let at = below!(table, "token", number);
        source(token, &at, findings);
        destination(token, &at, findings);
        let place = match token.to {
            TokenPlace::Header => "header",
            TokenPlace::Cookie => "cookie",
        };
        if !seen.insert((place, &token.name)) {
            let message = format!("two tokens go to the {place} '{}'", token.name);
            findings.push(Finding::new(below!(at.as_slice(), "name"), message));
        }
    }
}

/// The body of one answer is JSON or XML, and of XML has one outermost element.
fn bodies(template: &SessionTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let is_json = template.tokens.iter().any(|token| token.from == TokenSource::Json);
    let in_xml = template.tokens.iter().filter(|token| token.from == TokenSource::Xml);
    let paths: Vec<XmlPath> = in_xml.filter_map(|token| token.key.parse().ok()).collect();
    let outermost: BTreeSet<_> = paths.iter().filter_map(|path| path.elements().first()).collect();
    let message = if is_json && !paths.is_empty() {
        "the answer to a login is JSON or XML, not both"
    } else if outermost.len() > 1 {
        "all paths in XML begin with the one outermost element of the answer"
    } else {
        return;
    };
    findings.push(Finding::new(below!(table, "token"), message));
}

fn source(token: &TokenTemplate, at: &[Step], findings: &mut Vec<Finding>) {
    let (sound, what) = match token.from {
        TokenSource::Header => (is_header_name(&token.key), "a header's name in lower case"),
        TokenSource::Cookie => (is_cookie_name(&token.key), "a cookie's name"),
        TokenSource::Json => (is_pointer(&token.key), "a JSON pointer, for example \"/data/token\""),
        TokenSource::Xml => {
            (token.key.parse::<XmlPath>().is_ok(), "a path in XML, for example \"/answer/session/@token\"")
        }
    };
    if !sound {
        findings.push(Finding::new(below!(at, "key"), format!("'{}' is not {what}", token.key)));
    }
}

fn destination(token: &TokenTemplate, at: &[Step], findings: &mut Vec<Finding>) {
    let sound = match token.to {
        TokenPlace::Header => is_header_name(&token.name) && !NO_TOKENS.contains(&token.name.as_str()),
        TokenPlace::Cookie => is_cookie_name(&token.name),
    };
    if !sound {
        let message =
            format!("'{}' is not the name of a header or cookie that a token may stand in", token.name);
        findings.push(Finding::new(below!(at, "name"), message));
    }
    let printable = token.prefix.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic());
    if !printable || (token.to == TokenPlace::Cookie && !token.prefix.is_empty()) {
        let message = "a prefix is printable ASCII before a token in a header";
        findings.push(Finding::new(below!(at, "prefix"), message));
    }
}

fn expired(template: &SessionTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let expired = &template.expired;
    if expired.status.iter().any(|status| !(300..=599).contains(status)) {
        let message = "an answer without a session has a status from 300 to 599; for others use pointer or xml, and value";
        findings.push(Finding::new(below!(table, "expired", "status"), message));
    }
    if expired.pointer.is_some() && expired.xml.is_some() {
        let message = "a body is JSON or XML: `pointer` or `xml`";
        findings.push(Finding::new(below!(table, "expired", "xml"), message));
    }
    if let Some(Err(error)) = expired.xml.as_ref().map(|path| path.parse::<XmlPath>()) {
        findings.push(Finding::new(below!(table, "expired", "xml"), error.to_string()));
    }
    match (expired.pointer.as_ref().or(expired.xml.as_ref()), &expired.value) {
        (Some(pointer), Some(_)) if expired.xml.is_none() && !is_pointer(pointer) => {
            let message = format!("'{pointer}' is not a JSON pointer, for example \"/error/code\"");
            findings.push(Finding::new(below!(table, "expired", "pointer"), message));
        }
        (Some(_), Some(_)) => {}
        (None, None) if expired.status.is_empty() => {
            let finding =
                Finding::new(below!(table, "expired"), "nothing tells that the session has expired");
            findings.push(finding.hint("expired = { status = [401] }"));
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => {
            let message = "`pointer` or `xml`, and `value`, come together";
            findings.push(Finding::new(below!(table, "expired"), message));
        }
    }
}

fn is_cookie_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

fn is_pointer(pointer: &str) -> bool {
    pointer.starts_with('/') && pointer.len() <= 255
}
